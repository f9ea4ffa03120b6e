package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// tenantNames are words that Lethe says of nothing else, long enough to be found
// by no chance.
var tenantNames = strings.Fields(`aurelia-mills borealis-lines cumulus-press dolomite-works ephemera-house fjordland-foods
	gossamer-threads halcyon-hotels isotherm-labs juniper-gardens kestrel-couriers lodestar-maps marigold-dairy nightingale-clinics
	obsidian-games palisade-insurance quicksilver-metals rhododendron-tea sycamore-schools tamarisk-trading`)

// TestTenantsNeverCross: P14. Twenty tenants, and the one of those who run the
// installation, publish the same bytes at the same time: equal services,
// people, machines, ids and moments. Then nobody's event is another's, no token
// of one is one of another's, nothing that one is told holds anything of
// another or depends on it, and nothing that one does touches another's.
func TestTenantsNeverCross(t *testing.T) {
	t.Parallel()
	h := tenantsUp(t)
	// What is counted comes first: numbers are published of it meanwhile.
	counted := []string{"activation", "http_access"}
	first := h.bodies(0, []string{"shop"}, counted...)
	h.together(func(tn *tenant) { h.publish(tn, first, "stored") })
	h.together(func(tn *tenant) { h.publish(tn, first, "duplicate") })
	h.together(h.publishOwn)
	h.r.Settle()
	h.hold()

	quiet, loud := h.all[:2], h.all[2:] // of whom the second publish on
	before := map[*tenant]*ear{}
	for i, tn := range quiet {
		before[tn] = h.look(tn, i == 0)
	}
	heard := h.look(loud[0], false)
	h.writes()
	more := h.bodies(1, []string{"shop"}, "http_access")
	h.together(func(tn *tenant) { h.publish(tn, more, "stored") }, loud...)
	h.r.Settle()
	for i, tn := range quiet {
		h.unchanged(tn, before[tn], h.look(tn, i == 0))
	}
	// The control: to those who published, it shows.
	if after := h.look(loud[0], false); len(differences(heard, after)) < 10 {
		t.Errorf("of what one hears who published more, only %d answers are others", len(differences(heard, after)))
	}
	h.together(func(tn *tenant) { h.holdsNothingOfOthers(tn, h.look(tn, false)) }, loud[1:4]...)
	h.controls(before[quiet[0]], before[quiet[1]])

	// The rest is published for its tokens: nobody waits for its numbers.
	rest := slices.DeleteFunc(h.bodies(0, tenantServices, h.kinds()...), func(b batch) bool { return b.service == "shop" && slices.Contains(counted, b.event) })
	h.together(func(tn *tenant) { h.publish(tn, rest, "stored") })
	h.idsApart(quiet)
	h.r.settle("pseudonymizer", "loader")
	h.r.Stop()
	h.rows(quiet)
	if len(h.crossed) > 0 {
		t.Errorf("%d of %d tries crossed from one tenant to another; the first: %s", len(h.crossed), h.tried, h.crossed[0])
	}
	if h.tried < 5_000 {
		t.Errorf("only %d tries", h.tried)
	}
}

// A tenant is whom it has, and what no other has.
type tenant struct {
	name string
	// own is a service of its own, and hold the id of a hold.
	own, hold string
	ids       map[access.Role]string // of its credentials
	texts     map[access.Role]string
	// ear hears what its publishers are told.
	ear *ear
	// nats is a publisher's connection, for the one tenant that has one.
	nats *nats.Conn
	// events are the ids of its events that receipts named.
	events map[string]bool
}

// tenants are all of a Lethe. The last are those who run the installation.
type tenants struct {
	t      *testing.T
	r      *running
	events []canaryEvent
	rules  []access.Route
	at     time.Time // when everything happened
	all    []*tenant

	sought func() *lethetest.Marks // [tenants.marks], once all is there

	// mu guards what was found.
	mu      sync.Mutex
	tried   int
	crossed []string
}

// try counts one try, and what crossed with it.
func (h *tenants) try(crossed bool, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried++
	if crossed {
		h.crossed = append(h.crossed, fmt.Sprintf(format, args...))
	}
}

