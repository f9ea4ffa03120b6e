package keyring

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A verb is one thing a remote caller can ask for: its name, the powers that
// have it, and the deed. Every answer is a sequence of fields.
type verb struct {
	name   string
	powers []Power
	do     func(ctx context.Context, k *Keyring, as Power, in *fields) ([]byte, error)
}

// verbs is the whole of what can be asked from outside. A caller whose power
// is not in the row is refused before the message is read.
var verbs = []verb{
	{"raw-keys", []Power{PowerGateway}, doRawKeys},
	{"event-ids", []Power{PowerGateway}, doEventIDs},
	{"message-id", []Power{PowerGateway}, doMessageID},

	{"open-raw", []Power{PowerPseudonymizer, PowerRights}, doOpenRaw},
	{"open-quarantine", []Power{PowerPseudonymizer, PowerRights}, doOpenQuarantine},
	{"seal-quarantine", []Power{PowerPseudonymizer, PowerRights}, doSealQuarantine},
	{"seal-clean", []Power{PowerPseudonymizer, PowerRights, PowerHold, PowerCells}, doSealClean},
	{"tokens", []Power{PowerPseudonymizer, PowerRights}, doTokens},

	{"open-clean", []Power{PowerLoader, PowerRights, PowerHold}, doOpenClean},

	{"destroy-raw", []Power{PowerRetention}, doDestroyRaw},
	{"destroy-quarantine", []Power{PowerRetention}, doDestroyQuarantine},
	{"destroy-clean", []Power{PowerRetention}, doDestroyClean},
	{"destroy-epoch", []Power{PowerRetention}, doDestroyEpoch},
	{"list", []Power{PowerRetention}, doList},
	{"live", []Power{PowerRetention}, doLive},
}

func findVerb(name string) (verb, bool) {
	n := slices.IndexFunc(verbs, func(v verb) bool { return v.name == name })
	if n < 0 {
		return verb{}, false
	}
	return verbs[n], true
}

func (v verb) grantedTo(p Power) bool { return slices.Contains(v.powers, p) }

func doRawKeys(ctx context.Context, k *Keyring, _ Power, in *fields) ([]byte, error) {
	tenant, from, hours := in.string(), in.time(), in.int()
	if err := in.done(); err != nil {
		return nil, err
	}
	if hours < 1 || hours > maxHours {
		return nil, errMessage
	}
	public, err := k.open().rawKeys(ctx, tenant, from, int(hours))
	return appendAll(public, err)
}

func doEventIDs(ctx context.Context, k *Keyring, _ Power, in *fields) ([]byte, error) {
	tenant, service := in.string(), in.string()
	var clientIDs []string
	for _, b := range in.rest() {
		clientIDs = append(clientIDs, string(b))
	}
	if err := in.done(); err != nil {
		return nil, err
	}
	ids, err := k.Gateway().EventIDs(ctx, tenant, service, clientIDs)
	var out []byte
	for _, i := range ids {
		out = appendField(out, i[:])
	}
	return out, err
}

func doMessageID(ctx context.Context, k *Keyring, _ Power, in *fields) ([]byte, error) {
	tenant, parts := in.string(), in.rest()
	if err := in.done(); err != nil {
		return nil, err
	}
	messageID, err := k.Gateway().MessageID(ctx, tenant, parts...)
	return appendOne([]byte(messageID), err)
}

// treater is what the pseudonymizer and the rights power have in common. The
// rights power records each use.
type treater interface {
	OpenRaw(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error)
	OpenQuarantine(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error)
	SealQuarantine(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error)
	SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error)
}

func (k *Keyring) treater(as Power) treater {
	if as == PowerPseudonymizer {
		return k.Pseudonymizer()
	}
	return k.Rights()
}

func doOpenRaw(ctx context.Context, k *Keyring, as Power, in *fields) ([]byte, error) {
	tenant, aad, sealed := in.string(), in.bytes(), in.bytes()
	if err := in.done(); err != nil {
		return nil, err
	}
	return appendOne(k.treater(as).OpenRaw(ctx, tenant, aad, sealed))
}

func doOpenQuarantine(ctx context.Context, k *Keyring, as Power, in *fields) ([]byte, error) {
	tenant, aad, sealed := in.string(), in.bytes(), in.bytes()
	if err := in.done(); err != nil {
		return nil, err
	}
	return appendOne(k.treater(as).OpenQuarantine(ctx, tenant, aad, sealed))
}

func doSealQuarantine(ctx context.Context, k *Keyring, as Power, in *fields) ([]byte, error) {
	tenant, at, aad, plain := in.string(), in.time(), in.bytes(), in.bytes()
	if err := in.done(); err != nil {
		return nil, err
	}
	return appendOne(k.treater(as).SealQuarantine(ctx, tenant, at, aad, plain))
}

