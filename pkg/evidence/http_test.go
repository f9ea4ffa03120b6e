package evidence_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// site serves the evidence of a world.
type site struct {
	*world
	mux   *http.ServeMux
	store *access.Store
	gate  *access.Gate
}

func newSite(t *testing.T, w *world) *site {
	s := &site{world: w, mux: http.NewServeMux()}
	var err error
	if s.store, err = access.Open(filepath.Join(t.TempDir(), "credentials.json")); err != nil {
		t.Fatal(err)
	}
	s.gate = access.NewGate(s.store, lethetest.Logger(t))
	c := w.config()
	c.Gate, c.Log = s.gate, lethetest.Logger(t)
	m, err := evidence.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Routes(s.mux)
	return s
}

func (s *site) get(role access.Role, path string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	if role != "" {
		c, err := s.store.Create(s.t.Context(), access.Principal{Role: role, Tenant: "default"}, access.Options{})
		if err != nil {
			s.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.Reveal())
	}
	w := httptest.NewRecorder()
	s.mux.ServeHTTP(w, r)
	return w
}

// TestEvidenceIsForThoseWhoOversee: P15.
func TestEvidenceIsForThoseWhoOversee(t *testing.T) {
	s := newSite(t, newWorld(t, t.TempDir(), "2026-03-01").days(2))
	for path, allowed := range map[string]string{
		"/v1/evidence":         "officer operator",
		"/v1/audit":            "officer",
		"/v1/audit/checkpoint": "officer operator",
	} {
		for _, role := range append(access.Roles(), "") {
			want := 403
			switch {
			case role == "":
				want = 401
			case strings.Contains(allowed, string(role)):
				want = 200
			}
			if w := s.get(role, path); w.Code != want {
				t.Errorf("%s as %q: %d, want %d", path, role, w.Code, want)
			}
		}
	}
}

func TestEvidenceOverHTTPIsOnRecordUnderWhoAsked(t *testing.T) {
	s := newSite(t, newWorld(t, t.TempDir(), "2026-03-01").days(40))
	w := s.get(access.Officer, "/v1/evidence?since=2026-04-01")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	r, err := evidence.Check(w.Body.Bytes(), evidence.Options{Key: s.log.VerifierKey()})
	if err != nil || !r.OK {
		t.Fatalf("%v %q", err, r.Problems)
	}
	last, _ := s.log.Last(audit.KindVerify)
	if last.By == "" || last.By == "officer-1" || strings.Contains(last.By, " ") {
		t.Errorf("the verification is on record as made by %q", last.By)
	}
	if b := read(t, w.Body.Bytes()); b.Trees[0].From == 0 {
		t.Error("the bundle has everything, and was to begin with April")
	}
	w = s.get(access.Operator, "/v1/evidence?since=all")
	if b := read(t, w.Body.Bytes()); b.Trees[0].From != 0 {
		t.Error("the bundle has not everything")
	}
	w = s.get(access.Officer, "/v1/evidence?format=html")
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	checkPage(t, w.Body.Bytes())
	for _, query := range []string{"?since=2999-01-01", "?since=yesterday", "?format=pdf", "?from=2026-01-01", "?since=all&since=all", "?since=%zz"} {
		if w := s.get(access.Officer, "/v1/evidence"+query); w.Code != 422 {
			t.Errorf("%s: %d, want 422", query, w.Code)
		}
	}
}

// TestWhatCannotBeRecordedIsNotSaid: P10.
func TestWhatCannotBeRecordedIsNotSaid(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01").days(2)
	w.deaf = true
	s := newSite(t, w)
	if got := s.get(access.Officer, "/v1/evidence"); got.Code != 503 {
		t.Errorf("evidence that could not be recorded is answered with %d", got.Code)
	}
	w.deaf = false
	if got := s.get(access.Officer, "/v1/evidence"); got.Code != 200 {
		t.Errorf("control: %d", got.Code)
	}
}

