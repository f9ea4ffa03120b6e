package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// StopTimeout is how long a service may take to stop, unless it is a
	// [Stopper] and asks for another time.
	StopTimeout = 4 * time.Second

	// StopBudget is how long all services together may take to stop in order.
	// When it is spent, those that are left are told to stop at once and have
	// lastGrace between them. The sum stays under the 10 s that container
	// runtimes allow between SIGTERM and SIGKILL.
	StopBudget = 8500 * time.Millisecond

	lastGrace = time.Second
)

// A Service is one part of a running process.
type Service interface {
	// Run serves until ctx ends, finishes the work in hand, and returns nil.
	// It calls ready once, when it can do its work. Any other return is a
	// failure, and ends the whole process.
	Run(ctx context.Context, ready func()) error
}

// A Stopper is a service that needs another time to stop than [StopTimeout].
type Stopper interface {
	StopTimeout() time.Duration
}

// Func is a function that is a [Service].
type Func func(ctx context.Context, ready func()) error

// Run calls f.
func (f Func) Run(ctx context.Context, ready func()) error { return f(ctx, ready) }

// Named is a service and the name by which logs and errors know it.
type Named struct {
	Name    string
	Service Service
}

// Run starts services in order, each after the one before it is ready, and
// stops them in the reverse order when ctx ends or any of them fails. List the
// stores first and the doors last: the doors then open last and shut first.
//
// It calls onReady, unless nil, once all services are ready. It returns nil
// when ctx ended and every service stopped as it should, and otherwise the
// first failure, joined with those that came while stopping.
func Run(ctx context.Context, log *slog.Logger, onReady func(), services ...Named) error {
	r := &runner{log: log, ended: make(chan *part, len(services))}
	err := r.start(ctx, services)
	if err == nil && ctx.Err() == nil {
		log.Info("process ready", "services", len(services))
		if onReady != nil {
			onReady()
		}
		err = r.wait(ctx)
	}
	return errors.Join(err, r.stop())
}

// runner is one call of Run. Only the goroutine of that call touches it, save
// for ended.
type runner struct {
	log   *slog.Logger
	parts []*part
	ended chan *part // one send by each part, when it returns
}

// part is a started service.
type part struct {
	Named
	cancel context.CancelFunc
	ready  chan struct{}
	done   chan struct{}

	err      error // set before done is closed
	reported bool  // err is in what Run returns already
}

func (r *runner) start(ctx context.Context, services []Named) error {
	for _, n := range services {
		if ctx.Err() != nil {
			return nil
		}
		began := time.Now()
		p := r.launch(ctx, n)
		select {
		case <-p.ready:
			r.log.Info("service ready", "service", p.Name, "elapsed", time.Since(began))
		case q := <-r.ended:
			return q.failure()
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

func (r *runner) launch(ctx context.Context, n Named) *part {
	p := &part{Named: n, ready: make(chan struct{}), done: make(chan struct{})}
	// The context is detached from the parent's end, so that the order of
	// stopping is ours and not the scheduler's.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel = cancel
	r.parts = append(r.parts, p)
	go func() {
		p.err = n.Service.Run(own, sync.OnceFunc(func() { close(p.ready) }))
		if own.Err() != nil && errors.Is(p.err, context.Canceled) {
			p.err = nil // it was asked to stop, and says so
		}
		close(p.done)
		r.ended <- p
	}()
	return p
}

// wait returns nil when ctx ends and the failure when a service does.
func (r *runner) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case p := <-r.ended:
		return p.failure()
	}
}

func (r *runner) stop() error {
	var errs []error
	deadline := time.Now().Add(StopBudget)
	hurried := false
	for i := len(r.parts) - 1; i >= 0; i-- {
		p := r.parts[i]
		began := time.Now()
		p.cancel()
		if !p.await(min(p.patience(), time.Until(deadline))) {
			errs = append(errs, fmt.Errorf("stopping %s: not done after %s",
				p.Name, time.Since(began).Round(time.Millisecond)))
		} else {
			r.log.Info("service stopped", "service", p.Name, "elapsed", time.Since(began))
			if p.err != nil && !p.reported {
				errs = append(errs, p.failure())
			}
		}
		if !hurried && time.Until(deadline) <= 0 {
			hurried = true
			deadline = time.Now().Add(lastGrace)
			for _, q := range r.parts[:i] {
				q.cancel()
			}
		}
	}
	return errors.Join(errs...)
}

func (p *part) failure() error {
	p.reported = true
	if p.err == nil {
		return fmt.Errorf("running %s: it ended without being asked to", p.Name)
	}
	return fmt.Errorf("running %s: %w", p.Name, p.err)
}

func (p *part) patience() time.Duration {
	if s, ok := p.Service.(Stopper); ok {
		return s.StopTimeout()
	}
	return StopTimeout
}

// await reports whether the part returned within d.
func (p *part) await(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
	}
	// Both may have been true at once; done wins.
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
