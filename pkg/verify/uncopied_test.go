package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/verify"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// gauge is the value of one of verify's for a hold, and whether it has one.
func gauge(t *testing.T, reg *prometheus.Registry, name, hold string) (value float64, has bool) {
	t.Helper()
	all, err := reg.Gather()
	must(t, err)
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == hold {
				return m.GetGauge().GetValue(), true
			}
		}
	}
	return 0, false
}

// P18: rows that only a legal hold keeps, and that nobody has copied, are named
// with the hold, and with when the engine's own back-stop removes them. The
// controls are the day before they expire, and when they are copied; a hold that
// was added too late for them covers none.
func TestRowsThatAHoldHasNotCopiedAreNamedInTime(t *testing.T) {
	s := start(t)
	day := s.store("http_access", s.clock().AddDate(0, 0, -29), 4)
	s.store("login", s.clock(), 2)
	h := s.keeper("case-7")
	s.run()
	s.healthy("before they expire")

	s.pass(day.End().Add(2 * time.Hour).Sub(s.clock()))
	s.run()
	s.keeper("case-8") // too late
	reg := prometheus.NewRegistry()
	look := func() verify.Report { return s.verifyWith(func(c *verify.Config) { c.Metrics = reg }) }
	r := look()
	removed := warehouse.Backstop(day)
	expect(t, r, "P18", "legal hold case-7", "has not copied 4 rows whose expiry day has ended, the first of table http_access on "+string(day))
	expect(t, r, "P18", "legal hold case-7", "from "+removed.Format("2006-01-02 15:04 UTC")+" on the engine's own back-stop removes them")
	if len(sentences(r)) != 1 {
		t.Errorf("verify finds %v", sentences(r))
	}
	if n, _ := gauge(t, reg, "lethe_verify_hold_uncopied_rows", h.ID); n != 4 {
		t.Errorf("the metric says that %v rows are not copied", n)
	}
	if at, _ := gauge(t, reg, "lethe_verify_hold_backstop_seconds", h.ID); at != float64(removed.Unix()) {
		t.Errorf("the metric says %v, want %v", at, removed.Unix())
	}
	s.pass(removed.Sub(s.clock()))
	s.run()
	expect(t, s.verify(), "P18", "legal hold case-7", "since "+removed.Format("2006-01-02 15:04 UTC")+" the engine's own back-stop removes them")

	s.rewrite(h, func(h *hold.Hold) { h.Floor = 1 })
	s.run()
	reg = prometheus.NewRegistry()
	for _, f := range sentences(look()) {
		if strings.HasPrefix(f, "legal hold") {
			t.Errorf("when they are copied: %s", f)
		}
	}
	if _, has := gauge(t, reg, "lethe_verify_hold_uncopied_rows", h.ID); has {
		t.Error("when they are copied, the metric still has them")
	}
}
