// Package openapi describes Lethe's HTTP surface as one OpenAPI 3.1 document,
// served at GET /openapi.json. It needs no credential: it names routes, fields
// and metrics, as the policy does, and holds no data.
//
// # Where what is said comes from
//
// Nothing is said twice:
//
//   - which routes there are, to whom they open, what goes on record: the
//     gate's rules ([access.Route]);
//   - the shapes of requests and answers: the Go types that are encoded, by
//     reflection;
//   - the words on types and fields, and the values of enumerations: the
//     comments and constants of those types, which words.json holds
//     (make derive writes it; a program has no source to read);
//   - events, metrics and dimensions: the policy;
//   - what no code says, a route's summary, parameters and failures: the
//     tables of this package, one file per part of Lethe.
//
// # Adding a route
//
// Write an entry with the route's pattern into the table that it belongs to:
// publish.go, statistics.go, compliance.go, holds.go, credentials.go,
// operate.go or serve.go. A test of services/lethe compares the document with
// the rules of a running Lethe, both ways, and asks its routes; [Check] says
// what is missing and where. Then make derive. What a route answers with is a Go
// type with a comment. A surface that this document is not the place for goes
// into [LeftOut], with the reason.
//
// # Sources
//
// OpenAPI Specification 3.1.1, whose schemas are JSON Schema 2020-12. Failures
// are problem documents (RFC 9457), credentials are bearer tokens (RFC 6750).
package openapi
