package retention_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/retention"
)

const (
	costDays  = 400 // expiry days of each table
	costRuns  = 9   // daily runs that are measured
	costFrame = 500 // rows of a frame
	// costBytes are the sealed bytes of a row in its frame, about those of an
	// access event.
	costBytes = 45
)

// BenchmarkExpireDay is the run of retention that expires one of 400 days: the
// day's partition in each of seven tables, the keys of six classes, and their
// frames. It is made with a million rows and with ten million, each in stores
// of their own and in turn, so that whatever else the machine does falls on
// both.
//
// It reports what the engine, the log server and the keyring wrote in such a
// run, as a share of the bytes that stay; how long it takes, and how much
// longer with ten times the rows: x-run of the whole, x-rest of all but the
// manifest, and x-quiet of a run that has nothing to do. All are medians; a
// ratio is that of two runs, one after the other.
func BenchmarkExpireDay(b *testing.B) {
	small, large := newCost(b, 1_000_000), newCost(b, 10_000_000)
	for range costRuns {
		small.day()
		large.day()
	}
	for _, of := range []struct {
		name string
		*cost
	}{{"1M", small}, {"10M", large}} {
		kept := of.kept()
		b.ReportMetric(float64(median(of.written))/(1<<10), "KiB-written/run-"+of.name)
		b.ReportMetric(float64(kept)/(1<<20), "MiB-kept-"+of.name)
		b.ReportMetric(100*float64(median(of.written))/float64(kept), "%-written-"+of.name)
		b.ReportMetric(float64(median(of.idle))/(1<<10), "KiB-written/quiet-run-"+of.name)
		b.ReportMetric(milliseconds(median(of.whole)), "ms/run-"+of.name)
		b.ReportMetric(milliseconds(median(of.quiet)), "ms/quiet-run-"+of.name)
	}
	b.ReportMetric(ratio(large.whole, small.whole), "x-run")
	b.ReportMetric(ratio(large.rest, small.rest), "x-rest")
	b.ReportMetric(ratio(large.quiet, small.quiet), "x-quiet")
	b.ReportMetric(float64(median(large.whole)), "ns/op") // and not the filling
}

// cost is a site with many rows, and what its runs cost.
type cost struct {
	*site
	retention *retention.Retention
	first     time.Time // the first instant of the first expiry day
	steps     map[string]time.Time

	// whole are runs that expire a day, rest the same without the manifest,
	// and quiet those that come after and have nothing to do.
	whole, rest, quiet []time.Duration
	// written are the bytes that the first wrote, idle those that the last did.
	written, idle []int64
}

func newCost(t testing.TB, rows int) *cost {
	t.Helper()
	c := &cost{site: start(t), steps: map[string]time.Time{}}
	c.first = event.DayOf(c.now).Start()
	c.recordKeys()
	before := c.writes()
	c.fill(rows)
	if wrote, kept := c.writes()-before, c.kept(); wrote < kept {
		t.Fatalf("filling wrote %d bytes by the count of the kernel, and %d are there: the count misses some", wrote, kept)
	}
	c.retention = c.site.retention()
	c.retention.SetStep(func(at string) { c.steps[at] = time.Now() })
	must(t, c.retention.Once(t.Context())) // the first manifest
	return c
}

// recordKeys has the keyring put on record what it destroys, as in a Lethe.
func (c *cost) recordKeys() {
	c.t.Helper()
	dir := c.t.TempDir()
	k := keyring.Config{
		Dir: filepath.Join(dir, "keys"), KEKFile: filepath.Join(dir, "kek"),
		Log: lethetest.Logger(c.t), Now: func() time.Time { return c.now },
		Record: func(ctx context.Context, u keyring.Use) error {
			if c.retention == nil {
				return nil // filling
			}
			return c.config.Recorder.Record(ctx, audit.KindKey, audit.Key{Verb: u.Verb, Key: u.Key, Power: string(u.Power)})
		},
	}
	must(c.t, keyring.Create(c.t.Context(), k))
	keys, err := keyring.Open(c.t.Context(), k)
	must(c.t, err)
	c.t.Cleanup(func() { _ = keys.Close() })
	c.keys, c.config.Keys = keys, keys.Retention()
}

// fill puts rows into every table, as many of each expiry day, and their
// frames on the log in the order in which they expire.
func (c *cost) fill(rows int) {
	c.t.Helper()
	tables := c.pol.Tables()
	each := rows / len(tables) / costDays
	frames := (each + costFrame - 1) / costFrame
	for d := range costDays {
		var msgs []eventlog.Message
		for _, t := range tables {
			day := event.DayOf(c.first.AddDate(0, 0, d))
			if t.Class.Lasting {
				day = event.Never
			}
			for n := range frames {
				body := make([]byte, costBytes*min(costFrame, each-n*costFrame))
				_, err := rand.Read(body)
				must(c.t, err)
				aad := event.Header(event.CleanHeader{Tenant: "acme", Service: "web", Table: t.Name, Class: t.Class.KeyName(), Day: day, Count: min(costFrame, each)})
				sealed, err := c.keys.Pseudonymizer().SealClean(c.t.Context(), "acme", t.Class.KeyName(), string(day), aad, body)
				must(c.t, err)
				msgs = append(msgs, eventlog.Message{Topic: event.CleanTopic("acme", "web", t.Name, day, 0), Data: event.Pack(aad, sealed)})
			}
		}
		_, err := c.clean.Append(c.t.Context(), msgs)
		must(c.t, err)
	}
	c.load()
	for _, t := range tables {
		c.sql(fillSQL(t, c.first, "now64(3) - toIntervalSecond(number % 3600)", each))
	}
}

