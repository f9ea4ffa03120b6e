package hold

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

func TestRecordIsChangedOnWhatIsThere(t *testing.T) {
	ctx := t.Context()
	bucket := lethetest.NewBucket()
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
	before := bucket.Clone()
	if _, err := s.Release(ctx, h.ID); err != nil || !reflect.DeepEqual(bucket, before) {
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
	all, err := s.List(ctx)
	if err != nil || len(all) != 3 {
		t.Errorf("%d holds, %v", len(all), err)
	}
	// Of those added at once the id tells the order.
	if !slices.IsSortedFunc(all, func(a, b Hold) int { return cmp.Compare(a.ID, b.ID) }) {
		t.Error("the order of the holds is none")
	}
	for _, id := range []string{"", "x", "../lease", NewID()} {
		if _, err := s.Get(ctx, id); !errors.Is(err, fault.NotFound) {
			t.Errorf("a hold that is not there: %v", err)
		}
	}
}

// Words are there before their hold is. Those whose hold never came go after an
// hour; before, it may be being added.
func TestWordsWithoutAHoldGo(t *testing.T) {
	ctx := t.Context()
	bucket := lethetest.NewBucket()
	s := NewStore(bucket)
	h := Hold{ID: NewID(), Name: "case", Reason: "a claim, file 7", Tenant: "acme"}
	if err := s.putWords(ctx, h); err != nil {
		t.Fatal(err)
	}
	e := bucket.Entries[wordsPrefix+h.ID]
	e.At = time.Now()
	bucket.Entries[wordsPrefix+h.ID] = e
	for after, want := range map[time.Duration]int{orphanAge - time.Second: 1, orphanAge: 0} {
		one := bucket.Clone()
		if err := NewStore(one).Forget(ctx, e.At.Add(after)); err != nil || len(one.Entries) != want {
			t.Errorf("after %v there are %d entries, want %d: %v", after, len(one.Entries), want, err)
		}
	}
}

// A record that has the words in it loses them to their own entry when it is
// changed, and shows them until then and after.
func TestRecordWithItsWordsInItGivesThemUp(t *testing.T) {
	ctx := t.Context()
	h := Hold{ID: NewID(), Name: "case", Reason: "a claim, file 7", Tenant: "acme", State: Active}
	bucket := lethetest.NewBucket()
	bucket.Entries[entryPrefix+h.ID] = eventlog.Entry{Value: encode(h)}
	s := NewStore(bucket)
	for _, change := range []func() (Hold, error){
		func() (Hold, error) { return s.Get(ctx, h.ID) },
		func() (Hold, error) { return s.Release(ctx, h.ID) },
		func() (Hold, error) { return s.Get(ctx, h.ID) },
	} {
		if got, err := change(); err != nil || got.Name != h.Name || got.Reason != h.Reason {
			t.Errorf("the hold is called %q: %v", got.Name, err)
		}
	}
	if record := string(bucket.Entries[entryPrefix+h.ID].Value); strings.Contains(record, h.Reason) {
		t.Error("the record has the reason in it")
	}
}
