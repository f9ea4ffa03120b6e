package keyring

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// TokenSize is the length of a token in bytes: 160 bits, so that among a
// billion people the odds of two sharing a token are 3 in 10^31.
const TokenSize = 20

const tokenLabel = "lethe/token/v1"

// TokenKey names the key that makes a token. Tokens of the same value under
// two different TokenKeys cannot be linked without the keyring (P2).
type TokenKey struct {
	// Domain is the pseudonymization domain, which has epochs of its own.
	Domain string
	// Tenant and Service say whose event it is.
	Tenant, Service string
	// Kind is the kind of field, such as ip or email.
	Kind string
	// Epoch is the number of the epoch that the event's time falls in.
	Epoch int64
}

func (t TokenKey) id() (id, error) {
	for _, f := range [...]struct{ what, s string }{
		{"tenant", t.Tenant}, {"service", t.Service}, {"field kind", t.Kind},
	} {
		if f.s == "" {
			return id{}, fault.Invalid.Errorf("%s is empty", f.what)
		}
	}
	return epochID(t.Domain, t.Epoch)
}

// A Tokenizer makes the tokens of one [TokenKey]. It is for one goroutine.
//
// Its key may be destroyed while it is held. Callers that keep a Tokenizer ask
// [Tokenizer.Live] once per frame; one that does not still gets no token that
// a destroyed key would have made.
type Tokenizer struct{ hidden[*tokenMAC] }

// A tokenMAC is reused for every token of its key: resetting an HMAC costs a
// third of making one, and nothing is allocated.
type tokenMAC struct {
	key *key
	mac hash.Hash
	msg []byte
	sum [sha256.Size]byte
}

func (k *key) tokenizer(t TokenKey) (*Tokenizer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.usable(); err != nil {
		return nil, err
	}
	secret, err := derive(k.secret.open(), "lethe/token-key/v1", t.Tenant, t.Service, t.Kind)
	if err != nil {
		return nil, fmt.Errorf("deriving from key %s: %w", k.id, err)
	}
	defer clear(secret)
	return &Tokenizer{hide(&tokenMAC{key: k, mac: hmac.New(sha256.New, secret)})}, nil
}

// Token is HMAC-SHA-256 (RFC 2104) of a label and of each part with its length
// before it, cut to 160 bits. The parts are a value in canonical form, with
// the version of that form as a part of its own. Token allocates nothing.
//
// After the key's destruction a token is a fresh random number: it links
// nothing and nobody.
func (t *Tokenizer) Token(parts ...string) (token [TokenSize]byte) {
	m := t.open()
	if m.key.usable() != nil {
		m.mac = nil
		_, _ = rand.Read(token[:])
		return token
	}
	m.msg = appendFramed(m.msg[:0], tokenLabel)
	for _, p := range parts {
		m.msg = appendFramed(m.msg, p)
	}
	m.mac.Reset()
	m.mac.Write(m.msg)
	m.mac.Sum(m.sum[:0])
	clear(m.msg) // a personal value does not outlive its token
	copy(token[:], m.sum[:])
	return token
}

// Live is nil while the epoch's key lives, and [ErrDestroyed] when it has been
// destroyed.
func (t *Tokenizer) Live() error { return t.open().key.usable() }
