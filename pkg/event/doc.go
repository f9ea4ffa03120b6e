// Package event is the vocabulary of the flow: what the world told Lethe, what
// Lethe is allowed to keep, and the frames in which both travel.
//
// There are two states of matter and two Go types. A [Raw] is an event as its
// publisher sent it and is personal data: it prints, logs and marshals as its
// ID and nothing else, and its values come out through [Open] alone. A [Clean]
// is one row of one table after treatment: pseudonymous, and still not for
// printing. Between them stands one door, treatment.Apply, the only caller of
// Open outside this package. [NewClean] has one caller more: pkg/cell, which
// makes numbers of clean rows and cannot open raw ones.
// pkg/structure_test.go holds both.
//
// # Frames
//
// A message on either log is a frame: up to [MaxFrameEvents] events, about
// [MaxFrameBytes] before compression. A frame is a header in the clear and a
// sealed body. The header names tenant, service, event or table, policy digest
// and schema version, and never a person; the body is sealed with the header
// as additional data, so a header cannot be exchanged. [Pack] and [Unpack] put
// the two together. Sealing itself is the keyring's.
//
// A body names its own fields, so a frame can be read under every later policy
// while it lives.
//
// # Identity
//
// An event's ID is a ksuid whose time part is when the event occurred, so the
// IDs of one moment sort together, and whose payload is a keyed hash of what
// the publisher called it, or random (see [NewID]).
//
// # Concurrency
//
// Values of all types here are immutable once built and may be shared.
package event
