// Package access knows who may ask for what.
//
// A [Principal] is whoever is asking: a credential with one [Role], in one
// tenant, with a [Scope]. A [Store] keeps credentials in one file and tells
// from a request whose it is. A [Gate] stands before every route that needs
// one, decides, and puts the decision on record before the route is served.
//
// # Credentials
//
// A credential reads lethe_<role>_<id>_<secret>. The id is public and safe to
// log; the secret is 256 random bits. The store holds the SHA-256 of the
// secret: with that much entropy a slow hash would add cost and no safety. The
// text is shown once, when the credential is made or rotated, and cannot be had
// again. A [Credential] prints, logs and marshals as its id alone.
//
// # Guarantees
//
//   - Unknown means no: a route without roles does not start, a store whose
//     file is missing or unreadable lets nobody in, and a principal with a limit
//     that a route does not honor is refused.
//   - Creating, rotating or revoking a credential, in whatever process, holds
//     from the next request on: the file is looked at on every request and
//     read again when it changed.
//   - An unknown id, a wrong secret, and an expired or revoked credential cost
//     the same work and get the same answer (RFC 6750, section 3.1), until
//     attempts with a known id have locked it.
//   - The file is replaced whole and synced, so a crash leaves the old one or
//     the new one; writers in several processes take turns.
//   - P10: what analysts and officers ask, and every change of a credential, is
//     on record before it is done. What cannot be recorded is not done.
//   - P14, P15: tenant and scope come from the store, never from the request,
//     and a credential hands out none that may do more than itself.
//   - P22: 30 failed attempts within 24 hours lock a credential, or the network
//     that guesses, for an hour. Locks live in the memory of each process.
//
// # What it does not do
//
// It does not terminate TLS or know what a route does with the limits it says
// it honors. Where decisions are recorded is its caller's business.
//
// # Concurrency
//
// A Store, a Gate and a Reads may be used from many goroutines at once. Routes
// are registered before the first request.
package access
