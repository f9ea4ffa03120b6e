package keyring

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Config says where a keyring lives.
type Config struct {
	// Dir is the keyring's own directory, mode 0700. No other process may
	// mount it, and it is never part of a backup of data.
	Dir string
	// KEKFile holds the key-encryption key, an age identity (the format of
	// age-keygen). Keep it on another disk than Dir: together they are every
	// key. The first identity wraps, any of them opens.
	KEKFile string
	// Log is required.
	Log *slog.Logger

	// Now dates keys and tombstones and paces look-ups. Nil is time.Now.
	Now func() time.Time
	// Record is told of a key's making and destruction, and of every use of
	// the rights power, before the deed. When it fails, the deed is not done.
	// It must not call the keyring, and is called by many goroutines at once;
	// while it has not answered about a key, no other is kept waiting. Nil
	// records nothing.
	Record func(context.Context, Use) error
	// LookupsPerMinute bounds [Rights.Tokens], which would otherwise be an
	// oracle that a whole address space can be asked of. Zero is 60.
	LookupsPerMinute int
}

const defaultLookups = 60

// Use is one use of keys, as it goes on record. It holds no key and no
// personal value.
type Use struct {
	// Verb is create, destroy, or the name of a verb of the rights power.
	Verb string
	// Key is the name of the key, such as "raw/acme/2026-11-21T22". It is
	// empty for a look-up, which may use many keys.
	Key string
	// Power is the power that was used, empty when the keyring acts by itself.
	Power Power
	// Caller is the common name of a remote caller's certificate, and empty
	// in process.
	Caller string
}

// ErrDestroyed is the error of every use of a key that was destroyed. It is
// also a [fault.NotFound].
var ErrDestroyed = fault.NotFound.Errorf("the key has been destroyed")

// A Keyring holds every key of a Lethe and gives out none. What a caller may
// do with keys is a power, taken from it as a value of its own.
//
// A Keyring may be used by many goroutines.
type Keyring struct{ hidden[*ring] }

// Create makes a keyring in Config.Dir, and the key-encryption key in
// Config.KEKFile unless that file exists. A directory that holds a keyring is
// a [fault.Conflict]. Create does not open what it makes.
func Create(ctx context.Context, c Config) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	if err := createStore(c.Dir, c.KEKFile); err != nil {
		return err
	}
	c.Log.Info("keyring created")
	return nil
}

// Open opens the keyring in Config.Dir for this process alone, and finishes
// any destruction that a crash interrupted. It makes nothing that is missing:
// no keyring or no key-encryption key is a [fault.NotFound], a wrong
// key-encryption key is [fault.Denied], and a keyring that another process has
// open is a [fault.Conflict].
func Open(ctx context.Context, c Config) (*Keyring, error) { return open(ctx, c, nil) }

func open(ctx context.Context, c Config, step stepper) (*Keyring, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	s, states, err := openStore(c.Dir, c.KEKFile, step)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(c.KEKFile); err == nil && info.Mode().Perm()&0o077 != 0 {
		c.Log.Warn("key-encryption key readable by others", "mode", info.Mode().Perm().String())
	}
	r := &ring{
		store:   s,
		log:     c.Log,
		now:     c.Now,
		record:  c.Record,
		lookups: limiter{perMinute: c.LookupsPerMinute},
		states:  states,
		keys:    map[id]*key{},
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.lookups.perMinute == 0 {
		r.lookups.perMinute = defaultLookups
	}
	return &Keyring{hide(r)}, nil
}

func (c Config) check() error {
	switch {
	case c.Dir == "":
		return fault.Invalid.Errorf("keyring: Dir is not set")
	case c.KEKFile == "":
		return fault.Invalid.Errorf("keyring: KEKFile is not set")
	case c.Log == nil:
		return fault.Invalid.Errorf("keyring: Log is not set")
	}
	return nil
}

// Prepare makes the raw keys of a tenant for the hour of at and the hours that
// follow, 1 to 48 hours in all, so that no event waits for a disk when an hour
// begins. Hours whose key exists or is destroyed are left as they are.
func (k *Keyring) Prepare(ctx context.Context, tenant string, at time.Time, hours int) error {
	_, err := k.open().rawKeys(ctx, tenant, at, hours)
	return err
}

// Close forgets every key in memory and lets another process open the keyring.
// Every use after it is [fault.Unavailable].
func (k *Keyring) Close() error { return k.open().close() }
