package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// keySize is the length in bytes of every key here: 256 bits.
const keySize = 32

// newSecret makes the bytes of a key. crypto/rand never fails.
func newSecret() []byte {
	b := make([]byte, keySize)
	_, _ = rand.Read(b)
	return b
}

// newAEAD makes AES-256-GCM with a random 96-bit nonce before each ciphertext.
// NIST SP 800-38D allows 2^32 messages under one such key; no key here seals
// as many frames in its hour or day.
func newAEAD(secret []byte) (hidden[cipher.AEAD], error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return hidden[cipher.AEAD]{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return hidden[cipher.AEAD]{}, err
	}
	return hide(aead), nil
}

// wrapAAD binds a wrapped key to its name and its date, so that one key's file
// cannot stand in for another's.
func wrapAAD(i id, created time.Time) []byte {
	return framed("lethe/wrapped-key/v1", i.String(), created.UTC().Format(time.RFC3339Nano))
}

func wrap(wrapping hidden[cipher.AEAD], i id, created time.Time, secret []byte) []byte {
	return wrapping.open().Seal(nil, nil, secret, wrapAAD(i, created))
}

func unwrap(wrapping hidden[cipher.AEAD], i id, created time.Time, wrapped []byte) ([]byte, error) {
	secret, err := wrapping.open().Open(nil, nil, wrapped, wrapAAD(i, created))
	if err != nil || len(secret) != keySize {
		return nil, fault.Corrupt.Errorf("key %s: its file is not what was written", i)
	}
	return secret, nil
}

// readKEK reads the key-encryption key: an age identity file as age-keygen
// writes it. The first identity in it wraps; any of them opens.
func readKEK(path string) ([]age.Identity, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.NotFound.Errorf("there is no key-encryption key at %s", path)
	}
	if err != nil {
		return nil, fault.Unavailable.Errorf("reading the key-encryption key: %w", err)
	}
	defer clear(b)
	kek, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil {
		// age's own text names lines and never their content.
		return nil, fault.Invalid.Errorf("the key-encryption key at %s is not an age identity: %w", path, err)
	}
	return kek, nil
}

// createKEK writes a fresh age identity to path, unless a file is there.
func createKEK(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("making a key-encryption key: %w", err)
	}
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	text := fmt.Sprintf("# Key-encryption key of a Lethe keyring. Without it every key is lost.\n"+
		"# public key: %s\n%s\n", identity.Recipient(), identity)
	return writeFile(path, []byte(text), nil, "")
}

// sealWrapping encrypts the wrapping key to the key-encryption key.
func sealWrapping(kek []age.Identity, secret []byte) ([]byte, error) {
	var to age.Recipient
	switch first := kek[0].(type) {
	case *age.X25519Identity:
		to = first.Recipient()
	case *age.HybridIdentity:
		to = first.Recipient()
	default:
		return nil, fault.Invalid.Errorf("the key-encryption key cannot wrap")
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err == nil {
		_, err = w.Write(secret)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("wrapping with the key-encryption key: %w", err)
	}
	return out.Bytes(), nil
}

// openWrapping decrypts the wrapping key.
func openWrapping(kek []age.Identity, sealed []byte) ([]byte, error) {
	var secret []byte
	r, err := age.Decrypt(bytes.NewReader(sealed), kek...)
	if err == nil {
		secret, err = io.ReadAll(r)
	}
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		return nil, fault.Denied.Errorf("the key-encryption key is not the one this keyring was made with")
	}
	if err != nil || len(secret) != keySize {
		return nil, fault.Corrupt.Errorf("the wrapping key's file is not what was written")
	}
	return secret, nil
}
