package keyring

import (
	"context"
	"time"
)

// A Power is the set of verbs that one sort of caller has.
type Power string

const (
	// PowerGateway is [Gateway].
	PowerGateway Power = "gateway"
	// PowerPseudonymizer is [Pseudonymizer].
	PowerPseudonymizer Power = "pseudonymizer"
	// PowerLoader is [Loader].
	PowerLoader Power = "loader"
	// PowerRetention is [Retention].
	PowerRetention Power = "retention"
	// PowerRights is [Rights].
	PowerRights Power = "rights"
	// PowerHold is [Hold].
	PowerHold Power = "hold"
	// PowerCells is [Cells].
	PowerCells Power = "cells"
)

// Powers lists every power.
func Powers() []Power {
	return []Power{PowerGateway, PowerPseudonymizer, PowerLoader, PowerRetention, PowerRights, PowerHold, PowerCells}
}

// Gateway can seal and name, and can open nothing.
//
// A name (tenant, class, domain) is 1 to 64 bytes of printable text. Anything
// else is [fault.Invalid]. This holds for every power.
type Gateway interface {
	// SealRaw seals plain under the raw key of the tenant and the UTC hour of
	// at, together with aad, which must be given again to open it and is not
	// part of the result. It encapsulates once per tenant and hour (HPKE, RFC
	// 9180), and holds no key that opens what another process sealed. An hour
	// whose key was destroyed is [ErrDestroyed].
	SealRaw(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error)

	// EventIDs returns, for each of a publisher's own ids, 16 bytes that are
	// the same whenever the same tenant and service send that id, and that
	// say nothing about it. An empty id is [fault.Invalid]: all events
	// without an id would be one event.
	EventIDs(ctx context.Context, tenant, service string, clientIDs []string) ([][16]byte, error)

	// MessageID returns 32 lower-case letters and digits that stand for parts
	// within a tenant: a message id that shows no one's idempotency key or
	// credential. ("ab", "c") and ("a", "bc") are different parts.
	MessageID(ctx context.Context, tenant string, parts ...[]byte) (string, error)
}

// Pseudonymizer can open raw frames, make tokens, and seal what comes of them.
// Its tokens come from a [Tokenizer], which lives in the keyring's process.
type Pseudonymizer interface {
	// OpenRaw opens what [Gateway.SealRaw] sealed for the tenant with the
	// same aad. A frame that was changed, or is another tenant's, is
	// [fault.Corrupt]; a destroyed hour is [ErrDestroyed].
	OpenRaw(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error)

	// Tokenizer returns a maker of tokens, making the epoch's key if this is
	// its first use. A destroyed epoch is [ErrDestroyed].
	Tokenizer(ctx context.Context, k TokenKey) (*Tokenizer, error)

	// SealClean seals plain, together with aad, under the key of the deletion
	// class and the UTC expiry day, written YYYY-MM-DD. A day whose key was
	// destroyed is [ErrDestroyed].
	SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error)

	// SealQuarantine seals plain, together with aad, under the tenant's
	// quarantine key of the UTC day of at.
	SealQuarantine(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error)

	// OpenQuarantine opens what SealQuarantine sealed, for a redrive.
	OpenQuarantine(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error)
}

// Loader can open clean frames. It never makes a key.
type Loader interface {
	// OpenClean opens what SealClean sealed for the tenant, class and day
	// with the same aad. A changed frame is [fault.Corrupt], a destroyed day
	// [ErrDestroyed], a day that never had a key [fault.NotFound].
	OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error)

	// OpenCleanMany opens many frames of one tenant, class and day. It opens
	// all or returns the error of the first that does not open. aads and
	// sealed are of one length.
	OpenCleanMany(ctx context.Context, tenant, class, day string, aads, sealed [][]byte) ([][]byte, error)
}

