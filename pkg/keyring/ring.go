package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A ring is the keys of an open keyring, in memory and on disk.
type ring struct {
	store   *store
	log     *slog.Logger
	now     func() time.Time
	record  func(context.Context, Use) error
	lookups limiter
	holds   holdUses

	// claims lets one caller at a time make or destroy a key, from its record on.
	claims claims

	// writing is held while a key is made, loaded or destroyed, so that the
	// disk and the maps below change together. It is taken before mu, and never
	// while something is put on record: who puts it there may be slow.
	writing sync.Mutex

	// mu guards what is known. A key is in keys only if states says it lives,
	// so nothing that was destroyed is found in memory.
	mu     sync.RWMutex
	states map[id]bool // on disk: true is live, false is destroyed
	keys   map[id]*key // unwrapped
	closed bool
}

// errAbsent marks a key that was never made.
var errAbsent = fault.NotFound.Errorf("there is no such key")

var errClosed = fault.Unavailable.Errorf("the keyring is closed")

// peek returns a key that is in memory, or nil and why it is not: the key is
// destroyed, absent, or nil for one that has to be loaded.
func (r *ring) peek(i id) (*key, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return nil, errClosed
	}
	if k := r.keys[i]; k != nil {
		return k, nil
	}
	live, known := r.states[i]
	switch {
	case live:
		return nil, nil
	case known:
		return nil, fmt.Errorf("key %s: %w", i, ErrDestroyed)
	default:
		return nil, fmt.Errorf("key %s: %w", i, errAbsent)
	}
}

// find returns a key that exists, loading it if it must.
func (r *ring) find(i id) (*key, error) {
	if k, err := r.peek(i); k != nil || err != nil {
		return k, err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	return r.loadLocked(i)
}

// loadLocked is find with r.writing held.
func (r *ring) loadLocked(i id) (*key, error) {
	if k, err := r.peek(i); k != nil || err != nil {
		return k, err
	}
	secret, created, err := r.store.load(i)
	if err != nil {
		return nil, err
	}
	return r.installLocked(i, created, secret)
}

// installLocked puts a key in memory.
func (r *ring) installLocked(i id, created time.Time, secret []byte) (*key, error) {
	k, err := newKey(i, created, secret)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states[i] = true
	r.keys[i] = k
	return k, nil
}

// ensure returns a key, making it if it was never made. One that was
// destroyed is not made again.
func (r *ring) ensure(ctx context.Context, i id) (*key, error) {
	k, err := r.find(i)
	if !errors.Is(err, errAbsent) {
		return k, err
	}
	if err := r.make(ctx, i); err != nil {
		return nil, err
	}
	return r.find(i)
}

// make creates those of the keys that were never made, with one wait for the
// directory. Keys that are destroyed stay so.
func (r *ring) make(ctx context.Context, ids ...id) error {
	absent, err := r.absent(ids)
	if err != nil || len(absent) == 0 {
		return errors.Join(err, ctx.Err())
	}
	release, err := r.claims.take(ctx, absent...)
	if err != nil {
		return err
	}
	defer release()
	// Somebody may have made some of them meanwhile. Nobody can any more.
	if absent, err = r.absent(absent); err != nil || len(absent) == 0 {
		return err
	}
	for _, i := range absent {
		if err := r.recordUse(ctx, "", "create", i.String()); err != nil {
			return err
		}
	}
	return r.create(absent)
}

// absent are those of the keys that were never made.
func (r *ring) absent(ids []id) (absent []id, err error) {
	for _, i := range ids {
		if _, err := r.peek(i); errors.Is(err, errAbsent) {
			absent = append(absent, i)
		} else if errors.Is(err, errClosed) {
			return nil, err
		}
	}
	return absent, nil
}

// create makes keys that are absent and claimed.
func (r *ring) create(absent []id) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	if r.isClosed() {
		return errClosed
	}
	secrets := make([][]byte, len(absent))
	for n := range absent {
		secrets[n] = newSecret()
	}
	created := r.now().UTC().Round(0)
	if err := r.store.create(created, absent, secrets); err != nil {
		return err
	}
	for n, i := range absent {
		if _, err := r.installLocked(i, created, secrets[n]); err != nil {
			return err
		}
		r.log.Info("key created", "key", i.String())
	}
	return nil
}

// destroy destroys a key, or bars one that was never made from being made.
// P12: what the key sealed is gone at once from logs, replicas and backups.
// Destroying a destroyed key finishes what an earlier attempt left.
func (r *ring) destroy(ctx context.Context, i id) error {
	release, err := r.claims.take(ctx, i)
	if err != nil {
		return err
	}
	defer release()
	_, err = r.peek(i)
	if errors.Is(err, errClosed) {
		return err
	}
	gone := errors.Is(err, ErrDestroyed)
	if !gone {
		if err := r.recordUse(ctx, PowerRetention, "destroy", i.String()); err != nil {
			return err
		}
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	switch {
	case r.isClosed():
		return errClosed
	case gone:
		return r.store.shred(i)
	}
	if err := r.store.bury(i, r.now().UTC().Round(0)); err != nil {
		// The tombstone may have landed all the same, and then a restart
		// would find the key destroyed: it must not seal anything until then.
		if r.store.buried(i) {
			r.forget(i)
		}
		return err
	}
	r.forget(i)
	if err := r.store.shred(i); err != nil {
		return err
	}
	r.log.Info("key destroyed", "key", i.String())
	return nil
}

// forget takes a destroyed key out of memory.
func (r *ring) forget(i id) {
	r.mu.Lock()
	k := r.keys[i]
	delete(r.keys, i)
	r.states[i] = false
	r.mu.Unlock()
	if k != nil {
		k.destroy(fmt.Errorf("key %s: %w", i, ErrDestroyed))
	}
}

// recordUse puts a use on record. P10: before the deed, or there is no deed.
func (r *ring) recordUse(ctx context.Context, p Power, verb, key string) error {
	if r.record == nil {
		return nil
	}
	if err := r.record(ctx, Use{Verb: verb, Key: key, Power: p, Caller: callerOf(ctx)}); err != nil {
		return fmt.Errorf("recording the use of a key: %w", err)
	}
	return nil
}

func (r *ring) isClosed() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.closed
}

func (r *ring) close() error {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	keys := r.keys
	r.keys = nil
	r.mu.Unlock()
	for _, k := range keys {
		k.destroy(errClosed)
	}
	return r.store.close()
}

type callerContext struct{}

func withCaller(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, callerContext{}, name)
}

func callerOf(ctx context.Context) string {
	name, _ := ctx.Value(callerContext{}).(string)
	return name
}

// A limiter allows so many deeds a minute, and as many at once after a quiet
// minute.
type limiter struct {
	perMinute int

	// mu guards the level, which never exceeds perMinute.
	mu    sync.Mutex
	level float64
	at    time.Time
}

func (l *limiter) allow(now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := float64(l.perMinute)
	if l.at.IsZero() {
		l.level, l.at = full, now
	}
	if since := now.Sub(l.at); since > 0 {
		l.level = min(full, l.level+since.Minutes()*full)
		l.at = now
	}
	if l.level < 1 {
		return fault.Exhausted.Errorf("more than %d look-ups a minute", l.perMinute)
	}
	l.level--
	return nil
}
