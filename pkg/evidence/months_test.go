package evidence_test

import (
	"sync"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
)

// lived is what 25 months of a world leave behind: evidence of all of it, of
// its last days, and checkpoints that an officer kept on the way.
type lived struct {
	days        int
	all, recent []byte
	key         string
	earlier     []string // one each half year, the newest last
}

// months lives 25 months, from 2024-12-10 to 2027-01-15, once for all tests.
func months(t *testing.T) lived {
	t.Helper()
	livedMu.Lock()
	defer livedMu.Unlock()
	if livedWorld.key != "" {
		return livedWorld
	}
	first, stretches := event.Day("2024-12-10"), []int{182, 182, 182, 213, 7}
	if less > 1 { // a race would show in the last of them as well
		first, stretches = "2026-06-09", stretches[3:]
	}
	w := newWorld(t, t.TempDir(), first)
	for _, n := range stretches { // the last checkpoint is kept a week before the end
		livedWorld.days += n
		if w.days(n); w.now.Before(event.Day("2027-01-10").Start()) {
			livedWorld.earlier = append(livedWorld.earlier, w.newest())
		}
	}
	livedWorld.recent = w.bundle(evidence.Request{})
	livedWorld.all = w.bundle(evidence.Request{All: true})
	livedWorld.key = w.log.VerifierKey()
	return livedWorld
}

var (
	livedMu    sync.Mutex
	livedWorld lived
)