// tenantsUp starts a Lethe whose operator gives four credentials to each of
// twenty tenants.
func tenantsUp(t *testing.T) *tenants {
	t.Helper()
	r, at := openDoors(t)
	h := &tenants{t: t, r: r, events: canaryEvents(t, policyOf(t, "")), rules: r.rules(), at: time.Now().UTC().Add(-time.Minute)}
	h.sought = sync.OnceValue(h.marks)
	for _, name := range tenantNames {
		tn := newTenant(r, name)
		for _, role := range access.Roles() {
			made := r.issue(string(encode(t, access.Request{Role: role, Tenant: name})))
			tn.ids[role], tn.texts[role] = made.ID, made.Credential
		}
		h.all = append(h.all, tn)
	}
	home := newTenant(r, assembly.DefaultTenant)
	for _, role := range access.Roles() {
		home.texts[role] = r.Credential(string(role))
		home.ids[role] = strings.Split(home.texts[role], "_")[2]
	}
	var err error
	if home.nats, err = logIn(at, assembly.NATSPublisher().Name, natsPassword); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(home.nats.Close)
	h.all = append(h.all, home)
	return h
}

// home are those who run the installation.
func (h *tenants) home() *tenant { return h.all[len(h.all)-1] }

func newTenant(r *running, name string) *tenant {
	return &tenant{
		name: name, own: "only-" + name, ids: map[access.Role]string{}, texts: map[access.Role]string{},
		ear: &ear{r: r}, events: map[string]bool{},
	}
}

// call is a request with one of the tenant's credentials.
func (tn *tenant) call(role access.Role, method, path string) call {
	return call{
		name: fmt.Sprintf("%s %s as %s", method, path, role), method: method, path: path,
		headers: []string{"Authorization", "Bearer " + tn.texts[role]},
	}
}

// together lets tenants do something at the same time, all of them where none
// is named.
func (h *tenants) together(do func(*tenant), some ...*tenant) {
	h.t.Helper()
	if len(some) == 0 {
		some = h.all
	}
	start := make(chan struct{})
	var wg sync.WaitGroup
	for _, tn := range some {
		wg.Go(func() {
			<-start
			do(tn)
		})
	}
	close(start)
	wg.Wait()
}

// tenantPeople are of how many people a tenant publishes at once: more than k,
// so that numbers about them are shown.
const tenantPeople = 14

// tenantServices are those that every tenant has.
var tenantServices = []string{"shop", "desk"}

// A batch is one body of events of one kind and service.
type batch struct {
	service, event string
	body           []byte
}

// bodies are what every tenant publishes: events that the policy knows, of the
// same people in every service, each under a client's id. The ids are the same
// in all services. Of the second part, the people are others and the day is the
// one before, of which nothing is published yet.
func (h *tenants) bodies(part int, services []string, kinds ...string) []batch {
	h.t.Helper()
	people := canaries((part + 1) * tenantPeople)[part*tenantPeople:]
	at := h.at.AddDate(0, 0, -part).Format(time.RFC3339Nano)
	var out []batch
	for _, service := range services {
		for _, ev := range h.events {
			if !slices.Contains(kinds, ev.name) {
				continue
			}
			var events [][]byte
			for _, c := range people {
				events = append(events, canaryBody(h.t, service, ev.name, fmt.Sprintf("order %d", c.n), at, ev.data(c)))
			}
			out = append(out, batch{service, ev.name, fmt.Appendf(nil, "[%s]", bytes.Join(events, []byte(",")))})
		}
	}
	if len(out) != len(services)*len(kinds) {
		h.t.Fatalf("the policy does not know every one of %v", kinds)
	}
	return out
}

// kinds are all events that the policy knows.
func (h *tenants) kinds() []string {
	var out []string
	for _, ev := range h.events {
		out = append(out, ev.name)
	}
	return out
}

type receipts struct {
	Receipts []struct{ ID, Status, Problem string }
}

// publish sends batches and checks what every receipt says: over NATS where the
// tenant speaks it.
func (h *tenants) publish(tn *tenant, batches []batch, want string) {
	for _, b := range batches {
		var answer receipts
		var err error
		if tn.nats != nil {
			var reply *nats.Msg
			if reply, err = tn.nats.Request("lethe.publish."+tn.name+"."+b.service+"."+b.event, b.body, time.Minute); err == nil {
				err = json.Unmarshal(reply.Data, &answer)
			}
		} else {
			answer, err = tn.post("/v1/events?service="+b.service, b.body)
		}
		if err != nil {
			h.t.Errorf("%s: %s of %s: %v", tn.name, b.event, b.service, err)
			continue
		}
		h.take(tn, answer, want)
	}
}

