// Package gateway is the front door: it takes events from publishers, holds
// each to its schema, seals them, and answers when the raw log has them on
// disk. It can seal and append. It cannot open what it sealed, nor read back
// what it appended.
//
// # What comes in
//
// POST /v1/events takes a JSON object or array, NDJSON (one event a line), and
// CloudEvents 1.0 in structured, batch and binary mode, each also compressed
// with gzip or zstd. NATS publishers request lethe.publish.<tenant>.<service>.
// <event> with a JSON object or array. An event is
//
//	{"event": "login", "service": "shop", "id": "7f3", "occurred_at":
//	 "2026-11-21T10:00:00Z", "version": 1, "data": {…}}
//
// of which only event and data must be there. A request's ?service= serves for
// events that name none, and so does the credential's service when it has just
// one. A CloudEvent's type is the event, with or without "lethe." before it and
// ".v1" after it; its id and time are the event's; its service is ?service=, or
// its source, or the last part of its source's path.
//
// # What goes out
//
// A request that can be read is answered 200 with one receipt for each event,
// in their order: stored, duplicate (it was stored before), expired (it is past
// every rule it falls under, and was not stored), or refused with a sentence
// that names fields and never a value. A request that cannot be read, or may
// not be made, or cannot be stored for the time being, is answered with a
// problem document (RFC 9457) as a whole. Nothing of a value comes back.
//
// 503 leaves open whether events were stored. A publisher that gave every event
// an id, or sent an Idempotency-Key, sends the same request again and nothing
// is stored twice; what the first attempt had stored is then receipted
// duplicate. The same key with another body is another request.
//
// # In which order
//
// The steps bear the numbers of docs/life-of-an-event.md:
//
//  1. authenticate the publisher, authorize it for each event's service
//  2. decode and validate each event by its schema
//  3. name each event: by its publisher's id, or at random
//  4. date it: by its publisher, or now; refuse the future, leave the expired
//  5. gather events into frames by service, event and version
//  6. seal each frame under its tenant's key of the hour
//  7. append the frames to the raw log, in one commit with other requests
//  8. answer
//
// Before 7 nothing is durable, and a crash leaves nothing behind. Between 7 and
// 8 everything is, and the publisher does not know.
//
// # What it does not do
//
// It keeps no state: run as many as the traffic needs. It does not treat
// events, and it does not know whether an event came before in another request;
// the warehouse does.
//
// # Concurrency
//
// A Gateway serves any number of requests at once.
package gateway
