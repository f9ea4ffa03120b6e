package keyring

import (
	"crypto/cipher"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A store is a keyring's directory:
//
//	lock             held while the keyring is open
//	wrapping.age     the wrapping key, encrypted to the key-encryption key
//	keys/ID.key      one key, encrypted with the wrapping key
//	destroyed/ID     one tombstone: the key's name and when it was destroyed
//
// A key that has a tombstone is destroyed, whether or not its file is still
// there. The ring above decides who may call what when: a store's writes never
// overlap.
type store struct {
	dir      string
	kek      string // the file of the key-encryption key, which may be in dir
	lock     *os.File
	wrapping hidden[cipher.AEAD]
	step     stepper
}

// A record is what a key's file or a tombstone says, as JSON.
type record struct {
	Version   int       `json:"version"`
	Key       string    `json:"key"`
	Created   time.Time `json:"created,omitzero"`
	Destroyed time.Time `json:"destroyed,omitzero"`
	Wrapped   []byte    `json:"wrapped,omitempty"`
}

const (
	recordVersion = 1
	keySuffix     = ".key"
)

func (s *store) keys() string              { return filepath.Join(s.dir, "keys") }
func (s *store) destroyed() string         { return filepath.Join(s.dir, "destroyed") }
func (s *store) keyPath(i id) string       { return filepath.Join(s.keys(), i.file()+keySuffix) }
func (s *store) tombstonePath(i id) string { return filepath.Join(s.destroyed(), i.file()) }
func (s *store) wrappingPath() string      { return filepath.Join(s.dir, "wrapping.age") }
func lockPath(dir string) string           { return filepath.Join(dir, "lock") }
func (r record) bytes() []byte             { b, _ := json.Marshal(r); return append(b, '\n') }
func (r record) is(i id) bool              { return r.Version == recordVersion && r.Key == i.String() }
func tombstone(i id, made, at time.Time) record {
	return record{Version: recordVersion, Key: i.String(), Created: made, Destroyed: at}
}

// createStore lays a keyring out on disk. It refuses a directory that holds
// one, and one that holds keys whose wrapping key is missing: a fresh wrapping
// key beside them would hide that they are lost.
func createStore(dir, kekFile string) error {
	s := &store{dir: dir}
	for _, d := range []string{dir, s.keys(), s.destroyed()} {
		if err := makeDir(d); err != nil {
			return err
		}
	}
	lock, err := lockDir(lockPath(dir))
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Lstat(s.wrappingPath()); err == nil {
		return fault.Conflict.Errorf("there is a keyring at %s already", dir)
	}
	for _, d := range []string{s.keys(), s.destroyed()} {
		names, err := os.ReadDir(d)
		if err != nil {
			return fault.Unavailable.Errorf("reading the keyring: %w", err)
		}
		if len(names) > 0 {
			return fault.Conflict.Errorf("%s holds keys whose wrapping key is missing", dir)
		}
	}
	if err := createKEK(kekFile); err != nil {
		return err
	}
	kek, err := readKEK(kekFile)
	if err != nil {
		return err
	}
	secret := newSecret()
	defer clear(secret)
	sealed, err := sealWrapping(kek, secret)
	if err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(filepath.Clean(dir))); err != nil {
		return err
	}
	return writeFile(s.wrappingPath(), sealed, nil, "")
}

// openStore locks a keyring, unwraps its wrapping key, finishes what a crash
// interrupted, and says which keys there are: true for a live one, false for
// one that is destroyed.
func openStore(dir, kekFile string, step stepper) (_ *store, states map[id]bool, err error) {
	s := &store{dir: dir, kek: kekFile, step: step}
	sealed, err := os.ReadFile(s.wrappingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.NotFound.Errorf("there is no keyring at %s", dir)
	}
	if err != nil {
		return nil, nil, fault.Unavailable.Errorf("reading the keyring: %w", err)
	}
	if s.lock, err = lockDir(lockPath(dir)); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = s.lock.Close()
		}
	}()
	kek, err := readKEK(kekFile)
	if err != nil {
		return nil, nil, err
	}
	secret, err := openWrapping(kek, sealed)
	if err != nil {
		return nil, nil, err
	}
	s.wrapping, err = newAEAD(secret)
	clear(secret)
	if err != nil {
		return nil, nil, err
	}
	states, err = s.recover()
	return s, states, err
}

