package stats_test

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// The policy of these tests. Its key epochs meet at edge, in the middle of
// what the tests store.
var edge = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const k = 5

var documents = fstest.MapFS{
	"shop/visit.v1.json": {Data: []byte(`{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:lethe:event:visit:v1",
  "title": "Visit", "description": "Somebody came by.", "type": "object",
  "x-lethe": {"event": "visit", "version": 1},
  "properties": {
    "user": {"type": "string", "maxLength": 64, "description": "Who came.",
      "x-lethe": {"category": "user.account.username", "class": "identifier", "identifier": "account"}},
    "action": {"type": "string", "enum": ["come", "go"], "description": "What they did.",
      "x-lethe": {"category": "user.behavior", "class": "plain"}},
    "status": {"type": "integer", "minimum": -10, "maximum": 599, "description": "How it went.",
      "x-lethe": {"category": "system.operations", "class": "plain"}},
    "code": {"type": "integer", "minimum": 0, "maximum": 9, "description": "A number, perhaps.",
      "x-lethe": {"category": "system.operations", "class": "plain"}},
    "secure": {"type": "boolean", "description": "Whether nobody listened.",
      "x-lethe": {"category": "system.operations", "class": "plain"}},
    "path": {"type": "string", "maxLength": 200, "description": "Where to.",
      "x-lethe": {"category": "user.behavior.browsing_history", "class": "free_text"}}
  },
  "required": ["action", "status"],
  "additionalProperties": false,
  "examples": [{"user": "ada@example.org", "action": "come", "status": 200, "path": "/"}]
}`)},
	"shop.yaml": {Data: []byte(`pipeline: shop
title: Shop
purpose: Count visits.
legal_basis: Legitimate interest
domain: shop
subjects: [visitors]
recipients: [analysts]
description: For tests.
epochs: {length: 64 days, anchor: "2026-03-01T12:00:00Z"}
events:
  visit:
    tables:
      visit:
        class: visits
        fields:
          user: {token: visitor, subject: true}
          action: keep
          status: keep
          code: keep
          secure: keep
          path: {redact: path}
metrics:
  visits:
    title: Visits
    description: Visits there were.
    table: visit
    value: count
    subject: visitor
    k: 5
    dimensions: [hour, day, week, month, service, action, status, code, secure, path]
  arrivals:
    title: Arrivals
    description: Visits that were arrivals.
    table: visit
    value: count
    subject: visitor
    k: 5
    where: {action: [come]}
    dimensions: [hour, day, week, month, service, action, status, code, secure, path]
  visitors:
    title: Visitors
    description: Different people who came by.
    table: visit
    value: distinct
    subject: visitor
    k: 5
    dimensions: [hour, day, week, month, service, action, status, code, secure, path]
  present:
    title: Present
    description: People whose latest visit is an arrival.
    table: visit
    value: current
    subject: visitor
    k: 5
    where: {action: [come]}
    dimensions: [hour, day, week, month, service, action, status, code, secure, path]
  load:
    title: Load
    description: Visits, of whomever.
    table: visit
    value: count
    public: true
    dimensions: [day, service, status]
`)},
	"retention.yaml": {Data: []byte(`classes:
  visits:
    cluster: visits
    description: Visits to the shop.
    period: 30 days
    starts: event
    governs: events
    promises: [P4]
`)},
}

// lab is a warehouse with an analyst before it.
type lab struct {
	t       testing.TB
	pol     *policy.Policy
	table   *policy.Table
	admin   *warehouse.Warehouse
	analyst *warehouse.Warehouse
	engine  *embedded.Engine
	store   *access.Store
	gate    *access.Gate
	stats   *stats.Stats
	mux     *http.ServeMux
	seq     uint64
	logins  map[string]access.Credential // by tenant and role
}

var tenants atomic.Int64

func newLab(t testing.TB) *lab {
	t.Helper()
	pol, unruled := compiled(t), compiled(t)
	// The barrier of a rule so long that nothing which the tests store is past
	// it. What has expired says so itself.
	for _, c := range unruled.Classes() {
		c.Period = policy.Period{Days: 10_000}
	}
	l := newLabOf(t, pol, unruled)
	l.table, _ = pol.Table("visit")
	return l
}

