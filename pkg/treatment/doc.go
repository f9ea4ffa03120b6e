// Package treatment turns events as publishers sent them into rows that Lethe
// is allowed to keep. [Treatment.Apply] is the only door between the two: the
// one caller of event.NewClean, and outside the frame codec the one caller of
// event.Open.
//
// # What a treatment does
//
// A policy names one treatment for every column of every table:
//
//   - keep: the value as it came. Only for fields that say nothing about a
//     person.
//   - drop: nothing. A dropped field has no column.
//   - token: a pseudonym, made by a key that this package never sees
//     ([Tokens]). The value is first brought into one spelling ([Canonical]),
//     because a person asks to be erased in one spelling and was logged in
//     another.
//   - truncate: an IP address without its last bits, as the text of the
//     network that is left ("192.0.2.0/24", "2001:db8::/48").
//   - coarsen: a time to its hour or day, a number to its step, a user agent to
//     its family, a URL to its host.
//   - redact: text without what can be recognized as an address, a number or a
//     secret in it.
//
// # What callers may rely on
//
//   - Apply is pure: no clock, no disk, no network. Time is an argument. Apart
//     from the IDs of lasting rows whose publisher named no event, the same
//     input under the same keys gives the same rows.
//   - An event is treated for all of its tables or for none of them.
//   - Whatever a publisher sends, nothing here panics, and no error and no
//     reason holds a value.
//   - A row is never more precise about when it happened than its table's rule
//     says: its ID, its time and the instant it expires are coarsened alike.
//   - A row of a lasting table holds no token, has an ID of its own and cannot
//     be joined to the identified row of the same event without the keyring.
//     The key that made the ID dies with the identified row.
//
// # What it does not do
//
// Redaction finds what has a shape. A name in free text has none, nor has a
// short word in a path; a field that may hold one is dropped by policy, not
// redacted.
//
// # Concurrency
//
// A Treatment is immutable and may be shared. A [Tokens] is used by one
// goroutine at a time, the one that called Apply.
//
// Pseudonymization is meant in the sense of GDPR Art. 4(5) and EDPB Guidelines
// 01/2025; canonical forms lean on RFC 5321 (mail), RFC 5891 (IDNA 2008) and
// RFC 4291 (IPv6 addresses).
package treatment
