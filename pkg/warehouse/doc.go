// Package warehouse is the only part of Lethe that speaks to ClickHouse. It
// derives tables, users and grants from the policy, inserts batches, and
// answers questions about what is stored.
//
// # Tables
//
// Every table of the policy becomes one MergeTree, partitioned by expiry day,
// so that expiry is a partition dropped and no row is ever mutated to expire
// ([DDL], [Apply], [Warehouse.Plan]). Before its treated columns a table has
// columns of its own: who sent the row, its event id, when it occurred, when
// it expires, the key epoch of its tokens and the sequence of the clean frame
// it came in. There are no projections and no materialized views: each would
// be a copy that deletion has to find.
//
// The TTL clause is a back-stop, three days behind the promise. The promise
// itself is kept by the retention job, which drops partitions by an explicit
// cut-off, and until it has by the read barrier: a row filter on the analyst's
// user that hides a row from the instant it expires. Both go by Lethe's clock,
// the one row of lethe.clock, which never goes back behind a time that Lethe
// went by ([Warehouse.Advance]). What somebody else put there can be taken out
// ([Warehouse.TakeBack]).
//
// A rule that becomes shorter ends rows in days to come. [Warehouse.Early]
// finds them, [Warehouse.DropEarly] drops the parts that hold nothing else, and
// [Warehouse.RemoveEarly] has the engine write anew those that do.
//
// # Inserts
//
// [Warehouse.Insert] stores one [Batch] in one partition, all or nothing and
// on disk before it returns. An error means that the outcome is unknown: the
// caller inserts the same batch with the same token again, and the engine
// drops it if it had landed. [Warehouse.Known] and [Warehouse.IDs] say which
// events are stored.
//
// # Rebuild
//
// [Warehouse.Stage] makes a second database of empty tables, [Warehouse.Swap]
// exchanges them for the live ones, and [Warehouse.Discard] drops what was
// exchanged. Each may be repeated. [Warehouse.Fingerprint] tells whether two
// states hold the same rows.
//
// # Holds
//
// A second database has a table of the same name for every table whose rows
// expire. [Warehouse.CopyHeld] copies into it what a legal hold covers and what
// may still be selected, [Warehouse.DropHeld] removes it when the hold ends,
// and a TTL three days behind the hold's deadline is the back-stop. The analyst
// cannot see it.
//
// # Failures
//
// Errors carry a kind (package fault). They name the engine's error code and
// never its text, because the text of an engine's exception may quote a value.
//
// # Concurrency
//
// A Warehouse may be shared. A Batch belongs to one goroutine. Each part of
// Lethe opens its own Warehouse with its own user ([Users]).
package warehouse