func compiled(t testing.TB) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(documents)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// newLabOf makes a lab with another policy, and the engine's users by a policy
// of the same tables.
func newLabOf(t testing.TB, pol, users *policy.Policy) *lab {
	t.Helper()
	l := &lab{t: t, pol: pol, mux: http.NewServeMux(), logins: map[string]access.Credential{}}
	var err error

	l.engine = lethetest.Engine(t, lethetest.EngineUsers(users)...)
	open := func(user string) *warehouse.Warehouse {
		w, err := warehouse.Open(t.Context(), warehouse.Config{
			Addr: []string{"engine"}, Dial: l.engine.Dial, User: user, Password: lethetest.Password(user), Log: lethetest.Logger(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		return w
	}
	l.admin = open(lethetest.Overseer)
	if err := warehouse.Apply(t.Context(), l.admin, pol); err != nil {
		t.Fatal(err)
	}
	l.analyst = open(warehouse.UserAnalyst)
	if l.store, err = access.Open(filepath.Join(t.TempDir(), "credentials.json")); err != nil {
		t.Fatal(err)
	}
	l.gate = access.NewGate(l.store, lethetest.Logger(t))
	l.stats = l.newStats(pol)
	l.stats.Routes(l.mux)
	return l
}

func (l *lab) newStats(pol *policy.Policy) *stats.Stats {
	l.t.Helper()
	s, err := stats.New(stats.Config{
		Policy: pol, Warehouse: l.analyst, Gate: l.gate, Log: lethetest.Logger(l.t),
		Metrics: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// newTenant names a tenant that no other test has.
func newTenant() string { return fmt.Sprintf("t%d", tenants.Add(1)) }

func principal(tenant string, services ...string) access.Principal {
	return access.Principal{ID: "test", Role: access.Analyst, Tenant: tenant, Services: services}
}

// visit is an event as the world knows it. Person 0 asked not to be tracked.
type visit struct {
	service string
	person  int
	at      time.Time
	action  string
	status  int64
	code    *int64
	secure  *bool
	path    string
	seq     uint64 // given by store, in order
	expires time.Time
	domain  *policy.Domain // whose epochs the row is of; nil is the table's
	mark    int64          // what the row says of its epoch; zero is the truth
}

// put stores visits the way the flow does, tokens and all.
func (l *lab) put(t testing.TB, tenant string, visits []visit) {
	byDay := map[event.Day]*warehouse.Batch{}
	for i := range visits {
		v := &visits[i]
		l.seq++
		v.seq = l.seq
		if v.expires.IsZero() {
			v.expires = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		day := event.DayOf(v.expires)
		if byDay[day] == nil {
			byDay[day] = warehouse.NewBatch(l.table, day)
		}
		byDay[day].Append(warehouse.Source{Tenant: tenant, Service: v.service, Seq: v.seq, Columns: l.table.ColumnNames()},
			[]event.Row{l.row(*v)})
	}
	for _, b := range byDay {
		if err := l.admin.Insert(context.Background(), b, ""); err != nil {
			t.Error(err)
		}
	}
}

func (l *lab) row(v visit) event.Row {
	d := cmp.Or(v.domain, l.table.Domain)
	epoch := d.Epoch(v.at)
	r := event.Row{
		Table: l.table.Name, ID: event.NewID(v.at, event.RandomPayload()), OccurredAt: v.at,
		ExpiresAt: v.expires, Epoch: cmp.Or(v.mark, d.Mark(epoch)),
	}
	for _, c := range l.table.Columns {
		var value event.Value
		switch c.Name {
		case "visitor":
			if v.person != 0 {
				value = event.TokenValue(token(v.service, d.Mark(epoch), v.person))
			}
		case "visitor_prev":
			if v.person != 0 && d.Bridged(v.at) {
				value = event.TokenValue(token(v.service, d.Mark(d.Previous(epoch)), v.person))
			}
		case "action":
			value = event.StringValue(v.action)
		case "status":
			value = event.IntValue(v.status)
		case "code":
			if v.code != nil {
				value = event.IntValue(*v.code)
			}
		case "secure":
			if v.secure != nil {
				value = event.BoolValue(*v.secure)
			}
		case "path":
			value = event.StringValue(v.path)
		default:
			l.t.Fatalf("the table has a column %s that the tests do not fill", c.Name)
		}
		r.Values = append(r.Values, value)
	}
	return r
}

// token is a pseudonym with a key per service and epoch of a domain.
func token(service string, epoch int64, person int) (out [event.TokenSize]byte) {
	mac := hmac.New(sha256.New, binary.BigEndian.AppendUint64([]byte(service+"/"), uint64(epoch)))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(person)))
	copy(out[:], mac.Sum(nil))
	return out
}
