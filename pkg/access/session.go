package access

import "net/http"

// Recognize says whose request it is, as every route asks first, and decides
// about no route. A door that keeps a credential for whoever showed it, such as
// one with sessions, asks with each request, the credential in the header
// Authorization: what was revoked opens nothing, attempts that fail are counted
// (P22), locks hold, and a credential is good from its own networks alone.
//
// It returns [ErrNoCredential], [ErrBadCredential], [fault.Exhausted] for who is
// locked, [fault.Denied] for who is in the wrong network, and
// [fault.Unavailable] when the store cannot be read.
func (g *Gate) Recognize(r *http.Request) (Principal, error) {
	p, err := g.identify(r, &rule{})
	if err != nil {
		return Principal{}, err
	}
	if !p.CoversAddress(g.source(r)) {
		return Principal{}, g.misplaced(r, p)
	}
	return p, nil
}
