// Package eventlog keeps the two logs of the flow, raw and clean, and what
// waits in quarantine. It is the only package that talks streams (NATS
// JetStream); to everything else a log is something to append to, to read in
// order, and to look up.
//
// # Writing
//
// A [Writer] appends frames. [Writer.Append] is for the gateway: callers that
// wait at the same time share one commit, and each is told what became of its
// own messages, after they are on disk. [Writer.AppendAtomic] is for the
// pseudonymizer: all or nothing.
//
// # Reading
//
// A [Reader] takes a log in order through a durable consumer and confirms how
// far the work is done. Confirming one sequence confirms all below it, so the
// reader never lets a lost delivery pass unseen: it counts deliveries, and a
// missing one starts the consumer over from what is confirmed. A [Log] looks
// up single messages and ranges without moving any consumer. A [Bucket] keeps
// small named values, the loader's manifests.
//
// # Guarantees
//
//   - An [Ack] means the message is on disk: the streams are file storage
//     under a server with sync_interval always, and [Check] names any setting
//     that drifted from that.
//   - A message that bears an ID and was acknowledged within the last 24 hours
//     is stored once, however often it is appended.
//   - An error of kind unavailable from Append means that the outcome is
//     unknown: appending the same messages with the same IDs again is safe,
//     appending them without IDs may store them twice.
//   - Topics carry tenants, services, kinds and numbers, never a person.
//
// # Permissions
//
// [Users] says which topics each service may touch, and no service can read
// another's replies. Streams and consumers are made by the operator, in
// [Apply]; no service can make one.
//
// A limit of the server, measured with 2.15.2: it answers on whatever reply
// topic a message bears, with rights of its own, and an empty answer (to a
// message of a batch, to a confirmation) on a topic of its API counts as a
// request there. So the lists keep services from what they should not see, and
// from mistakes; a service that was taken over can still have a stream deleted.
// Against that a service needs a server account of its own.
//
// # What it does not do
//
// It does not seal, open or parse bodies; the only part of a frame that it
// reads is the header in the clear, in [Log.LastRawSeq]. It does not decide
// when anything expires.
//
// # Concurrency
//
// Writer, Log and Bucket are safe for concurrent use. A Reader belongs to one
// goroutine, and a durable consumer to one Reader at a time.
package eventlog
