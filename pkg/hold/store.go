package hold

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Lister says which holds there are: [Store].
type Lister interface {
	List(ctx context.Context) ([]Hold, error)
}

// Bucket keeps the holds: [eventlog.Bucket] of the name
// [eventlog.HoldBucket].
type Bucket interface {
	Get(ctx context.Context, name string) (eventlog.Entry, error)
	Names(ctx context.Context) ([]string, error)
	Update(ctx context.Context, name string, value []byte, revision uint64) (uint64, error)
	Delete(ctx context.Context, name string) error
}

// Names in the bucket.
const (
	entryPrefix = "hold/"
	leaseName   = "lease"
)

// maxAttempts is how often a record is changed anew when others change it at
// the same time.
const maxAttempts = 10

// A Store is the record of every hold. What changes in it changes at once for
// everybody: every change is made on what is there and nothing else.
type Store struct{ bucket Bucket }

// NewStore makes a Store over a bucket.
func NewStore(bucket Bucket) *Store { return &Store{bucket} }

// NewID makes the id of a hold.
func NewID() string { return strings.ToLower(rand.Text()) }

// List returns every hold, those that ended included, in the order they were
// added.
func (s *Store) List(ctx context.Context) ([]Hold, error) {
	names, err := s.bucket.Names(ctx)
	if err != nil {
		return nil, err
	}
	holds := []Hold{}
	for _, name := range names {
		id, ok := strings.CutPrefix(name, entryPrefix)
		if !ok {
			continue
		}
		h, _, err := s.get(ctx, id)
		if err != nil {
			return nil, err
		}
		holds = append(holds, h)
	}
	slices.SortFunc(holds, func(a, b Hold) int {
		return cmp.Or(a.Added.Compare(b.Added), cmp.Compare(a.ID, b.ID))
	})
	return holds, nil
}

// Get returns one hold, or [fault.NotFound].
func (s *Store) Get(ctx context.Context, id string) (Hold, error) {
	h, _, err := s.get(ctx, id)
	return h, err
}

// Add stores a hold that was validated. A name that another hold of the tenant
// bears which has not ended is [fault.Conflict].
func (s *Store) Add(ctx context.Context, h Hold) error {
	if err := s.free(ctx, h); err != nil {
		return err
	}
	h.State = Active
	_, err := s.put(ctx, h, 0)
	return err
}

// free says whether a hold's name can be used.
func (s *Store) free(ctx context.Context, h Hold) error {
	holds, err := s.List(ctx)
	if err == nil && slices.ContainsFunc(holds, func(o Hold) bool { return o.Name == h.Name && o.Tenant == h.Tenant && o.State != Ended }) {
		err = fault.Conflict.Errorf("there is a hold of this name, and it has not ended")
	}
	return err
}

// Release gives up an active hold. One that was released already stays so; one
// that ended is [fault.Conflict].
func (s *Store) Release(ctx context.Context, id string) (Hold, error) {
	return s.update(ctx, id, func(h *Hold) error {
		if h.State == Ended {
			return errEnded
		}
		h.State = Released
		return nil
	})
}

// End says that no copy of a hold is left, not even its key. It is for
// retention, after it has looked. A hold that ended already stays so.
func (s *Store) End(ctx context.Context, id string) error {
	_, err := s.update(ctx, id, func(h *Hold) error {
		h.State, h.Upto = Ended, h.Floor
		return nil
	})
	return err
}

var (
	errNoHold = fault.NotFound.Errorf("there is no such hold")
	errEnded  = fault.Conflict.Errorf("the hold has ended")
)

// update changes a hold as it is. What change returns as an error is returned,
// and nothing is stored.
func (s *Store) update(ctx context.Context, id string, change func(*Hold) error) (Hold, error) {
	for range maxAttempts {
		h, revision, err := s.get(ctx, id)
		if err != nil {
			return Hold{}, err
		}
		before := encode(h)
		if err := change(&h); err != nil {
			return h, err
		}
		if slices.Equal(before, encode(h)) {
			return h, nil
		}
		_, err = s.put(ctx, h, revision)
		if !errors.Is(err, fault.Conflict) {
			return h, err
		}
	}
	return Hold{}, fault.Unavailable.Errorf("the record of the hold is being changed by others, again and again")
}

func (s *Store) get(ctx context.Context, id string) (h Hold, revision uint64, err error) {
	if !idPattern.MatchString(id) {
		return h, 0, errNoHold
	}
	e, err := s.bucket.Get(ctx, entryPrefix+id)
	if errors.Is(err, fault.NotFound) {
		return h, 0, errNoHold
	}
	if err != nil {
		return h, 0, err
	}
	if err := json.Unmarshal(e.Value, &h); err != nil || h.ID != id {
		return h, 0, fault.Corrupt.Errorf("the record of a hold is not readable")
	}
	return h, e.Revision, nil
}

func (s *Store) put(ctx context.Context, h Hold, revision uint64) (uint64, error) {
	return s.bucket.Update(ctx, entryPrefix+h.ID, encode(h), revision)
}

func encode(record any) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic("hold: a record must marshal: " + err.Error())
	}
	return b
}
