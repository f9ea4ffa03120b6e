package keyring

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

func (p retentionPower) DestroyRaw(ctx context.Context, tenant string, hour time.Time) error {
	i, err := rawID(tenant, hour)
	if err != nil {
		return err
	}
	return p.open().destroy(ctx, i)
}

func (p retentionPower) DestroyQuarantine(ctx context.Context, tenant, day string) error {
	at, err := parseDay(day)
	if err != nil {
		return err
	}
	i, err := quarantineID(tenant, at)
	if err != nil {
		return err
	}
	return p.open().destroy(ctx, i)
}

func (p retentionPower) DestroyClean(ctx context.Context, class, day string) error {
	i, err := cleanID(class, day)
	if err != nil {
		return err
	}
	return p.open().destroy(ctx, i)
}

func (p retentionPower) DestroyEpoch(ctx context.Context, domain string, epoch int64) error {
	i, err := epochID(domain, epoch)
	if err != nil {
		return err
	}
	return p.open().destroy(ctx, i)
}

func (p retentionPower) List(ctx context.Context) ([]KeyInfo, error) {
	return p.open().list(ctx, false)
}

func (p retentionPower) Live(ctx context.Context) ([]KeyInfo, error) {
	return p.open().list(ctx, true)
}

// list reads the dates of the keys that are not in memory. It holds writing,
// so that no key is between its file and its tombstone while it looks.
func (r *ring) list(ctx context.Context, liveOnly bool) ([]KeyInfo, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	closed, states, keys := r.closed, maps.Clone(r.states), maps.Clone(r.keys)
	r.mu.RUnlock()
	if closed {
		return nil, errClosed
	}
	infos := make([]KeyInfo, 0, len(states))
	for i, live := range states {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if liveOnly && !live {
			continue
		}
		info := i.info()
		if k := keys[i]; k != nil {
			info.Created = k.created
			infos = append(infos, info)
			continue
		}
		path := r.store.tombstonePath(i)
		if live {
			path = r.store.keyPath(i)
		}
		rec, err := r.store.read(path, i)
		if err != nil {
			return nil, err
		}
		info.Created, info.Destroyed = rec.Created, rec.Destroyed
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b KeyInfo) int { return strings.Compare(a.ID, b.ID) })
	return infos, nil
}