// recover lists the keys, and finishes every destruction that has its
// tombstone and every write that never got its name.
func (s *store) recover() (map[id]bool, error) {
	states := map[id]bool{}
	scan := func(dir, suffix string, live bool) error {
		names, err := os.ReadDir(dir)
		if err != nil {
			return fault.Unavailable.Errorf("reading the keyring: %w", err)
		}
		for _, n := range names {
			path := filepath.Join(dir, n.Name())
			if strings.HasPrefix(n.Name(), ".temp-") {
				if err := errors.Join(shredFile(path), removeFile(path)); err != nil {
					return err
				}
				continue
			}
			file, ok := strings.CutSuffix(n.Name(), suffix)
			i, known := parseFile(file)
			if !ok || !known {
				return fault.Corrupt.Errorf("%s is not a file of a keyring", path)
			}
			if _, twice := states[i]; twice {
				if err := s.shred(i); err != nil {
					return err
				}
			}
			states[i] = live
		}
		return nil
	}
	if err := scan(s.keys(), keySuffix, true); err != nil {
		return nil, err
	}
	return states, scan(s.destroyed(), "", false)
}

func (s *store) close() error { return s.lock.Close() }

// create stores keys that are not there yet. P16: wrapped, never as they are.
//
//  1. each key, wrapped, under another name, fsynced
//  2. each renamed to its own
//  3. the directory fsynced
//
// A key is used only after 3, so a crash before it loses a key that has
// sealed nothing.
func (s *store) create(created time.Time, ids []id, secrets [][]byte) error {
	temps := make([]string, len(ids))
	for n, i := range ids {
		temp, err := writeTemp(s.keys(), record{
			Version: recordVersion,
			Key:     i.String(),
			Created: created,
			Wrapped: wrap(s.wrapping, i, created, secrets[n]),
		}.bytes())
		if err != nil {
			for _, t := range temps[:n] {
				_ = os.Remove(t)
			}
			return err
		}
		temps[n] = temp
	}
	if err := s.step.done("create 1"); err != nil {
		return err
	}
	for n, i := range ids {
		if err := os.Rename(temps[n], s.keyPath(i)); err != nil {
			for _, t := range temps[n:] {
				_ = os.Remove(t)
			}
			return fault.Unavailable.Errorf("writing to the keyring: %w", err)
		}
	}
	if err := s.step.done("create 2"); err != nil {
		return err
	}
	if err := syncDir(s.keys()); err != nil {
		return err
	}
	return s.step.done("create 3")
}

// read returns a key's record without its bytes being unwrapped.
func (s *store) read(path string, i id) (record, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, fault.Corrupt.Errorf("key %s: its file is missing", i)
	}
	if err != nil {
		return record{}, fault.Unavailable.Errorf("reading key %s: %w", i, err)
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil || !r.is(i) {
		return record{}, fault.Corrupt.Errorf("key %s: its file is not what was written", i)
	}
	return r, nil
}

// load reads and unwraps a key.
func (s *store) load(i id) (secret []byte, created time.Time, err error) {
	r, err := s.read(s.keyPath(i), i)
	if err != nil {
		return nil, time.Time{}, err
	}
	secret, err = unwrap(s.wrapping, i, r.Created, r.Wrapped)
	return secret, r.Created, err
}

// bury makes a key's tombstone durable: step 1 of its destruction.
//
//  1. the tombstone, durable        from here on the key is destroyed
//  2. the key's file overwritten in place and fsynced
//  3. the file unlinked
//  4. the directory fsynced
//
// A crash before 1 leaves a live key. A crash after it leaves a destroyed one,
// whose file Open or a repeated destruction removes. The tombstone comes
// first, because a key whose bytes are gone and that has no tombstone would be
// taken for one that was never made, and made again.
func (s *store) bury(i id, at time.Time) error {
	made := time.Time{}
	if r, err := s.read(s.keyPath(i), i); err == nil {
		made = r.Created
	}
	return writeFile(s.tombstonePath(i), tombstone(i, made, at).bytes(), s.step, "destroy 1")
}

// buried says whether a key has a tombstone.
func (s *store) buried(i id) bool {
	_, err := os.Lstat(s.tombstonePath(i))
	return err == nil
}

// shred is steps 2 to 4 of a destruction. It can be repeated.
func (s *store) shred(i id) error {
	// The tombstone of an interrupted destruction may have its name and not
	// yet be durable.
	if err := syncDir(s.destroyed()); err != nil {
		return err
	}
	if err := shredFile(s.keyPath(i)); err != nil {
		return err
	}
	if err := s.step.done("destroy 2"); err != nil {
		return err
	}
	if err := removeFile(s.keyPath(i)); err != nil {
		return err
	}
	if err := s.step.done("destroy 3"); err != nil {
		return err
	}
	if err := syncDir(s.keys()); err != nil {
		return err
	}
	return s.step.done("destroy 4")
}
