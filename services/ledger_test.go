package services_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/ksuid"

	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// A ledger is what publishers were told.
type ledger struct {
	mu sync.Mutex // guards what follows
	// ids are those of the receipts; nameless counts the receipts without.
	ids       map[string]int
	nameless  int
	published int // events that were acknowledged
	problems  []string
}

// visit is one event among n that differ.
func visit(n int, named bool) client.Event {
	e := client.Event{
		Event: "http_access", Service: "shop", OccurredAt: time.Now().Add(-time.Duration(n%3600) * time.Second),
		Data: map[string]any{
			"client_ip": fmt.Sprintf("%s.%d", []string{"192.0.2", "198.51.100", "203.0.113"}[n%3], 1+n%250),
			"method":    "GET", "path": "/", "status": 200, "bytes": n,
		},
	}
	if named {
		e.ID = fmt.Sprintf("visit-%d", n)
	}
	return e
}

const batch = 250 // events of a request

// publish sends events numbered from first, some at a time, and writes down
// what it is told. first is called when the first of them are acknowledged.
func (s *site) publish(l *ledger, from, count int, first func()) {
	s.t.Helper()
	c, err := client.New(client.Config{
		Server: "http://" + s.listen["gateway"], Credential: s.credential("publisher"),
		MaxRetry: 40, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	once := sync.OnceFunc(first)
	todo := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range todo {
				var events []client.Event
				for i := n; i < min(n+batch, from+count); i++ {
					// A quarter of the requests has names for its events; the
					// others are known by their idempotency key alone.
					events = append(events, visit(i, n/batch%4 != 0))
				}
				receipts, err := c.Publish(ctx, events...)
				l.note(receipts, err)
				once()
			}
		})
	}
	for n := from; n < from+count; n += batch {
		todo <- n
	}
	close(todo)
	wg.Wait()
}

func (l *ledger) note(receipts []client.Receipt, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.problems = append(l.problems, err.Error())
	}
	for _, r := range receipts {
		switch r.Status {
		case client.Stored, client.Duplicate:
			l.published++
		default:
			l.problems = append(l.problems, r.Status+": "+r.Problem)
			continue
		}
		if r.ID == "" {
			l.nameless++
			continue
		}
		id, err := ksuid.Parse(r.ID)
		if err != nil {
			l.problems = append(l.problems, "a receipt has an id that is none")
		}
		l.ids[string(id.Bytes())]++
	}
}

func newLedger() *ledger { return &ledger{ids: map[string]int{}} }

// settled waits for the flow and holds the warehouse to the ledger.
func (s *site) settled(l *ledger) {
	s.t.Helper()
	s.settle()
	for _, d := range s.differences(l) {
		s.t.Error(d)
	}
}

// differences says where the warehouse is not as the ledger says: every
// acknowledged event is there, once, and nothing else is.
func (s *site) differences(l *ledger) []string {
	s.t.Helper()
	var out []string
	for _, p := range l.problems {
		out = append(out, "publishing: "+p)
	}
	known, unknown := 0, 0
	for _, row := range s.rows(s.reader(), "SELECT event_id, count() FROM lethe.http_access GROUP BY event_id") {
		id, n := row[0].(string), row[1].(uint64)
		switch {
		case n != 1:
			out = append(out, fmt.Sprintf("an event is there %d times", n))
		case l.ids[id] == 0:
			unknown++
		default:
			known++
		}
	}
	if known != len(l.ids) || unknown != l.nameless {
		out = append(out, fmt.Sprintf("%d events of %d are there that receipts name, and %d of %d that they do not", known, len(l.ids), unknown, l.nameless))
	}
	for _, n := range l.ids {
		if n != 1 {
			out = append(out, fmt.Sprintf("an id stands in %d receipts", n))
		}
	}
	return out
}

// reader reads every row that has not expired, as whoever rebuilds may.
func (s *site) reader() *warehouse.Warehouse {
	s.t.Helper()
	given := warehouseUsers[warehouse.UserRebuild]
	return s.warehouse(warehouse.UserRebuild, given.service, given.variable)
}
