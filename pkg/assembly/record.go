package assembly

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// recorder puts on record what a service does, over the service's own
// connection.
func (s *Site) recorder(nc *nats.Conn, by string) *audit.Writer {
	w := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: eventlog.AuditStream, Log: s.Log.With("service", by)})
	s.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.Close(ctx) // whoever waited for an entry was told that it is not on record
	})
	return audit.NewRecorder(w, by, nil)
}

// A steadyClock is Lethe's clock as it was last read, and the time that has
// passed since by a clock that nobody can set. A wall clock that jumps moves it
// no further than retention lets it.
type steadyClock struct {
	read func(context.Context) (time.Time, error)

	mu sync.Mutex // guards the rest
	at time.Time
	on time.Time // when at was read, with its monotonic reading
}

// now is the wall clock until Lethe's has been advanced once.
func (c *steadyClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on.IsZero() || time.Since(c.on) > time.Minute {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if at, err := c.read(ctx); err == nil && at.Unix() > 0 {
			c.at, c.on = at, time.Now()
		}
	}
	if c.on.IsZero() {
		return time.Now()
	}
	return c.at.Add(time.Since(c.on))
}

// recordAccess lets the gate put its decisions on record through w. A part
// whose routes are recorded calls it before the door opens.
func (s *Site) recordAccess(w *audit.Writer) { s.decisions.Store(w) }

// recordDecision puts what the gate decided on record, under the id of the
// credential that asked. P10.
func (s *Site) recordDecision(ctx context.Context, d access.Decision) error {
	w := s.decisions.Load()
	if w == nil {
		return fault.Unavailable.Errorf("this process has no way to put a request on record")
	}
	return w.As(d.Principal).Record(ctx, audit.KindAccess, audit.Access{
		Route: d.Route, Role: string(d.Role), Tenant: d.Tenant, Purpose: d.Purpose,
		Allowed: d.Allowed, Reason: d.Reason, Credential: d.Credential,
		Statement: d.Statement.Hash, Length: d.Statement.Length,
	})
}
