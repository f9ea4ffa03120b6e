// Package hold keeps legal holds: what a court, a regulator or a claim asks to
// be preserved outlives its deletion rule as a copy, while the original expires
// on time. (GDPR Art. 17(3)(b) and (e), Art. 18(1)(c).)
//
// A [Hold] has a name, a reason, a deadline and a scope: tables, services, a
// stretch of time, always of one tenant. An officer adds and releases it
// through the [Keeper], which puts it on record before it is stored. The
// [Store] keeps holds in a bucket of the log; retention, verify and whoever
// shows them read them with [Store.List].
//
// # The copy
//
// The [Copier] copies what a hold covers, once it is loaded: rows into the table
// of the same name in the hold database, and clean frames into the stream
// LETHE_HOLD, sealed anew under the key "hold-<id>" of the deadline's day. What
// was inside its rule when the hold was added is covered, however late the
// copier is; what was past it is not brought back, also where it is still there.
// The copier goes range by range of the clean log, through the sequence that the
// loader has confirmed:
//
//	H1  the range is durable in the hold's record
//	H2  its frames are on the hold stream, each with the id hold/<id>/<seq>
//	H3  its rows are in the hold tables
//	H4  so are the rows that a late copier finds in no table: made of their frames
//	H5  what was copied is on record
//	H6  the end of the range is the hold's floor
//
// A crash between two of them repeats the range, and nothing is there twice:
// frames after the last one that is there alone are appended, and an insert
// carries a token and leaves out what is there. What was inserted is looked for,
// and inserted again where a kill undid it. A lease in the bucket keeps a
// second copier from working at the same time. Retention removes no original
// that an active hold covers and whose sequence is beyond the hold's floor. The
// engine's own back-stop knows nothing of holds and removes rows, but not their
// frames, whose keys wait for the hold too.
//
// A hold that reaches into the future goes on copying until its deadline or
// release. Rows that say nothing about a person stay in any case, and no hold
// covers them. What was not yet treated is not covered either: it is, when it
// has been treated and loaded.
//
// # The end
//
// When a hold is released, or its deadline has passed, it is [Hold.Due]:
// retention drops the partition of each hold table, purges the hold's topics,
// destroys its key, and says so to [Store.End]. The next copier removes the name
// and the reason, with their bytes ([Store.Forget]): they are on the audit log,
// and nothing needs them any more. Id, scope, dates and counts stay.
//
// # What it does not do
//
// A hold keeps no epoch key: once those of its rows are destroyed, nobody can
// tell whose token a held row bears. The reason of a hold is on the audit log
// for years and must name no person.
//
// # Concurrency
//
// A Store and a Keeper may be shared. Copiers may run in several processes.
package hold
