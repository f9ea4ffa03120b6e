package assembly

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
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

// readClock reads Lethe's clock as far as retention has moved it.
type readClock func(context.Context) (time.Time, error)

// clocked is the warehouse with the clock that decides: what a hold lets go is
// gone, and nobody may hurry that by a row in the table of the clock.
type clocked struct {
	*warehouse.Warehouse
	clock readClock
}

func (c clocked) Clock(ctx context.Context) (time.Time, error) { return c.clock(ctx) }

// A steadyClock is Lethe's clock as it was last read, and the time that has
// passed since by a clock that nobody can set. A wall clock that jumps moves it
// no further than retention lets it.
type steadyClock struct {
	read readClock

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

// auditDir is where the trees of the audit log are, and the key that signs them.
func auditDir(c config.Config) string {
	return cmp.Or(c.Audit.Dir, filepath.Join(c.Data, "audit"))
}

// Standing is where an audit log stands.
type Standing struct {
	// Checkpoint is the newest, a signed note; empty in a log without entries.
	Checkpoint string
	Key        string // verifier key
	Sequence   uint64 // of the audit stream
}

// RecoverAudit opens the audit log of a Lethe that does not run and says where
// it stands. With lost it lets the log go on with another stream, as
// [audit.Log.Recover] does; the checkpoint is the one before that.
func RecoverAudit(ctx context.Context, c config.Config, lost bool, log *slog.Logger) (Standing, error) {
	l, err := audit.Open(ctx, audit.Config{Dir: auditDir(c), Origin: c.Audit.Origin, Log: log})
	if err != nil {
		return Standing{}, err
	}
	defer func() { _ = l.Close() }() // what it did is on disk
	at := Standing{Key: l.VerifierKey(), Sequence: l.Sequence()}
	if trees := l.Trees(); len(trees) > 0 {
		at.Checkpoint = trees[len(trees)-1].Checkpoint
	}
	if lost {
		_, err = l.Recover(ctx)
	}
	return at, err
}
