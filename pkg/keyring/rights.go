package keyring

import (
	"context"
	"errors"
	"time"
)

func (p rightsPower) Tokens(ctx context.Context, keys []TokenKey, parts ...string) (map[TokenKey][TokenSize]byte, error) {
	r := p.open()
	if err := r.lookups.allow(r.now()); err != nil {
		return nil, err
	}
	if err := r.recordUse(ctx, PowerRights, "tokens", ""); err != nil {
		return nil, err
	}
	return r.tokens(ctx, keys, parts)
}

// tokens makes no key: a token under a key that was never used is the token of
// no row.
func (r *ring) tokens(ctx context.Context, keys []TokenKey, parts []string) (map[TokenKey][TokenSize]byte, error) {
	tokens := make(map[TokenKey][TokenSize]byte, len(keys))
	for _, tk := range keys {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		i, err := tk.id()
		if err != nil {
			return nil, err
		}
		var t *Tokenizer
		k, err := r.find(i)
		if err == nil {
			t, err = k.tokenizer(tk)
		}
		if errors.Is(err, errAbsent) || errors.Is(err, ErrDestroyed) {
			continue
		}
		if err != nil {
			return nil, err
		}
		token := t.Token(parts...)
		// Asked after the token was made: a key destroyed in between made a
		// random one.
		if err := t.Live(); errors.Is(err, ErrDestroyed) {
			continue
		} else if err != nil {
			return nil, err
		}
		tokens[tk] = token
	}
	return tokens, nil
}

func (p rightsPower) OpenRaw(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error) {
	if err := p.used(ctx, "open-raw", KindRaw, tenant, sealed); err != nil {
		return nil, err
	}
	return pseudonymizerPower(p).OpenRaw(ctx, tenant, aad, sealed)
}

func (p rightsPower) OpenQuarantine(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error) {
	if err := p.used(ctx, "open-quarantine", KindQuarantine, tenant, sealed); err != nil {
		return nil, err
	}
	return pseudonymizerPower(p).OpenQuarantine(ctx, tenant, aad, sealed)
}

// used records the opening of a frame under the name of the key it is sealed
// to.
func (p rightsPower) used(ctx context.Context, verb string, kind Kind, tenant string, sealed []byte) error {
	if err := checkName("tenant", tenant); err != nil {
		return err
	}
	period, err := sealedPeriod(kind, sealed)
	if err != nil {
		return err
	}
	return p.open().recordUse(ctx, PowerRights, verb, id{kind, tenant, period}.String())
}

func (p rightsPower) SealQuarantine(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error) {
	i, err := quarantineID(tenant, at)
	if err != nil {
		return nil, err
	}
	if err := p.open().recordUse(ctx, PowerRights, "seal-quarantine", i.String()); err != nil {
		return nil, err
	}
	return pseudonymizerPower(p).SealQuarantine(ctx, tenant, at, aad, plain)
}

func (p rightsPower) OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error) {
	i, err := cleanID(class, day)
	if err != nil {
		return nil, err
	}
	if err := p.open().recordUse(ctx, PowerRights, "open-clean", i.String()); err != nil {
		return nil, err
	}
	return loaderPower(p).OpenClean(ctx, tenant, class, day, aad, sealed)
}

func (p rightsPower) SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error) {
	i, err := cleanID(class, day)
	if err != nil {
		return nil, err
	}
	if err := p.open().recordUse(ctx, PowerRights, "seal-clean", i.String()); err != nil {
		return nil, err
	}
	return pseudonymizerPower(p).SealClean(ctx, tenant, class, day, aad, plain)
}
