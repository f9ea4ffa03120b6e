package hold_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// desk is the routes over a real log.
type desk struct {
	t     *testing.T
	mux   *http.ServeMux
	store *hold.Store
	creds *access.Store
	woken int
	// recorded is what went on record, and whether it had been stored then;
	// failing refuses it.
	recorded []entry
	failing  bool
	unknown  error // of whether there is a service
}

type entry struct {
	By     string
	Detail audit.Hold
	Stored hold.State // of the hold at that moment
}

type recorder struct {
	d  *desk
	by string
}

func (r recorder) Record(ctx context.Context, kind audit.Kind, detail any) error {
	if r.d.failing {
		return fault.Unavailable.Errorf("the record is not there")
	}
	h, _ := detail.(audit.Hold)
	stored, _ := r.d.store.Get(ctx, h.ID)
	r.d.recorded = append(r.d.recorded, entry{r.by, h, stored.State})
	return nil
}

func openDesk(t *testing.T) *desk {
	t.Helper()
	n := lethetest.NATS(t, lethetest.NATSUsers()...)
	connect := func(user string) *desk {
		nc, err := n.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		if user == "operator" {
			applyStreams(t, nc)
		}
		return &desk{t: t, mux: http.NewServeMux(), store: hold.NewStore(eventlog.OpenBucket(nc, eventlog.HoldBucket))}
	}
	connect("operator")
	d := connect("compliance")
	var err error
	if d.creds, err = access.Open(filepath.Join(t.TempDir(), "credentials.json")); err != nil {
		t.Fatal(err)
	}
	k, err := hold.NewKeeper(hold.KeeperConfig{
		Policy: lethetest.BuiltIn(t), Store: d.store, Gate: access.NewGate(d.creds, lethetest.Logger(t)), Logger: lethetest.Logger(t),
		As:    func(by string) audit.Recorder { return recorder{d, by} },
		Clock: func(context.Context) (time.Time, error) { return time.Unix(0, 0), nil },
		Now:   func() time.Time { return noon },
		Known: func(_ context.Context, tenant, service string) (bool, error) { return service != "shopp", d.unknown },
		Wake:  func() { d.woken++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	k.Routes(d.mux)
	return d
}

func (d *desk) credential(p access.Principal) string {
	d.t.Helper()
	c, err := d.creds.Create(d.t.Context(), p, access.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	return c.Reveal()
}

// ask makes a request and reads the answer into into, which may be nil.
func (d *desk) ask(credential, method, path, body string, into any) int {
	d.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+credential)
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	if into != nil && w.Code < 300 {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			d.t.Fatal(err)
		}
	}
	if w.Code >= 300 && strings.Contains(w.Body.String(), "secret") {
		d.t.Error("an answer repeats what was sent")
	}
	return w.Code
}

const request = `{"name":"case-17","reason":"A claim, file 2026/17","until":"2027-06-30","tables":["login"],"services":["shop"],"from":"2026-11-01T00:00:00Z"}`

// TestHoldIsOnRecordBeforeItIsInForce: P10.
func TestHoldIsOnRecordBeforeItIsInForce(t *testing.T) {
	d := openDesk(t)
	officer := d.credential(access.Principal{Role: access.Officer, Tenant: "acme"})
	d.failing = true
	if code := d.ask(officer, "POST", "/v1/holds", request, nil); code != http.StatusServiceUnavailable {
		t.Errorf("a hold that cannot be recorded is answered with %d", code)
	}
	if all, err := d.store.List(t.Context()); err != nil || len(all) != 0 || d.woken != 0 {
		t.Errorf("a hold that is not on record is in force: %v", err)
	}
	d.failing = false
	var h hold.Hold
	if code := d.ask(officer, "POST", "/v1/holds", request, &h); code != http.StatusCreated || d.woken != 1 {
		t.Fatalf("answered with %d, woken %d times", code, d.woken)
	}
	want := hold.Hold{
		ID: h.ID, Name: "case-17", Reason: "A claim, file 2026/17", By: h.By, Added: noon, Deadline: "2027-06-30", Tenant: "acme",
		Tables: []string{"login"}, Services: []string{"shop"}, From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), State: hold.Active,
		Rules: map[string]string{"login": "login-12m"},
	}
	if diff := cmp.Diff(want, h); diff != "" || h.By == "" {
		t.Errorf("the hold (-want +got):\n%s", diff)
	}
	if code := d.ask(officer, "POST", "/v1/holds", request, nil); code != http.StatusConflict {
		t.Errorf("a second hold of the name is answered with %d", code)
	}

	d.failing = true
	release := "/v1/holds/" + h.ID + "/release"
	if code := d.ask(officer, "POST", release, "", nil); code != http.StatusServiceUnavailable {
		t.Errorf("a release that cannot be recorded is answered with %d", code)
	}
	if got, err := d.store.Get(t.Context(), h.ID); err != nil || got.State != hold.Active {
		t.Errorf("a hold is %s without a record of it: %v", got.State, err)
	}
	d.failing = false
	for range 2 {
		if code := d.ask(officer, "POST", release, "", &h); code != http.StatusOK || h.State != hold.Released {
			t.Errorf("released with %d, and it is %s", code, h.State)
		}
	}
	if diff := cmp.Diff([]entry{
		{h.By, audit.Hold{
			Verb: "add", ID: h.ID, Name: h.Name, Reason: h.Reason, Deadline: h.Deadline,
			Tables: h.Tables, Services: h.Services, From: h.From, To: h.To,
		}, ""},
		{h.By, audit.Hold{Verb: "release", ID: h.ID, Deadline: h.Deadline}, hold.Active},
	}, d.recorded); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
}

// TestHoldsAreTheOfficersBusiness: P14, P15.
func TestHoldsAreTheOfficersBusiness(t *testing.T) {
	d := openDesk(t)
	officer := d.credential(access.Principal{Role: access.Officer, Tenant: "acme"})
	var h hold.Hold
	if code := d.ask(officer, "POST", "/v1/holds", request, &h); code != http.StatusCreated {
		t.Fatal(code)
	}
	release := "/v1/holds/" + h.ID + "/release"
	for who, c := range map[string]struct {
		p                  access.Principal
		list, add, release int
		sees               int
	}{
		"an operator":              {access.Principal{Role: access.Operator, Tenant: "acme"}, 200, 403, 403, 1},
		"an analyst":               {access.Principal{Role: access.Analyst, Tenant: "acme"}, 403, 403, 403, 0},
		"a publisher":              {access.Principal{Role: access.Publisher, Tenant: "acme"}, 403, 403, 403, 0},
		"another tenant's officer": {access.Principal{Role: access.Officer, Tenant: "other"}, 200, 201, 404, 0},
		"another service's":        {access.Principal{Role: access.Officer, Tenant: "acme", Services: []string{"blog"}}, 200, 403, 404, 0},
	} {
		credential := d.credential(c.p)
		var list hold.List
		if code := d.ask(credential, "GET", "/v1/holds", "", &list); code != c.list || len(list.Holds) != c.sees {
			t.Errorf("%s: the list is answered with %d and %d holds", who, code, len(list.Holds))
		}
		if code := d.ask(credential, "POST", release, "", nil); code != c.release {
			t.Errorf("%s: a release is answered with %d", who, code)
		}
		if code := d.ask(credential, "POST", "/v1/holds", strings.Replace(request, "case-17", "case-18", 1), nil); code != c.add {
			t.Errorf("%s: a hold is answered with %d", who, code)
		}
	}
	// A credential for some services holds those when it names none.
	some := d.credential(access.Principal{Role: access.Officer, Tenant: "acme", Services: []string{"blog", "shop"}})
	if code := d.ask(some, "POST", "/v1/holds", `{"name":"all-i-may","reason":"A claim, file 2026/17","until":"2027-06-30"}`, &h); code != http.StatusCreated ||
		!cmp.Equal(h.Services, []string{"blog", "shop"}) {
		t.Errorf("answered with %d and a hold of %v", code, h.Services)
	}
	for what, body := range map[string]string{
		"no JSON":           "secret",
		"an unknown member": `{"name":"case-19","reason":"A claim, file 2026/17","until":"2027-06-30","secret":1}`,
		"two requests":      request + request,
		"a day that is not": strings.Replace(request, "2027-06-30", "secret", 1),
		"a reason with a person": strings.Replace(strings.Replace(request, "case-17", "case-19", 1),
			"A claim, file 2026/17", "Claim of secret@example.org", 1),
	} {
		if code := d.ask(officer, "POST", "/v1/holds", body, nil); code != http.StatusUnprocessableEntity {
			t.Errorf("%s is answered with %d", what, code)
		}
	}
	// A name that was mistyped covers nothing.
	mistyped := strings.Replace(strings.Replace(request, "case-17", "case-19", 1), `"shop"`, `"shop","shopp"`, 1)
	if code := d.ask(officer, "POST", "/v1/holds", mistyped, nil); code != http.StatusUnprocessableEntity {
		t.Errorf("a hold of a service that is not there is answered with %d", code)
	}
	d.unknown = fault.Unavailable.Errorf("nobody knows")
	if code := d.ask(officer, "POST", "/v1/holds", strings.Replace(mistyped, "shopp", "blog", 1), nil); code != http.StatusServiceUnavailable {
		t.Errorf("a hold of which nobody knows the services is answered with %d", code)
	}
	if code := d.ask(officer, "POST", "/v1/holds/secret/release", "", nil); code != http.StatusNotFound {
		t.Errorf("a hold that is not there is answered with %d", code)
	}
}
