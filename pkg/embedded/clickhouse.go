package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"
)

// EngineConfig describes an embedded ClickHouse.
type EngineConfig struct {
	// Dir holds everything of the engine: data/ the tables, backups/ what
	// BACKUP writes, log/ its log, and the files it is configured by. It is
	// made, with mode 0700, when missing. One engine at a time may use it.
	Dir string
	// Library is the path of the shared library; empty means [FindLibrary].
	Library string
	// UsersXML says who may do what; see the function [UsersXML].
	UsersXML []byte
	// Probe is the credential by which the supervisor makes sure that the
	// server that answers is the one it started; see [NewProbe].
	Probe Credentials
	// MemoryLimit bounds what the engine may allocate, in bytes. 0 leaves the
	// engine its own bound, nine tenths of the machine.
	MemoryLimit int64
	Log         *slog.Logger
}

// Credentials are a user and its password.
type Credentials struct{ User, Password string }

// Engine is a ClickHouse engine in a child process, and its supervisor.
type Engine struct {
	cfg     EngineConfig
	reload  chan struct{} // tells the supervisor that users has changed
	stopped chan struct{} // closed when Run has returned

	// mu guards the fields below.
	mu      sync.Mutex
	users   users         // by which the next child will work
	ports   ports         // of the child that lives, or of the last that did
	child   *child        // nil while none is ready
	changed chan struct{} // closed and replaced whenever child changes
	conns   map[*engineConn]struct{}
}

// users is a users.xml and which one it is, counted from zero.
type users struct {
	xml     []byte
	version int
}

// ports of an engine, on the loopback address. Zero means not chosen.
type ports struct{ tcp, http int }

// NewEngine checks cfg and finds the library. It starts nothing and touches no
// file.
func NewEngine(cfg EngineConfig) (*Engine, error) {
	if cfg.Dir == "" || cfg.Log == nil {
		return nil, errors.New("the embedded engine needs a directory and a logger")
	}
	if len(cfg.UsersXML) == 0 || cfg.Probe.User == "" || cfg.Probe.Password == "" {
		return nil, errors.New("the embedded engine needs users, and the credential of one of them to probe it with")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the directory of the engine: %w", err)
	}
	cfg.Dir = dir
	if cfg.Library, err = FindLibrary(cfg.Library); err != nil {
		return nil, err
	}
	return &Engine{
		cfg:     cfg,
		reload:  make(chan struct{}, 1),
		stopped: make(chan struct{}),
		users:   users{xml: cfg.UsersXML},
		changed: make(chan struct{}),
		conns:   make(map[*engineConn]struct{}),
	}, nil
}

// Dial connects to the native port of the engine. The address is ignored: it
// fits DialContext of the driver's options. While the engine is being started
// again Dial waits, as long as ctx lets it.
func (e *Engine) Dial(ctx context.Context, _ string) (net.Conn, error) {
	return e.dial(ctx, func(p ports) int { return p.tcp })
}

// DialHTTP connects to the HTTP port of the engine as Dial does to the native
// one. It fits DialContext of an http.Transport.
func (e *Engine) DialHTTP(ctx context.Context, _, _ string) (net.Conn, error) {
	return e.dial(ctx, func(p ports) int { return p.http })
}

func (e *Engine) dial(ctx context.Context, port func(ports) int) (net.Conn, error) {
	for {
		e.mu.Lock()
		c, p, changed := e.child, e.ports, e.changed
		e.mu.Unlock()
		if c == nil {
			if err := e.await(ctx, changed); err != nil {
				return nil, err
			}
			continue
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", loopback(port(p)))
		if err == nil {
			return e.track(c, conn)
		}
		// Refused means, nearly always, that the child has died and that the
		// supervisor is about to see it.
		timer := time.NewTimer(20 * time.Millisecond)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		case <-e.stopped:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("reaching the engine: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// await returns nil when the child changes, and an error when that can not be
// waited for.
func (e *Engine) await(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-e.stopped:
		return errors.New("reaching the engine: it was stopped")
	case <-ctx.Done():
		return fmt.Errorf("waiting for the engine: %w", ctx.Err())
	}
}

// engineConn is a connection that the supervisor can close: an engine asked to
// stop waits five seconds for its connections to go. It embeds the TCP
// connection so that drivers can still use all of it.
type engineConn struct {
	*net.TCPConn
	e *Engine
}

func (c *engineConn) Close() error {
	c.e.mu.Lock()
	delete(c.e.conns, c)
	c.e.mu.Unlock()
	return c.TCPConn.Close()
}

func (e *Engine) track(c *child, conn net.Conn) (net.Conn, error) {
	ec := &engineConn{conn.(*net.TCPConn), e}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.child != c {
		_ = ec.TCPConn.Close() // the engine at its other end is gone or going
		return nil, errors.New("reaching the engine: it went down")
	}
	e.conns[ec] = struct{}{}
	return ec, nil
}

// setChild says which child serves; nil for none. Connections to an earlier
// one are closed.
func (e *Engine) setChild(c *child) {
	e.mu.Lock()
	e.child = c
	close(e.changed)
	e.changed = make(chan struct{})
	conns := e.conns
	e.conns = make(map[*engineConn]struct{})
	e.mu.Unlock()
	for conn := range conns {
		_ = conn.TCPConn.Close() // its reader sees an error either way
	}
}

// HTTPAddr is the host:port of the HTTP interface. It may change when the
// engine is started again; prefer [Engine.DialHTTP].
func (e *Engine) HTTPAddr() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return loopback(e.ports.http)
}

// PID is the process that holds the engine, or 0 while none is ready.
func (e *Engine) PID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.child == nil {
		return 0
	}
	return e.child.cmd.Process.Pid
}

// DataDir is where the tables are. Verifying what is left on disk needs it.
func (e *Engine) DataDir() string { return filepath.Join(e.cfg.Dir, "data") }

// BackupDir is the one directory that BACKUP … TO File('…') may write below.
func (e *Engine) BackupDir() string { return filepath.Join(e.cfg.Dir, "backups") }

// Check says whether the engine that should answer does. It fits
// process.Health.
func (e *Engine) Check(ctx context.Context) error {
	e.mu.Lock()
	c, p := e.child, e.ports
	e.mu.Unlock()
	if c == nil {
		return errors.New("the engine is being started")
	}
	if err := e.identify(ctx, p); err != nil {
		return errors.New("the engine does not answer")
	}
	return nil
}

// SetUsers replaces who may do what, and returns when the engine works by it.
// The engine reads its users only when it starts, so it is started again:
// statements that are running then fail as they do in a crash.
func (e *Engine) SetUsers(ctx context.Context, usersXML []byte) error {
	e.mu.Lock()
	e.users = users{xml: usersXML, version: e.users.version + 1}
	want := e.users.version
	e.mu.Unlock()
	select {
	case e.reload <- struct{}{}:
	default: // the supervisor has been told and has not looked yet
	}
	for {
		e.mu.Lock()
		c, changed := e.child, e.changed
		e.mu.Unlock()
		if c != nil && c.users >= want {
			return nil
		}
		if err := e.await(ctx, changed); err != nil {
			return err
		}
	}
}

// outdated says whether a child works by users that have been replaced.
func (e *Engine) outdated(c *child) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return c.users != e.users.version
}
