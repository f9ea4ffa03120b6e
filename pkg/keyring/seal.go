package keyring

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/binary"
	"fmt"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// The HPKE suite (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, and an
// exported key for AES-256-GCM. Exporting one key, in place of HPKE's own
// Seal, lets a sender encapsulate once and seal many frames that may be opened
// in any order, or not at all.
var (
	kem = hpke.DHKEM(ecdh.X25519())
	kdf = hpke.HKDFSHA256()
)

// A frame sealed to a key pair is
//
//	version 1 | kind | period, 4 bytes | encapsulation, 32 bytes |
//	nonce, 12 bytes | ciphertext and tag
//
// and a frame sealed with a clean key is
//
//	version 1 | kind | nonce, 12 bytes | ciphertext and tag
//
// Everything before the nonce is authenticated together with the caller's
// data.
const (
	sealVersion  = 1
	encSize      = 32
	pairHeader   = 1 + 1 + 4 + encSize
	cleanHeader  = 1 + 1
	sealOverhead = 12 + 16
	cleanByte    = 'c'
)

func kindByte(k Kind) byte {
	if k == KindRaw {
		return 'r'
	}
	return 'q'
}

// A sender seals frames to one key pair. It encapsulated once: the key it
// seals with is its own, and it cannot open what another sealed.
type sender struct {
	header [pairHeader]byte
	aead   hidden[cipher.AEAD]
}

func sealInfo(i id) []byte { return framed("lethe/"+string(i.kind)+"/v1", i.name, i.text()) }

const exportContext = "lethe/frame-key/v1"

func newSender(i id, public hpke.PublicKey) (*sender, error) {
	enc, ctx, err := hpke.NewSender(public, kdf, hpke.ExportOnly(), sealInfo(i))
	if err != nil {
		return nil, fmt.Errorf("encapsulating to key %s: %w", i, err)
	}
	secret, err := ctx.Export(exportContext, keySize)
	if err != nil {
		return nil, fmt.Errorf("encapsulating to key %s: %w", i, err)
	}
	defer clear(secret)
	s := &sender{}
	if s.aead, err = newAEAD(secret); err != nil {
		return nil, err
	}
	s.header[0] = sealVersion
	s.header[1] = kindByte(i.kind)
	binary.BigEndian.PutUint32(s.header[2:], uint32(i.period))
	copy(s.header[pairHeader-encSize:], enc)
	return s, nil
}

func (s *sender) seal(aad, plain []byte) []byte {
	return sealBehind(s.header[:], s.aead, aad, plain)
}

// sealBehind returns header and then plain sealed, with the header and aad
// authenticated. The header's length is fixed, so the two cannot be confused.
func sealBehind(header []byte, aead hidden[cipher.AEAD], aad, plain []byte) []byte {
	out := make([]byte, len(header), len(header)+len(plain)+sealOverhead)
	copy(out, header)
	return aead.open().Seal(out, nil, plain, append(header[:len(header):len(header)], aad...))
}

// errSealed is the one answer for a frame that does not open. It does not say
// what was wrong with it.
func errSealed(kind Kind) error {
	return fault.Corrupt.Errorf("a sealed %s frame is not what was sealed, or not for this tenant and header", kind)
}

// openBehind undoes sealBehind.
func openBehind(kind Kind, size int, aead hidden[cipher.AEAD], aad, sealed []byte) ([]byte, error) {
	plain, err := aead.open().Open(nil, nil, sealed[size:], append(sealed[:size:size], aad...))
	if err != nil {
		return nil, errSealed(kind)
	}
	return plain, nil
}

// sealedPeriod reads which hour or day a frame is sealed for.
func sealedPeriod(kind Kind, sealed []byte) (int64, error) {
	if len(sealed) < pairHeader+sealOverhead || sealed[0] != sealVersion || sealed[1] != kindByte(kind) {
		return 0, errSealed(kind)
	}
	return int64(binary.BigEndian.Uint32(sealed[2:])), nil
}

// sealPair seals to the key's own public half.
func (k *key) sealPair(aad, plain []byte) ([]byte, error) {
	k.mu.Lock()
	if err := k.usable(); err != nil {
		k.mu.Unlock()
		return nil, err
	}
	if k.sender == nil {
		s, err := newSender(k.id, k.pair.open().PublicKey())
		if err != nil {
			k.mu.Unlock()
			return nil, err
		}
		k.sender = s
	}
	s := k.sender
	k.mu.Unlock()
	return s.seal(aad, plain), nil
}

// openPair opens what a sender sealed to this key.
func (k *key) openPair(aad, sealed []byte) ([]byte, error) {
	enc := sealed[pairHeader-encSize : pairHeader]
	aead, err := k.aead(string(enc), func() (hidden[cipher.AEAD], error) {
		ctx, err := hpke.NewRecipient(enc, k.pair.open(), kdf, hpke.ExportOnly(), sealInfo(k.id))
		if err != nil {
			return hidden[cipher.AEAD]{}, errSealed(k.id.kind)
		}
		secret, err := ctx.Export(exportContext, keySize)
		if err != nil {
			return hidden[cipher.AEAD]{}, errSealed(k.id.kind)
		}
		defer clear(secret)
		return newAEAD(secret)
	})
	if err != nil {
		return nil, err
	}
	return openBehind(k.id.kind, pairHeader, aead, aad, sealed)
}

// public returns the half of the key that a gateway may have.
func (k *key) public() ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.usable(); err != nil {
		return nil, err
	}
	return k.pair.open().PublicKey().Bytes(), nil
}

// cleanAEAD is the tenant's own key below a clean key: what is sealed for one
// tenant does not open as another's.
func (k *key) cleanAEAD(tenant string) (hidden[cipher.AEAD], error) {
	return k.aead(tenant, func() (hidden[cipher.AEAD], error) {
		secret, err := derive(k.secret.open(), "lethe/clean/v1", tenant)
		if err != nil {
			return hidden[cipher.AEAD]{}, fmt.Errorf("deriving from key %s: %w", k.id, err)
		}
		defer clear(secret)
		return newAEAD(secret)
	})
}

var cleanFrameHeader = [cleanHeader]byte{sealVersion, cleanByte}

func (k *key) sealClean(tenant string, aad, plain []byte) ([]byte, error) {
	aead, err := k.cleanAEAD(tenant)
	if err != nil {
		return nil, err
	}
	return sealBehind(cleanFrameHeader[:], aead, aad, plain), nil
}

func (k *key) openClean(tenant string, aad, sealed []byte) ([]byte, error) {
	if len(sealed) < cleanHeader+sealOverhead || [cleanHeader]byte(sealed) != cleanFrameHeader {
		return nil, errSealed(KindClean)
	}
	aead, err := k.cleanAEAD(tenant)
	if err != nil {
		return nil, err
	}
	return openBehind(KindClean, cleanHeader, aead, aad, sealed)
}
