package keyring

import (
	"context"
	"fmt"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func (p loaderPower) OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error) {
	k, err := p.open().cleanKey(ctx, tenant, class, day)
	if err != nil {
		return nil, err
	}
	return k.openClean(tenant, aad, sealed)
}

func (p loaderPower) OpenCleanMany(ctx context.Context, tenant, class, day string, aads, sealed [][]byte) ([][]byte, error) {
	if len(aads) != len(sealed) {
		return nil, fault.Invalid.Errorf("as many headers as frames are needed")
	}
	k, err := p.open().cleanKey(ctx, tenant, class, day)
	if err != nil {
		return nil, err
	}
	plain := make([][]byte, len(sealed))
	for n := range sealed {
		if plain[n], err = k.openClean(tenant, aads[n], sealed[n]); err != nil {
			return nil, fmt.Errorf("opening frame %d of %d: %w", n+1, len(sealed), err)
		}
	}
	return plain, nil
}

// cleanKey returns a clean key that exists.
func (r *ring) cleanKey(ctx context.Context, tenant, class, day string) (*key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkName("tenant", tenant); err != nil {
		return nil, err
	}
	i, err := cleanID(class, day)
	if err != nil {
		return nil, err
	}
	return r.find(i)
}
