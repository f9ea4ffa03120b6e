package eventlog_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestStreamsKeepWhatTheyAcknowledgeAndNothingCopiesThem(t *testing.T) {
	for _, s := range eventlog.Streams(nil, eventlog.Limits{}) {
		switch {
		case s.Storage != jetstream.FileStorage, s.PersistMode != jetstream.DefaultPersistMode, s.NoAck:
			t.Errorf("%s acknowledges what is not on disk", s.Name)
		case s.Retention != jetstream.LimitsPolicy, s.Discard != jetstream.DiscardNew:
			t.Errorf("%s drops messages on its own account", s.Name)
		case s.Duplicates != 24*time.Hour:
			t.Errorf("%s remembers IDs for %s", s.Name, s.Duplicates)
		case s.AllowRollup, s.AllowMsgTTL, s.AllowMsgSchedules, s.AllowMsgCounter:
			t.Errorf("%s lets a publisher decide what lives", s.Name)
		case s.Mirror != nil, len(s.Sources) > 0, s.RePublish != nil, s.SubjectTransform != nil:
			t.Errorf("%s is copied elsewhere", s.Name)
		case s.AllowDirect, s.MirrorDirect:
			t.Errorf("%s may be read from a replica that lags", s.Name)
		case s.DenyDelete, s.DenyPurge:
			t.Errorf("%s keeps what must be erased", s.Name)
		case s.Compression != jetstream.NoCompression:
			t.Errorf("%s compresses what is sealed", s.Name)
		}
	}
}

func TestOnlyTheCleanLogHasNoAgeLimit(t *testing.T) {
	want := map[string]time.Duration{
		eventlog.RawStream: 30 * 24 * time.Hour, eventlog.QuarantineStream: 30 * 24 * time.Hour,
		eventlog.CleanStream: 0, "KV_" + eventlog.LoaderBucket: 0,
	}
	for _, s := range eventlog.Streams(nil, eventlog.Limits{}) {
		if s.MaxAge != want[s.Name] {
			t.Errorf("%s keeps messages for %s, want %s", s.Name, s.MaxAge, want[s.Name])
		}
	}
}

func TestDerivedStreamsAreReadableAndStable(t *testing.T) {
	one, two := eventlog.StreamsJSON(nil), eventlog.StreamsJSON(nil)
	var parsed []map[string]any
	if err := json.Unmarshal(one, &parsed); err != nil || len(parsed) != 10 || string(one) != string(two) {
		t.Fatalf("parsed %d streams, err %v", len(parsed), err)
	}
}

func TestCheckNamesEachSettingThatDrifted(t *testing.T) {
	s := open(t, eventlog.Limits{})
	js := s.js("operator")
	want := eventlog.Streams(nil, eventlog.Limits{})
	// The service that leans on the settings may check them itself.
	if err := eventlog.Check(t.Context(), s.js("gateway"), want[:1]); err != nil {
		t.Fatalf("control: what was applied is said to have drifted: %v", err)
	}
	for field, change := range map[string]func(*jetstream.StreamConfig){
		"max_age":           func(c *jetstream.StreamConfig) { c.MaxAge = 24 * time.Hour },
		"duplicate_window":  func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute },
		"discard":           func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"allow_rollup_hdrs": func(c *jetstream.StreamConfig) { c.AllowRollup = true },
		"allow_direct":      func(c *jetstream.StreamConfig) { c.AllowDirect = true },
		"republish": func(c *jetstream.StreamConfig) {
			c.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
		},
		"sources":     func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: eventlog.CleanStream}} },
		"compression": func(c *jetstream.StreamConfig) { c.Compression = jetstream.S2Compression },
		"max_bytes":   func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 30 },
		"subjects":    func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "other.>") },
		"no_ack":      func(c *jetstream.StreamConfig) { c.NoAck = true; c.AllowAtomicPublish = false },
	} {
		changed := want[0]
		change(&changed)
		if _, err := js.UpdateStream(t.Context(), changed); err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		err := eventlog.Check(t.Context(), js, want)
		if !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), eventlog.RawStream) || !strings.Contains(err.Error(), field+" is") {
			t.Errorf("%s: Check says %v", field, err)
		}
		if err := eventlog.Apply(t.Context(), js, want); err != nil {
			t.Fatalf("%s: applying again: %v", field, err)
		}
		if err := eventlog.Check(t.Context(), js, want); err != nil {
			t.Fatalf("%s: after applying again: %v", field, err)
		}
	}
}

func TestCheckSeesWhatCannotBeChangedBack(t *testing.T) {
	s := open(t, eventlog.Limits{})
	js := s.js("operator")
	want := eventlog.Streams(nil, eventlog.Limits{})
	for field, change := range map[string]func(*jetstream.StreamConfig){
		"persist_mode": func(c *jetstream.StreamConfig) {
			c.PersistMode = jetstream.AsyncPersistMode
			c.AllowAtomicPublish = false
		},
		"allow_msg_ttl": func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true },
		"deny_delete":   func(c *jetstream.StreamConfig) { c.DenyDelete = true },
		"retention":     func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"storage":       func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
	} {
		if err := js.DeleteStream(t.Context(), eventlog.RawStream); err != nil {
			t.Fatal(err)
		}
		changed := want[0]
		change(&changed)
		if _, err := js.CreateStream(t.Context(), changed); err != nil {
			t.Fatalf("%s: %v", field, err)
		}
		err := eventlog.Check(t.Context(), js, want)
		if !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), field+" is") {
			t.Errorf("%s: Check says %v", field, err)
		}
	}
	if err := js.DeleteStream(t.Context(), eventlog.RawStream); err != nil {
		t.Fatal(err)
	}
	if err := eventlog.Check(t.Context(), js, want); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a missing stream: Check says %v", err)
	}
}

func TestCheckConsumersSeesThatDeliveriesAreLimited(t *testing.T) {
	s := open(t, eventlog.Limits{})
	js := s.js("operator")
	if err := eventlog.CheckConsumers(t.Context(), s.js("pseudonymizer"), eventlog.RawStream); err != nil {
		t.Fatalf("control: %v", err)
	}
	c := eventlog.Consumers(eventlog.RawStream)[0]
	c.MaxDeliver = 5
	if _, err := js.UpdateConsumer(t.Context(), eventlog.RawStream, c); err != nil {
		t.Fatal(err)
	}
	if err := eventlog.CheckConsumers(t.Context(), js, eventlog.RawStream); err == nil || !strings.Contains(err.Error(), "max_deliver is 5") {
		t.Errorf("CheckConsumers says %v", err)
	}
}
