package pseudonymizer_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/pseudonymizer"
)

func TestEveryEventBecomesARowOnce(t *testing.T) {
	s := start(t)
	for i := range 70 { // more than one group
		s.publish(s.visits(1 + i%7))
	}
	cfg := s.config()
	cfg.Metrics = prometheus.NewRegistry()
	p := s.flow(cfg)
	w := s.check(0)
	for i, h := range w.headers {
		if h.Tenant != "acme" || h.Service != "shop" || h.Event != "http_access" || h.Class != "access-30d" || h.Policy != s.pol.Digest() || h.RawSeq == 0 || h.QuarantineSeq != 0 {
			t.Errorf("clean frame %d has the header %+v", i, h)
		}
		if i > 0 && h.RawSeq < w.headers[i-1].RawSeq {
			t.Error("clean frames do not stand in the order of the raw frames")
		}
	}
	n := p.Numbers()
	if n["frames"] != 70 || n["events"] != float64(len(s.sent)) || n["rows"] != float64(len(s.sent)) || n["quarantined"]+n["lost"]+n["expired"]+n["duplicates"] != 0 {
		t.Errorf("it counted %v", n)
	}
}

func TestRowsOfTwoDaysAndTwoTablesAreFramesOfTheirOwn(t *testing.T) {
	s := start(t)
	midnight := noon.Truncate(24 * time.Hour)
	fields := []string{"action", "machine_code", "product"}
	var raws []event.Raw
	for _, at := range []time.Time{midnight.Add(-time.Second), midnight, midnight.Add(time.Second)} {
		raws = append(raws, event.NewRaw(event.Contents{
			ID: event.NewID(at, event.RandomPayload()), OccurredAt: at, Identified: true, Fields: fields,
			Values: []event.Value{event.StringValue("activate"), event.StringValue("aa-bb"), event.StringValue("editor")},
		}))
	}
	s.publish(raws, func(h *event.RawHeader) { h.Event = "activation" })
	s.flow(s.config())
	got := map[string]int{}
	for _, h := range s.world().headers {
		got[h.Table+" "+string(h.Day)] += h.Count
	}
	if len(got) != 3 || got["activation 2028-11-20"] != 1 || got["activation 2028-11-21"] != 2 || got["activation_lasting "+string(event.Never)] != 3 {
		t.Errorf("the frames hold %v", got)
	}
}

func TestNothingIsLostOrStoredTwiceWhenAStoreFails(t *testing.T) {
	for name, wrap := range map[string]func(*pseudonymizer.Config, *once){
		"clean":      func(c *pseudonymizer.Config, o *once) { c.Clean = faultyClean{c.Clean, o} },
		"quarantine": func(c *pseudonymizer.Config, o *once) { c.Quarantine = faultyAside{c.Quarantine, o} },
		"ack":        func(c *pseudonymizer.Config, o *once) { c.Raw = faultyAck{c.Raw, o} },
	} {
		for _, landed := range []bool{false, true} {
			t.Run(name+map[bool]string{false: " lost", true: " landed"}[landed], func(t *testing.T) {
				s := start(t)
				for range 5 {
					s.publish(append(s.visits(3), s.visit("not an address", noon)))
				}
				cfg := s.config()
				o := &once{landed: landed}
				wrap(&cfg, o)
				s.flow(cfg)
				if s.check(5); o.calls < 2 {
					t.Errorf("%d calls: the failure was not met", o.calls)
				}
			})
		}
	}
}

// Net 2 and its second line, each tested by turning the other off.
func TestAFrameAppendedAndNotAcknowledgedIsNotAppendedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		resume, ids bool
		twice       bool
	}{
		"both":         {resume: true, ids: true},
		"resume alone": {resume: true},
		"ids alone":    {ids: true},
		"neither":      {twice: true}, // the control: this is what would happen
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			for range 5 {
				s.publish(s.visits(3))
			}
			edit := func(cfg pseudonymizer.Config) pseudonymizer.Config {
				if !c.ids {
					cfg.Clean = nameless{cfg.Clean}
				}
				if !c.resume {
					cfg.Frames = forgetful{cfg.Frames}
				}
				return cfg
			}
			cfg := edit(s.config())
			cfg.Raw = dyingAck{cfg.Raw}
			if _, err := s.run(cfg); !errors.Is(err, errDied) {
				t.Fatalf("the first process ended with %v", err)
			}
			s.publish(s.visits(2))
			s.flow(edit(s.config()))
			if !c.twice {
				s.check(0)
				return
			}
			twice := 0
			for _, n := range s.world().rows {
				twice += n - 1
			}
			if twice == 0 {
				t.Error("with both nets off nothing is stored twice, so the test shows nothing")
			}
		})
	}
}

