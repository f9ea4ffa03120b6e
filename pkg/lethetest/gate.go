package lethetest

import (
	"context"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// A Gate is a log that is read while it is unlocked, so that a benchmark fills
// the log before it measures. It locks itself, and says so in Acked, once
// everything through a sequence is acknowledged.
type Gate struct {
	*eventlog.Reader
	sync.Mutex
	Through uint64
	Acked   chan struct{}
}

// NewGate makes a gate that is locked.
func NewGate(r *eventlog.Reader) *Gate {
	g := &Gate{Reader: r, Acked: make(chan struct{})}
	g.Lock()
	return g
}

// Fetch waits until the gate is unlocked.
func (g *Gate) Fetch(ctx context.Context, maxMessages, maxBytes int, wait time.Duration) ([]eventlog.Received, error) {
	g.Lock()
	defer g.Unlock()
	return g.Reader.Fetch(ctx, maxMessages, maxBytes, wait)
}

// AckThrough locks the gate behind Through.
func (g *Gate) AckThrough(ctx context.Context, seq uint64) error {
	err := g.Reader.AckThrough(ctx, seq)
	if err == nil && seq >= g.Through {
		g.Lock()
		g.Acked <- struct{}{}
	}
	return err
}
