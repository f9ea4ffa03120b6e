package access

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Store keeps credentials in one file that several processes may share.
type Store struct {
	path string
	now  func() time.Time

	// current is the file as it was last read; never modified in place.
	current atomic.Pointer[snapshot]
	// reading is held while the file is read again, so that of many
	// requests that see a change one reads it.
	reading sync.Mutex
}

// snapshot is one reading of the file. file is nil when there was none.
type snapshot struct {
	file    os.FileInfo
	entries map[string]*entry
}

// An Entry is what the store tells of a credential: everything but its secret.
type Entry struct {
	ID       string    `json:"id"`
	Role     Role      `json:"role"`
	Tenant   string    `json:"tenant"`
	Services []string  `json:"services,omitempty"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
}

// Principal is who presents this credential.
func (e Entry) Principal() Principal {
	return Principal{ID: e.ID, Role: e.Role, Tenant: e.Tenant, Services: slices.Clone(e.Services)}
}

// live says whether the credential opens anything at an instant.
func (e Entry) live(now time.Time) bool {
	return e.Revoked.IsZero() && (e.Expires.IsZero() || now.Before(e.Expires))
}

// Options of a credential.
type Options struct {
	// Expires is the instant from which the credential opens nothing. Zero
	// means never.
	Expires time.Time
}

// Open reads the store at a path. A file that does not exist is a store
// without credentials, which lets nobody in; [Store.Create] writes it.
func Open(path string) (*Store, error) {
	s := &Store{path: path, now: time.Now}
	if _, err := s.refresh(); err != nil {
		return nil, err
	}
	return s, nil
}

// Create adds a credential for a principal, whose ID must be empty: the store
// gives it one. The credential works in every process from when Create
// returns. A role, tenant or service that cannot be is [fault.Invalid].
func (s *Store) Create(ctx context.Context, p Principal, o Options) (Credential, error) {
	switch {
	case p.ID != "":
		return Credential{}, fault.Invalid.Errorf("the id of a credential is not chosen")
	case !slices.Contains(Roles(), p.Role):
		return Credential{}, fault.Invalid.Errorf("the role must be one of %v", Roles())
	case !nameOK(p.Tenant):
		return Credential{}, fault.Invalid.Errorf("the tenant must be lower-case letters, digits, _ and -, at most 48")
	case !all(p.Services, nameOK):
		return Credential{}, fault.Invalid.Errorf("a service must be lower-case letters, digits, _ and -, at most 48")
	case !o.Expires.IsZero() && !s.now().Before(o.Expires):
		return Credential{}, fault.Invalid.Errorf("the credential would be expired from the start")
	}
	var c Credential
	err := s.change(ctx, func(entries map[string]*entry) error {
		for c = mint(p.Role); entries[c.ID()] != nil; c = mint(p.Role) {
		}
		hash := c.open().hash()
		entries[c.ID()] = &entry{
			Entry: Entry{
				ID: c.ID(), Role: p.Role, Tenant: p.Tenant, Services: slices.Clone(p.Services),
				Created: s.now().UTC().Truncate(time.Second), Expires: o.Expires.UTC(),
			},
			Hash: hash[:],
		}
		return nil
	})
	if err != nil {
		return Credential{}, err
	}
	return c, nil
}

// Revoke ends a credential: from when Revoke returns, no process accepts it.
// Revoking twice is once. An id that no credential has is [fault.NotFound].
func (s *Store) Revoke(ctx context.Context, id string) error {
	return s.change(ctx, func(entries map[string]*entry) error {
		e := entries[id]
		if e == nil {
			return fault.NotFound.Errorf("no credential has this id")
		}
		if e.Revoked.IsZero() {
			revoked := *e
			revoked.Revoked = s.now().UTC().Truncate(time.Second)
			entries[id] = &revoked
		}
		return nil
	})
}

// List returns every credential there ever was, oldest first, without secrets.
func (s *Store) List() ([]Entry, error) {
	snap, err := s.refresh()
	if err != nil {
		return nil, err
	}
	return list(snap.entries), nil
}

// change applies f to the newest state of the file and writes the result. It
// holds the file's lock all through, so no other writer's change is lost.
func (s *Store) change(ctx context.Context, f func(map[string]*entry) error) error {
	unlock, err := lock(ctx, s.path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	snap, err := s.refresh()
	if err != nil {
		return err
	}
	next := make(map[string]*entry, len(snap.entries)+1)
	for id, e := range snap.entries {
		next[id] = e
	}
	if err := f(next); err != nil {
		return err
	}
	if err := save(s.path, snap.file, next); err != nil {
		return err
	}
	_, err = s.refresh()
	return err
}

// refresh returns the file as it is now, reading it only when it changed. One
// stat per request costs about a microsecond and makes a revocation hold at
// once in every process.
func (s *Store) refresh() (*snapshot, error) {
	if snap := s.current.Load(); snap != nil && snap.same(s.path) {
		return snap, nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	if snap := s.current.Load(); snap != nil && snap.same(s.path) {
		return snap, nil
	}
	snap, err := load(s.path)
	if err != nil {
		s.current.Store(nil) // what was read before may be revoked since
		return nil, err
	}
	s.current.Store(snap)
	return snap, nil
}

// same says whether the file at path is the one the snapshot was read from.
func (s *snapshot) same(path string) bool {
	info, err := os.Stat(path)
	if s.file == nil || err != nil {
		return s.file == nil && errors.Is(err, fs.ErrNotExist)
	}
	return os.SameFile(s.file, info) && s.file.ModTime().Equal(info.ModTime()) &&
		s.file.Size() == info.Size() && s.file.Mode() == info.Mode()
}

func all[T any](items []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(items, func(t T) bool { return !ok(t) })
}
