package gateway_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
)

func TestTheGatewayRefusesBeforeTheDiskIsFull(t *testing.T) {
	free := uint64(1000)
	s := setup(t, func(_ *site, c *gateway.Config) {
		c.Free = func() (uint64, error) { return free, nil }
		c.Reserve = 1001
	})
	a := s.post("application/json", line("x", ""))
	if a.status != http.StatusInsufficientStorage || a.header.Get("Retry-After") == "" || len(s.stored()) != 0 {
		t.Errorf("status %d", a.status)
	}
	control := setup(t, func(_ *site, c *gateway.Config) {
		c.Free = func() (uint64, error) { return free, nil }
		c.Reserve = 1000
	})
	if a := control.post("application/json", line("x", "")); a.status != http.StatusOK {
		t.Errorf("control: status %d", a.status)
	}
}

// slow is a log that appends when it is told to.
type slow struct {
	gateway.Appender
	begun  chan struct{}
	resume chan struct{}
}

func (l *slow) Append(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error) {
	l.begun <- struct{}{}
	select {
	case <-l.resume:
	case <-ctx.Done():
		return nil, fault.Unavailable.Errorf("waiting: %w", ctx.Err())
	}
	return l.Appender.Append(ctx, msgs)
}

func TestTooManyRequestsAreTurnedAwayAndAStoppingGatewayAnswersTheOnesItHas(t *testing.T) {
	l := &slow{begun: make(chan struct{}, 10), resume: make(chan struct{})}
	s := setup(t, func(s *site, c *gateway.Config) {
		l.Appender = c.Raw
		c.Raw = l
		c.Concurrency = 2
	})
	answers := make(chan answer, 2)
	for range 2 {
		go func() { answers <- s.post("application/json", line("x", "")) }()
		<-l.begun
	}
	if a := s.post("application/json", line("y", "")); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("a third request: status %d", a.status)
	}
	stopped := make(chan struct{})
	go func() { s.stop(); close(stopped) }()
	l.resume <- struct{}{}
	if a := <-answers; a.statuses() != "stored" {
		t.Errorf("a request in hand: %s", a.text)
	}
	for { // until the stop has come
		a := s.post("application/json", "[]")
		if a.status == http.StatusServiceUnavailable {
			break
		}
		if a.status != http.StatusOK {
			t.Fatalf("a late request: status %d", a.status)
		}
	}
	select {
	case <-stopped:
		t.Fatal("the gateway stopped with a request in hand")
	default:
	}
	l.resume <- struct{}{}
	if a := <-answers; a.statuses() != "stored" {
		t.Errorf("a request in hand: %s", a.text)
	}
	<-stopped
}

func TestBodiesHeldAtOnceAreBounded(t *testing.T) {
	s := setup(t, func(_ *site, c *gateway.Config) { c.MaxBytes = 1 << 20 })
	if a := s.post("application/json", strings.Repeat(" ", 2<<20)+line("x", "")); a.status != http.StatusTooManyRequests {
		t.Errorf("status %d", a.status)
	}
	for range 20 { // what was held is given back
		if a := s.post("application/json", strings.Repeat(" ", 200<<10)+line("x", "")); a.status != http.StatusOK {
			t.Fatalf("control: status %d", a.status)
		}
	}
}

func TestABodyThatDoesNotComeIsNotWaitedForForever(t *testing.T) {
	s := setup(t, func(_ *site, c *gateway.Config) { c.ReadTimeout = 20 * time.Millisecond })
	r, w := io.Pipe()
	defer w.Close()
	req, err := http.NewRequestWithContext(t.Context(), "POST", s.http.URL+"/v1/events", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.all)
	go func() { _, _ = w.Write([]byte("[")) }()
	if a := s.do(req); a.status != http.StatusRequestTimeout {
		t.Errorf("status %d", a.status)
	}
}
