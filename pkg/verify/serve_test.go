package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// record keeps what is put on record, or fails.
type record struct {
	mu   sync.Mutex
	by   []string
	said []audit.Verify
	err  error
}

func (r *record) as(by string) audit.Recorder { return recorder{r, by} }

type recorder struct {
	r  *record
	by string
}

func (r recorder) Record(_ context.Context, kind audit.Kind, detail any) error {
	r.r.mu.Lock()
	defer r.r.mu.Unlock()
	if r.r.err != nil {
		return r.r.err
	}
	if kind != audit.KindVerify {
		return errors.New("another kind")
	}
	r.r.by = append(r.r.by, r.by)
	r.r.said = append(r.r.said, detail.(audit.Verify))
	return nil
}

// keysOnly is a verifier that looks at a keyring and nothing else.
func keysOnly(t *testing.T, r *record, keys *[]keyring.KeyInfo) verify.Config {
	return verify.Config{
		Policy: lethetest.BuiltIn(t), Log: lethetest.Logger(t), Pause: time.Millisecond,
		Keys:     func(context.Context) ([]keyring.KeyInfo, error) { return *keys, nil },
		Recorder: r.as("verify"), As: r.as, Metrics: prometheus.NewRegistry(),
	}
}

// late is a key that should have been destroyed long ago.
var late = []keyring.KeyInfo{{ID: "clean/access-30d/1999-01-01", Kind: keyring.KindClean, Class: "access-30d", Start: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)}}

type someone string

func (s someone) Authenticate(*http.Request) (access.Principal, error) {
	return access.Principal{ID: "c-1", Role: access.Role(s), Tenant: "acme"}, nil
}

// P10: who asks is on record before there is an answer.
func TestAVerificationIsOnRecordBeforeItIsAnswered(t *testing.T) {
	r, keys := &record{}, []keyring.KeyInfo(nil)
	ask := func(role access.Role) *httptest.ResponseRecorder {
		c := keysOnly(t, r, &keys)
		c.Gate = access.NewGate(someone(role), c.Log)
		mux := http.NewServeMux()
		verify.New(c).Routes(mux)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/verify", nil))
		return w
	}
	w := ask(access.Officer)
	var report verify.Report
	must(t, json.Unmarshal(w.Body.Bytes(), &report))
	if w.Code != http.StatusOK || !report.Holds || len(report.Promises) != 22 {
		t.Errorf("the officer got %d, %+v", w.Code, report)
	}
	if len(r.said) != 1 || r.by[0] != "c-1" || !r.said[0].Holds || r.said[0].Report != report.Digest() {
		t.Errorf("on record is %+v by %v", r.said, r.by)
	}
	keys = late
	w = ask(access.Operator)
	must(t, json.Unmarshal(w.Body.Bytes(), &report))
	if report.Holds || !slices.Equal(r.said[1].Broken, []string{"P4", "P5"}) {
		t.Errorf("with a key that is late the operator got %v, and on record is %+v", report.Holds, r.said[1])
	}
	for _, role := range []access.Role{access.Publisher, access.Analyst} {
		if w := ask(role); w.Code != http.StatusForbidden {
			t.Errorf("the %s got %d", role, w.Code)
		}
	}
	r.err = errors.New("the disk is full")
	if w := ask(access.Officer); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "P4") {
		t.Errorf("what could not be recorded was answered with %d: %s", w.Code, w.Body)
	}
	if len(r.said) != 2 {
		t.Errorf("%d answers are on record", len(r.said))
	}
}

// P21: it looks all the time, says so in numbers, and puts on record what
// changes and one outcome a day.
func TestTheContinuousRunRecordsWhatChangesAndOncePerDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, keys := &record{}, []keyring.KeyInfo(nil)
		var mu sync.Mutex
		c := keysOnly(t, r, nil)
		c.Keys = func(context.Context) ([]keyring.KeyInfo, error) {
			mu.Lock()
			defer mu.Unlock()
			return keys, nil
		}
		metrics := prometheus.NewRegistry()
		c.Metrics = metrics
		ctx, cancel := context.WithCancel(t.Context())
		ready := make(chan struct{})
		ended := make(chan error, 1)
		v := verify.New(c)
		go func() { ended <- v.Run(ctx, func() { close(ready) }) }()
		<-ready
		said := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.said) != want {
				t.Errorf("%s, %d outcomes are on record, want %d", when, len(r.said), want)
			}
		}
		said(1, "at first")
		time.Sleep(5 * time.Hour)
		said(1, "after hours without change")
		mu.Lock()
		keys = late
		mu.Unlock()
		time.Sleep(verify.Every + verify.Every/10)
		said(2, "when a promise broke")
		if r.said[1].Holds || r.by[1] != "verify" {
			t.Errorf("on record is %+v", r.said[1])
		}
		want := `
# HELP lethe_verify_findings What the last verification found wrong.
# TYPE lethe_verify_findings gauge
lethe_verify_findings 1
# HELP lethe_verify_overdue Rows, frames, keys and files that are past their rule and the grace.
# TYPE lethe_verify_overdue gauge
lethe_verify_overdue{place="keys of clean frames"} 1
`
		if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), "lethe_verify_findings", "lethe_verify_overdue"); err != nil {
			t.Error(err)
		}
		mu.Lock()
		keys = nil
		mu.Unlock()
		time.Sleep(verify.Every + verify.Every/10)
		said(3, "when it holds again")
		time.Sleep(48 * time.Hour)
		said(5, "two days later")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
