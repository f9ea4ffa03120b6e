package verify_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// BenchmarkVerify looks at 400 expiry days of 8 tables, 250 rows each, and at a
// key for each day.
func BenchmarkVerify(b *testing.B) {
	const days, rows = 400, 250
	s := start(b)
	for _, t := range s.pol.Tables() {
		day := fmt.Sprintf("toDate(today() + number %% %d)", days)
		if t.Class.Lasting {
			day = "toDate('2149-06-06')"
		}
		s.sql(fmt.Sprintf(`INSERT INTO lethe.%s (tenant, service, event_id, occurred_at, expires_at, expiry_day, log_seq)
SELECT 'acme', 'web', toFixedString(leftPad(toString(number), 20, '0'), 20), now64(3) - INTERVAL 1 HOUR, toDateTime64(%s, 3, 'UTC'), %[2]s, 1
FROM numbers(%d) SETTINGS max_partitions_per_insert_block = 0`, t.Name, day, days*rows))
		for d := range days {
			_, err := s.keys.Pseudonymizer().SealClean(b.Context(), "acme", t.Class.KeyName(), s.clock().AddDate(0, 0, d).Format("2006-01-02"), nil, []byte("body"))
			must(b, err)
		}
	}
	s.run()
	c := s.config
	c.Metrics, c.Pause = prometheus.NewRegistry(), 1
	v := verify.New(c)
	for b.Loop() {
		r, err := v.Verify(b.Context())
		must(b, err)
		if len(r.Rules) < len(s.pol.Tables()) {
			b.Fatalf("only %d rules", len(r.Rules))
		}
	}
}
