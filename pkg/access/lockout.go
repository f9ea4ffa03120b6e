package access

import (
	lru "container/list"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// P22: this many failed attempts within the window lock for a while.
const (
	LockAfter  = 30
	LockWindow = 24 * time.Hour
	LockFor    = time.Hour
)

// maxNetworks bounds how many source networks are counted at once: the one
// that has not failed for longest is forgotten first.
const maxNetworks = 4096

// lockout counts failed attempts, by credential and by source network.
//
// The counts live in memory, per process. A secret has 256 random bits, so
// what a restart gives an attacker is worth nothing, and a write per failed
// attempt would be a way to wear out the disk.
type lockout struct {
	// mu guards what follows.
	mu sync.Mutex
	// credentials holds ids that credentials have, so it cannot grow past
	// their number, and no flood of unknown ids pushes one out.
	credentials map[string]*tally
	networks    map[netip.Prefix]*lru.Element // of order
	order       *lru.List                     // of *tally, latest first
	// told is when a credential was last reported from a wrong network.
	told map[string]time.Time
}

// tally is what failed in one place.
type tally struct {
	network netip.Prefix
	at      []time.Time // of failures within the window, oldest first, at most LockAfter
	until   time.Time   // end of the lock; zero when there was none
}

func newLockout() *lockout {
	return &lockout{credentials: map[string]*tally{}, networks: map[netip.Prefix]*lru.Element{}, order: lru.New(), told: map[string]time.Time{}}
}

// fail counts an attempt that failed, with the id of the credential that it
// was made with, if there is one. It returns until when whoever made it is
// locked, or zero, and whether a lock began with it.
//
// Failures of a known id count for their network as well: where a network is
// locked, an attempt fails in the same way whether its id is known or not. Who
// has the right secret is not stopped by the lock of a network.
func (l *lockout) fail(id string, from netip.Prefix, now time.Time) (until time.Time, begun bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, begun = l.network(from).fail(now)
	if id != "" {
		t := l.credentials[id]
		if t == nil {
			t = &tally{}
			l.credentials[id] = t
		}
		u, b := t.fail(now)
		if u.After(until) {
			until = u
		}
		begun = begun || b
	}
	return until, begun
}

// credential returns until when a credential is locked, or zero.
func (l *lockout) credential(id string, now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.credentials[id]; t != nil && now.Before(t.until) {
		return t.until
	}
	return time.Time{}
}

// tell says whether it is time to report a credential's use from a wrong
// network: once in as long as a lock lasts, so that reports stay readable.
func (l *lockout) tell(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, ok := l.told[id]; ok && now.Sub(last) < LockFor {
		return false
	}
	l.told[id] = now
	return true
}

// count returns how many locks hold.
func (l *lockout) count(now time.Time) (credentials, networks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.credentials {
		if now.Before(t.until) {
			credentials++
		}
	}
	for _, e := range l.networks {
		if now.Before(e.Value.(*tally).until) {
			networks++
		}
	}
	return credentials, networks
}

// network is called with mu held.
func (l *lockout) network(from netip.Prefix) *tally {
	if e := l.networks[from]; e != nil {
		l.order.MoveToFront(e)
		return e.Value.(*tally)
	}
	if l.order.Len() >= maxNetworks {
		oldest := l.order.Back()
		l.order.Remove(oldest)
		delete(l.networks, oldest.Value.(*tally).network)
	}
	t := &tally{network: from}
	l.networks[from] = l.order.PushFront(t)
	return t
}

// fail counts one more. While locked it counts nothing, so that a lock ends.
func (t *tally) fail(now time.Time) (until time.Time, begun bool) {
	if now.Before(t.until) {
		return t.until, false
	}
	for len(t.at) > 0 && now.Sub(t.at[0]) >= LockWindow {
		t.at = t.at[1:]
	}
	if t.at = append(t.at, now); len(t.at) < LockAfter {
		return time.Time{}, false
	}
	t.at, t.until = nil, now.Add(LockFor)
	return t.until, true
}

// lockedError is the refusal of whoever is locked.
type lockedError struct {
	error
	until time.Time
}

func newLocked(until time.Time) error {
	return &lockedError{fault.Exhausted.Errorf("too many attempts have failed; try again later"), until}
}

func (l *lockedError) Unwrap() error { return l.error }

// waiting is w with the header that says how long the lock lasts (RFC 9110,
// section 10.2.3).
func (l *lockedError) waiting(w http.ResponseWriter, now time.Time) http.ResponseWriter {
	seconds := max(1, int((l.until.Sub(now)+time.Second-1)/time.Second))
	return &retryAfter{w, strconv.Itoa(seconds)}
}

// retryAfter sets Retry-After last, after whoever else has.
type retryAfter struct {
	http.ResponseWriter
	seconds string
}

func (w *retryAfter) WriteHeader(status int) {
	w.Header().Set("Retry-After", w.seconds)
	w.ResponseWriter.WriteHeader(status)
}
