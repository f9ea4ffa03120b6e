package access

import (
	"context"
	"errors"
	"io/fs"
	"maps"
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
	ID       string   `json:"id"`
	Role     Role     `json:"role"`
	Tenant   string   `json:"tenant"`
	Services []string `json:"services,omitempty"`
	Scope
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	// Rotated is when it was given its present secret, if that is not its
	// first, and PreviousUntil the instant from which the one before opens
	// nothing.
	Rotated       time.Time `json:"rotated,omitzero"`
	PreviousUntil time.Time `json:"previous_until,omitzero"`
	Revoked       time.Time `json:"revoked,omitzero"`
}

// Principal is who presents this credential.
func (e Entry) Principal() Principal {
	p := Principal{
		ID: e.ID, Role: e.Role, Tenant: e.Tenant, Services: slices.Clone(e.Services),
		Scope: e.clone(), Expires: e.Expires,
	}
	p.Purposes = p.purposes()
	return p
}

// live says whether the credential opens anything at an instant.
func (e Entry) live(now time.Time) bool {
	return e.Revoked.IsZero() && (e.Expires.IsZero() || now.Before(e.Expires))
}

// Options of a credential.
type Options struct {
	// Expires is the instant from which the credential opens nothing. Zero
	// means what the principal says, and that zero means never.
	Expires time.Time
	// Before is called with what is about to be written, and nothing is when
	// it fails: it puts the change on record.
	Before func(Entry) error
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
// returns. A role, tenant or limit that cannot be is [fault.Invalid].
func (s *Store) Create(ctx context.Context, p Principal, o Options) (Credential, error) {
	c, _, err := s.create(ctx, p, o)
	return c, err
}

func (s *Store) create(ctx context.Context, p Principal, o Options) (Credential, Entry, error) {
	if !o.Expires.IsZero() {
		p.Expires = o.Expires
	}
	if p.ID != "" {
		return Credential{}, Entry{}, fault.Invalid.Errorf("the id of a credential is not chosen")
	}
	if err := p.check(); err != nil {
		return Credential{}, Entry{}, err
	}
	if !p.Expires.IsZero() && !s.now().Before(p.Expires) {
		return Credential{}, Entry{}, fault.Invalid.Errorf("the credential would be expired from the start")
	}
	var c Credential
	var made Entry
	err := s.change(ctx, func(entries map[string]*entry) error {
		for c = mint(p.Role); entries[c.ID()] != nil; c = mint(p.Role) {
		}
		made = Entry{
			ID: c.ID(), Role: p.Role, Tenant: p.Tenant, Services: slices.Clone(p.Services),
			Scope: p.clone(), Created: s.stamp(), Expires: p.Expires.UTC(),
		}
		hash := c.open().hash()
		entries[c.ID()] = &entry{Entry: made, Hash: hash[:]}
		return before(o.Before, made)
	})
	if err != nil {
		return Credential{}, Entry{}, err
	}
	return c, made, nil
}

// MaxGrace is the longest that a replaced secret lives on.
const MaxGrace = 30 * 24 * time.Hour

// Rotate gives a credential a new secret, which works in every process from
// when Rotate returns. The one before opens nothing after grace, and the one
// before that nothing at once. An id that no credential has is
// [fault.NotFound], one that is revoked or expired a [fault.Conflict], and a
// grace below zero or above [MaxGrace] [fault.Invalid].
func (s *Store) Rotate(ctx context.Context, id string, grace time.Duration) (Credential, error) {
	c, _, err := s.rotate(ctx, id, grace, nil)
	return c, err
}

func (s *Store) rotate(ctx context.Context, id string, grace time.Duration, record func(Entry) error) (Credential, Entry, error) {
	if grace < 0 || grace > MaxGrace {
		return Credential{}, Entry{}, fault.Invalid.Errorf("grace must be between 0 and %d hours", int(MaxGrace.Hours()))
	}
	var c Credential
	var made Entry
	err := s.change(ctx, func(entries map[string]*entry) error {
		e := entries[id]
		switch {
		case e == nil:
			return errNoSuchID
		case !e.live(s.now()):
			return fault.Conflict.Errorf("the credential is revoked or expired; make another")
		}
		next := *e
		c = mintSecret(e.Role, e.ID)
		hash := c.open().hash()
		next.Hash, next.PreviousHash, next.PreviousUntil = hash[:], nil, time.Time{}
		next.Rotated = s.stamp()
		if grace > 0 {
			next.PreviousHash, next.PreviousUntil = e.Hash, s.now().UTC().Add(grace)
		}
		entries[id], made = &next, next.Entry
		return before(record, made)
	})
	if err != nil {
		return Credential{}, Entry{}, err
	}
	return c, made, nil
}

// Revoke ends a credential: from when Revoke returns, no process accepts it.
// Revoking twice is once. An id that no credential has is [fault.NotFound]. The
// last credential of a tenant's operators that can make others is not revoked:
// that is a [fault.Conflict].
func (s *Store) Revoke(ctx context.Context, id string) error { return s.revoke(ctx, id, nil) }

func (s *Store) revoke(ctx context.Context, id string, record func(Entry) error) error {
	return s.change(ctx, func(entries map[string]*entry) error {
		e := entries[id]
		if e == nil {
			return errNoSuchID
		}
		if !e.Revoked.IsZero() {
			return nil
		}
		if e.makes(s.now()) && !slices.ContainsFunc(list(entries), func(o Entry) bool {
			return o.ID != id && o.Tenant == e.Tenant && o.makes(s.now())
		}) {
			return fault.Conflict.Errorf("this is the last credential that can make others; make another operator's first")
		}
		revoked := *e
		revoked.Revoked = s.stamp()
		entries[id] = &revoked
		return before(record, revoked.Entry)
	})
}

var errNoSuchID = fault.NotFound.Errorf("no credential has this id")

// makes says whether a credential can make others.
func (e Entry) makes(now time.Time) bool {
	return e.Role == Operator && e.live(now) && e.CoversRoute(routeCreate)
}

// stamp is the time as entries bear it.
func (s *Store) stamp() time.Time { return s.now().UTC().Truncate(time.Second) }

func before(record func(Entry) error, e Entry) error {
	if record == nil {
		return nil
	}
	return record(e)
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
	next := maps.Clone(snap.entries)
	if next == nil {
		next = map[string]*entry{}
	}
	if err := f(next); err != nil {
		return err
	}
	if maps.Equal(next, snap.entries) {
		return nil
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
