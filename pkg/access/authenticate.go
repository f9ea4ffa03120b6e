package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// The two ways of not being let in, both answered with status 401. Which part
// of a credential was wrong is nobody's business.
var (
	ErrNoCredential  = fault.Denied.Errorf("a credential is needed, as Authorization: Bearer")
	ErrBadCredential = fault.Denied.Errorf("the credential is not accepted")
)

// Authenticate tells whose request it is. It returns [ErrNoCredential] when
// the request carries no bearer credential (RFC 6750), [ErrBadCredential] when
// it carries one that opens nothing, and [fault.Unavailable] when the store
// cannot be read.
func (s *Store) Authenticate(r *http.Request) (Principal, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return Principal{}, ErrNoCredential
	}
	scheme, text, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Principal{}, ErrNoCredential
	}
	if len(headers) > 1 {
		return Principal{}, ErrBadCredential
	}
	return s.Identify(strings.TrimSpace(text))
}

// Identify tells whose credential a text is, for doors that are not HTTP. Its
// errors are those of [Store.Authenticate].
func (s *Store) Identify(text string) (Principal, error) {
	snap, err := s.refresh()
	if err != nil {
		return Principal{}, err
	}
	// The same work for every text: an unknown id is compared with nobody,
	// whose hash no secret has, and whose role no credential names.
	given := parse(text)
	known, ok := snap.entries[given.id]
	if !ok {
		known = &nobody
	}
	hash := given.hash()
	same := subtle.ConstantTimeCompare(hash[:], known.Hash) &
		subtle.ConstantTimeCompare([]byte(given.role), []byte(known.Role))
	if same != 1 || !known.live(s.now()) {
		return Principal{}, ErrBadCredential
	}
	return known.Principal(), nil
}

var nobody = entry{Hash: make([]byte, sha256.Size)}

// WriteUnauthorized answers a request that [Store.Authenticate] did not let
// in: 401 with the challenge that RFC 6750 asks for, or, when the store itself
// failed, the status of that failure.
func WriteUnauthorized(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, ErrNoCredential):
		w.Header().Set("WWW-Authenticate", `Bearer realm="lethe"`)
		fault.WriteStatus(w, http.StatusUnauthorized, ErrNoCredential.Error())
	case errors.Is(err, ErrBadCredential):
		w.Header().Set("WWW-Authenticate", `Bearer realm="lethe", error="invalid_token"`)
		fault.WriteStatus(w, http.StatusUnauthorized, ErrBadCredential.Error())
	default:
		fault.WriteProblem(w, err)
	}
}