type dyingAck struct{ pseudonymizer.Reader }

func (dyingAck) AckThrough(context.Context, uint64) error { return errDied }

func TestOfAGroupThatIsKnownInPartTheRestIsAppended(t *testing.T) {
	s := start(t)
	s.publish(s.visits(3))
	cfg := s.config()
	cfg.Raw = dyingAck{cfg.Raw}
	if _, err := s.run(cfg); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	for range 3 {
		s.publish(s.visits(2))
	}
	cfg = s.config()
	cfg.Frames = forgetful{cfg.Frames} // so that the group holds a known frame
	p := s.flow(cfg)
	s.check(0)
	if n := p.Numbers(); n["duplicates"] != 3 || n["rows"] != 6 {
		t.Errorf("it counted %v", n)
	}
}

func TestWhatCannotBeTreatedWaitsInQuarantine(t *testing.T) {
	s := start(t)
	s.publish([]event.Raw{s.visit("192.0.2.1", noon), s.visit("somewhere", noon), s.visit("192.0.2.01", noon), s.visit("192.0.2.2", noon)})
	s.publish(s.visits(2), func(h *event.RawHeader) { h.Version = 99 })
	s.publish(s.visits(3), func(h *event.RawHeader) { h.Event = "unheard_of" })
	s.publishBody(event.RawHeader{Tenant: "acme", Service: "shop", Event: "http_access", Version: 1, Count: 4}, []byte("no body"))
	p := s.flow(s.config())
	w := s.world()
	want := []pseudonymizer.Waiting{
		{Event: "http_access", Reason: "field client_ip is not an IP address", Count: 2},
		{Event: "http_access", Reason: "the policy does not know this event and schema version", Count: 2},
		{Event: "unheard_of", Reason: "the policy does not know this event and schema version", Count: 3},
		{Event: "http_access", Reason: "the frame's body is not readable", Count: 4},
	}
	if len(w.waiting) != len(want) || len(w.rows) != 2 {
		t.Fatalf("%d frames wait and %d rows are stored: %+v", len(w.waiting), len(w.rows), w.waiting)
	}
	for i, got := range w.waiting {
		if got.Event != want[i].Event || got.Reason != want[i].Reason || got.Count != want[i].Count || !got.At.Equal(noon) || got.Tenant != "acme" || got.Service != "shop" {
			t.Errorf("frame %d waits as %+v, want %+v", i, got, want[i])
		}
	}
	if n := p.Numbers(); n["quarantined"] != 11 || n["events"] != 13 {
		t.Errorf("it counted %v", n)
	}
	for _, stream := range []string{eventlog.QuarantineStream, eventlog.CleanStream} {
		info, err := s.all.Info(t.Context(), stream)
		s.must(err)
		for m, err := range s.all.Range(t.Context(), stream, info.First, info.Last) {
			s.must(err)
			if strings.Contains(string(m.Data)+m.Topic+m.ID, "somewhere") || strings.Contains(string(m.Data), "192.0.2") {
				t.Errorf("frame %d of %s can be read without a key", m.Seq, stream) // T1
			}
		}
	}
}

func TestAnExpiredEventIsCountedAndNotStored(t *testing.T) {
	s := start(t)
	s.publish([]event.Raw{s.visit("192.0.2.1", noon.AddDate(0, 0, -31)), s.visit("192.0.2.1", noon)})
	p := s.flow(s.config())
	if w := s.world(); len(w.rows) != 1 || len(w.waiting) != 0 || p.Numbers()["expired"] != 1 {
		t.Errorf("%d rows, %d frames waiting, counted %v", len(w.rows), len(w.waiting), p.Numbers())
	}
}

func TestAFrameWhoseKeyIsDestroyedIsLostAndTheFlowGoesOn(t *testing.T) {
	s := start(t)
	s.publish(s.visits(4))
	s.must(s.keys.Retention().DestroyRaw(t.Context(), "acme", noon))
	s.sent = map[event.ID]bool{}
	s.now = noon.Add(time.Hour)
	s.publish(s.visits(2))
	p := s.flow(s.config())
	s.check(0)
	if n := p.Numbers(); n["lost"] != 4 || n["rows"] != 2 {
		t.Errorf("it counted %v", n)
	}
}

