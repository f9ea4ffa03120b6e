// Package pseudonymizer moves the flow from the raw log to the clean log. It
// is one loop: read, open, treat, append, acknowledge. It is the only stage
// that opens raw frames and makes tokens.
//
// # The order of things
//
// The steps of a group of raw frames, as docs/life-of-an-event.md numbers
// them:
//
//	T1  read        a group of frames; on start, behind the raw sequence that
//	                the last clean frame names
//	T2  treat       open each frame and treat its events, on every processor
//	T3  quarantine  what cannot be treated, sealed under a key of its own
//	T4  append      one clean frame for each raw frame, table and expiry day;
//	                all of a group as one atomic batch
//	T5  acknowledge the group
//
// Each step is on disk before the next begins. A crash before T4 repeats the
// group, and what T3 stored is recognized by its message id. A crash between T4
// and T5 repeats nothing: the last clean frame says how far the raw log is
// treated (net 2), however long ago that was. A clean frame's message id, made
// of raw sequence, table and expiry day, is the second line.
//
// # What becomes of an event
//
// It gives a row in every table of the event whose deletion rule has not
// passed. An event past all of them is counted as expired. An event that cannot
// be treated waits in quarantine, sealed like a raw event, with a reason that
// names fields and never values, until [Pseudonymizer.Redrive] treats it under
// a policy that can. A frame whose key was destroyed is counted as lost: that
// happens to what stayed untreated for 30 days.
//
// # When something fails
//
// Keys or logs that do not answer are asked again, more and more slowly, and
// nothing moves on meanwhile. A frame that is not what was sealed ends the
// process: going on would drop it or spread it.
//
// # Concurrency
//
// One pseudonymizer works on a raw log at a time. Run is called once; Redrive,
// Waiting and Numbers may be called beside it.
package pseudonymizer
