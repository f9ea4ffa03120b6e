package eventlog_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

func TestRequestsAreAnsweredUntilServingStops(t *testing.T) {
	s := open(t, eventlog.Limits{}, eventlog.Publisher("one", "acme", []string{"web"}))
	begun, release := make(chan struct{}, 1), make(chan struct{})
	stop, err := eventlog.Serve(s.connect("gateway"), "lethe.publish.*.*.*", "gateway", quiet, func(_ context.Context, r eventlog.Request) []byte {
		if string(r.Data) == "slow" {
			begun <- struct{}{}
			<-release
		}
		return fmt.Appendf(nil, "%s %s %s", r.Topic, r.Get("idempotency-KEY"), r.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	nc := s.connect("one")
	ask := func(data string) (string, error) {
		msg := &nats.Msg{Subject: "lethe.publish.acme.web.login", Data: []byte(data), Header: nats.Header{"Idempotency-Key": {"k"}}}
		reply, err := nc.RequestMsg(msg, 5*time.Second)
		if err != nil {
			return "", err
		}
		return string(reply.Data), nil
	}
	if got, err := ask("a"); err != nil || got != "lethe.publish.acme.web.login k a" {
		t.Errorf("answer %q, err %v", got, err)
	}
	slow := make(chan string)
	go func() {
		got, err := ask("slow")
		slow <- fmt.Sprint(got, err)
	}()
	<-begun
	stopped := make(chan error)
	go func() { stopped <- stop(t.Context()) }()
	close(release)
	if got := <-slow; got != "lethe.publish.acme.web.login k slow<nil>" {
		t.Errorf("the request in hand was answered %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := ask("late"); err == nil {
		t.Error("a request after the end was answered")
	}
}

// The server lets a service answer wherever it is asked to. If that were a
// topic of the log, whoever may ask could append.
func TestARequestIsNotAnsweredOutsideAnInbox(t *testing.T) {
	s := open(t, eventlog.Limits{}, eventlog.Publisher("one", "acme", nil))
	var asked atomic.Int64
	gateway := s.connect("gateway")
	stop, err := eventlog.Serve(gateway, "lethe.publish.*.*.*", "gateway", quiet, func(context.Context, eventlog.Request) []byte {
		asked.Add(1)
		return []byte("{}")
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop(t.Context()) }()
	nc := s.connect("one")
	for _, reply := range []string{rawTopic, "lethe.clean.a.b.t.2026-01-01.0", "$JS.API.STREAM.PURGE.LETHE_RAW"} {
		if err := nc.PublishRequest("lethe.publish.acme.web.login", reply, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nc.Request("lethe.publish.acme.web.login", nil, 5*time.Second); err != nil {
		t.Fatal(err) // behind the others on one connection
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests were answered, want the one with an inbox", n)
	}
	if stored := s.stored(eventlog.RawStream); len(stored) != 0 {
		t.Error("an answer was appended to the log")
	}
}

func TestStatusIsGatheredFromEveryStage(t *testing.T) {
	s := open(t, eventlog.Limits{})
	for _, stage := range []string{"loader", "gateway", "gateway"} {
		var n atomic.Int64
		stop, err := eventlog.ServeStatus(s.connect(stage), stage, quiet, func() map[string]float64 {
			return map[string]float64{"events": float64(n.Add(1000))}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	all, err := eventlog.GatherStatus(t.Context(), s.connect("compliance"), 300*time.Millisecond)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d stages, err %v", len(all), err)
	}
	for i, stage := range []string{"gateway", "gateway", "loader"} {
		if all[i].Stage != stage || all[i].Numbers["events"] != 2000 || all[i].Rates["events"] <= 0 {
			t.Errorf("status %d is %+v", i, all[i])
		}
	}
}

func TestStatusOfNobodyIsEmpty(t *testing.T) {
	s := open(t, eventlog.Limits{})
	if all, err := eventlog.GatherStatus(t.Context(), s.connect("operator"), 5*time.Second); err != nil || len(all) != 0 {
		t.Errorf("%d stages, err %v", len(all), err)
	}
}
