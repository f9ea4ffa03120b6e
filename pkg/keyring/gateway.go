package keyring

import (
	"context"
	"encoding/base32"
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// maxHours bounds how many raw keys one call makes.
const maxHours = 48

func (p gatewayPower) SealRaw(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error) {
	i, err := rawID(tenant, at)
	if err != nil {
		return nil, err
	}
	k, err := p.open().ensure(ctx, i)
	if err != nil {
		return nil, err
	}
	return k.sealPair(aad, plain)
}

func (p gatewayPower) EventIDs(ctx context.Context, tenant, service string, clientIDs []string) ([][16]byte, error) {
	if err := checkName("tenant", tenant); err != nil {
		return nil, err
	}
	if err := checkName("service", service); err != nil {
		return nil, err
	}
	k, err := p.open().ensure(ctx, eventIDKey)
	if err != nil {
		return nil, err
	}
	pool, err := k.mac("lethe/event-id-key/v1", tenant, service)
	if err != nil {
		return nil, err
	}
	ids := make([][16]byte, len(clientIDs))
	var msg []byte
	for n, clientID := range clientIDs {
		if clientID == "" {
			return nil, fault.Invalid.Errorf("event %d: id is empty", n)
		}
		msg = appendFramed(msg[:0], "lethe/event-id/v1")
		msg = appendFramed(msg, clientID)
		full := sum(pool, msg)
		ids[n] = [16]byte(full[:16])
	}
	return ids, nil
}

var messageIDs = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func (p gatewayPower) MessageID(ctx context.Context, tenant string, parts ...[]byte) (string, error) {
	if err := checkName("tenant", tenant); err != nil {
		return "", err
	}
	k, err := p.open().ensure(ctx, eventIDKey)
	if err != nil {
		return "", err
	}
	pool, err := k.mac("lethe/message-id-key/v1", tenant)
	if err != nil {
		return "", err
	}
	msg := appendFramed(nil, "lethe/message-id/v1")
	for _, part := range parts {
		msg = appendFramed(msg, part)
	}
	full := sum(pool, msg)
	return messageIDs.EncodeToString(full[:20]), nil
}

// rawKeys makes the raw keys of consecutive hours that were never made, and
// returns the public half of each. The place of a destroyed one is empty.
func (r *ring) rawKeys(ctx context.Context, tenant string, from time.Time, hours int) ([][]byte, error) {
	if hours < 1 || hours > maxHours {
		return nil, fault.Invalid.Errorf("raw keys are asked for 1 to %d hours at a time", maxHours)
	}
	ids := make([]id, hours)
	for n := range ids {
		i, err := rawID(tenant, from.Add(time.Duration(n)*time.Hour))
		if err != nil {
			return nil, err
		}
		ids[n] = i
	}
	if err := r.make(ctx, ids...); err != nil {
		return nil, err
	}
	public := make([][]byte, hours)
	for n, i := range ids {
		k, err := r.find(i)
		if err == nil {
			public[n], err = k.public()
		}
		if err != nil && !errors.Is(err, ErrDestroyed) {
			return nil, err
		}
	}
	return public, nil
}
