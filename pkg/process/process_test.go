package process_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/process"
)

// diary notes what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) check(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if diff := cmp.Diff(want, d.lines); diff != "" {
		t.Errorf("what happened (-want +got):\n%s", diff)
	}
}

// part is a service that takes a time to start and to stop, and may fail.
type part struct {
	*diary
	name          string
	start, finish time.Duration
	fail          <-chan error
	stopWith      error
}

func (p part) Run(ctx context.Context, ready func()) error {
	p.note(p.name + " starts")
	select {
	case <-time.After(p.start):
	case <-ctx.Done():
		p.note(p.name + " gives up")
		return ctx.Err()
	}
	p.note(p.name + " opens")
	ready()
	select {
	case <-ctx.Done():
	case err := <-p.fail:
		p.note(p.name + " fails")
		return err
	}
	p.note(p.name + " stops")
	time.Sleep(p.finish)
	p.note(p.name + " shut")
	return p.stopWith
}

func named(parts ...part) (out []process.Named) {
	for _, p := range parts {
		out = append(out, process.Named{Name: p.name, Service: p})
	}
	return out
}

var quiet = slog.New(slog.DiscardHandler)

func TestDoorsOpenLastAndShutFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithCancel(t.Context())
		parts := named(
			part{diary: &d, name: "store", start: 3 * time.Second, finish: time.Second},
			part{diary: &d, name: "flow", start: time.Second, finish: time.Second},
			part{diary: &d, name: "door", finish: time.Second},
		)
		began := time.Now()
		err := process.Run(ctx, quiet, func() {
			d.note("ready")
			time.AfterFunc(time.Hour, cancel)
		}, parts...)
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if got, want := time.Since(began), time.Hour+7*time.Second; got != want {
			t.Errorf("Run took %s, want %s", got, want)
		}
		d.check(t,
			"store starts", "store opens", "flow starts", "flow opens", "door starts", "door opens",
			"ready",
			"door stops", "door shut", "flow stops", "flow shut", "store stops", "store shut",
		)
	})
}

func TestOneFailureStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		fail := make(chan error, 1)
		cause := errors.New("the disk is gone")
		err := process.Run(t.Context(), quiet, func() { fail <- cause }, named(
			part{diary: &d, name: "store"},
			part{diary: &d, name: "flow", fail: fail},
			part{diary: &d, name: "door"},
		)...)
		if !errors.Is(err, cause) {
			t.Errorf("Run = %v, want the failure of the flow", err)
		}
		if got, want := err.Error(), "running flow: the disk is gone"; got != want {
			t.Errorf("Run = %q, want %q, once", got, want)
		}
		d.check(t,
			"store starts", "store opens", "flow starts", "flow opens", "door starts", "door opens",
			"flow fails", "door stops", "door shut", "store stops", "store shut",
		)
	})
}

func TestFailureBeforeReadyStartsNothingBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		cause := errors.New("the port is taken")
		parts := named(part{diary: &d, name: "store"}, part{diary: &d, name: "flow"}, part{diary: &d, name: "door"})
		parts[1].Service = process.Func(func(context.Context, func()) error { return cause })
		err := process.Run(t.Context(), quiet, func() { t.Error("ready was called") }, parts...)
		if !errors.Is(err, cause) {
			t.Errorf("Run = %v, want the failure of the flow", err)
		}
		d.check(t, "store starts", "store opens", "store stops", "store shut")
	})
}

func TestStoreThatFailsWhileALaterPartStartsStopsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		fail := make(chan error, 1)
		cause := errors.New("the disk is gone")
		time.AfterFunc(time.Second, func() { fail <- cause })
		err := process.Run(t.Context(), quiet, nil, named(
			part{diary: &d, name: "store", fail: fail},
			part{diary: &d, name: "door", start: time.Hour},
		)...)
		if !errors.Is(err, cause) {
			t.Errorf("Run = %v, want the failure of the store", err)
		}
		d.check(t, "store starts", "store opens", "door starts", "store fails", "door gives up")
	})
}

func TestEndOfServiceThatNobodyAskedForIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := process.Run(t.Context(), quiet, nil, process.Named{
			Name:    "flow",
			Service: process.Func(func(_ context.Context, ready func()) error { ready(); return nil }),
		})
		if err == nil {
			t.Error("Run = nil, want a failure")
		}
	})
}

func TestEndDuringStartStopsWhatHasStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := process.Run(ctx, quiet, func() { t.Error("ready was called") }, named(
			part{diary: &d, name: "store"},
			part{diary: &d, name: "flow", start: time.Hour},
			part{diary: &d, name: "door"},
		)...)
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		d.check(t, "store starts", "store opens", "flow starts", "flow gives up", "store stops", "store shut")
	})
}

func TestFailureWhileStoppingIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		cause := errors.New("the last batch is lost")
		ctx, cancel := context.WithCancel(t.Context())
		err := process.Run(ctx, quiet, cancel, named(
			part{diary: &d, name: "store"},
			part{diary: &d, name: "flow", stopWith: cause},
		)...)
		if !errors.Is(err, cause) {
			t.Errorf("Run = %v, want the failure of the flow", err)
		}
	})
}

func TestStopIsBoundedWhateverThePartsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithCancel(t.Context())
		var parts []part
		for range 9 {
			parts = append(parts, part{diary: &d, name: "stubborn", finish: time.Minute})
		}
		var began time.Time
		err := process.Run(ctx, quiet, func() { began = time.Now(); cancel() }, named(parts...)...)
		if err == nil {
			t.Error("Run = nil, want a failure for each that did not stop")
		}
		if got := time.Since(began); got >= 10*time.Second {
			t.Errorf("stopping took %s, want under 10s", got)
		}
		time.Sleep(time.Hour) // lets the abandoned end inside the bubble
	})
}

func TestServiceThatIsLateDoesNotKeepTheOthersFromStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithCancel(t.Context())
		err := process.Run(ctx, quiet, cancel, named(
			part{diary: &d, name: "store", finish: time.Second},
			part{diary: &d, name: "door", finish: time.Minute},
		)...)
		if got, want := err.Error(), "stopping door: not done after 4s"; got != want {
			t.Errorf("Run = %q, want %q", got, want)
		}
		d.check(t, "store starts", "store opens", "door starts", "door opens",
			"door stops", "store stops", "store shut")
		time.Sleep(time.Hour)
	})
}

// slow asks for more time than others.
type slow struct{ part }

func (slow) StopTimeout() time.Duration { return 7 * time.Second }

func TestServiceMayAskForMoreTimeToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		ctx, cancel := context.WithCancel(t.Context())
		err := process.Run(ctx, quiet, cancel, process.Named{
			Name:    "store",
			Service: slow{part{diary: &d, name: "store", finish: 6 * time.Second}},
		})
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

func TestServicesSeeValuesButNotTheEndOfTheParent(t *testing.T) {
	type name struct{}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), name{}, "seen"))
		err := process.Run(ctx, quiet, nil,
			process.Named{Name: "store", Service: process.Func(func(own context.Context, ready func()) error {
				if own.Value(name{}) != "seen" {
					t.Error("the service does not see the values of its parent")
				}
				ready()
				<-ctx.Done()
				time.Sleep(time.Second)
				if own.Err() != nil {
					t.Error("the store ended while the door was still open")
				}
				<-own.Done()
				return nil
			})},
			process.Named{Name: "door", Service: process.Func(func(own context.Context, ready func()) error {
				ready()
				cancel()
				<-own.Done()
				time.Sleep(2 * time.Second)
				return nil
			})},
		)
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}
