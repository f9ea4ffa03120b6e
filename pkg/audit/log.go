package audit

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Config is what a Log needs.
type Config struct {
	// Dir holds the trees and the key. One process at a time may have it open.
	Dir string
	// Origin is the name of this installation in its checkpoints: a host name
	// and a path, without a scheme. Open takes an empty one for whatever the
	// key says.
	Origin string
	Log    *slog.Logger
	// Now decides the day of a checkpoint that is kept, which trees are past
	// their rule, and what to make of an entry with an impossible date. Where
	// there is a clock that does not jump, it should be that; nil is time.Now.
	Now func() time.Time
	// P10: Kept says whether the tree of a year is still to be kept. Nil keeps
	// all.
	Kept func(year int, now time.Time) bool

	// steps fails in tests, where a process could die.
	steps func(step string) error
}

func (c *Config) check() error {
	if c.Dir == "" || c.Log == nil {
		return fault.Invalid.Errorf("opening the audit log: a part is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// step is a place where a process may die.
func (c *Config) step(name string) error {
	crashpoint.Reach("audit." + name)
	if c.steps != nil {
		return c.steps(name)
	}
	return nil
}

// A Log is the trees on disk. It is safe for concurrent use: whoever reads sees
// one committed state to the end, and appending waits for nobody.
type Log struct {
	cfg         Config
	origin      string
	signer      note.Signer
	verifierKey string
	lock        *os.File

	// appending is held by whoever changes the disk, and guards doubt: a
	// growth whose checkpoint may have become the one on disk or not.
	appending sync.Mutex
	doubt     *commitment

	// mu guards what is committed. The years are in order, and the last one is
	// that which grows.
	mu        sync.Mutex
	years     []*held
	committed time.Time     // when the last checkpoint was written
	changed   chan struct{} // closed with every commit, and when the log closes
	closed    bool
}

// held is a year's tree and the index of its entries.
type held struct {
	tree  *tree
	index *index
}

// Open opens the log at cfg.Dir and holds everything in it to its checkpoints:
// each entry to its leaf, the leaves and tiles to the signed root, the kept
// checkpoints to the tree, and each tree to the one before. [fault.Corrupt]
// names the year that is not what was signed. What lies beyond a checkpoint is
// no part of the log and is written over.
//
// [fault.NotFound] where there is no log, [fault.Conflict] while another
// process has it open.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	signer, verifierKey, err := readKey(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if cfg.Origin != "" && cfg.Origin != signer.Name() {
		return nil, fault.Conflict.Errorf("the audit log at %s is that of %s, not of %s", cfg.Dir, signer.Name(), cfg.Origin)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{
		cfg: cfg, origin: signer.Name(), signer: signer, verifierKey: verifierKey,
		lock: lock, changed: make(chan struct{}),
	}
	if err := l.load(ctx); err != nil {
		_ = lock.Close()
		return nil, err
	}
	cfg.Log.Info("audit log open", "trees", len(l.years), "last_seq", l.Sequence())
	return l, nil
}

// Close ends the log. Everything in it is on disk already.
func (l *Log) Close() error {
	l.appending.Lock()
	defer l.appending.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.changed)
	return failed("closing the audit log", l.lock.Close())
}

// VerifierKey is the key that the checkpoints can be checked with, in the form
// of [golang.org/x/mod/sumdb/note]. It is no secret, and worth nothing unless
// it is known from elsewhere than the log.
func (l *Log) VerifierKey() string { return l.verifierKey }

// Origin is the name of the installation.
func (l *Log) Origin() string { return l.origin }

// Sequence is the sequence of the audit stream through which everything is in
// the trees.
func (l *Log) Sequence() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sequence()
}

func (l *Log) sequence() uint64 {
	if len(l.years) == 0 {
		return 0
	}
	return l.years[len(l.years)-1].tree.seq
}

// Committed is when the last checkpoint was written, by the clock of the disk
// or of this process; zero in a log without entries.
func (l *Log) Committed() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.committed
}

// Wait returns when everything through a sequence of the audit stream is in
// the trees, or with [fault.Unavailable] when ctx ends or the log closes first.
func (l *Log) Wait(ctx context.Context, seq uint64) error {
	for {
		l.mu.Lock()
		at, changed, closed := l.sequence(), l.changed, l.closed
		l.mu.Unlock()
		if at >= seq {
			return nil
		}
		if closed {
			return fault.Unavailable.Errorf("waiting for the audit log: it is closed")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Unavailable.Errorf("waiting for the audit log: %w", ctx.Err())
		}
	}
}

// Trees are the years' trees with what is signed of each, in order.
func (l *Log) Trees() []Tree {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Tree, 0, len(l.years))
	for _, y := range l.years {
		out = append(out, y.tree.described())
	}
	return out
}

// Last is the last entry of a kind in the trees that are kept.
func (l *Log) Last(kind Kind) (Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, y := range slices.Backward(l.years) {
		if e, ok := y.index.last[kind]; ok {
			return e, true
		}
	}
	return Entry{}, false
}

// Destroyed is when the destruction of a key was put on record, which is before
// it was destroyed.
func (l *Log) Destroyed(key string) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, y := range slices.Backward(l.years) {
		if at, ok := y.index.destroyed[key]; ok {
			return at, true
		}
	}
	return time.Time{}, false
}

// year is the tree of a year as it is at this moment.
func (l *Log) year(year int) (*tree, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, y := range l.years {
		if y.tree.year == year {
			return y.tree, nil
		}
	}
	return nil, fault.NotFound.Errorf("the audit log has no tree of %04d", year)
}

// current is the tree that grows; nil in a log without entries.
func (l *Log) current() *tree {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.years) == 0 {
		return nil
	}
	return l.years[len(l.years)-1].tree
}

func (t *tree) described() Tree {
	return Tree{Year: t.year, Size: t.size, Checkpoint: t.checkpoint, Previous: t.previous}
}

// latest is the last entry, nil in an empty log.
func (l *Log) latest() ([]byte, error) {
	t := l.current()
	if t == nil {
		return nil, nil
	}
	last := (t.size - 1) / tileWidth
	entries, err := l.bundle(t, last)
	if err != nil {
		return nil, err
	}
	return entries[t.size-1-last*tileWidth], nil
}
