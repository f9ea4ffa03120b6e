package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/client"
)

// The demo's people do not exist: their addresses come from the ranges that
// RFC 5737 and RFC 3849 set aside for documentation.
const (
	demoVisitors = 600
	demoMachines = 300
	demoHistory  = 6 // days
	demoBurst    = 3000
	demoPace     = 50 * time.Millisecond
)

// The demo leaves http_access alone, so that a log imported beside it adds up.

// runDemo publishes through the front door as any publisher would: a few days
// of history at once, then a steady trickle. When the first answers are there
// it shows one.
func runDemo(ctx context.Context, w io.Writer, server, data string, log *slog.Logger) error {
	publisher, err := demoClient(server, data, "publisher", log)
	if err != nil {
		return err
	}
	analyst, err := demoClient(server, data, "analyst", log)
	if err != nil {
		return err
	}
	now := time.Now()
	var batch []client.Event
	stored := 0
	send := func() error {
		receipts, err := publisher.Publish(ctx, batch...)
		if err != nil {
			return err
		}
		for _, r := range receipts {
			if r.Status == "stored" {
				stored++
			}
		}
		batch = batch[:0]
		return nil
	}
	// From midnight on, so that the first day is a whole one.
	begin := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -demoHistory)
	for range demoBurst {
		at := begin.Add(time.Duration(rand.Int64N(int64(now.Sub(begin)))))
		batch = append(batch, demoEvent(at))
		if len(batch) == 500 {
			if err := send(); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(w, "The demo has published %d made-up events and goes on publishing.\n", stored)
	if err := showAnswer(ctx, w, analyst); err != nil {
		return err
	}
	tick := time.NewTicker(demoPace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			batch = append(batch, demoEvent(time.Now()))
		}
		if len(batch) >= 10 {
			if err := send(); err != nil && ctx.Err() == nil {
				log.Warn("demo events not published", "err", err)
				batch = batch[:0]
			}
		}
	}
}

func demoClient(server, data, role string, log *slog.Logger) (*client.Client, error) {
	credential, err := os.ReadFile(filepath.Join(data, "credentials", role))
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{Server: server, Credential: strings.TrimSpace(string(credential)), Log: log})
}

// showAnswer waits until what was published can be asked for, and asks.
func showAnswer(ctx context.Context, w io.Writer, c *client.Client) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var answer struct {
			Total struct {
				Value *float64 `json:"value"`
			} `json:"total"`
		}
		if err := c.Do(ctx, http.MethodGet, "/v1/stats/viewers", nil, nil, &answer); err != nil {
			return err
		}
		if answer.Total.Value != nil && *answer.Total.Value > 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	for _, q := range []struct{ metric, by, title string }{
		{"activations", "product", "Activations by product:"},
		{"viewers", "day", "Viewers by day:"},
	} {
		fmt.Fprintf(w, "\n%s\n", q.title)
		if err := c.Do(ctx, http.MethodGet, "/v1/stats/"+q.metric, url.Values{"by": {q.by}, "format": {"table"}}, nil, w); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "\n'lethe verify' says which promises hold. Stop with Ctrl-C.")
	return nil
}

func demoEvent(at time.Time) client.Event {
	if rand.IntN(4) == 0 {
		return demoActivation(at)
	}
	v := rand.IntN(demoVisitors)
	address := fmt.Sprintf("198.51.100.%d", v%250)
	if v >= 250 {
		address = fmt.Sprintf("2001:db8:%x::%x", v%7, v)
	}
	return client.Event{
		Event: "page_view", Service: "shop", OccurredAt: at,
		Data: map[string]any{
			"ip":         address,
			"cookie_id":  fmt.Sprintf("demo-cookie-%04d", v),
			"path":       pick("/", "/pricing", "/docs/start", "/download", "/blog/forgetting-on-schedule"),
			"user_agent": pick("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"),
		},
	}
}

func demoActivation(at time.Time) client.Event {
	m := rand.IntN(demoMachines)
	return client.Event{
		Event: "activation", Service: "licensing", OccurredAt: at,
		Data: map[string]any{
			"action":       pick("activate", "activate", "activate", "validate", "deactivate"),
			"product":      pick("Atlas Pro", "Atlas Pro", "Atlas Lite", "Meridian"),
			"license_key":  fmt.Sprintf("DEMO-%05d", m/3),
			"machine_code": fmt.Sprintf("demo-machine-%06d", m),
			"ip":           fmt.Sprintf("203.0.113.%d", m%250),
			"version":      pick("4.1.0", "4.2.0"),
			"state":        "active",
		},
	}
}

func pick[T any](of ...T) T { return of[rand.IntN(len(of))] }