// fillSQL inserts rows whose columns are as hard to compress as real ones, or
// harder.
func fillSQL(t *policy.Table, first time.Time, occurred string, each int) string {
	day := fmt.Sprintf("addDays(toDate('%s'), number %% %d)", event.DayOf(first), costDays)
	if t.Class.Lasting {
		day = fmt.Sprintf("toDate('%s')", event.Never)
	}
	names := []string{"tenant", "service", "event_id", "occurred_at", "expires_at", "expiry_day", "log_seq"}
	values := []string{
		"'acme'", "'web'", fmt.Sprintf("randomFixedString(%d)", event.TokenSize),
		occurred, fmt.Sprintf("toDateTime64(%s, 3, 'UTC') + toIntervalHour(1)", day), day,
		fmt.Sprintf("intDiv(number, %d) + 1", costFrame),
	}
	for i, column := range t.Columns {
		value := ""
		switch column.Kind {
		case event.Token:
			value = fmt.Sprintf("randomFixedString(%d)", event.TokenSize)
		case event.String:
			value = fmt.Sprintf("concat('value ', toString(cityHash64(number, %d) %% 50))", i)
		case event.Int:
			value = fmt.Sprintf("cityHash64(number, %d) %% 200000", i)
		default:
			continue
		}
		names, values = append(names, "`"+column.Name+"`"), append(values, value)
	}
	return fmt.Sprintf("INSERT INTO lethe.%s (%s) SELECT %s FROM system.numbers LIMIT %d"+
		" SETTINGS max_partitions_per_insert_block = 0, max_threads = 1, min_insert_block_size_rows = 100000000, min_insert_block_size_bytes = 0",
		t.Name, strings.Join(names, ", "), strings.Join(values, ", "), each*costDays)
}

// day is a run at the beginning of the next day, which expires one, and one
// after it, which has nothing to do.
func (c *cost) day() {
	c.t.Helper()
	c.now = c.now.Truncate(24*time.Hour).AddDate(0, 0, 1).Add(10 * time.Minute)
	due := event.DayOf(c.now.AddDate(0, 0, -1))
	before := c.writes()
	began := time.Now()
	must(c.t, c.retention.Once(c.t.Context()))
	took := time.Since(began)
	c.written = append(c.written, c.writes()-before)
	manifest := c.steps["manifest"].Sub(c.steps["holds"])
	c.whole, c.rest = append(c.whole, took), append(c.rest, took-manifest)
	c.expired(due)

	c.now = c.now.Add(15 * time.Minute)
	before, began = c.writes(), time.Now()
	must(c.t, c.retention.Once(c.t.Context()))
	c.quiet = append(c.quiet, time.Since(began))
	c.idle = append(c.idle, c.writes()-before)
}

// expired fails the benchmark unless a day is gone from every store.
func (c *cost) expired(day event.Day) {
	c.t.Helper()
	parts, err := c.own.Partitions(c.t.Context())
	must(c.t, err)
	next := event.DayOf(day.End())
	var tables int
	for _, p := range parts {
		if p.Day <= day {
			c.t.Fatalf("table %s still has rows of %s", p.Table, day)
		}
		if p.Day == next {
			tables++
		}
	}
	live, err := c.config.Keys.Live(c.t.Context())
	must(c.t, err)
	for _, k := range live {
		if k.Kind == keyring.KindClean && event.DayOf(k.Start) <= day {
			c.t.Fatalf("key %s still lives", k.ID)
		}
	}
	if tables < 7 || c.frames(day) != 0 || c.frames(next) == 0 {
		c.t.Fatalf("after %s: rows of the day after in %d tables, %d topics with frames of it, %d of the day after", day, tables, c.frames(day), c.frames(next))
	}
}

// kept is the bytes that the tables and the clean log hold on disk.
func (c *cost) kept() int64 {
	c.t.Helper()
	r, err := c.admin.Rows(c.t.Context(), "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'lethe'", nil)
	must(c.t, err)
	tables, _ := r.Rows[0][0].(uint64)
	info, err := c.log.Info(c.t.Context(), eventlog.CleanStream)
	must(c.t, err)
	return int64(tables + info.Bytes)
}

// writes is how many bytes the engine and this process, which has the log
// server and the keyring, have written to disk by the count of the kernel.
func (c *cost) writes() int64 {
	c.t.Helper()
	return written(c.t, os.Getpid()) + written(c.t, c.engine.PID())
}

// written is write_bytes of /proc/PID/io, proc(5): pages that were made dirty,
// whether or not they have reached the disk.
func written(t testing.TB, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	must(t, err)
	for line := range bytes.Lines(text) {
		if n, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("write_bytes: ")); ok {
			v, err := strconv.ParseInt(string(n), 10, 64)
			must(t, err)
			return v
		}
	}
	t.Fatalf("/proc/%d/io has no write_bytes", pid)
	return 0
}

// sql runs a statement as the overseer.
func (s *site) sql(statement string) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://engine/", strings.NewReader(statement))
	must(s.t, err)
	r.SetBasicAuth(lethetest.Overseer, lethetest.Password(lethetest.Overseer))
	client := &http.Client{Transport: &http.Transport{DialContext: s.engine.DialHTTP, DisableKeepAlives: true}}
	answer, err := client.Do(r)
	must(s.t, err)
	text, err := io.ReadAll(answer.Body)
	must(s.t, errors.Join(err, answer.Body.Close()))
	if answer.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s", statement, text)
	}
	return string(text)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median[N int64 | float64 | time.Duration](all []N) N {
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// ratio is the median ratio of pairs.
func ratio(a, b []time.Duration) float64 {
	var all []float64
	for i := range a {
		all = append(all, float64(a[i])/float64(b[i]))
	}
	return median(all)
}
