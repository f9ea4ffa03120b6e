package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/ksuid"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// A flood publishes numbered events, request after request, as a publisher
// does that knows nothing of Lethe's state: what is not answered is sent again
// until it is. The number is in a field that is kept, so that the warehouse
// tells which events it has.
type flood struct {
	data       string // where the Lethe of the moment says its address
	credential string
	service    string
	again      bool // requests are recognized when they come again

	requests []*floodRequest
	acked    atomic.Int64 // events in requests that were answered
	done     chan struct{}

	// mu guards what receipts said.
	mu      sync.Mutex
	ids     map[string]bool // of events receipted as stored
	refused int
	expired int
	wrong   []string
}

// floodRequest is one request: of web accesses without ids, of web accesses
// that have one, or of activations, each beside events that are not to be
// stored.
type floodRequest struct {
	body        []byte
	key         string
	from, count int // numbers of its sound events
	activations bool
}

const (
	// floodRefused and floodExpired are added to the number of events that
	// must not be stored.
	floodRefused = 1_000_000_000
	floodExpired = 2_000_000_000
	// floodBatch is how many sound events a request has.
	floodBatch = 50
)

// flood begins to publish n events to the Lethe that runs on the directory of
// r, or will. The credential must be there.
func (r *running) flood(service string, n int) *flood {
	r.t.Helper()
	return r.floodOf(service, n, true)
}

func (r *running) floodOf(service string, n int, again bool) *flood {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	f := &flood{
		data: r.Data, credential: r.Credential("publisher"), service: service, again: again,
		done: make(chan struct{}), ids: map[string]bool{},
	}
	now := time.Now().UTC()
	for from := 0; from < n; from += floodBatch {
		f.requests = append(f.requests, f.request(len(f.requests), from, min(floodBatch, n-from), now))
	}
	queue := make(chan *floodRequest)
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for q := range queue {
				f.send(ctx, q)
			}
		})
	}
	go func() {
		defer close(f.done)
		for _, q := range f.requests {
			queue <- q
		}
		close(queue)
		workers.Wait()
	}()
	r.t.Cleanup(func() {
		stop()
		<-f.done
	})
	return f
}

func (f *flood) request(ordinal, from, count int, now time.Time) *floodRequest {
	q := &floodRequest{from: from, count: count, activations: ordinal%3 == 2}
	named := f.again && ordinal%3 == 1
	if f.again && !named {
		q.key = fmt.Sprintf("%s-%d", f.service, ordinal)
	}
	var b bytes.Buffer
	add := func(number int, at time.Time, activation, broken bool) {
		ev := map[string]any{"event": "http_access", "occurred_at": at.Format(time.RFC3339Nano)}
		data := map[string]any{
			"client_ip": fmt.Sprintf("192.0.2.%d", number%256), "status": 200, "method": "GET",
			"path": "/articles", "bytes": number,
		}
		if activation {
			ev["event"] = "activation"
			data = map[string]any{
				"action": "activate", "product": "planner", "license_key": fmt.Sprintf("KEY-%d", number%97),
				"machine_code": fmt.Sprintf("machine-%d", number%211), "ip": "2001:db8::7", "data_object_id": number,
			}
		}
		if broken {
			data["status"], data["action"] = "no status", "no action"
		}
		if named {
			ev["id"] = fmt.Sprintf("%s-%d", f.service, number)
		}
		ev["data"] = data
		if err := json.NewEncoder(&b).Encode(ev); err != nil {
			panic(err)
		}
	}
	for number := from; number < from+count; number++ {
		// Some lie back, so that a round of rows has several partitions.
		add(number, now.Add(-time.Duration(number%3)*24*time.Hour), q.activations, false)
	}
	add(floodRefused+ordinal, now, q.activations, true)
	add(floodExpired+ordinal, now.AddDate(0, 0, -40), false, false)
	q.body = b.Bytes()
	return q
}

