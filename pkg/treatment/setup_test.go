package treatment_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/treatment"
	"github.com/lethe-pipeline/lethe/schemas"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func builtIn(t testing.TB) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// keys makes tokens as the keyring does: an HMAC under a key of its own for
// every TokenKey.
type keys struct {
	secret    string
	destroyed map[int64]bool // epochs
	down      error
	asked     []treatment.TokenKey
}

var errDestroyed = fault.NotFound.Errorf("the key was destroyed")

func (k *keys) Token(key treatment.TokenKey, parts []string) (token [event.TokenSize]byte, err error) {
	k.asked = append(k.asked, key)
	if k.down != nil {
		return token, k.down
	}
	if k.destroyed[key.Epoch] {
		return token, errDestroyed
	}
	mac := hmac.New(sha256.New, fmt.Appendf(nil, "%s%q%d%q%q%q", k.secret, key.Domain, key.Epoch, key.Tenant, key.Service, key.Kind))
	for _, p := range parts {
		_ = binary.Write(mac, binary.BigEndian, uint32(len(p)))
		mac.Write([]byte(p))
	}
	copy(token[:], mac.Sum(nil))
	return token, nil
}

func header(name string) event.RawHeader {
	return event.RawHeader{Tenant: "acme", Service: "shop", Event: name, Version: 1}
}

// raw makes an event of named values.
func raw(occurred time.Time, identified bool, fields map[string]event.Value) event.Raw {
	c := event.Contents{
		ID:         event.NewID(occurred, [16]byte{1, 2, 3}),
		OccurredAt: occurred, ReceivedAt: occurred, Identified: identified,
	}
	for name, v := range fields {
		c.Fields = append(c.Fields, name)
		c.Values = append(c.Values, v)
	}
	return event.NewRaw(c)
}

func str(s string) event.Value { return event.StringValue(s) }

// apply treats one event and fails the test when it is rejected.
func apply(t testing.TB, tr *treatment.Treatment, h event.RawHeader, r event.Raw, k *keys) map[string]*event.Row {
	t.Helper()
	rows, rejected, err := tr.Apply(h, []event.Raw{r}, now, k)
	if err != nil || len(rejected) > 0 {
		t.Fatalf("treating: %v, rejected %+v", err, rejected)
	}
	out := map[string]*event.Row{}
	for _, c := range rows {
		out[c.Row().Table] = c.Row()
	}
	return out
}

// column finds a value of a row by the name of its column.
func column(t testing.TB, pol *policy.Policy, row *event.Row, name string) event.Value {
	t.Helper()
	if row == nil {
		t.Fatalf("no row to read %s from", name)
	}
	table, ok := pol.Table(row.Table)
	if !ok {
		t.Fatalf("no table %s", row.Table)
	}
	for i, c := range table.Columns {
		if c.Name == name {
			return row.Values[i]
		}
	}
	t.Fatalf("no column %s in %s", name, row.Table)
	return event.Value{}
}

// shows says whether anything in a row shows three characters in a row of an
// identifier.
func shows(row *event.Row, identifier string) bool {
	for _, v := range row.Values {
		if v.Kind() == event.String && survives(identifier, v.Str()) {
			return true
		}
		if v.Kind() == event.Token && strings.Contains(v.Token(), identifier) {
			return true
		}
	}
	return false
}

var errDown = fault.Unavailable.Errorf("the keyring does not answer")

func isDown(err error) bool { return errors.Is(err, fault.Unavailable) }
