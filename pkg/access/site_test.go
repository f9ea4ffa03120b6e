package access_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// A site is a gate behind a real listener, with the credentials' own routes
// and one route of each kind.
type site struct {
	t     *testing.T
	store *access.Store
	gate  *access.Gate
	url   string
	reg   *prometheus.Registry
	log   *lethetest.Buffer
	clock *lethetest.Clock

	// mu guards what follows.
	mu        sync.Mutex
	ran       []access.Principal // by handlers, in order
	decisions []access.Decision
	alerts    []access.Alert
	recording error // what recording ends with
}

var (
	anyRole   = access.Roles()
	overseers = []access.Role{access.Analyst, access.Officer, access.Operator}
)

func newSite(t *testing.T, configure ...func(*access.Config)) *site {
	t.Helper()
	s := &site{
		t: t, store: open(t, filepath.Join(t.TempDir(), "credentials.json")),
		reg: prometheus.NewRegistry(), log: &lethetest.Buffer{}, clock: lethetest.NewClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)),
	}
	s.store.SetClock(s.clock.Now)
	cfg := access.Config{
		Who: s.store, Log: slog.New(slog.NewJSONHandler(s.log, nil)), Home: "acme", Metrics: s.reg, Now: s.clock.Now,
		Record: func(_ context.Context, d access.Decision) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.recording == nil {
				s.decisions = append(s.decisions, d)
			}
			return s.recording
		},
		Alert: func(a access.Alert) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.alerts = append(s.alerts, a)
		},
	}
	for _, f := range configure {
		f(&cfg)
	}
	s.gate = access.New(cfg)
	mux := http.NewServeMux()
	s.store.Routes(s.gate, mux)
	s.gate.Handle(mux, "POST /v1/events", []access.Role{access.Publisher}, s.handler)
	s.gate.Handle(mux, "GET /v1/stats/{metric}", overseers, s.handler, access.Honors(access.LimitServices, access.LimitMasked))
	s.gate.Handle(mux, "GET /v1/status", overseers, s.handler, access.Installation)
	s.gate.Handle(mux, "GET /v1/ropa", anyRole, s.handler, access.Unrecorded, access.MaxBody(10))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *site) handler(w http.ResponseWriter, r *http.Request, p access.Principal) {
	_, err := io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ran = append(s.ran, p)
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}
}

// seen returns what happened since it was last asked.
func (s *site) seen() (ran []access.Principal, decisions []access.Decision, alerts []access.Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ran, decisions, alerts = s.ran, s.decisions, s.alerts
	s.ran, s.decisions, s.alerts = nil, nil, nil
	return ran, decisions, alerts
}

func (s *site) record(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recording = err
}

// credential makes one for the home tenant.
func (s *site) credential(role access.Role, scope access.Scope, services ...string) string {
	s.t.Helper()
	return create(s.t, s.store, access.Principal{Role: role, Tenant: "acme", Services: services, Scope: scope}, access.Options{}).Reveal()
}

// ask makes a request and returns its status, headers and body.
func (s *site) ask(credential, method, path, body string, headers ...string) (int, http.Header, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if credential != "" {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode >= 400 && resp.StatusCode != http.StatusRequestEntityTooLarge {
		var problem struct{ Status int }
		if json.Unmarshal(b, &problem) != nil || problem.Status != resp.StatusCode || resp.Header.Get("Content-Type") != "application/problem+json" {
			s.t.Errorf("%s %s: the answer is no problem document: %s", method, path, b)
		}
	}
	return resp.StatusCode, resp.Header, string(b)
}

// status is the status of a request without a body.
func (s *site) status(credential, route string, headers ...string) int {
	s.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	status, _, _ := s.ask(credential, method, path, "", headers...)
	return status
}

// metric is the value of a series, by its text form.
func (s *site) metric(name, kind string) float64 {
	s.t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != name || kind != "" && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() != kind) {
				continue
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	s.t.Fatalf("there is no metric %s of kind %q", name, kind)
	return 0
}

// loopback is the network that the tests ask from.
func loopback() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8) }

// noSecret fails the test when the log or a decision holds a credential's
// secret.
func (s *site) noSecret(credentials ...string) {
	s.t.Helper()
	var all bytes.Buffer
	all.WriteString(s.log.String())
	if err := json.NewEncoder(&all).Encode(s.decisions); err != nil {
		s.t.Fatal(err)
	}
	for _, c := range credentials {
		if strings.Contains(all.String(), c[strings.LastIndex(c, "_")+1:]) {
			s.t.Error("a secret is in the log or on record")
		}
	}
}

// dialFrom makes requests from an address of this machine.
func dialFrom(ip string) *http.Client {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	return &http.Client{Transport: &http.Transport{DialContext: d.DialContext}}
}