// send sends a request until it is answered.
func (f *flood) send(ctx context.Context, q *floodRequest) {
	for ctx.Err() == nil {
		answer, ok := f.try(ctx, q)
		if ok {
			f.take(q, answer)
			f.acked.Add(int64(q.count))
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

type floodAnswer struct {
	Receipts []struct {
		ID, Status, Problem string
	}
}

func (f *flood) try(ctx context.Context, q *floodRequest) (floodAnswer, bool) {
	var a floodAnswer
	var at struct{ HTTP string }
	b, err := os.ReadFile(filepath.Join(f.data, "run.json"))
	if err != nil || json.Unmarshal(b, &at) != nil {
		return a, false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.HTTP+"/v1/events?service="+f.service, bytes.NewReader(q.body))
	if err != nil {
		return a, false
	}
	req.Header.Set("Authorization", "Bearer "+f.credential)
	req.Header.Set("Content-Type", "application/x-ndjson")
	if q.key != "" {
		req.Header.Set("Idempotency-Key", q.key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, false
	}
	defer resp.Body.Close()
	b, err = io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return a, false
	}
	return a, json.Unmarshal(b, &a) == nil && len(a.Receipts) == q.count+2
}

func (f *flood) take(q *floodRequest, a floodAnswer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, receipt := range a.Receipts {
		switch s := receipt.Status; {
		case i == q.count && s == "refused":
			f.refused++
		case i == q.count+1 && s == "expired":
			f.expired++
		case i < q.count && s == "stored":
			f.ids[receipt.ID] = true
		case i < q.count && s == "duplicate":
		default:
			f.wrong = append(f.wrong, fmt.Sprintf("event %d of the request from number %d: %s %s", i, q.from, s, receipt.Problem))
		}
	}
}

// Wait returns when every event is acknowledged.
func (f *flood) Wait(t testing.TB) {
	t.Helper()
	select {
	case <-f.done:
	case <-time.After(5 * time.Minute):
		t.Fatalf("%d events of %s were acknowledged, and then none", f.acked.Load(), f.service)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.wrong) > 0 {
		t.Errorf("%d receipts of %s are not as they should be; the first: %s", len(f.wrong), f.service, f.wrong[0])
	}
	if f.refused != len(f.requests) || f.expired != len(f.requests) {
		t.Errorf("%s: %d events refused and %d expired, want %d of each", f.service, f.refused, f.expired, len(f.requests))
	}
}

// Until waits until a number of events is acknowledged.
func (f *flood) Until(t testing.TB, n int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); f.acked.Load() < int64(n); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events of %s were acknowledged, and then none", f.acked.Load(), f.service)
		}
	}
}

// check holds the warehouse to what was acknowledged: each event is in each of
// its tables once, and nothing else is. It reads rows as they lie there,
// without FINAL. P18.
func (f *flood) check(t testing.TB, ctx context.Context, w *warehouse.Warehouse) {
	t.Helper()
	if diff := f.diff(t, ctx, w); len(diff) > 0 {
		t.Errorf("%s: %d faults; the first:\n%s", f.service, len(diff), strings.Join(diff[:min(len(diff), 5)], "\n"))
	}
}

// diff lists what the warehouse has too much, or not.
func (f *flood) diff(t testing.TB, ctx context.Context, w *warehouse.Warehouse) []string {
	t.Helper()
	var out []string
	fault := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	stored := map[string]bool{}
	where := " WHERE service = '" + f.service + "'"
	lasting := 0
	for _, table := range []struct {
		name, number string
		activations  bool
	}{
		{"http_access", "bytes", false}, {"activation", "data_object_id", true},
	} {
		want := map[int64]bool{}
		for _, q := range f.requests {
			for number := q.from; q.activations == table.activations && number < q.from+q.count; number++ {
				want[int64(number)] = true
			}
		}
		times, ids := map[int64]int{}, map[string]bool{}
		got := rows(t, ctx, w, "SELECT "+table.number+", event_id FROM "+w.Table(table.name)+where)
		for _, row := range got {
			number, _ := row[0].(int64)
			times[number]++
			id, err := ksuid.FromBytes([]byte(row[1].(string)))
			if err != nil {
				t.Fatal(err)
			}
			ids[id.String()], stored[id.String()] = true, true
		}
		for number, n := range times {
			switch {
			case !want[number]:
				fault("table %s has event %d, which is none of its own", table.name, number)
			case n > 1:
				fault("table %s has event %d %d times", table.name, number, n)
			}
		}
		for number := range want {
			if times[number] == 0 {
				fault("table %s does not have event %d, which was acknowledged", table.name, number)
			}
		}
		if len(ids) != len(got) {
			fault("table %s has %d ids in %d rows", table.name, len(ids), len(got))
		}
		if table.activations {
			lasting = len(want)
		}
	}
	// The lasting row of an activation does not say which one it was.
	for _, counted := range []string{"count()", "uniqExact(event_id)"} {
		if n := one(t, ctx, w, "SELECT "+counted+" FROM "+w.Table("activation_lasting")+where); n != lasting {
			fault("table activation_lasting has %s = %d, and %d events were acknowledged", counted, n, lasting)
		}
	}
	for id := range f.ids {
		if !stored[id] {
			fault("an event of a receipt is in no table: %s", id)
		}
	}
	return out
}
