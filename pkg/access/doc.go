// Package access knows who may ask for what.
//
// A [Principal] is whoever is asking: a credential with one [Role], in one
// tenant, perhaps for some services only. A [Store] keeps credentials in one
// file and tells from a request whose it is. A [Gate] stands before every
// route that needs one, and refuses everybody whose role the route does not
// name.
//
// # Credentials
//
// A credential reads lethe_<role>_<id>_<secret>. The id is public and safe to
// log; the secret is 256 random bits. The store holds the SHA-256 of the
// secret: with that much entropy a slow hash would add cost and no safety. The
// text is shown once, when the credential is made, and cannot be had again.
//
// A [Credential] prints, logs and marshals as its id alone. Only
// [Credential.Reveal] gives the text.
//
// # Guarantees
//
//   - Unknown means no: a route without roles opens to nobody, and a store
//     whose file is missing or unreadable lets nobody in.
//   - Creating or revoking a credential, in whatever process, holds from the
//     next request on: the file is looked at on every request and read again
//     when it changed.
//   - An unknown id, a wrong secret, and an expired or revoked credential cost
//     the same work and get the same answer (RFC 6750, section 3.1).
//   - The file is replaced whole and synced, so a crash leaves the old one or
//     the new one; writers in several processes take turns.
//   - P14, P15: the tenant and the services of a principal come from the
//     store, never from the request.
//
// # What it does not do
//
// It does not terminate TLS, limit rates, or know what a route does with the
// tenant it is given. It does not record who asked; that is the audit log's.
//
// # Concurrency
//
// A Store and a Gate may be used from many goroutines at once.
package access
