package assembly_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// TestWhatIsDoneToATableBeforeItIsCountedIsFound: P18, P10. The first manifest
// of all takes the loader's word for what came in, and not the table's: rows
// that somebody drops or copies between the two are on record as unexplained,
// and verify says so. The control is a Lethe to which nothing is done.
func TestWhatIsDoneToATableBeforeItIsCountedIsFound(t *testing.T) {
	const name = "http_access"
	for _, c := range []struct {
		what, words string
		do          func(s *site, table *policy.Table, day event.Day, rows uint64)
	}{
		{what: "nothing", do: func(*site, *policy.Table, event.Day, uint64) {}},
		{"a partition is dropped", "0 rows were there, %[1]d came in and 0 were removed on record; that leaves %[1]d, and 0 are there",
			func(s *site, table *policy.Table, day event.Day, _ uint64) {
				s.must(s.as(warehouse.UserRetention, &s.flow).DropIn(s.t.Context(), warehouse.DefaultDatabase, table.Name, day))
			}},
		{"a row is put there", "0 rows were there, %[1]d came in and 0 were removed on record; that leaves %[1]d, and %[2]d are there",
			func(s *site, table *policy.Table, day event.Day, _ uint64) {
				b := warehouse.NewBatch(table, day)
				at := day.Start().Add(time.Hour)
				b.Append(warehouse.Source{Tenant: tenant, Service: "shop", Seq: 1, Columns: table.ColumnNames()}, []event.Row{{
					Table: name, ID: event.NewID(at.AddDate(0, 0, -30), event.RandomPayload()),
					OccurredAt: at.AddDate(0, 0, -30), ExpiresAt: at, Values: make([]event.Value, len(table.Columns)),
				}})
				s.must(s.as(warehouse.UserLoader, &s.flow).Insert(s.t.Context(), b, ""))
			}},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newSite(t, compile(t), event.DayOf(time.Now()).End())
			now := s.clock().Add(12 * time.Hour)
			s.pass(now)
			f := &traffic{r: rand.New(rand.NewPCG(1, 2))}
			var samples []sample
			for range 20 {
				samples = append(samples, f.sample(0, now.Add(-time.Hour)))
			}
			s.publish(samples)
			s.settle()
			table, _ := s.pol.Table(name)
			day := event.DayOf(table.Class.ExpiresAt(now.Add(-time.Hour)))
			c.do(s, table, day, 20)
			s.must(s.runRetention(&fuse{}))
			chain := chain{read: map[int]int64{}}
			problems := strings.Join(s.checkChain(&chain, false), "\n")
			said := fmt.Sprint(s.report().Promises)
			if c.words == "" {
				if problems != "" || strings.Contains(said, "does not add up") {
					t.Errorf("with nothing done: %s\n%s", problems, said)
				}
				return
			}
			words := fmt.Sprintf(strings.ReplaceAll(c.words, "%[2]d", "21"), 20)
			if !strings.Contains(problems, words) {
				t.Errorf("the record does not say %q, but %q", words, problems)
			}
			if !strings.Contains(said, "does not add up") {
				t.Errorf("verify says %s", said)
			}
		})
	}
}
