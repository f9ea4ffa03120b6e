package keyring

import (
	"bytes"
	"context"
	"strings"
	"time"
)

// OpenWithSteps opens a keyring whose changes to the disk stop where step
// fails, as if the process had died there.
func OpenWithSteps(ctx context.Context, c Config, step func(string) error) (*Keyring, error) {
	return open(ctx, c, step)
}

// SecretOf returns the bytes of a key that is in memory, for tests that look
// for them where they must not be.
func SecretOf(k *Keyring, name string) []byte {
	r := k.open()
	r.mu.RLock()
	defer r.mu.RUnlock()
	for i, key := range r.keys {
		if i.String() == name {
			return bytes.Clone(key.secret.open())
		}
	}
	return nil
}

// SetSecret gives a key fixed bytes, in memory only.
func SetSecret(k *Keyring, name string, secret []byte) {
	part := strings.Split(name, "/")
	file := part[0]
	if len(part) == 3 {
		file += "." + escape(part[1]) + "." + part[2]
	}
	i, ok := parseFile(file)
	if !ok {
		panic("no such key: " + name)
	}
	r := k.open()
	r.writing.Lock()
	defer r.writing.Unlock()
	if _, err := r.installLocked(i, time.Time{}, bytes.Clone(secret)); err != nil {
		panic(err)
	}
}

// Hidden returns bytes as every type here holds them.
func Hidden(b []byte) any { return hide(b) }

// ReadWrapping decrypts a wrapping key's file.
func ReadWrapping(kekFile string, sealed []byte) ([]byte, error) {
	kek, err := readKEK(kekFile)
	if err != nil {
		return nil, err
	}
	return openWrapping(kek, sealed)
}

// A VerbInfo is a row of the table of verbs.
type VerbInfo struct {
	Name   string
	Powers []Power
}

// Verbs is the table of verbs.
func Verbs() []VerbInfo {
	var all []VerbInfo
	for _, v := range verbs {
		all = append(all, VerbInfo{v.name, v.powers})
	}
	return all
}

// EndLeases makes a remote gateway ask for its public keys again.
func EndLeases(g Gateway) {
	keys := g.(remoteGateway).keys.open()
	keys.mu.Lock()
	defer keys.mu.Unlock()
	for _, t := range keys.tenants {
		t.mu.Lock()
		for _, k := range t.hours {
			k.until = time.Time{}
		}
		t.mu.Unlock()
	}
}

// FileOf is the name of a key's file, and NameOf reads it back.
func FileOf(kind Kind, name string, period int64) string { return id{kind, name, period}.file() }

// NameOf reads a file's name back.
func NameOf(file string) (kind Kind, name string, period int64, ok bool) {
	i, ok := parseFile(file)
	return i.kind, i.name, i.period, ok
}
