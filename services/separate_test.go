package services_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/ksuid"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
)

// total is what `lethe ask` shows for a metric.
func (s *site) total(metric string) int {
	s.t.Helper()
	var a struct {
		Total struct {
			Value *float64 `json:"value"`
		} `json:"total"`
	}
	s.decode(s.must("analyst", "ask", metric, "-o", "json"), &a)
	if a.Total.Value == nil {
		return -1
	}
	return int(*a.Total.Value)
}

func TestServicesApartAreOneFlow(t *testing.T) {
	s := newSite(t)
	s.start(services...)
	l := newLedger()
	const events = 2000
	s.publish(l, 0, events, func() {})
	s.settled(l)
	if l.published != events {
		t.Errorf("%d events were acknowledged, of %d", l.published, events)
	}
	for deadline := time.Now().Add(time.Minute); s.total("requests") != events; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute %d requests are published, of %d", s.total("requests"), events)
		}
	}

	// What the operator asks of the one service, others answer for.
	var status struct {
		Stages []struct {
			Stage   string             `json:"stage"`
			Numbers map[string]float64 `json:"numbers"`
		} `json:"stages"`
	}
	s.decode(s.must("compliance", "status", "-o", "json"), &status)
	stages := map[string]float64{}
	cells := 0.0 // which are loaded, too
	for _, st := range status.Stages {
		stages[st.Stage] = st.Numbers["rows"]
		cells += st.Numbers["cells"]
		if n, ok := st.Numbers["events"]; ok {
			stages[st.Stage] = n
		}
	}
	if diff := cmp.Diff(map[string]float64{"gateway": events, "pseudonymizer": events, "loader": events + cells, "cells": 0, "retention": 0, "audit": 0}, stages); diff != "" {
		t.Errorf("the stages did not do what they were given (-want +have):\n%s", diff)
	}
	if out := s.must("compliance", "plan"); !strings.Contains(out, "as the policy says") {
		t.Errorf("what was applied differs from the policy:\n%s", out)
	}
	if out := s.must("compliance", "keys", "list"); !strings.Contains(out, "live") {
		t.Error("the keyring in the other process shows no key")
	}

	t.Run("rebuild", func(t *testing.T) {
		pol, err := assembly.LoadPolicy("")
		if err != nil {
			t.Fatal(err)
		}
		w := s.reader()
		before, err := w.Fingerprint(t.Context(), pol)
		if err != nil || len(before) == 0 {
			t.Fatalf("the warehouse is empty: %v", err)
		}
		if out := s.must("compliance", "rebuild"); !strings.Contains(out, fmt.Sprintf("done: %d rows", events+int(cells))) {
			t.Errorf("rebuilt: %s", out)
		}
		after, err := w.Fingerprint(t.Context(), pol)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("the rebuilt warehouse is another (-before +after):\n%s", diff)
		}
	})

	t.Run("doors", func(t *testing.T) {
		for service, args := range map[string][]string{
			"gateway":    {"ask", "requests"},
			"analyst":    {"status"},
			"compliance": {"ask", "requests"},
		} {
			if _, _, err := s.try(service, args...); err == nil {
				t.Errorf("%s answers lethe %s", service, args[0])
			}
		}
	})

	t.Run("console", func(t *testing.T) {
		// The compliance service asks the analyst for who is signed in.
		jar, _ := cookiejar.New(nil)
		client := &http.Client{Jar: jar, Timeout: time.Minute}
		at := "http://" + s.listen["compliance"] + "/console/"
		read := func(resp *http.Response, err error) string {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		read(client.PostForm(at+"signin", url.Values{"credential": {s.credential("analyst")}}))
		if page := read(client.Get(at + "usage?metric=requests&by=&from=")); !strings.Contains(page, ">2,000<") {
			t.Error("the console does not show what the analyst answers")
		}
	})

	t.Run("health", func(t *testing.T) {
		// As docker asks, in the container.
		healthy := func(name string) error {
			_, port, _ := net.SplitHostPort(s.listen[name])
			check := slices.Clone(s.project.Services[name].HealthCheck.Test[1:])
			for i := range check {
				check[i] = strings.ReplaceAll(check[i], "7480", port)
			}
			return exec.Command(check[0], check[1:]...).Run()
		}
		for _, name := range services {
			if err := healthy(name); err != nil {
				t.Errorf("%s is not healthy: %v", name, err)
			}
		}
		s.processes["retention"].stop()
		if healthy("retention") == nil {
			t.Error("a service that was stopped is healthy")
		}
		s.start("retention")
	})

	t.Run("control", func(t *testing.T) {
		// What nobody noted is found, and what is not there is missed.
		s.publish(newLedger(), events, 10, func() {})
		s.settle()
		if len(s.differences(l)) == 0 {
			t.Error("ten events more than the receipts name are not found")
		}
		ghost := newLedger()
		ghost.ids[string(ksuid.New().Bytes())] = 1
		if len(s.differences(ghost)) == 0 {
			t.Error("an event that is not there is not missed")
		}
	})
	for _, name := range services {
		s.processes[name].stop()
	}
}

