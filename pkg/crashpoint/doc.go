// Package crashpoint kills the process at a named point, so that a test can
// show what a crash there leaves behind.
//
// The points stand where something has just become durable or is just about
// to: between an append and its acknowledgment, between a deletion and its
// record. Built without the tag "crashpoints", [Reach] is empty and costs
// nothing, so that no setting of a release can make it die. Built with it,
// LETHE_CRASH_AT chooses one point:
//
//	LETHE_CRASH_AT=loader.inserted      the first time it is reached
//	LETHE_CRASH_AT=loader.inserted:3    the third time
//
// The process dies of SIGKILL: nothing is flushed, closed or deferred. That
// shows what a process that dies leaves behind, and not what a power cut
// does, which takes the page cache with it.
//
// A name is the package and what has just happened, with a dot between.
package crashpoint
