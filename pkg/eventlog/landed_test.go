package eventlog_test

import (
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// deaf is a connection whose answers can be kept back, so that what was sent
// lands and is not known to have landed.
type deaf struct {
	*site
	mu    sync.Mutex // guards the rest
	conns []*deafConn
}

type deafConn struct {
	net.Conn
	mu   sync.Mutex // held while answers are kept back
	dead chan struct{}
}

func (d *deaf) InProcessConn() (net.Conn, error) {
	c, err := d.site.InProcessConn()
	if err != nil {
		return nil, err
	}
	dc := &deafConn{Conn: c, dead: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns = append(d.conns, dc)
	return dc, nil
}

func (c *deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.dead:
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

// lose keeps answers back until landed says so, and then breaks the connection.
func (d *deaf) lose(landed func() bool) (begun chan struct{}, done chan struct{}) {
	d.mu.Lock()
	c := d.conns[len(d.conns)-1]
	d.mu.Unlock()
	begun, done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		c.mu.Lock()
		close(begun)
		for !landed() {
		}
		close(c.dead)
		c.mu.Unlock()
		_ = c.Close()
	}()
	return begun, done
}

func TestAnAppendWhoseAnswerWasLostIsStoredOnce(t *testing.T) {
	for _, tt := range []struct {
		name     string
		messages int
		named    bool
	}{
		{"one with an ID", 1, true},
		{"a batch with IDs", 60, true},
		{"one without an ID", 1, false},
		{"a batch without IDs", 60, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, eventlog.Limits{})
			d := &deaf{site: s}
			// Back only when the answer has gone to the broken connection.
			w := s.writer("gateway", eventlog.RawStream, nats.InProcessServer(d), nats.ReconnectWait(100*time.Millisecond))
			l := s.log()
			msgs := make([]eventlog.Message, tt.messages)
			for i := range msgs {
				msgs[i] = rawMessage(strconv.Itoa(i), "")
				if tt.named {
					msgs[i].ID = strconv.Itoa(i)
				}
			}
			begun, done := d.lose(func() bool {
				info, err := l.Info(t.Context(), eventlog.RawStream)
				if err != nil {
					t.Error(err)
					return true
				}
				return info.Messages == uint64(tt.messages)
			})
			<-begun
			acks, err := w.Append(t.Context(), msgs)
			<-done
			switch {
			case tt.named && err != nil:
				t.Errorf("sent again with its ID: %v", err)
			case !tt.named && !errors.Is(err, fault.Unavailable):
				t.Errorf("sent without an ID: %v", err)
			}
			for i, a := range acks {
				if tt.named && (a.Duplicate || a.Seq != uint64(i+1)) {
					t.Errorf("ack %d is %+v; it is the first of its ID", i, a)
				}
			}
			for m, n := range s.stored(eventlog.RawStream) {
				if n != 1 {
					t.Errorf("%s is stored %d times", m, n)
				}
			}
			// Sent again by the caller, who knows no better.
			again, err := w.Append(t.Context(), msgs)
			if err != nil {
				t.Fatal(err)
			}
			for i, a := range again {
				if a.Duplicate != tt.named {
					t.Errorf("again, ack %d is %+v", i, a)
				}
			}
		})
	}
}
