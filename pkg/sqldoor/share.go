package sqldoor

import (
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Limits are what one credential may take of the engine.
type Limits struct {
	// Concurrency is how many statements run at once.
	Concurrency int
	// Statements is how many run in an hour of the clock.
	Statements int
	// Busy is for how long they run in an hour of the clock, together.
	Busy time.Duration
}

// DefaultLimits are those of [Config.Limits] that are not set.
var DefaultLimits = Limits{Concurrency: 4, Statements: 10_000, Busy: 30 * time.Minute}

// shares counts what credentials take. What is not running and of an hour that
// has passed is forgotten.
type shares struct {
	limits Limits
	now    func() time.Time

	mu   sync.Mutex // guards the rest
	hour time.Time
	of   map[string]*share
}

type share struct {
	running, statements int
	busy                time.Duration
}

func newShares(l Limits, now func() time.Time) *shares {
	for _, f := range []struct{ limit, is *int }{{&l.Concurrency, &DefaultLimits.Concurrency}, {&l.Statements, &DefaultLimits.Statements}} {
		if *f.limit == 0 {
			*f.limit = *f.is
		}
	}
	if l.Busy == 0 {
		l.Busy = DefaultLimits.Busy
	}
	return &shares{limits: l, now: now, of: map[string]*share{}}
}

// take begins a statement of a credential, which done ends. Beyond a limit it
// is [fault.Exhausted].
func (s *shares) take(id string) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := s.now()
	if hour := start.Truncate(time.Hour); !hour.Equal(s.hour) {
		s.hour = hour
		for id, share := range s.of {
			share.statements, share.busy = 0, 0
			if share.running == 0 {
				delete(s.of, id)
			}
		}
	}
	mine := s.of[id]
	if mine == nil {
		mine = &share{}
		s.of[id] = mine
	}
	switch {
	case mine.running >= s.limits.Concurrency:
		return nil, fault.Exhausted.Errorf("%d statements of this credential are running; wait for one to end", mine.running)
	case mine.statements >= s.limits.Statements:
		return nil, fault.Exhausted.Errorf("this credential has sent %d statements within the hour", mine.statements)
	case mine.busy >= s.limits.Busy:
		return nil, fault.Exhausted.Errorf("statements of this credential have run for %s within the hour", s.limits.Busy)
	}
	mine.running++
	mine.statements++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		mine.running--
		mine.busy += max(0, s.now().Sub(start))
	}, nil
}