func TestAFrameThatWasChangedEndsTheProcessAndLosesNothing(t *testing.T) {
	for name, spoil := range map[string]func(s *site){
		"body": func(s *site) {
			h := event.Header(event.RawHeader{Tenant: "acme", Service: "shop", Event: "http_access", Version: 1, Count: 1})
			sealed, err := s.keys.Gateway().SealRaw(s.t.Context(), "acme", noon, h, []byte("x"))
			s.must(err)
			sealed[len(sealed)-1] ^= 1
			s.append(event.RawTopic("acme", "shop", "http_access", 0), event.Pack(h, sealed))
		},
		"header": func(s *site) {
			h := event.Header(event.RawHeader{Tenant: "acme", Service: "shop", Event: "http_access", Version: 1, Count: 1})
			sealed, err := s.keys.Gateway().SealRaw(s.t.Context(), "acme", noon, h, []byte("x"))
			s.must(err)
			h = event.Header(event.RawHeader{Tenant: "acme", Service: "blog", Event: "http_access", Version: 1, Count: 1})
			s.append(event.RawTopic("acme", "blog", "http_access", 0), event.Pack(h, sealed))
		},
		"topic": func(s *site) { // another tenant's topic
			h := event.Header(event.RawHeader{Tenant: "acme", Service: "shop", Event: "http_access", Version: 1, Count: 1})
			sealed, err := s.keys.Gateway().SealRaw(s.t.Context(), "acme", noon, h, event.RawBody(s.visits(1)))
			s.must(err)
			s.append(event.RawTopic("umbrella", "shop", "http_access", 0), event.Pack(h, sealed))
		},
		"frame": func(s *site) { s.append(event.RawTopic("acme", "shop", "http_access", 0), []byte("no frame")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.publish(s.visits(3))
			spoil(s)
			bad := s.last
			s.publish(s.visits(2))
			if _, err := s.run(s.config()); !errors.Is(err, fault.Corrupt) {
				t.Fatalf("it ended with %v, want a corrupt frame", err)
			}
			if w := s.world(); len(w.rows) != 3 {
				t.Errorf("%d rows are stored, want those of the frame before", len(w.rows))
			}
			s.must(s.all.Delete(t.Context(), eventlog.RawStream, bad))
			s.flow(s.config())
			s.check(0)
		})
	}
}

// absentKeys is a keyring that does not answer a few times.
type absentKeys struct {
	keyring.Pseudonymizer
	left *atomic.Int64
}

func (k absentKeys) OpenRaw(ctx context.Context, tenant string, aad, sealed []byte) ([]byte, error) {
	if k.left.Add(-1) >= 0 {
		return nil, errFault
	}
	return k.Pseudonymizer.OpenRaw(ctx, tenant, aad, sealed)
}

func (k absentKeys) Tokenizer(ctx context.Context, key keyring.TokenKey) (*keyring.Tokenizer, error) {
	if k.left.Add(-1) >= 0 {
		return nil, errFault
	}
	return k.Pseudonymizer.Tokenizer(ctx, key)
}

func TestAnAbsentKeyringStopsTheFlowAndLosesNothing(t *testing.T) {
	s := start(t)
	for range 6 {
		s.publish(s.visits(2))
	}
	cfg := s.config()
	left := new(atomic.Int64)
	left.Store(8)
	cfg.Keys = absentKeys{cfg.Keys, left}
	p := s.flow(cfg)
	s.check(0)
	if n := p.Numbers(); n["retries"] == 0 || n["quarantined"] != 0 {
		t.Errorf("it counted %v", n)
	}
}

func TestARawLogMadeAnewIsNotTakenForTheOld(t *testing.T) {
	s := start(t)
	s.publish(s.visits(1))
	cfg := s.config()
	cfg.Frames = ahead{cfg.Frames}
	if _, err := s.run(cfg); !errors.Is(err, fault.Corrupt) {
		t.Errorf("it ended with %v, want a refusal", err)
	}
}

// ahead has clean frames of raw frames that the raw log does not have.
type ahead struct{ pseudonymizer.Frames }

func (ahead) LastRawSeq(context.Context) (uint64, error) { return 1000, nil }

func TestRunEndsQuietlyAndOnlyOnce(t *testing.T) {
	s := start(t)
	p, err := pseudonymizer.New(s.config())
	s.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	if err := p.Run(ctx, cancel); err != nil {
		t.Errorf("stopped, it returned %v", err)
	}
	if err := p.Run(ctx, func() {}); !errors.Is(err, fault.Conflict) {
		t.Errorf("run again, it returned %v", err)
	}
	if _, err := pseudonymizer.New(pseudonymizer.Config{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("made of nothing, it returned %v", err)
	}
}
