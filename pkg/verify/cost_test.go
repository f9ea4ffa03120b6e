package verify_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// asked is how many queries and statements the engine was ever sent.
func (s *site) asked() uint64 {
	s.t.Helper()
	r, err := s.admin.Rows(s.t.Context(), "SELECT value FROM system.events WHERE event = 'Query'", nil)
	must(s.t, err)
	return r.Rows[0][0].(uint64)
}

// fill puts rows into every table, as many of each expiry day from this one on,
// and makes a key for each day of each class. It goes past the log and the
// loader.
func (s *site) fill(days, each int) {
	s.t.Helper()
	seq := s.frame(s.table("login"), event.DayOf(s.clock().AddDate(0, 0, 1))) // all rows are of one
	for _, t := range s.pol.Tables() {
		day := fmt.Sprintf("addDays(toDate('%s'), number %% %d)", s.clock().Format(time.DateOnly), days)
		occurred := fmt.Sprintf("subtractDays(expires_at, %d)", t.Class.Period.Days)
		switch {
		case t.Class.Lasting:
			day, occurred = "toDate('2149-06-06')", "now64(3)"
		case t.Class.Period.Months > 0:
			occurred = fmt.Sprintf("subtractMonths(expires_at, %d)", t.Class.Period.Months)
		}
		s.sql(fmt.Sprintf(`INSERT INTO lethe.%s (tenant, service, event_id, expiry_day, expires_at, occurred_at, log_seq)
SELECT 'acme', 'web', randomFixedString(20), %s AS expiry_day,
  toDateTime64(expiry_day, 3, 'UTC') + INTERVAL 1 DAY - toIntervalMillisecond(1 + number %% 3600000) AS expires_at, %s, %d
FROM numbers(%d)
SETTINGS max_partitions_per_insert_block = 0, max_threads = 1, min_insert_block_size_rows = 100000000, min_insert_block_size_bytes = 0`,
			t.Name, day, occurred, seq, days*each))
		for d := range days {
			_, err := s.keys.Pseudonymizer().SealClean(s.t.Context(), "acme", t.Class.KeyName(), s.clock().AddDate(0, 0, d).Format(time.DateOnly), nil, []byte("body"))
			must(s.t, err)
		}
	}
}

// A verification reads each table once, however many partitions it has.
func TestVerifyAsksTheEngineNoMoreOftenForMorePartitions(t *testing.T) {
	s := start(t)
	queries := func() uint64 {
		t.Helper()
		c := s.config
		c.Metrics, c.Pause = prometheus.NewRegistry(), 1
		before := s.asked()
		_, err := verify.New(c).Verify(t.Context())
		must(t, err)
		return s.asked() - before
	}
	s.fill(1, 1)
	s.run()
	few := queries()
	s.fill(30, 2)
	s.run()
	if many := queries(); many != few || few == 0 {
		t.Errorf("a verification sends %d queries for one partition of each table and %d for 30", few, many)
	}

	// The control: one more table is seen in the count.
	s.sql("CREATE TABLE lethe.copy AS lethe.login")
	if more := queries(); more <= few {
		t.Errorf("with one more table a verification sends %d queries, and %d without", more, few)
	}
}
