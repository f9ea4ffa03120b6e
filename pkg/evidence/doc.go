// Package evidence makes one file of what is on record and of what verify
// found, and checks such a file with nothing else at hand: no server, no
// network, no clock, no disk.
//
// # The bundle
//
// A [Bundle] (format "lethe-evidence/1") holds a statement: the deletion rules
// in words and the report of a verification; the audit log from the first entry
// of its span to the last, each entry as its exact bytes, with a compact range
// of what came before (RFC 6962, section 2.1: the hashes of the largest whole
// subtrees), so that range and entries together give the root that the signed
// checkpoint names; checkpoints of earlier days with consistency proofs; and
// the list of partitions that the last manifest counted.
//
// The SHA-256 of the statement is put on record, and is in the tree, before the
// bundle is written. So every part of a bundle leads to the one signature: an
// edit, an omission, another order or a missing end is found by [Check], and
// with a checkpoint that was kept elsewhere so is another history.
//
// # What a check says
//
// [Check] answers in plain sentences what is proved, what is not, and what is
// wrong. It proves what was recorded and looked at. It cannot prove that no
// copy exists where nobody looked, and it says so every time.
//
// A [Result] is Intact when the file is what the signature stands for, and OK
// when, besides, the record shows no problem. That the rules were kept is said
// of what had to be gone ([Due]); where nothing had to be yet, the verdict says
// that it cannot be shown.
//
// # Times
//
// Entries carry the time of the clock of who recorded them. What is due is
// decided by Lethe's clock, which never goes back: an entry's is that of the
// first retention run that ended after it.
//
// # Concurrency
//
// A [Maker] may be used by many goroutines. Check and HTML are pure.
package evidence
