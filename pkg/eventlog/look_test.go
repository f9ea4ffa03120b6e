package eventlog_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// P21: what the server has is found by asking it, and not only what the policy
// expects. The one who looks is the compliance service, with its own leave.
func TestEveryStreamAndConsumerThatTheServerHasIsSeen(t *testing.T) {
	s := open(t, eventlog.Limits{})
	want := eventlog.Streams(nil, eventlog.Limits{})
	look := func() (drift, unlisted []string) {
		t.Helper()
		all, err := eventlog.Look(t.Context(), s.js("compliance"), want)
		if err != nil {
			t.Fatal(err)
		}
		for _, seen := range all {
			drift = append(drift, seen.Drift...)
			if !seen.Listed {
				unlisted = append(unlisted, seen.Name+" of "+strings.Join(append(seen.Topics, seen.Copies...), ", "))
			}
		}
		return drift, unlisted
	}
	if drift, unlisted := look(); drift != nil || unlisted != nil {
		t.Fatalf("a server as it should be shows %q and %q", drift, unlisted)
	}
	js := s.js("operator")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "COPY", Mirror: &jetstream.StreamSource{Name: eventlog.RawStream}})
	must(err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EXTRA", Subjects: []string{"extra.>"}})
	must(err)
	_, err = js.CreateConsumer(t.Context(), eventlog.CleanStream, jetstream.ConsumerConfig{Durable: "reader"})
	must(err)
	must(js.DeleteConsumer(t.Context(), eventlog.RawStream, eventlog.RawConsumer))
	must(js.DeleteStream(t.Context(), eventlog.HoldStream))
	raw := want[0]
	raw.MaxAge *= 10
	_, err = js.UpdateStream(t.Context(), raw)
	must(err)

	drift, unlisted := look()
	if diff := cmp.Diff([]string{
		"stream LETHE_RAW: max_age is 7200h0m0s and should be 720h0m0s",
		"consumer pseudonymizer of stream LETHE_RAW does not exist",
		"consumer reader of stream LETHE_CLEAN is none of Lethe's",
		"stream LETHE_HOLD does not exist",
	}, drift); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"COPY of LETHE_RAW", "EXTRA of extra.>"}, unlisted); diff != "" {
		t.Error(diff)
	}
}