// take holds receipts to what they should be. An event that is there already is
// another tenant's, as it is the first time that this one sends it.
func (h *tenants) take(tn *tenant, answer receipts, want string) {
	for _, r := range answer.Receipts {
		h.try(want == "stored" && r.Status == "duplicate", "an event of %s is taken for another's", tn.name)
		if r.Status != want {
			h.t.Errorf("%s: an event is %s, want %s %s", tn.name, r.Status, want, r.Problem)
		}
		tn.events[r.ID] = true
	}
}

func (tn *tenant) post(path string, body []byte) (answer receipts, err error) {
	c := tn.call(access.Publisher, http.MethodPost, path)
	c.contentType, c.body = "application/json", body
	status, text, err := tn.ear.try(c)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err == nil && len(answer.Receipts) == 0 {
		err = errors.New("there is no receipt")
	}
	return answer, err
}

// publishOwn publishes what no other tenant has: a service, and in it a path
// that enough people asked for. One event waits in quarantine.
func (h *tenants) publishOwn(tn *tenant) {
	var events [][]byte
	for i := range tenantPeople {
		events = append(events, canaryBody(h.t, tn.own, "http_access", "", h.at.Format(time.RFC3339Nano), map[string]any{
			"client_ip": fmt.Sprintf("192.0.2.%d", i), "status": 200, "path": "/" + tn.own,
		}))
	}
	events = append(events, []byte(strings.TrimSpace(requestsOf(0, 1))))
	answer, err := tn.post("/v1/events?service="+tn.own, fmt.Appendf(nil, "[%s]", bytes.Join(events, []byte(","))))
	if err != nil {
		h.t.Errorf("%s: what it alone has: %v", tn.name, err)
	}
	h.take(tn, answer, "stored")
}

// idsApart compares the ids of events: the same event of two tenants, or of two
// services of one, is two. One client's id is one for events of every kind.
func (h *tenants) idsApart(quiet []*tenant) {
	h.t.Helper()
	whose := map[string]*tenant{}
	for _, tn := range h.all {
		want := len(tenantServices)*tenantPeople + tenantPeople + 1 // and what it alone has
		if !slices.Contains(quiet, tn) {
			want += tenantPeople
		}
		if len(tn.events) != want {
			h.t.Errorf("%s has %d ids of events, want %d", tn.name, len(tn.events), want)
		}
		for id := range tn.events {
			h.try(whose[id] != nil, "an event of %s has the id of another tenant's", tn.name)
			whose[id] = tn
		}
	}
}

// hold adds a hold for each tenant, all of one name.
func (h *tenants) hold() {
	h.t.Helper()
	for _, tn := range h.all {
		c := tn.call(access.Officer, http.MethodPost, "/v1/holds")
		c.contentType = "application/json"
		c.body = fmt.Appendf(nil, `{"name":"case-1","reason":"An inquiry, file 3","until":%q,"tables":["login"],"services":[%q]}`, soon(), tn.own)
		status, body, err := tn.ear.try(c)
		if err != nil || status != http.StatusCreated {
			h.t.Fatalf("%s adds no hold: status %d, %v", tn.name, status, err)
		}
		var held struct{ ID string }
		decode(h.t, string(body), &held)
		tn.hold = held.ID
	}
}

// marks are all that only one tenant may be told, by whose it is: names, ids of
// credentials, holds and events, and services that no other has.
func (h *tenants) marks() *lethetest.Marks {
	var marks lethetest.Marks
	for _, tn := range h.all {
		if tn.name != assembly.DefaultTenant { // a common word, which every page may say
			marks.Add(tn.name+": name", tn.name)
		}
		marks.Add(tn.name+": service", tn.own)
		marks.Add(tn.name+": hold", tn.hold)
		for role, id := range tn.ids {
			marks.Add(tn.name+": "+string(role), id)
		}
		for id := range tn.events {
			marks.Add(tn.name+": event", id)
		}
	}
	return &marks
}
