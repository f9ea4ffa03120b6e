package keyring

import (
	"context"
	"errors"
	"time"
)

func (p pseudonymizerPower) OpenRaw(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error) {
	return p.open().openSealed(ctx, KindRaw, tenant, aad, sealed)
}

func (p pseudonymizerPower) OpenQuarantine(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error) {
	return p.open().openSealed(ctx, KindQuarantine, tenant, aad, sealed)
}

func (p pseudonymizerPower) SealQuarantine(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error) {
	i, err := quarantineID(tenant, at)
	if err != nil {
		return nil, err
	}
	k, err := p.open().ensure(ctx, i)
	if err != nil {
		return nil, err
	}
	return k.sealPair(aad, plain)
}

func (p pseudonymizerPower) SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error) {
	if err := checkName("tenant", tenant); err != nil {
		return nil, err
	}
	i, err := cleanID(class, day)
	if err != nil {
		return nil, err
	}
	k, err := p.open().ensure(ctx, i)
	if err != nil {
		return nil, err
	}
	return k.sealClean(tenant, aad, plain)
}

func (p pseudonymizerPower) Tokenizer(ctx context.Context, tk TokenKey) (*Tokenizer, error) {
	i, err := tk.id()
	if err != nil {
		return nil, err
	}
	k, err := p.open().ensure(ctx, i)
	if err != nil {
		return nil, err
	}
	return k.tokenizer(tk)
}

// openSealed opens a frame that was sealed to a key pair. The frame names its
// hour or day. A frame that names a key which was never made cannot have been
// sealed by anyone, so it is as corrupt as one that fails its check.
func (r *ring) openSealed(ctx context.Context, kind Kind, tenant string, aad, sealed []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkName("tenant", tenant); err != nil {
		return nil, err
	}
	period, err := sealedPeriod(kind, sealed)
	if err != nil {
		return nil, err
	}
	k, err := r.find(id{kind, tenant, period})
	if errors.Is(err, errAbsent) {
		return nil, errSealed(kind)
	}
	if err != nil {
		return nil, err
	}
	return k.openPair(aad, sealed)
}