// Retention can destroy keys and list them. It can open and seal nothing.
//
// A destroyed key is never made again. Destroying a key that was never made
// bars it from being made. Destroying twice is no error, and finishes what a
// failed attempt left undone.
type Retention interface {
	// DestroyRaw destroys the tenant's raw key of the UTC hour that holds the
	// instant.
	DestroyRaw(ctx context.Context, tenant string, hour time.Time) error
	// DestroyQuarantine destroys the tenant's quarantine key of a UTC day,
	// YYYY-MM-DD.
	DestroyQuarantine(ctx context.Context, tenant, day string) error
	// DestroyClean destroys the key of a deletion class and expiry day,
	// YYYY-MM-DD, for every tenant.
	DestroyClean(ctx context.Context, class, day string) error
	// DestroyEpoch destroys the key of a domain's epoch. Its tokens are
	// random numbers from then on.
	DestroyEpoch(ctx context.Context, domain string, epoch int64) error
	// List describes every key, live and destroyed, in the order of their
	// names. It reads a file for each that was destroyed, ever.
	List(ctx context.Context) ([]KeyInfo, error)
	// Live describes the keys that live, in the order of their names.
	Live(ctx context.Context) ([]KeyInfo, error)
}

// Rights is what answering a person's request takes. Every use of it goes on
// record first (see [Config.Record]), and look-ups are limited.
type Rights interface {
	// Tokens returns the token of one value (parts, as given to
	// [Tokenizer.Token]) under each of keys. A key whose epoch was destroyed
	// or never used is left out: no row can bear its token. One call is one
	// look-up; more than [Config.LookupsPerMinute] are [fault.Exhausted].
	Tokens(ctx context.Context, keys []TokenKey, parts ...string) (map[TokenKey][TokenSize]byte, error)

	// OpenRaw is as of [Pseudonymizer].
	OpenRaw(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error)
	// OpenQuarantine is as of [Pseudonymizer].
	OpenQuarantine(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error)
	// SealQuarantine is as of [Pseudonymizer].
	SealQuarantine(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error)
	// OpenClean is as of [Loader].
	OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error)
	// SealClean is as of [Pseudonymizer].
	SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error)
}

// Hold is what copying for a legal hold takes. Each key that it uses goes on
// record first, once an hour (see [Config.Record]).
type Hold interface {
	// OpenClean is as of [Loader].
	OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error)
	// SealClean is as of [Pseudonymizer], for classes that begin with
	// [HoldPrefix]; others are [fault.Denied].
	SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error)
}

// Cells is what publishing numbers takes. It can open nothing.
type Cells interface {
	// SealClean is as of [Pseudonymizer], for the class [CellClass] and the
	// day [CellDay]; others are [fault.Denied].
	SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error)
}

// The powers in the keyring's own process. Each is a type of its own, so that
// no type assertion turns one into another.
type (
	gatewayPower       struct{ hidden[*ring] }
	pseudonymizerPower struct{ hidden[*ring] }
	loaderPower        struct{ hidden[*ring] }
	retentionPower     struct{ hidden[*ring] }
	rightsPower        struct{ hidden[*ring] }
	holdPower          struct{ hidden[*ring] }
	cellsPower         struct{ hidden[*ring] }
)

// Gateway returns the power to seal raw frames and to name events.
func (k *Keyring) Gateway() Gateway { return gatewayPower{k.hidden} }

// Pseudonymizer returns the power to open raw frames and make tokens.
func (k *Keyring) Pseudonymizer() Pseudonymizer { return pseudonymizerPower{k.hidden} }

// Loader returns the power to open clean frames.
func (k *Keyring) Loader() Loader { return loaderPower{k.hidden} }

// Retention returns the power to destroy keys.
func (k *Keyring) Retention() Retention { return retentionPower{k.hidden} }

// Rights returns the power to answer a person's request.
func (k *Keyring) Rights() Rights { return rightsPower{k.hidden} }

// Hold returns the power to copy what a legal hold covers.
func (k *Keyring) Hold() Hold { return holdPower{k.hidden} }

// Cells returns the power to publish numbers.
func (k *Keyring) Cells() Cells { return cellsPower{k.hidden} }
