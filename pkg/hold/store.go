package hold

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

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

// Names in the bucket. What a hold is called and why stands in an entry of its
// own that is written once. An entry that is written anew leaves the bytes of
// the one before in the log's files, so what must leave no byte may not stand in
// one that is.
const (
	entryPrefix = "hold/"
	wordsPrefix = "words/"
	leaseName   = "lease"
)

// words are what is forgotten of a hold that has ended.
type words struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// orphanAge is how long words may be there without their hold: one is being
// added.
const orphanAge = time.Hour

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
// added, and by id where that does not tell.
func (s *Store) List(ctx context.Context) ([]Hold, error) {
	ids, err := s.named(ctx, entryPrefix)
	if err != nil {
		return nil, err
	}
	holds := []Hold{}
	for _, id := range ids {
		h, err := s.Get(ctx, id)
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

// named are the ids of the entries of one prefix.
func (s *Store) named(ctx context.Context, prefix string) ([]string, error) {
	names, err := s.bucket.Names(ctx)
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutPrefix(name, prefix); ok {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// Get returns one hold, or [fault.NotFound].
func (s *Store) Get(ctx context.Context, id string) (Hold, error) {
	h, _, err := s.get(ctx, id)
	if err == nil {
		err = s.recall(ctx, &h)
	}
	return h, err
}

// Add stores a hold that was validated. A name that another hold of the tenant
// bears which has not ended is [fault.Conflict].
func (s *Store) Add(ctx context.Context, h Hold) error {
	if err := s.free(ctx, h); err != nil {
		return err
	}
	h.State = Active
	if err := s.putWords(ctx, h); err != nil {
		return err
	}
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
// retention, after it has looked. A hold that ended already stays so, and has
// neither name nor reason: [Store.Forget] removes their bytes.
func (s *Store) End(ctx context.Context, id string) error {
	_, err := s.update(ctx, id, func(h *Hold) error {
		h.State, h.Upto = Ended, h.Floor
		return nil
	})
	return err
}

// Forget removes the names and the reasons of holds that have ended, with their
// bytes, and those of holds that were never stored. It is for copiers, who may
// delete in the bucket, and may be repeated.
func (s *Store) Forget(ctx context.Context, now time.Time) error {
	ids, err := s.named(ctx, wordsPrefix)
	if err != nil {
		return err
	}
	for _, id := range ids {
		h, _, err := s.get(ctx, id)
		switch {
		case errors.Is(err, fault.NotFound):
			e, err := s.bucket.Get(ctx, wordsPrefix+id)
			if err != nil && !errors.Is(err, fault.NotFound) {
				return err
			}
			if err != nil || now.Sub(e.At) < orphanAge {
				continue
			}
		case err != nil:
			return err
		case h.State != Ended:
			continue
		}
		if err := s.bucket.Delete(ctx, wordsPrefix+id); err != nil {
			return err
		}
	}
	return nil
}

var (
	errNoHold     = fault.NotFound.Errorf("there is no such hold")
	errEnded      = fault.Conflict.Errorf("the hold has ended")
	errUnreadable = fault.Corrupt.Errorf("the record of a hold is not readable")
)

// update changes a hold as it is. What change returns as an error is returned,
// and nothing is stored.
func (s *Store) update(ctx context.Context, id string, change func(*Hold) error) (Hold, error) {
	for range maxAttempts {
		h, revision, err := s.get(ctx, id)
		if err != nil {
			return Hold{}, err
		}
		if h.Name != "" { // the record has the words in it, and is to lose them
			if err := s.putWords(ctx, h); err != nil && !errors.Is(err, fault.Conflict) {
				return Hold{}, err
			}
		}
		before := encode(h.bare())
		if err := change(&h); err != nil {
			return h, err
		}
		if !slices.Equal(before, encode(h.bare())) {
			_, err = s.put(ctx, h, revision)
		}
		if err == nil {
			err = s.recall(ctx, &h)
		}
		if !errors.Is(err, fault.Conflict) {
			return h, err
		}
	}
	return Hold{}, fault.Unavailable.Errorf("the record of the hold is being changed by others, again and again")
}

// get reads the record of a hold, without its words.
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
		return h, 0, errUnreadable
	}
	return h, e.Revision, nil
}

// recall adds the words to a hold, unless it has ended.
func (s *Store) recall(ctx context.Context, h *Hold) error {
	if h.State == Ended {
		*h = h.bare()
		return nil
	}
	e, err := s.bucket.Get(ctx, wordsPrefix+h.ID)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var w words
	if err := json.Unmarshal(e.Value, &w); err != nil {
		return errUnreadable
	}
	h.Name, h.Reason = w.Name, w.Reason
	return nil
}

func (s *Store) put(ctx context.Context, h Hold, revision uint64) (uint64, error) {
	return s.bucket.Update(ctx, entryPrefix+h.ID, encode(h.bare()), revision)
}

func (s *Store) putWords(ctx context.Context, h Hold) error {
	_, err := s.bucket.Update(ctx, wordsPrefix+h.ID, encode(words{h.Name, h.Reason}), 0)
	return err
}

// bare is a hold without its words.
func (h Hold) bare() Hold {
	h.Name, h.Reason = "", ""
	return h
}

func encode(record any) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic("hold: a record must marshal: " + err.Error())
	}
	return b
}
