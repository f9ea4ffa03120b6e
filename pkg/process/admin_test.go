package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/process"
)

func get(t *testing.T, mux *http.ServeMux, path string) *httptest.ResponseRecorder {
	t.Helper()
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
	return rec
}

func TestReadyzIs503WithASentenceUntilEveryPartIsReady(t *testing.T) {
	health := process.NewHealth(process.NewRegistry())
	mux := http.NewServeMux()
	health.Routes(mux)

	check := func(status int, want process.Report) {
		t.Helper()
		rec := get(t, mux, "/readyz")
		if rec.Code != status {
			t.Errorf("status = %d, want %d", rec.Code, status)
		}
		var got process.Report
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("/readyz (-want +got):\n%s", diff)
		}
	}
	check(503, process.Report{Parts: map[string]string{}})

	idle := func(ctx context.Context, ready func()) error {
		ready()
		<-ctx.Done()
		return nil
	}
	var broken atomic.Bool
	proceed := make(chan struct{})
	store := health.Watch(process.Named{Name: "store", Service: process.Func(idle)},
		func(context.Context) error {
			if broken.Load() {
				return errors.New("the disk is full")
			}
			return nil
		})
	loader := health.Watch(process.Named{Name: "loader", Service: process.Func(
		func(ctx context.Context, ready func()) error {
			<-proceed
			return idle(ctx, ready)
		})}, nil)
	check(503, process.Report{Parts: map[string]string{
		"store": "it has not been started", "loader": "it has not been started"}})

	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error)
	starting := process.Named{Name: "observer", Service: process.Func(
		func(ctx context.Context, ready func()) error {
			check(503, process.Report{Parts: map[string]string{
				"store": "ok", "loader": "it has not been started"}})
			close(proceed)
			return idle(ctx, ready)
		})}
	go func() { done <- process.Run(ctx, quiet, func() { close(ready) }, store, starting, loader) }()
	<-ready
	check(200, process.Report{Ready: true, Parts: map[string]string{"store": "ok", "loader": "ok"}})
	broken.Store(true)
	check(503, process.Report{Parts: map[string]string{"store": "the disk is full", "loader": "ok"}})
	broken.Store(false)
	check(200, process.Report{Ready: true, Parts: map[string]string{"store": "ok", "loader": "ok"}})

	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	check(503, process.Report{Parts: map[string]string{
		"store": "it has stopped", "loader": "it has stopped"}})
}

func TestCheckThatHangsIsAskedOnceAndAnsweredFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		health := process.NewHealth(process.NewRegistry())
		var asked atomic.Int32
		release := make(chan struct{})
		part := health.Watch(process.Named{Name: "store", Service: process.Func(
			func(ctx context.Context, ready func()) error {
				ready()
				<-ctx.Done()
				return nil
			})}, func(context.Context) error {
			asked.Add(1)
			<-release // a check that does not heed its context
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- process.Run(ctx, quiet, nil, part) }()
		synctest.Wait()

		began := time.Now()
		for range 3 {
			rep := health.Report(t.Context())
			if rep.Ready || !strings.Contains(rep.Parts["store"], "did not answer") {
				t.Errorf("Report = %v, want not ready, with the reason", rep)
			}
		}
		if got, want := time.Since(began), 3*process.CheckTimeout; got > want {
			t.Errorf("three reports took %s, want at most %s", got, want)
		}
		if got := asked.Load(); got != 1 {
			t.Errorf("the check was begun %d times, want once", got)
		}
		close(release)
		synctest.Wait()
		if rep := health.Report(t.Context()); !rep.Ready {
			t.Errorf("Report = %v, want ready once the check answers", rep)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWatchedServiceKeepsItsTimeToStop(t *testing.T) {
	health := process.NewHealth(process.NewRegistry())
	n := health.Watch(process.Named{Name: "store", Service: slow{}}, nil)
	if got := n.Service.(process.Stopper).StopTimeout(); got != 7*time.Second {
		t.Errorf("StopTimeout = %s, want 7s", got)
	}
}

func TestMetricsAreThoseOfTheGivenRegistry(t *testing.T) {
	mux := http.NewServeMux()
	process.NewHealth(process.NewRegistry()).Routes(mux)
	rec := get(t, mux, "/metrics")
	for _, want := range []string{"go_goroutines", "promhttp_metric_handler_errors_total"} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if rec := get(t, mux, "/healthz"); rec.Code != 200 || rec.Body.String() != "ok\n" {
		t.Errorf("/healthz = %d %q", rec.Code, rec.Body)
	}
}
