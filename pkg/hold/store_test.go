package hold

import (
	"context"
	"errors"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// memory is a bucket in memory.
type memory struct {
	revision uint64
	entries  map[string]eventlog.Entry
	lost     bool // the answer to the next update is lost
}

func (m *memory) Get(_ context.Context, name string) (eventlog.Entry, error) {
	e, ok := m.entries[name]
	if !ok {
		return e, fault.NotFound.Errorf("no entry")
	}
	return e, nil
}

func (m *memory) Names(context.Context) ([]string, error) {
	var names []string
	for n := range m.entries {
		names = append(names, n)
	}
	return names, nil
}

func (m *memory) Update(_ context.Context, name string, value []byte, revision uint64) (uint64, error) {
	if m.entries[name].Revision != revision {
		return 0, fault.Conflict.Errorf("another revision")
	}
	m.revision++
	m.entries[name] = eventlog.Entry{Name: name, Value: value, Revision: m.revision}
	if m.lost {
		m.lost = false
		return 0, fault.Unavailable.Errorf("no answer")
	}
	return m.revision, nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	delete(m.entries, name)
	return nil
}

func TestRecordIsChangedOnWhatIsThere(t *testing.T) {
	ctx := t.Context()
	bucket := &memory{entries: map[string]eventlog.Entry{}}
	s := NewStore(bucket)
	h := Hold{ID: NewID(), Name: "case", Tenant: "acme", State: Active}
	if err := s.Add(ctx, h); err != nil {
		t.Fatal(err)
	}
	if err := s.Add(ctx, Hold{ID: NewID(), Name: "case", Tenant: "acme"}); !errors.Is(err, fault.Conflict) {
		t.Errorf("a name twice: %v", err)
	}
	if err := s.Add(ctx, Hold{ID: NewID(), Name: "case", Tenant: "other"}); err != nil {
		t.Errorf("the name of another tenant's hold: %v", err)
	}
	// Somebody releases it while another changes it: both changes are there.
	first := true
	got, err := s.update(ctx, h.ID, func(o *Hold) error {
		if first {
			first = false
			if _, err := s.Release(ctx, h.ID); err != nil {
				t.Fatal(err)
			}
		}
		o.Floor = 7
		return nil
	})
	if err != nil || got.State != Released || got.Floor != 7 {
		t.Errorf("the hold is %+v, %v", got, err)
	}
	// What changes nothing is not stored.
	before := bucket.revision
	if _, err := s.Release(ctx, h.ID); err != nil || bucket.revision != before {
		t.Errorf("a second release wrote: %v", err)
	}
	for range 2 {
		if err := s.End(ctx, h.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Release(ctx, h.ID); !errors.Is(err, fault.Conflict) {
		t.Errorf("a hold that ended is released: %v", err)
	}
	if err := s.Add(ctx, Hold{ID: NewID(), Name: "case", Tenant: "acme"}); err != nil {
		t.Errorf("the name of a hold that ended: %v", err)
	}
	if all, err := s.List(ctx); err != nil || len(all) != 3 {
		t.Errorf("%d holds, %v", len(all), err)
	}
	for _, id := range []string{"", "x", "../lease", NewID()} {
		if _, err := s.Get(ctx, id); !errors.Is(err, fault.NotFound) {
			t.Errorf("a hold that is not there: %v", err)
		}
	}
}
