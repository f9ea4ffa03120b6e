package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/logformat"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// traffic is what a log says, counted with no part of Lethe: requests and
// different addresses, by day as the log writes it, and in all.
type traffic struct {
	requests  int
	byDay     map[string]int            // requests
	addresses map[string]map[string]int // by day
	all       map[string]int
	newest    time.Time
}

func count(t testing.TB, file string, read func(line []byte) (address string, at time.Time)) traffic {
	t.Helper()
	tr := traffic{byDay: map[string]int{}, addresses: map[string]map[string]int{}, all: map[string]int{}}
	for line := range strings.Lines(from(t, file, 1)) {
		address, at := read([]byte(line))
		day := at.UTC().Format(time.DateOnly)
		if tr.addresses[day] == nil {
			tr.addresses[day] = map[string]int{}
		}
		tr.requests++
		tr.byDay[day]++
		tr.addresses[day][address]++
		tr.all[address]++
		if at.After(tr.newest) {
			tr.newest = at
		}
	}
	return tr
}

// countCombined reads what awk would: the first word, and what stands in
// brackets.
func countCombined(t testing.TB, file string) traffic {
	t.Helper()
	return count(t, file, func(line []byte) (string, time.Time) {
		words := strings.Fields(string(line))
		at, err := time.Parse("[02/Jan/2006:15:04:05 -0700]", words[3]+" "+words[4])
		if err != nil {
			t.Fatal("a line of the log has another form than the test thinks")
		}
		return words[0], at
	})
}

