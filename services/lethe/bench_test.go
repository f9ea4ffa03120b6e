package main_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

const (
	benchRequest  = 500 // events of a request
	benchInFlight = 4   // requests under way
	benchPoll     = 20 * time.Millisecond
)

// benchEvents is how many events BenchmarkFlow publishes.
func benchEvents(b *testing.B) int {
	b.Helper()
	n := lethetest.BenchEvents(b, 100_000)
	if n < benchRequest {
		b.Fatalf("LETHE_BENCH_EVENTS is a number from %d on", benchRequest)
	}
	return n - n%benchRequest
}

// BenchmarkFlow publishes access events over HTTP to a Lethe of its own, in
// requests of 500, four at a time, and measures from the first request until
// the last row can be queried. CPU is that of the processes from /proc: of
// Lethe (the log, the gateway, the pseudonymizer and the loader), of its
// engine, and of the publisher, which is this process and no part of Lethe.
func BenchmarkFlow(b *testing.B) {
	b.StopTimer()
	events := benchEvents(b)
	r := up(b)
	publish := publisher(b, r.HTTP, r.Credential("publisher"))
	publish(requests(0, benchRequest)) // the first one meets what is made on first use
	r.loaded(b, benchRequest)
	var passed time.Duration
	var used [3]time.Duration // by Lethe, the engine, the publisher
	sent := benchRequest
	for range b.N {
		bodies := requests(sent, events)
		before := r.cpu(b)
		began := time.Now()
		b.StartTimer()
		publish(bodies)
		sent += events
		r.loaded(b, sent)
		b.StopTimer()
		passed += time.Since(began)
		for i, after := range r.cpu(b) {
			used[i] += after - before[i]
		}
	}
	n := float64(events * b.N)
	b.ReportMetric(n/passed.Seconds(), "events/s")
	for i, unit := range []string{"cpu-ns/event", "child-ns/event", "publisher-ns/event"} {
		b.ReportMetric(float64(used[i].Nanoseconds())/n, unit)
	}
	b.ReportMetric(memory(b, r.PID, "VmHWM"), "MiB-peak")
	b.ReportMetric(memory(b, r.EnginePID, "VmHWM"), "engine-MiB-peak")
}

// requests are bodies with events from the n-th on.
func requests(n, events int) [][]byte {
	var bodies [][]byte
	for at := time.Now(); events > 0; events -= benchRequest {
		bodies = append(bodies, lethetest.AccessEvents(n, benchRequest, at))
		n += benchRequest
	}
	return bodies
}