func TestTheAuditLogIsListedNewestFirst(t *testing.T) {
	s := newSite(t, newWorld(t, t.TempDir(), "2026-12-20").days(30)) // two trees
	list := func(query string) evidence.Listed {
		t.Helper()
		w := s.get(access.Officer, "/v1/audit"+query)
		var l evidence.Listed
		if w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &l) != nil {
			t.Fatalf("%s: %d %s", query, w.Code, w.Body)
		}
		return l
	}
	l := list("?limit=1000")
	total := 0
	for _, tree := range s.log.Trees() {
		total += int(tree.Size)
	}
	if len(l.Entries) != total || l.More {
		t.Errorf("%d entries of %d, more: %t", len(l.Entries), total, l.More)
	}
	for i := 1; i < len(l.Entries); i++ {
		a, b := l.Entries[i-1], l.Entries[i]
		if a.Year < b.Year || a.Year == b.Year && a.Place.Entry != b.Place.Entry+1 {
			t.Fatalf("entry %d of %d comes after entry %d of %d", b.Place.Entry, b.Year, a.Place.Entry, a.Year)
		}
	}
	l = list("?kind=run&limit=7")
	if len(l.Entries) != 7 || !l.More || l.Entries[0].Kind != audit.KindRun {
		t.Errorf("got %d entries of %s, more: %t", len(l.Entries), l.Entries[0].Kind, l.More)
	}
	if l = list("?kind=run&limit=30"); len(l.Entries) != 30 || l.More {
		t.Errorf("%d of 30 runs, more: %t", len(l.Entries), l.More)
	}
	if l = list("?kind=hold"); len(l.Entries) != 0 || l.More {
		t.Errorf("%d holds", len(l.Entries))
	}
	// Page after page is the whole, each entry once, across trees.
	for _, kind := range []string{"", "run"} {
		whole, paged, before := list("?limit=1000&kind="+kind), evidence.Listed{More: true}, ""
		for paged.More {
			next := list("?limit=7&kind=" + kind + before)
			paged.Entries, paged.More = append(paged.Entries, next.Entries...), next.More
			last := paged.Entries[len(paged.Entries)-1]
			before = fmt.Sprintf("&before=%d/%d", last.Year, last.Place.Entry)
		}
		if diff := cmp.Diff(whole.Entries, paged.Entries); diff != "" {
			t.Errorf("pages of kind %q are not the whole (-whole +pages):\n%s", kind, diff)
		}
	}
	if l = list("?before=1999/4"); len(l.Entries) != 0 || l.More {
		t.Errorf("%d entries before the first", len(l.Entries))
	}
	for _, query := range []string{"?kind=secrets", "?limit=0", "?limit=1001", "?limit=x", "?page=2", "?before=2026", "?before=2026/x", "?before=-1/2", "?before=2026/-1"} {
		if w := s.get(access.Officer, "/v1/audit"+query); w.Code != 422 {
			t.Errorf("%s: %d, want 422", query, w.Code)
		}
	}
}

func TestTheCheckpointComesWithItsKey(t *testing.T) {
	s := newSite(t, newWorld(t, t.TempDir(), "2026-03-01"))
	if w := s.get(access.Officer, "/v1/audit/checkpoint"); w.Code != 404 {
		t.Errorf("the checkpoint of nothing: %d", w.Code)
	}
	s.flush()
	w := s.get(access.Officer, "/v1/audit/checkpoint")
	cp, err := audit.ParseCheckpoint(w.Body.String(), w.Header().Get("Lethe-Verifier-Key"))
	if w.Code != 200 || err != nil || cp.Year != 2026 || cp.Size == 0 {
		t.Errorf("%d %v %+v", w.Code, err, cp)
	}
	var h evidence.Head
	w = s.get(access.Operator, "/v1/audit/checkpoint?format=json")
	if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil || h.Key != s.log.VerifierKey() || len(h.Fingerprint) != 64 || h.Checkpoint != s.newest() {
		t.Errorf("%v %+v", err, h)
	}
}