// overlay is a policy in which http_access has a second version.
func (s *site) overlay() string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "schemas", "web", "http_access.v1.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	second := strings.NewReplacer(`http_access:v1`, `http_access:v2`, `"version": 1`, `"version": 2`).Replace(string(text))
	dir := filepath.Join(s.dir, "policy")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "http_access.v2.json"), []byte(second), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return dir
}

// A gateway that is ahead of the pseudonymizer, as in an update that goes
// wrong, loses nothing.
func TestEventsThatCannotBeTreatedWaitUntilTheyCan(t *testing.T) {
	s := newSite(t)
	policy := s.overlay()
	s.processes["gateway"].env = append(s.processes["gateway"].env, "LETHE_POLICY="+policy)
	s.start(services...)
	l := newLedger()
	s.publish(l, 0, 40, func() {})
	s.settle()
	var waiting struct {
		Items []struct {
			Event string `json:"event"`
			Count int    `json:"count"`
		} `json:"items"`
	}
	s.decode(s.must("compliance", "quarantine", "list", "-o", "json"), &waiting)
	n := 0
	for _, i := range waiting.Items {
		n += i.Count
	}
	if n != 40 {
		t.Fatalf("%d events wait of 40", n)
	}
	redrive := func(stored, still int) {
		t.Helper()
		var answer struct{ Read, Stored, Waiting int }
		s.decode(s.must("compliance", "quarantine", "redrive", "-o", "json"), &answer)
		if answer.Read != 40 || answer.Stored != stored || answer.Waiting != still {
			t.Errorf("redriven: %d read, %d stored, %d still waiting", answer.Read, answer.Stored, answer.Waiting)
		}
	}
	redrive(0, 40)
	s.processes["pseudonymizer"].stop()
	s.processes["pseudonymizer"].env = append(s.processes["pseudonymizer"].env, "LETHE_POLICY="+policy)
	s.start("pseudonymizer")
	redrive(40, 0)
	s.settled(l)
	s.decode(s.must("compliance", "quarantine", "list", "-o", "json"), &waiting)
	if len(waiting.Items) != 0 {
		t.Errorf("%d frames wait that were stored", len(waiting.Items))
	}
}

// TestKilledServicesLoseNothingAndRepeatNothing: P18.
func TestKilledServicesLoseNothingAndRepeatNothing(t *testing.T) {
	rounds, events := 1, 2000
	if os.Getenv("LETHE_TEST_LONG") != "" {
		rounds, events = 5, 4000
	}
	victims := append(slices.Clone(services), "engine", "nats", "nats", "nats")
	s := newSite(t)
	s.start(services...)
	l := newLedger()
	n := 0
	for round := range rounds {
		for _, victim := range victims {
			s.publish(l, n, events, func() {
				if victim == "engine" {
					if err := syscall.Kill(s.engine.PID(), syscall.SIGKILL); err != nil {
						t.Errorf("killing the engine: %v", err)
					}
					return
				}
				s.processes[victim].kill()
			})
			n += events
			if victim != "engine" {
				s.processes[victim].ready()
			}
			t.Logf("round %d: %s was killed, %d events acknowledged", round+1, victim, l.published)
		}
	}
	for _, name := range services {
		s.processes[name].ready()
	}
	s.settled(l)
	if l.published != n {
		t.Errorf("%d requests were acknowledged, of %d", l.published, n)
	}
}

func TestServicesStartAndStopInAnyOrder(t *testing.T) {
	s := newSite(t)
	l := newLedger()
	n := 0
	orders := [][]string{
		{"gateway", "compliance", "analyst", "retention", "loader", "pseudonymizer"},
		{"loader", "gateway", "pseudonymizer", "compliance", "retention", "analyst"},
		{"retention", "pseudonymizer", "analyst", "gateway", "loader", "compliance"},
	}
	for _, order := range orders {
		s.start(order...)
		s.publish(l, n, 500, func() {})
		n += 500
		// Stopped while events are on their way: what is left is done by the
		// next.
		for _, name := range order {
			s.processes[name].stop()
		}
	}
	s.start(services...)
	s.settled(l)
	if l.published != n {
		t.Errorf("%d requests were acknowledged, of %d", l.published, n)
	}
	for _, name := range slices.Backward(services) {
		s.processes[name].stop()
	}
}