// publisher returns a function that sends bodies and returns when every event
// of theirs is stored.
func publisher(b *testing.B, server, credential string) func(bodies [][]byte) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchInFlight}}
	b.Cleanup(client.CloseIdleConnections)
	send := func(body []byte) error {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server+"/v1/events?service=web", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+credential)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if stored := bytes.Count(answer, []byte(`"stored"`)); resp.StatusCode != http.StatusOK || stored != benchRequest {
			return fmt.Errorf("status %d, %d of %d events stored", resp.StatusCode, stored, benchRequest)
		}
		return nil
	}
	return func(bodies [][]byte) {
		b.Helper()
		var next atomic.Int64
		var wg sync.WaitGroup
		for range benchInFlight {
			wg.Go(func() {
				for i := next.Add(1) - 1; i < int64(len(bodies)); i = next.Add(1) - 1 {
					if err := send(bodies[i]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if b.Failed() {
			b.FailNow()
		}
	}
}

// loaded waits until the loader has told of that many rows.
func (r *running) loaded(b *testing.B, rows int) {
	b.Helper()
	awaitRows(b, r.HTTP, rows)
}

// awaitRows asks the metrics and not the status, because the status asks the
// engine.
func awaitRows(b *testing.B, server string, rows int) {
	b.Helper()
	const name = "lethe_loader_rows_total "
	got := 0.0
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(benchPoll) {
		resp, err := http.Get(server + "/metrics")
		if err != nil {
			b.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		if _, rest, ok := strings.Cut(string(text), "\n"+name); ok {
			line, _, _ := strings.Cut(rest, "\n")
			if got, err = strconv.ParseFloat(line, 64); err != nil {
				b.Fatal(err)
			}
		}
		if int(got) == rows {
			return
		}
	}
	b.Fatalf("%.0f rows are in the warehouse of %d", got, rows)
}

func (r *running) cpu(b *testing.B) (used [3]time.Duration) {
	b.Helper()
	for i, pid := range []int{r.PID, r.EnginePID, os.Getpid()} {
		var err error
		if used[i], err = lethetest.ProcessCPU(pid); err != nil {
			b.Fatal(err)
		}
	}
	return used
}

// memory is a line of /proc/PID/status in MiB.
func memory(b *testing.B, pid int, line string) float64 {
	b.Helper()
	n, err := lethetest.ProcessMemory(pid, line)
	if err != nil {
		b.Fatal(err)
	}
	return float64(n) / (1 << 20)
}

// BenchmarkStart measures from the start of `lethe up` until its ready file is
// written, to 20 ms: on an empty directory, and on one with data.
func BenchmarkStart(b *testing.B) {
	b.Run("cold", func(b *testing.B) {
		binary(b)
		for range b.N {
			r := up(b)
			b.StopTimer()
			r.Stop()
			b.StartTimer()
		}
		b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms")
	})
	b.Run("warm", func(b *testing.B) {
		b.StopTimer()
		r := up(b)
		publisher(b, r.HTTP, r.Credential("publisher"))(requests(0, 10*benchRequest))
		r.loaded(b, 10*benchRequest)
		r.Stop()
		b.StartTimer()
		for range b.N {
			r.Start()
			b.StopTimer()
			r.Stop()
			b.StartTimer()
		}
		b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms")
	})
}

// BenchmarkIdle measures the memory and the CPU of a Lethe that has nothing to
// do: memory after 10 s of that, CPU during the 10 s. Anonymous memory is the
// process's own; the rest is the program's files, which the system may drop.
func BenchmarkIdle(b *testing.B) {
	const idle = 10 * time.Second
	r := up(b)
	before := r.cpu(b)
	began := time.Now()
	time.Sleep(idle)
	after := r.cpu(b)
	for i, unit := range []string{"cpu-%", "engine-cpu-%"} {
		b.ReportMetric(100*(after[i]-before[i]).Seconds()/time.Since(began).Seconds(), unit)
	}
	for line, unit := range map[string]string{"VmRSS": "MiB", "RssAnon": "MiB-anonymous"} {
		b.ReportMetric(memory(b, r.PID, line), unit)
		b.ReportMetric(memory(b, r.EnginePID, line), "engine-"+unit)
	}
}

// BenchmarkFlowInside is BenchmarkFlow with Lethe in the process of the
// benchmark, for profiles: it runs with -cpuprofile or -memprofile alone. The
// publisher is in the profile too.
func BenchmarkFlowInside(b *testing.B) {
	if flag.Lookup("test.cpuprofile").Value.String() == "" && flag.Lookup("test.memprofile").Value.String() == "" {
		b.Skip("runs for profiles alone: go test -run ^$ -bench FlowInside -cpuprofile FILE ./services/lethe")
	}
	requireEngine(b)
	b.StopTimer()
	events := benchEvents(b)
	c := config.Default()
	c.Data = filepath.Join(b.TempDir(), "data")
	c.Listen = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	defer cancel()
	ready, done := make(chan assembly.Addresses, 1), make(chan error, 1)
	go func() {
		done <- assembly.Run(ctx, c, slog.New(slog.DiscardHandler), func(a assembly.Addresses) { ready <- a }, assembly.Everything()...)
	}()
	var at assembly.Addresses
	select {
	case at = <-ready:
	case err := <-done:
		b.Fatal(err)
	}
	credential, err := os.ReadFile(filepath.Join(c.Data, "credentials", "publisher"))
	if err != nil {
		b.Fatal(err)
	}
	publish := publisher(b, at.HTTP, strings.TrimSpace(string(credential)))
	sent := 0
	for range b.N {
		bodies := requests(sent, events)
		b.StartTimer()
		publish(bodies)
		sent += events
		awaitRows(b, at.HTTP, sent)
		b.StopTimer()
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
