package sqldoor

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// allPlaces is how many statements run at once, of all tenants: fewer than
	// the engine takes, which counts one a moment longer than the door does.
	allPlaces = warehouse.SQLConcurrent * 3 / 4
	// tenantPlaces is how many of these one tenant has at most, so that it
	// cannot shut the door for others. P14.
	tenantPlaces = allPlaces * 3 / 4
	// placeWait is how long a statement waits for one.
	placeWait = 10 * time.Second
)

// places are what tenants share of the engine.
type places struct {
	mu      sync.Mutex // guards what follows
	free    int
	running map[string]int // by tenant
	waiting []*waiter      // in the order they came
}

type waiter struct {
	tenant string
	turn   chan struct{} // closed when it has a place
}

func newPlaces() *places { return &places{free: allPlaces, running: map[string]int{}} }

// take waits for a place, which leave gives back. Who waits too long is told
// [fault.Unavailable].
func (p *places) take(ctx context.Context, tenant string) (leave func(), err error) {
	w := &waiter{tenant, make(chan struct{})}
	p.mu.Lock()
	p.waiting = append(p.waiting, w)
	p.next()
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, placeWait)
	defer cancel()
	select {
	case <-w.turn:
	case <-ctx.Done():
		if p.withdraw(w) {
			return nil, errBusy
		}
	}
	return func() { p.leave(tenant) }, nil
}

var errBusy = fault.Unavailable.Errorf("too many statements are running; try again")

// withdraw takes back that somebody waits. It is false when their turn has come
// all the same.
func (p *places) withdraw(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting, w)
	if i < 0 {
		return false
	}
	p.waiting = slices.Delete(p.waiting, i, i+1)
	return true
}

func (p *places) leave(tenant string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	if p.running[tenant]--; p.running[tenant] == 0 {
		delete(p.running, tenant)
	}
	p.next()
}

// next gives what is free to those who wait: first to the tenant that has the
// fewest, and to who came first among equals. It is called with mu held.
func (p *places) next() {
	for p.free > 0 {
		best := -1
		for i, w := range p.waiting {
			n := p.running[w.tenant]
			if n < tenantPlaces && (best < 0 || n < p.running[p.waiting[best].tenant]) {
				best = i
			}
		}
		if best < 0 {
			return
		}
		w := p.waiting[best]
		p.waiting = slices.Delete(p.waiting, best, best+1)
		p.free--
		p.running[w.tenant]++
		close(w.turn)
	}
}
