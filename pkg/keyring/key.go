package keyring

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"
	"time"
)

// A key is one key in memory, with what has been derived from it.
type key struct {
	id      id
	created time.Time
	// gone is why the key may not be used any more. It is set once, and read
	// by tokenizers, which hold derived keys, at every token.
	gone atomic.Pointer[error]

	// mu guards the rest. All of it goes when the key is destroyed.
	mu     sync.Mutex
	secret hidden[[]byte]
	pair   hidden[hpke.PrivateKey] // raw and quarantine keys only
	aeads  map[string]hidden[cipher.AEAD]
	macs   map[string]hidden[*sync.Pool]
	sender *sender
}

// maxDerived bounds what is kept per key. Only a caller that sends each frame
// with an encapsulation of its own reaches it, and then only loses speed.
const maxDerived = 4096

func newKey(i id, created time.Time, secret []byte) (*key, error) {
	k := &key{
		id:      i,
		created: created,
		secret:  hide(secret),
		aeads:   map[string]hidden[cipher.AEAD]{},
		macs:    map[string]hidden[*sync.Pool]{},
	}
	if i.kind == KindRaw || i.kind == KindQuarantine {
		pair, err := kem.DeriveKeyPair(secret)
		if err != nil {
			return nil, fmt.Errorf("deriving key %s: %w", i, err)
		}
		k.pair = hide(pair)
	}
	return k, nil
}

// destroy forgets the key's bytes and all that came of them.
func (k *key) destroy(why error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone.Store(&why)
	clear(k.secret.open())
	k.pair = hidden[hpke.PrivateKey]{}
	k.aeads, k.macs, k.sender = nil, nil, nil
}

// usable says why the key may not be used, or nil. Under k.mu the answer holds
// until k.mu is released.
func (k *key) usable() error {
	if why := k.gone.Load(); why != nil {
		return *why
	}
	return nil
}

// derive makes a key of its own for each purpose and each set of names, by
// HKDF-SHA-256 (RFC 5869).
func derive(secret []byte, purpose string, names ...string) ([]byte, error) {
	info := appendFramed(nil, purpose)
	for _, n := range names {
		info = appendFramed(info, n)
	}
	return hkdf.Key(sha256.New, secret, nil, string(info), keySize)
}

// aead returns the AEAD that is known by name, making it with build the first
// time.
func (k *key) aead(name string, build func() (hidden[cipher.AEAD], error)) (hidden[cipher.AEAD], error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.usable(); err != nil {
		return hidden[cipher.AEAD]{}, err
	}
	if a, ok := k.aeads[name]; ok {
		return a, nil
	}
	a, err := build()
	if err != nil {
		return hidden[cipher.AEAD]{}, err
	}
	if len(k.aeads) >= maxDerived {
		clear(k.aeads)
	}
	k.aeads[name] = a
	return a, nil
}

// mac returns a pool of HMAC-SHA-256 under a derived key. A pooled hash is
// reset before use, which costs a third of making one.
func (k *key) mac(purpose string, names ...string) (hidden[*sync.Pool], error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.usable(); err != nil {
		return hidden[*sync.Pool]{}, err
	}
	name := string(append(framed(purpose), framed(names...)...))
	if m, ok := k.macs[name]; ok {
		return m, nil
	}
	secret, err := derive(k.secret.open(), purpose, names...)
	if err != nil {
		return hidden[*sync.Pool]{}, fmt.Errorf("deriving from key %s: %w", k.id, err)
	}
	m := hide(&sync.Pool{New: func() any { return hmac.New(sha256.New, secret) }})
	if len(k.macs) >= maxDerived {
		clear(k.macs)
	}
	k.macs[name] = m
	return m, nil
}

// sum is the HMAC of msg, by a hash from the pool.
func sum(pool hidden[*sync.Pool], msg []byte) (out [sha256.Size]byte) {
	p := pool.open()
	h := p.Get().(hash.Hash)
	h.Reset()
	h.Write(msg)
	h.Sum(out[:0])
	p.Put(h)
	return out
}
