package verify_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// BenchmarkVerify looks at 8 tables with 400 expiry days each, under rules that
// are as long, and at a key for each day of each class: with a million rows in
// all, and with ten million.
func BenchmarkVerify(b *testing.B) {
	const tables, days = 8, 400
	for _, rows := range []int{1_000_000, 10_000_000} {
		b.Run(fmt.Sprintf("rows=%dM", rows/1_000_000), func(b *testing.B) {
			s := startWith(b, rewritten(b, func(text string) string {
				return strings.NewReplacer("period: 30 days", "period: 401 days", "period: 90 days", "period: 401 days", "period: 12 months", "period: 430 days").Replace(text)
			}), nil)
			if len(s.pol.Tables()) != tables {
				b.Fatalf("the policy has %d tables", len(s.pol.Tables()))
			}
			each := rows / tables / days
			s.fill(days, each)
			s.run()
			c := s.config
			c.Metrics, c.Pause = prometheus.NewRegistry(), 1
			v := verify.New(c)
			for b.Loop() {
				r, err := v.Verify(b.Context())
				must(b, err)
				for _, sentence := range sentences(r) {
					b.Log(sentence)
				}
				found := 0
				for _, rule := range r.Rules {
					if rule.Unit == "rows" {
						found += int(rule.Found)
					}
				}
				if found != each*tables*days {
					b.Fatalf("%d rows were looked at of %d", found, each*tables*days)
				}
			}
		})
	}
}
