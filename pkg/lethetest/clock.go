package lethetest

import (
	"sync"
	"time"
)

// A Clock shows a time that a test moves. It may be read while it is moved.
type Clock struct {
	mu sync.Mutex
	at time.Time // guarded by mu
}

// NewClock makes a clock that shows a time until it is moved.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now is what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Pass lets time go by.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
