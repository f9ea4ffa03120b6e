package keyring

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	// hoursAhead is how many hours' public keys a remote gateway holds,
	// counted from the one it seals for: so long it can seal while the
	// keyring is away.
	hoursAhead = 3
	// publicLease is for how long it relies on them before it asks again,
	// and so how long it may seal under a key that was destroyed. What it
	// seals then, nothing opens.
	publicLease = 10 * time.Minute
	// leaseRetry is how long it waits after it asked in vain.
	leaseRetry = 15 * time.Second
)

// remoteGateway seals in its own process, to public keys. The keyring is asked
// for those, and for names.
type remoteGateway struct {
	hidden[*link]
	keys hidden[*publicKeys]
}

// publicKeys are the public keys a gateway holds, tenant by tenant.
type publicKeys struct {
	mu      sync.Mutex // guards the map
	tenants map[string]*tenantKeys
}

// tenantKeys are the keys of one tenant. One caller at a time asks the keyring
// for them, and the others wait for its answer.
type tenantKeys struct {
	mu    sync.Mutex // guards the rest
	hours map[int64]*publicKey
}

// A publicKey is one hour's. Its sender is nil until the hour is sealed for,
// and public is nil if the key was destroyed.
type publicKey struct {
	public []byte
	until  time.Time
	sender *sender
}

func (p *publicKeys) tenant(name string) *tenantKeys {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tenants[name]
	if t == nil {
		t = &tenantKeys{hours: map[int64]*publicKey{}}
		p.tenants[name] = t
	}
	return t
}

func (r remoteGateway) SealRaw(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error) {
	i, err := rawID(tenant, at)
	if err != nil {
		return nil, err
	}
	s, err := r.sender(ctx, i, time.Now())
	if err != nil {
		return nil, err
	}
	return s.seal(aad, plain), nil
}

// sender returns the sender of an hour, asking for its key and those of the
// hours after it if the lease has run out. While the keyring is away, keys
// that are held are used.
func (r remoteGateway) sender(ctx context.Context, i id, now time.Time) (*sender, error) {
	t := r.keys.open().tenant(i.name)
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.hours[i.period]
	if k == nil || now.After(k.until) {
		err := r.fetch(ctx, t, i, now)
		switch {
		case err == nil:
			k = t.hours[i.period]
		case k != nil && errors.Is(err, fault.Unavailable):
			k.until = now.Add(leaseRetry)
		default:
			return nil, err
		}
	}
	if k.public == nil {
		return nil, fmt.Errorf("key %s: %w", i, ErrDestroyed)
	}
	if k.sender == nil {
		public, err := kem.NewPublicKey(k.public)
		if err != nil {
			return nil, errMessage
		}
		if k.sender, err = newSender(i, public); err != nil {
			return nil, err
		}
	}
	return k.sender, nil
}

// fetch asks for the keys of an hour and the ones after it, with t.mu held. It
// lets go of earlier hours, and with them of the keys that seal for them.
func (r remoteGateway) fetch(ctx context.Context, t *tenantKeys, i id, now time.Time) error {
	message := appendInt(appendTime(appendField(nil, i.name), i.start()), hoursAhead)
	all, err := r.open().several(ctx, "raw-keys", message, hoursAhead)
	if err != nil {
		return err
	}
	for n, public := range all {
		hour := i.period + int64(n)
		k := t.hours[hour]
		if k == nil || !slices.Equal(k.public, public) {
			k = &publicKey{}
			if len(public) > 0 {
				k.public = public
			}
			t.hours[hour] = k
		}
		k.until = now.Add(publicLease)
	}
	maps.DeleteFunc(t.hours, func(hour int64, _ *publicKey) bool { return hour < i.period-hoursAhead })
	return nil
}

func (r remoteGateway) EventIDs(ctx context.Context, tenant, service string, clientIDs []string) ([][16]byte, error) {
	message := appendField(appendField(nil, tenant), service)
	for _, c := range clientIDs {
		message = appendField(message, c)
	}
	all, err := r.open().several(ctx, "event-ids", message, len(clientIDs))
	if err != nil {
		return nil, err
	}
	ids := make([][16]byte, len(all))
	for n, b := range all {
		if len(b) != 16 {
			return nil, errMessage
		}
		ids[n] = [16]byte(b)
	}
	return ids, nil
}

func (r remoteGateway) MessageID(ctx context.Context, tenant string, parts ...[]byte) (string, error) {
	message := appendField(nil, tenant)
	for _, p := range parts {
		message = appendField(message, p)
	}
	b, err := r.open().one(ctx, "message-id", message)
	return string(b), err
}
