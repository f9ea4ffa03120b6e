// Package loader moves rows from the clean log into the warehouse, each once.
// It is one loop: read, batch, insert, confirm.
//
// # A round
//
// A round is a contiguous range of clean frames: as many as came within half a
// second, up to 50,000 rows. What is durable before what is numbered here and
// in docs/life-of-an-event.md:
//
//	L1  the manifest of the round, its first and last sequence, the
//	    warehouse epoch and how many rows it brings, is on disk
//	L2  its rows are in the warehouse, one insert for each table and expiry
//	    day, each under a token made from the manifest
//	L3  the clean log knows that everything through the last sequence is done
//	L4  the manifest of the next round replaces this one
//
// A crash anywhere leaves at most one round in doubt. The manifest says which
// frames it was made of, so the round is made again as it was, with the same
// tokens, and the engine drops what had landed. Without the manifest the next
// process would cut its rounds elsewhere, no token would match, and rows would
// be stored twice.
//
// The manifest, and not the consumer, says how far the loader is: a server that
// was killed may have forgotten a confirmation, but never a manifest. Frames
// at or below it that are delivered again are passed over.
//
// # Net 3
//
// An event that its publisher named and dated may come again in another frame,
// days later. The first frame wins; later rows with the same id are dropped
// before they are stored (see [seen]). A round that is made again finds its own
// rows in the warehouse and drops them too, which changes nothing, because the
// engine would have dropped the whole batch.
//
// An event that comes again after its deletion rule changed is in a frame of
// another expiry day. Which rows those were is written down as long as the frame
// lives, for the rebuild (see [repeats]): when the first row has expired, the
// second must not take its place.
//
// # Books
//
// The manifest also says how many rows came into each partition since the loader
// began to count, together with the sums that older counts were added to.
// [Books] reads them. They are on disk before the rows are, and are what the
// tables are held to: retention adds up from them what came in. A round that is
// made again is counted as what the tables hold of it then.
//
// # What is passed over, and counted
//
// A frame whose key is destroyed, or whose expiry day ended more than the grace
// ago, has expired. A frame of a table that the policy no longer has is of no
// use. Columns are found by name, so frames of older policies load as long as
// they live.
//
// # Rebuild
//
// The warehouse can be made anew from the clean log ([Rebuild], rebuild.go).
// Analysts read the old tables until each is exchanged.
//
// # Failures
//
// Unavailable and exhausted stores are tried again, with the same manifest and
// the same tokens. A frame that is not what was written is corrupt and ends the
// process.
//
// # Concurrency
//
// Run is one goroutine that owns the reader, and one more that inserts the
// round before while the next is read.
package loader
