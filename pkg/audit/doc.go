// Package audit is the record of what was done: policies applied, keys made
// and destroyed, what was removed and what was there, holds, verifications.
// Who asked, what, when; never a personal value, because what is on record
// cannot be erased before its year is.
//
// # On record
//
// A [Recorder] puts an [Entry] on record before the deed. On record means that
// the audit stream has confirmed it; an error means that the deed must not be
// done. What is on record was therefore about to be done, and what was done is
// on record.
//
// # In a tree
//
// A [Sequencer] moves entries from the stream into a [Log]: one Merkle tree
// (RFC 6962) per calendar year, as files in the layout of C2SP tlog-tiles, with
// a signed [Checkpoint] after every batch. The numbered steps are at
// [Sequencer] (S1 to S3) and at Log.commit (A1 to A5). The checkpoint is the
// commit point: it says how large the tree is and through which sequence of the
// stream, so that a crash anywhere repeats work and changes nothing. A year's
// tree begins with an entry that names the last checkpoint of the year before.
// A tree past its rule is removed whole, after a later tree says so.
//
// # What a tree shows
//
//   - Every entry is under a signature. [Open] holds entries, hashes, kept
//     checkpoints and years to each other, and what is read later is held to
//     the tree again.
//   - With a checkpoint that was kept elsewhere, an edit, omission, reordering
//     or truncation of anything before it shows ([Log.Consistency]).
//   - A message that was taken out of the stream before its turn leaves a [Gap]
//     on record, and one that is no entry a [Refused].
//   - A log that is made where there was one before says so on record: [Began].
//     The stream remembers the old one, by what it confirmed and by its key.
//   - The tree follows from the stream. An older copy of the directory that was
//     put back catches up, as long as the stream has what it lacks (400 days),
//     and becomes the same tree with the same checkpoints.
//
// # What it does not show
//
// There is no witness. Whoever holds the key and the disk can write another
// history and sign it; only a checkpoint kept elsewhere shows that. A tail cut
// off together with the checkpoints that were kept in the directory is in
// itself a shorter log; the stream, or a checkpoint kept elsewhere, shows that
// it was longer. An entry says what its recorder said: that it was done and
// found, not that it is true. Entries bear the clock of who recorded them.
//
// # Recovery
//
// A log that [Open] calls corrupt is replaced by a copy, of any age that the
// stream reaches back to. Where there is no copy, one that is made anew becomes
// the same trees as far as the stream reaches, under another key.
//
// When the stream is not the one that the trees were made of, because it was
// lost or put back from a copy itself, the sequencer stops: put back the right
// one, or a copy of the directory that is as old, or older. Where there is
// neither, [Log.Recover] lets the trees go on, under their key, with the stream
// that is there, and puts on record that what came between is not known.
//
// # Concurrency
//
// Log and Writer are safe for concurrent use; readers see one committed state
// and never wait for the disk of an append. A directory belongs to one process.
package audit
