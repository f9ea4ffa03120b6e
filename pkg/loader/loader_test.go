package loader_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func TestEveryRowArrivesOnce(t *testing.T) {
	s := start(t)
	raw := uint64(0)
	next := func() uint64 { raw++; return raw }
	for i := range 4 {
		at := noon.AddDate(0, 0, -i)
		s.publish(next(), s.events(9, at, true)...)
		s.publish(next(), s.events(7, at, false)...)
	}
	cfg := s.config()
	cfg.Metrics = prometheus.NewRegistry()
	numbers := s.load(cfg)
	s.CheckWorld()
	if numbers["rows"] != 64 || numbers["frames"] != 8 || numbers["last_seq"] != 8 || numbers["retries"] != 0 {
		t.Errorf("%v", numbers)
	}

	// Another process goes on where the first one stopped, while events come.
	r := s.run(s.config())
	for i := range 6 {
		s.publish(next(), s.events(5, noon.AddDate(0, 0, -i), i%2 == 0)...)
	}
	r.until()
	s.CheckWorld()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if n := r.l.Numbers()["rows"]; n != 30 {
		t.Errorf("the second process loaded %v rows, want 30", n)
	}
}

func TestEventIsOneRowInEachOfItsTables(t *testing.T) {
	s := start(t)
	identified := s.events(3, noon.Add(5*time.Minute), true)
	var lasting []ev
	for _, e := range identified {
		e.table, e.at = "visit_lasting", e.at.Truncate(time.Hour)
		lasting = append(lasting, e)
	}
	s.publish(1, slices.Concat(identified, lasting)...)
	s.load(s.config())
	s.CheckWorld()
}

// TestEventThatComesAgainIsStoredOnce: P18, net 3.
func TestEventThatComesAgainIsStoredOnce(t *testing.T) {
	s := start(t)
	first := s.events(10, noon, true)
	unnamed := s.events(3, noon, false)
	late := s.events(4, noon.AddDate(0, 0, -3), true)
	// Within a frame, within a round, in a later round, and late.
	s.publish(1, slices.Concat(first[:4], first[:2])...)
	s.publish(2, slices.Concat(first[2:6], unnamed)...)
	s.load(s.config())
	s.CheckWorld()
	s.publish(3, slices.Concat(first, late)...)
	n := s.load(s.config())
	s.CheckWorld()
	if n["duplicates"] != 6 { // four of the first ten are new
		t.Errorf("%v duplicates were counted, want 6", n["duplicates"])
	}
	// In one process, with its memory warm, over several rounds.
	r := s.run(s.config())
	for range 3 {
		s.publish(0, slices.Concat(late, first)...)
		r.until()
		s.CheckWorld()
	}
	s.must(r.stop())

	// The control: an event without a name that comes again is another event.
	s.publish(9, unnamed...)
	s.load(s.config())
	s.CheckWorld()
	if got := len(s.stored()); got != 10+4+3+3 {
		t.Errorf("%d rows", got)
	}
}

func TestHistoryOfHundredsOfDaysLoads(t *testing.T) {
	s := start(t)
	// More partitions than the engine takes in one insert.
	s.pol = s.longLived()
	var evs []ev
	for day := range 110 {
		evs = append(evs, s.events(1, noon.AddDate(0, 0, -day), true)...)
	}
	s.publish(1, evs...)
	cfg := s.config()
	cfg.MaxRows = 1000
	n := s.load(cfg)
	s.CheckWorld()
	if n["rounds"] > 4 {
		t.Errorf("it took %v rounds; the test shows nothing", n["rounds"])
	}
}

func TestWhatHasExpiredIsPassedOver(t *testing.T) {
	s := start(t)
	gone := s.events(3, noon.AddDate(0, 0, -32), true)     // its day ended more than a day ago
	grace := s.events(2, noon.AddDate(0, 0, -31), true)    // its day ended less than a day ago
	destroyed := s.events(4, noon.AddDate(0, 0, -2), true) // its key is destroyed
	s.publish(1, gone...)
	s.publish(2, grace...)
	s.publish(3, destroyed...)
	s.publish(4, s.events(1, noon, true)...)
	s.must(s.keys.Retention().DestroyClean(t.Context(), "month", string(event.DayOf(noon.AddDate(0, 0, 28)))))
	for k, seq := range s.model {
		if seq == 1 || seq == 3 {
			delete(s.model, k)
		}
	}
	n := s.load(s.config())
	s.CheckWorld()
	if n["expired_frames"] != 2 {
		t.Errorf("%v frames were counted as expired, want 2", n["expired_frames"])
	}
}

// Lethe's clock may be ahead of a wall clock that was set back a little. One that
// is far ahead may have been set by hand, and loses nothing.
func TestLethesClockDecidesWhatHasExpiredUnlessItIsFarAhead(t *testing.T) {
	s := start(t)
	class := s.table("visit").Class
	at := noon.AddDate(0, 0, -31)
	over := event.DayOf(class.ExpiresAt(at)).End().AddDate(0, 0, 1) // rule and grace
	load := func() {
		cfg := s.config()
		cfg.Now = func() time.Time { return over.Add(-30 * time.Minute) }
		s.load(cfg)
	}
	s.publish(1, s.events(3, at, true)...)
	_, err := s.as(warehouse.UserRetention).Advance(t.Context(), over.Add(time.Minute))
	s.must(err)
	clear(s.model)
	load()
	s.CheckWorld()

	s.publish(2, s.events(3, at, true)...)
	_, err = s.as(warehouse.UserRetention).Advance(t.Context(), over.AddDate(1, 0, 0))
	s.must(err)
	load()
	s.CheckWorld()
}

