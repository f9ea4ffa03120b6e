package warehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// DefaultDatabase is where Lethe's tables live.
const DefaultDatabase = "lethe"

const (
	dialTimeout = 10 * time.Second
	// readTimeout bounds the wait for a single answer of the engine. An
	// insert of a full batch takes well under a second.
	readTimeout = time.Minute
	// readPatience is for how long a question is asked again when the
	// connection breaks. An engine that crashed leaves broken ones behind, and
	// is back within a second.
	readPatience = 5 * time.Second
)

// Config says where the engine is and who asks.
type Config struct {
	// Addr lists host:port of the native protocol. It is passed to Dial.
	Addr []string
	// Dial opens a connection; nil dials TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// User and Password are one of [Users].
	User, Password string
	// Database defaults to [DefaultDatabase].
	Database string
	Log      *slog.Logger
}

// Warehouse is a pool of connections of one user.
type Warehouse struct {
	conn     driver.Conn
	database string
	user     string
	log      *slog.Logger
	ages     *ages
}

// Open connects, and waits until the engine answers or ctx ends.
func Open(ctx context.Context, cfg Config) (*Warehouse, error) {
	if cfg.Log == nil {
		return nil, fault.Invalid.Errorf("opening the warehouse: a logger is required")
	}
	if cfg.Database == "" {
		cfg.Database = DefaultDatabase
	}
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr:        cfg.Addr,
		DialContext: cfg.Dial,
		// No database is named: ours may not exist yet, and the embedded
		// engine ends when a login fails. Every statement qualifies its
		// tables instead.
		Auth:        clickhouse.Auth{Username: cfg.User, Password: cfg.Password},
		Settings:    clickhouse.Settings{"async_insert": 0},
		DialTimeout: dialTimeout,
		ReadTimeout: readTimeout,
		// One insert is in flight while another is being filled.
		MaxOpenConns: 8,
		MaxIdleConns: 4,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the warehouse: %w", clean(err))
	}
	w := &Warehouse{conn: conn, database: cfg.Database, user: cfg.User, log: cfg.Log, ages: &ages{}}
	if err := w.await(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// await pings until the engine answers.
func (w *Warehouse) await(ctx context.Context) error {
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		err := clean(w.conn.Ping(ctx))
		if err == nil {
			return nil
		}
		if !errors.Is(err, fault.Unavailable) {
			return fmt.Errorf("opening the warehouse: %w", err)
		}
		w.log.Warn("warehouse awaited", "user", w.user, "err", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("opening the warehouse: %w", err)
		case <-time.After(delay):
		}
	}
}

// Close ends every connection. Do it before the embedded engine is stopped,
// which waits for its clients.
func (w *Warehouse) Close() error { return clean(w.conn.Close()) }

// Ping asks the engine for a sign of life.
func (w *Warehouse) Ping(ctx context.Context) error {
	return w.ask(ctx, "pinging the warehouse", func(ctx context.Context) error { return w.conn.Ping(ctx) })
}

// Table is the full name of a table, quoted, for use in SQL.
func (w *Warehouse) Table(name string) string { return quote(w.database) + "." + quote(name) }

// in is the same pool of connections with another database.
func (w *Warehouse) in(database string) *Warehouse {
	other := *w
	other.database = database
	return &other
}

// exec runs a statement once.
func (w *Warehouse) exec(ctx context.Context, doing, sql string, args ...any) error {
	if err := w.conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("%s: %w", doing, clean(err))
	}
	return nil
}

// ask runs f, a question, again when the connection breaks. The engine refuses
// to change anything for it, because it may be at the first one still.
func (w *Warehouse) ask(ctx context.Context, doing string, f func(context.Context) error) error {
	ctx = asking(ctx)
	patience := time.Now().Add(readPatience)
	for delay := 5 * time.Millisecond; ; delay *= 2 {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if !lost(err) || ctx.Err() != nil || time.Now().Add(delay).After(patience) {
			return fmt.Errorf("%s: %w", doing, clean(err))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", doing, clean(err))
		case <-time.After(delay):
		}
	}
}

// asking tells the engine that it is a question, and the caller's deadline, so
// that it gives up when the caller has. The driver would ask for five seconds
// more, which is more than an analyst may have, so the deadline is hidden from
// it; that ctx ends is not.
func asking(ctx context.Context) context.Context {
	settings := clickhouse.Settings{"readonly": 2} // settings may be sent along
	if deadline, ok := ctx.Deadline(); ok {
		left := int(math.Ceil(time.Until(deadline).Seconds()))
		settings["max_execution_time"] = min(max(left, 1), maxQuerySeconds)
		ctx = undated{ctx}
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(settings))
}

type undated struct{ context.Context }

func (undated) Deadline() (time.Time, bool) { return time.Time{}, false }

func quote(name string) string { return "`" + name + "`" }
