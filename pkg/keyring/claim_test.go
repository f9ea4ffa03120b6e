package keyring_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// slowly is a record that does not answer about one key until it is told to.
type slowly struct {
	key    string
	asked  chan struct{} // closed when it is asked about the key
	answer chan struct{}

	mu   sync.Mutex
	uses []string
}

func newSlowly(key string) *slowly {
	return &slowly{key: key, asked: make(chan struct{}), answer: make(chan struct{})}
}

func (s *slowly) record(_ context.Context, u keyring.Use) error {
	s.mu.Lock()
	s.uses = append(s.uses, u.Verb+" "+u.Key)
	first := u.Key == s.key && len(s.of(s.key)) == 1
	s.mu.Unlock()
	if first {
		close(s.asked)
		<-s.answer
	}
	return nil
}

// of are the uses of a key, in order. The caller holds mu.
func (s *slowly) of(key string) (verbs []string) {
	for _, u := range s.uses {
		if verb, ok := strings.CutSuffix(u, " "+key); ok {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

// TestASlowRecordKeepsNobodyFromAnotherKey: what one key waits for is its own
// record. P10: it is on record before it is there, in the order of the deeds.
func TestASlowRecordKeepsNobodyFromAnotherKey(t *testing.T) {
	k, c := setup(t)
	sealed, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
	const other = "2026-12-22"
	slow := newSlowly("clean/access-30d/" + other)
	c.Record = slow.record
	k = reopen(t, c)
	var deeds sync.WaitGroup
	seal := func() {
		if _, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, other, aad, plain); err != nil && !errors.Is(err, keyring.ErrDestroyed) {
			t.Errorf("sealing: %v", err)
		}
	}
	deeds.Go(seal)
	<-slow.asked

	// A key is loaded, one is made, one is destroyed, and the directory is
	// looked at.
	if _, err := k.Loader().OpenClean(t.Context(), tenant, class, day, aad, sealed); err != nil {
		t.Errorf("opening: %v", err)
	}
	if _, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, "2026-12-23", aad, plain); err != nil {
		t.Errorf("sealing under another key: %v", err)
	}
	if err := k.Retention().DestroyClean(t.Context(), class, day); err != nil {
		t.Errorf("destroying another key: %v", err)
	}
	if strays, err := k.Strays(t.Context()); err != nil || len(strays) != 0 {
		t.Errorf("%d strays, %v", len(strays), err)
	}

	// The key itself is not there before its record is, and who wants it, or
	// wants it gone, waits.
	if _, err := k.Loader().OpenClean(t.Context(), tenant, class, other, aad, sealed); !errors.Is(err, fault.NotFound) {
		t.Errorf("the key is there before it is on record: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := k.Retention().DestroyClean(ended, class, other); !errors.Is(err, context.Canceled) {
		t.Errorf("who cannot wait gets %v", err)
	}
	deeds.Go(seal)
	deeds.Go(func() {
		if err := k.Retention().DestroyClean(t.Context(), class, other); err != nil {
			t.Errorf("destroying: %v", err)
		}
	})
	close(slow.answer)
	deeds.Wait()
	slow.mu.Lock()
	defer slow.mu.Unlock()
	if got := slow.of(slow.key); !slices.Equal(got, []string{"create", "destroy"}) {
		t.Errorf("on record: %v", got)
	}
}

// A keyring that is closed while a record is being made makes nothing.
func TestAKeyringClosesWhileARecordIsSlow(t *testing.T) {
	k, c := setup(t)
	k.Close()
	slow := newSlowly("raw/acme/2026-11-21T12")
	c.Record = slow.record
	k = reopen(t, c)
	prepared := make(chan error, 1)
	go func() { prepared <- k.Prepare(context.WithoutCancel(t.Context()), tenant, noon, 1) }()
	<-slow.asked
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	close(slow.answer)
	if err := <-prepared; !errors.Is(err, fault.Unavailable) {
		t.Errorf("a closed keyring made a key: %v", err)
	}
	k = reopen(t, c)
	if live, err := k.Retention().Live(t.Context()); err != nil || len(live) != 0 {
		t.Errorf("%d keys were made, %v", len(live), err)
	}
}

// Callers that want the same keys in another order do not wait for each other.
func TestKeysAreMadeOnceInWhateverOrder(t *testing.T) {
	k, c := setup(t)
	k.Close()
	var mu sync.Mutex
	uses := map[string]int{}
	c.Record = func(_ context.Context, u keyring.Use) error {
		mu.Lock()
		defer mu.Unlock()
		uses[u.Verb+" "+u.Key]++
		return nil
	}
	k = reopen(t, c)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			if err := k.Prepare(t.Context(), tenant, noon.Add(time.Duration(n-4)*time.Hour), 12); err != nil {
				t.Errorf("preparing: %v", err)
			}
		})
	}
	all.Wait()
	if len(uses) != 19 {
		t.Errorf("%d keys are on record, want 19", len(uses))
	}
	for use, n := range uses {
		if n != 1 {
			t.Errorf("%s is on record %d times", use, n)
		}
	}
}