func TestFrameOfAFormerTableIsPassedOver(t *testing.T) {
	s := start(t)
	h := event.CleanHeader{Tenant: "acme", Service: "shop", Table: "former", Class: "month", Day: event.DayOf(noon.AddDate(0, 0, 30)), Count: 1}
	s.append(h, event.CleanBody(nil, nil))
	s.publish(1, s.events(1, noon, true)...)
	n := s.load(s.config())
	s.CheckWorld()
	if n["unknown_frames"] != 1 {
		t.Errorf("%v frames were counted as unknown, want 1", n["unknown_frames"])
	}
}

func TestFrameThatIsNotWhatWasWrittenStopsTheLoader(t *testing.T) {
	day := event.DayOf(noon.AddDate(0, 0, 30))
	header := event.CleanHeader{Tenant: "acme", Service: "shop", Table: "visit", Class: "month", Day: day, Count: 1}
	row := event.NewClean(event.Row{ID: event.NewID(noon, [16]byte{1}), OccurredAt: noon, ExpiresAt: noon.AddDate(0, 0, 31)})
	topic := event.CleanTopic("acme", "shop", "visit", day, 0)
	seal := func(s *site, body []byte) []byte {
		sealed, err := s.keys.Pseudonymizer().SealClean(s.t.Context(), "acme", "month", string(day), event.Header(header), body)
		s.must(err)
		return sealed
	}
	s := start(t)
	operator := eventlog.NewLog(s.connect("operator"))
	for name, tamper := range map[string]func() []byte{
		"no frame":  func() []byte { return []byte("canary@example.org") },
		"no header": func() []byte { return event.Pack([]byte("canary@example.org"), []byte("canary")) },
		"no day": func() []byte {
			h := header
			h.Day = "canary"
			return event.Pack(event.Header(h), []byte("x"))
		},
		"another day": func() []byte {
			return event.Pack(event.Header(header), seal(s, event.CleanBody(nil, []event.Clean{row})))
		},
		"no body": func() []byte { return event.Pack(event.Header(header), seal(s, []byte("canary@example.org"))) },
		"tampered": func() []byte {
			sealed := seal(s, event.CleanBody(nil, nil))
			sealed[len(sealed)-1] ^= 1
			return event.Pack(event.Header(header), sealed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			s.publish(1, s.events(2, noon, true)...)
			s.load(s.config())
			seq := s.appendRaw(topic, tamper())
			err := s.run(s.config()).wait()
			if !errors.Is(err, fault.Corrupt) {
				t.Errorf("it ended with %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Error("the error quotes the frame")
			}
			s.CheckWorld()
			s.must(operator.Delete(t.Context(), eventlog.CleanStream, seq))
		})
	}
	s.t = t
	s.publish(2, s.events(2, noon, true)...)
	s.load(s.config())
	s.CheckWorld()
}

func TestLogThatEndsBeforeWhatWasLoadedIsRefused(t *testing.T) {
	s := start(t)
	s.publish(1, s.events(2, noon, true)...)
	s.load(s.config())
	_, err := s.bucket.Put(t.Context(), "loader", []byte(`{"first":1,"last":1000,"epoch":1}`))
	s.must(err)
	if err := s.run(s.config()).wait(); !errors.Is(err, fault.Corrupt) {
		t.Errorf("it ended with %v", err)
	}
}

// TestKilledEngineLosesNothing: P18. The engine is killed again and again
// while rows pour in.
func TestKilledEngineLosesNothing(t *testing.T) {
	s := start(t)
	r := s.run(s.config())
	for i := range 4 {
		for range 5 {
			s.publish(uint64(i+1), append(s.events(5, noon, true), s.events(5, noon.AddDate(0, 0, -1), false)...)...)
		}
		// Between two engines there is no process to kill, 0 is ourselves, and
		// the engine killed last may be named a moment longer than it lives.
		r.eventually("an engine is killed", func() bool {
			pid := s.engine.PID()
			return pid > 0 && syscall.Kill(pid, syscall.SIGKILL) == nil
		})
	}
	r.until()
	s.CheckWorld()
	s.must(r.stop())
}

func TestAllPartsAreRequired(t *testing.T) {
	if _, err := loader.New(loader.Config{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

// longLived is the test policy with a rule of a year, applied.
func (s *site) longLived() *policy.Policy {
	s.t.Helper()
	dir := s.t.TempDir()
	for _, name := range []string{"visit.v1.json", "test.yaml", "classes.yaml"} {
		b, err := os.ReadFile("../warehouse/testdata/policy/" + name)
		s.must(err)
		s.must(os.WriteFile(dir+"/"+name, []byte(strings.ReplaceAll(string(b), "period: 30 days", "period: 365 days")), 0o600))
	}
	return compile(s.t, dir)
}