func doSealClean(ctx context.Context, k *Keyring, as Power, in *fields) ([]byte, error) {
	tenant, class, day, aad, plain := in.string(), in.string(), in.string(), in.bytes(), in.bytes()
	if err := in.done(); err != nil {
		return nil, err
	}
	switch as {
	case PowerHold:
		return appendOne(k.Hold().SealClean(ctx, tenant, class, day, aad, plain))
	case PowerCells:
		return appendOne(k.Cells().SealClean(ctx, tenant, class, day, aad, plain))
	}
	return appendOne(k.treater(as).SealClean(ctx, tenant, class, day, aad, plain))
}

// doTokens reads the number of keys, the keys, and the parts of the value. Its
// answer has one field for each key, empty for one that was left out.
func doTokens(ctx context.Context, k *Keyring, as Power, in *fields) ([]byte, error) {
	n := in.int()
	if n < 0 || n > maxMessage {
		return nil, errMessage
	}
	var keys []TokenKey
	for range n {
		if !in.more() {
			return nil, errMessage
		}
		keys = append(keys, TokenKey{in.string(), in.string(), in.string(), in.string(), in.int()})
	}
	var parts []string
	for _, b := range in.rest() {
		parts = append(parts, string(b))
	}
	if err := in.done(); err != nil {
		return nil, err
	}
	tokens, err := map[TokenKey][TokenSize]byte(nil), error(nil)
	if as == PowerPseudonymizer {
		tokens, err = k.open().tokens(ctx, keys, parts)
	} else {
		tokens, err = k.Rights().Tokens(ctx, keys, parts...)
	}
	var out []byte
	for _, tk := range keys {
		if token, ok := tokens[tk]; ok {
			out = appendField(out, token[:])
		} else {
			out = appendField(out, "")
		}
	}
	return out, err
}

func doOpenClean(ctx context.Context, k *Keyring, as Power, in *fields) ([]byte, error) {
	tenant, class, day, frames := in.string(), in.string(), in.string(), in.rest()
	if err := in.done(); err != nil {
		return nil, err
	}
	if len(frames)%2 != 0 {
		return nil, errMessage
	}
	var aads, sealed [][]byte
	for n := 0; n < len(frames); n += 2 {
		aads, sealed = append(aads, frames[n]), append(sealed, frames[n+1])
	}
	if as == PowerLoader {
		return appendAll(k.Loader().OpenCleanMany(ctx, tenant, class, day, aads, sealed))
	}
	if len(sealed) != 1 {
		return nil, errMessage
	}
	if as == PowerHold {
		return appendOne(k.Hold().OpenClean(ctx, tenant, class, day, aads[0], sealed[0]))
	}
	return appendOne(k.Rights().OpenClean(ctx, tenant, class, day, aads[0], sealed[0]))
}

func doDestroyRaw(ctx context.Context, k *Keyring, _ Power, in *fields) ([]byte, error) {
	tenant, hour := in.string(), in.time()
	if err := in.done(); err != nil {
		return nil, err
	}
	return nil, k.Retention().DestroyRaw(ctx, tenant, hour)
}

func doDestroyQuarantine(ctx context.Context, k *Keyring, _ Power, in *fields) ([]byte, error) {
	tenant, day := in.string(), in.string()
	if err := in.done(); err != nil {
		return nil, err
	}
	return nil, k.Retention().DestroyQuarantine(ctx, tenant, day)
}

func doDestroyClean(ctx context.Context, k *Keyring, _ Power, in *fields) ([]byte, error) {
	class, day := in.string(), in.string()
	if err := in.done(); err != nil {
		return nil, err
	}
	return nil, k.Retention().DestroyClean(ctx, class, day)
}

func doDestroyEpoch(ctx context.Context, k *Keyring, _ Power, in *fields) ([]byte, error) {
	domain, epoch := in.string(), in.int()
	if err := in.done(); err != nil {
		return nil, err
	}
	return nil, k.Retention().DestroyEpoch(ctx, domain, epoch)
}

func doList(ctx context.Context, k *Keyring, _ Power, in *fields) ([]byte, error) {
	if err := in.done(); err != nil {
		return nil, err
	}
	return listing(k.Retention().List(ctx))
}

func doLive(ctx context.Context, k *Keyring, _ Power, in *fields) ([]byte, error) {
	if err := in.done(); err != nil {
		return nil, err
	}
	return listing(k.Retention().Live(ctx))
}

func listing(infos []KeyInfo, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(infos)
	if err != nil {
		return nil, fault.Corrupt.Errorf("listing the keys: %w", err)
	}
	return appendOne(b, nil)
}

func appendOne(b []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return appendField(nil, b), nil
}

func appendAll(all [][]byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	size := 0
	for _, b := range all {
		size += len(b) + 10
	}
	out := make([]byte, 0, size)
	for _, b := range all {
		out = appendField(out, b)
	}
	return out, nil
}
