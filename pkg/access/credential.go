package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const (
	prefix      = "lethe"
	idBytes     = 6  // 48 bits, 10 characters: public, unique by check
	secretBytes = 32 // 256 bits, 52 characters
)

// alphabet is base32 (RFC 4648) in lower case and without padding, so that a
// credential is one word to a terminal and holds no underscore of its own.
var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// A Credential is a login. It prints, logs and marshals as its id and nothing
// else; the contents hide behind a function, because fmt calls no methods on
// values in unexported fields and follows pointers on a verb it does not
// expect.
type Credential struct{ open func() *contents }

type contents struct {
	role   Role
	id     string
	secret string
}

// mint makes a credential out of fresh randomness.
func mint(role Role) Credential {
	var id [idBytes]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand, Go 1.24)
	return mintSecret(role, alphabet.EncodeToString(id[:]))
}

// mintSecret makes a credential with an id that there is.
func mintSecret(role Role, id string) Credential {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:])
	c := &contents{role: role, id: id, secret: alphabet.EncodeToString(secret[:])}
	return Credential{open: func() *contents { return c }}
}

// parse reads a credential's text. What is not one gives empty contents, which
// match nothing.
func parse(text string) contents {
	parts := strings.Split(text, "_")
	if len(text) > 256 || len(parts) != 4 || parts[0] != prefix {
		return contents{}
	}
	return contents{role: Role(parts[1]), id: parts[2], secret: parts[3]}
}

// ID is the public part, safe to log.
func (c Credential) ID() string {
	if c.open == nil {
		return ""
	}
	return c.open().id
}

// Reveal returns the text that a client presents. It is a secret: write it to
// a file that only its owner reads, or show it once.
func (c Credential) Reveal() string {
	if c.open == nil {
		return ""
	}
	o := c.open()
	return strings.Join([]string{prefix, string(o.role), o.id, o.secret}, "_")
}

func (c Credential) String() string               { return "credential(" + c.ID() + ")" }
func (c Credential) GoString() string             { return c.String() }
func (c Credential) LogValue() slog.Value         { return slog.StringValue(c.String()) }
func (c Credential) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
func (c Credential) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, c.String()) }

// hash is what the store keeps of a secret.
func (c *contents) hash() [sha256.Size]byte { return sha256.Sum256([]byte(c.secret)) }
