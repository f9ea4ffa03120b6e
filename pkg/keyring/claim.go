package keyring

import (
	"context"
	"sync"
)

// claims lets one caller at a time make or destroy a key. A key's making and
// its destruction so go on record in the order in which they are done, and a
// slow record keeps nobody from another key.
type claims struct {
	// mu guards busy, which has a channel for each key that is claimed. It is
	// closed when the claim ends.
	mu   sync.Mutex
	busy map[id]chan struct{}
}

// take claims all of the keys or none, so that no two callers wait for each
// other, and returns what gives them back.
func (c *claims) take(ctx context.Context, ids ...id) (release func(), err error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		taken := c.try(ids)
		if taken == nil {
			return func() { c.release(ids) }, nil
		}
		select {
		case <-ctx.Done():
		case <-taken:
		}
	}
}

// try claims the keys, or returns the channel of one that is claimed.
func (c *claims) try(ids []id) (taken <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range ids {
		if taken, ok := c.busy[i]; ok {
			return taken
		}
	}
	if c.busy == nil {
		c.busy = map[id]chan struct{}{}
	}
	ended := make(chan struct{})
	for _, i := range ids {
		c.busy[i] = ended
	}
	return nil
}

func (c *claims) release(ids []id) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(ids) > 0 {
		close(c.busy[ids[0]])
	}
	for _, i := range ids {
		delete(c.busy, i)
	}
}