func countNginx(t testing.TB, file string) traffic {
	t.Helper()
	return count(t, file, func(line []byte) (string, time.Time) {
		var l struct {
			Addr netip.Addr `json:"remote_addr"`
			Time time.Time  `json:"time"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal("a line of the log has another form than the test thinks")
		}
		return l.Addr.String(), l.Time
	})
}

// from is the text of a file from a line on.
func from(t testing.TB, file string, line int) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(slices.Collect(strings.Lines(string(b)))[line-1:], "")
}

// rebased returns by how much `--rebase now` moves the log, and waits out the
// moment of the day at which that becomes a day more.
func (tr traffic) rebased() time.Duration {
	shift := logformat.ShiftFor(tr.newest, time.Now())
	if left := time.Until(tr.newest.Add(shift + 24*time.Hour)); left < 3*time.Minute {
		time.Sleep(left + time.Second)
		shift = logformat.ShiftFor(tr.newest, time.Now())
	}
	return shift
}

// days is a count by day, with its days moved.
func days[V any](of map[string]V, shift time.Duration, number func(V) int) map[string]int {
	out := map[string]int{}
	for day, v := range of {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			panic(err)
		}
		out[at.Add(shift).Format(time.DateOnly)] = number(v)
	}
	return out
}

// byDay is an answer as numbers by day. A hidden one is -1.
func (a answer) byDay(t testing.TB) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, row := range a.Rows {
		day, ok := row.By["day"].(string)
		if !ok {
			t.Fatal("a row has no day")
		}
		out[day] = -1
		if row.Value != nil {
			out[day] = int(*row.Value)
		}
	}
	return out
}

// total is the shown total of an answer, -1 when it is hidden.
func (a answer) total() int {
	if a.Total.Value == nil {
		return -1
	}
	return int(*a.Total.Value)
}

// checkTraffic holds the answers about one service to the count.
func (r *running) checkTraffic(service string, tr traffic, shift time.Duration) {
	r.t.Helper()
	only := "service=" + service
	for _, metric := range []struct {
		name  string
		total int
		byDay map[string]int
	}{
		{"requests", tr.requests, days(tr.byDay, shift, func(n int) int { return n })},
		{"visitors", len(tr.all), days(tr.addresses, shift, func(a map[string]int) int { return len(a) })},
	} {
		r.Shows(metric.total, metric.name, "--where", only)
		a := r.Ask(metric.name, "--by", "day", "--where", only)
		if diff := cmp.Diff(metric.byDay, a.byDay(r.t)); diff != "" {
			r.t.Errorf("%s of %s by day (-counted +answered):\n%s", metric.name, service, diff)
		}
		if n := a.total(); n != metric.total {
			r.t.Errorf("%s of %s in all: %d, counted %d", metric.name, service, n, metric.total)
		}
	}
}

// check holds an account to what it should say.
func (a account) check(t testing.TB, read, stored, duplicate int, refused map[string]int) {
	t.Helper()
	if refused == nil {
		refused = map[string]int{}
	}
	want := account{Read: read, Stored: stored, Duplicate: duplicate, Refused: refused}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("the account (-want +got):\n%s", diff)
	}
}

// TestImportedLogAddsUp: real logs, with an edge of a key epoch at noon of the
// third of four days. P18, and the bridge of ADR 3.
func TestImportedLogAddsUp(t *testing.T) {
	t.Parallel()
	apache := testData(t, "http/elastic-examples/apache_logs")
	nginx := testData(t, "http/nginx/access-5k.jsonl")
	want, wantNginx := countCombined(t, apache), countNginx(t, nginx)
	if want.requests != 10_000 || len(want.all) != 1753 || len(want.byDay) != 4 {
		t.Fatalf("the log has %d lines, %d addresses, %d days; it is not the one this test is about", want.requests, len(want.all), len(want.byDay))
	}
	nginxShift, shift := wantNginx.rebased(), want.rebased()
	edge := time.Date(2015, time.May, 19, 12, 0, 0, 0, time.UTC).Add(shift)
	overlay := t.TempDir()
	writeFile(t, overlay, "web.yaml", change(t, builtIn(t, "pipelines/web.yaml"), "\ndomain: web\n",
		"\ndomain: web\nepochs: {length: 64 days, anchor: "+edge.Format(time.RFC3339)+"}\n"))
	r := up(t, func(r *running) { r.Policy = overlay })

	combined := []string{"--format", "combined", "--service", "web", "--rebase", "now"}
	// Line 8899 has no closing quote at its end; its fields are sound.
	r.Import(append(combined, apache)...).check(t, 10_000, 10_000, 0, nil)
	r.Settle()
	r.checkTraffic("web", want, shift)

	r.Import(append(combined, apache)...).check(t, 10_000, 0, 10_000, nil)
	// The same lines in other requests: the door does not know those, and
	// receipts their events as stored; net 3 finds them before they count.
	tail := writeFile(t, t.TempDir(), "tail.log", from(t, apache, 137))
	r.Import(append(combined, tail)...).check(t, 10_000-136, 10_000-136, 0, nil)
	r.Settle()
	r.checkTraffic("web", want, shift)

	proxy := []string{"--format", "nginx-json", "--service", "proxy", "--rebase", "now", nginx}
	r.Import(proxy...).check(t, wantNginx.requests, wantNginx.requests, 0, nil)
	r.Import(proxy...).check(t, wantNginx.requests, 0, wantNginx.requests, nil)
	r.Settle()
	r.checkTraffic("proxy", wantNginx, nginxShift)
	r.checkTraffic("web", want, shift)

	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		where := " FROM " + w.Table("http_access") + " WHERE service = 'web'"
		if n := one(t, ctx, w, "SELECT count()"+where); n != 10_000 {
			t.Errorf("%d rows, want 10000", n)
		}
		if n := one(t, ctx, w, "SELECT uniqExact(epoch)"+where); n != 2 {
			t.Errorf("the rows are of %d epochs, so no edge was tested", n)
		}
		// The control: who is there on both sides of the edge has two tokens.
		if n := one(t, ctx, w, "SELECT uniqExact(visitor)"+where); n <= len(want.all) {
			t.Errorf("%d tokens without the bridge, so the bridge was not tested", n)
		}
	})
}

func TestRefusedLinesAreCountedAndNamedByNumber(t *testing.T) {
	t.Parallel()
	apache := testData(t, "http/elastic-examples/apache_logs")
	nginx := testData(t, "http/nginx/access-5k.jsonl")
	r := up(t)

	lines := slices.Collect(strings.Lines(from(t, apache, 9_001)))
	for _, broken := range []int{5, 400} {
		lines[broken-1] = regexp.MustCompile(`" \d{3} `).ReplaceAllString(lines[broken-1], `" 999 `)
	}
	// Identical lines are different requests; an empty one is none.
	file := writeFile(t, t.TempDir(), "access.log", strings.Join(append(lines, lines[0], lines[0], "\n"), ""))
	out := r.Run("import", "--format", "combined", "--service", "shop", "--rebase", "now", file)
	for _, want := range []string{"read       1002\n", "stored     1000\n", "refused    2\n",
		"2 × field status is out of range", file + ":5: field status is out of range", file + ":400: field status is out of range"} {
		if !strings.Contains(out, want) {
			t.Errorf("the account does not say %q:\n%s", want, out)
		}
	}

	// Bytes that are no UTF-8: nginx writes what it got.
	bad := map[int]bool{1: true, 77: true, 4_999: true, 5_000: true}
	var b bytes.Buffer
	number := 0
	for line := range strings.Lines(from(t, nginx, 1)) {
		if number++; bad[number] {
			line = change(t, line, `"user_agent":"`, "\"user_agent\":\"\xff\xfe")
		}
		b.WriteString(line)
	}
	file = writeFile(t, t.TempDir(), "access.jsonl", b.String())
	args := []string{"--format", "nginx-json", "--service", "proxy", "--rebase", "now", file}
	r.Import(args...).check(t, 5_000, 4_996, 0, map[string]int{"line is not valid UTF-8": 4})
	out = r.Run(append([]string{"import"}, args...)...)
	for _, number := range slices.Sorted(maps.Keys(bad)) {
		if want := fmt.Sprintf("%s:%d: line is not valid UTF-8", file, number); !strings.Contains(out, want) {
			t.Errorf("the account does not name line %d:\n%s", number, out)
		}
	}

	// In a combined line such bytes become \xHH, and the request counts.
	line := change(t, lines[1], `"Mozilla`, "\"Mozilla\xff")
	r.Import("--format", "combined", "--service", "shop", "--rebase", "now",
		writeFile(t, t.TempDir(), "one.log", line)).check(t, 1, 1, 0, nil)
	r.Settle()
	r.Rows("http_access", 1001, "service = 'shop'")
	r.Rows("http_access", 4996, "service = 'proxy'")
}
