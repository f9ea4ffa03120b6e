// Package verify looks at what is there and says which promises hold.
//
// Every promise of docs/promises.md is in its [Report]: whether anything
// enforces it, whether it holds, what was looked at to know, and what was found
// that breaks it, in sentences that say where, what, since when, and what to
// do. What nothing enforces yet says so and does not count.
//
// # Looking
//
// It asks the stores what they have, and not the policy what they should have:
// every table of every database, the dates of every row, those behind the read
// barrier included, parts active and not, detached and frozen; the engine's
// files, where they are in reach; every stream and consumer; every key, and
// every file in the keyring's directory; folders by the age of what is in them,
// however deep; the data directory, for what Lethe did not put there; the clock;
// when retention ran; the audit log, which it holds to what was signed; the
// manifests, the last of which it counts again; the removals on record, which it
// holds to the clock and the rules; and the legal holds, which it holds to what
// officers put on record, and to what they have not copied in time. So a table that somebody made, a
// part that somebody set aside and a setting that somebody changed are found
// although no list in the code has them.
//
// A [Rule] in the report is one deletion rule (ISO/IEC 27555) at one place: the
// instant before which nothing may be selected, the oldest thing found, and how
// much of it is there, hidden, and overdue.
//
// # Guarantees
//
//   - A place that cannot be looked at is a finding, never silence, and does
//     not keep the rest from being looked at. One that is out of this process's
//     reach is in [Report.Looked] with the reason.
//   - What is found wrong is looked at twice, so that work under way is not
//     taken for a fault.
//   - It changes nothing, opens no frame, and reads of a row only its dates.
//   - A sentence names places, days, classes and counts. A name that somebody
//     else chose for a table, a stream or a user is shown only if it is plain,
//     and that of a file never: a file is said by its place, size and day.
//   - What a rule ends that became shorter is not overdue before the grace is
//     over that began when the policy was applied.
//   - Whoever asks is on record before there is an answer.
//
// # What it does not show
//
// It cannot know of a copy in a place that it is not told of, and what it says
// about the past is what is on record.
//
// # Concurrency
//
// A [Verifier] may be used by many goroutines; they take turns.
package verify
