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
// cannot be read. It looks at the credential alone: networks, routes and
// purposes are the [Gate]'s to hold it to.
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
	role := subtle.ConstantTimeCompare([]byte(given.role), []byte(known.Role))
	present := role & subtle.ConstantTimeCompare(hash[:], known.Hash)
	previous := role & subtle.ConstantTimeCompare(hash[:], known.previous())
	at := s.now()
	if !known.live(at) || present != 1 && (previous != 1 || !at.Before(known.PreviousUntil)) {
		return Principal{}, &rejection{known.ID}
	}
	return known.Principal(), nil
}

var (
	noHash = make([]byte, sha256.Size)
	nobody = entry{Hash: noHash}
)

// A rejection is [ErrBadCredential] that knows which credential was tried, so
// that a [Gate] can count. It says no more than any other.
type rejection struct{ id string } // empty when no credential has the id

func (r *rejection) Error() string { return ErrBadCredential.Error() }
func (r *rejection) Unwrap() error { return ErrBadCredential }

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
