package cell_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// A tamperer changes the statements of a publisher.
type tamperer struct {
	cell.Warehouse
	t        *testing.T
	old, new string
	done     bool
}

func (w *tamperer) Rows(ctx context.Context, sql string, params map[string]any) (*warehouse.Result, error) {
	changed := strings.ReplaceAll(sql, w.old, w.new)
	w.done = w.done || changed != sql
	return w.Warehouse.Rows(ctx, changed, params)
}

// TestTheModelNoticesWhenAProtectionIsOff: each protection is taken out of the
// statements, and the model finds out. P19.
func TestTheModelNoticesWhenAProtectionIsOff(t *testing.T) {
	s := start(t)
	yesterday := noon.AddDate(0, 0, -1)
	// Everybody at "/", two on a page of their own; and later, few more.
	var visits []visit
	visits = append(visits, people(1, 9, visit{at: yesterday, page: "/", code: 1})...)
	visits = append(visits, people(20, 7, visit{at: yesterday, page: "/b", code: 2})...)
	visits = append(visits, people(1, 2, visit{at: yesterday, page: "/rare", code: 1})...)
	visits = append(visits, people(40, 3, visit{at: yesterday, page: "/c", code: 1})...)
	visits = append(visits, people(43, 3, visit{at: yesterday, page: "/c", code: 2})...)
	visits = append(visits, people(50, 4, visit{at: yesterday, page: "/d", code: 1})...)
	visits = append(visits, people(54, 4, visit{at: yesterday, page: "/d", code: 2})...)
	// One of "/b" has nearly all of it, and of all that is small together.
	var whale []visit
	whale = append(whale, people(1, 9, visit{at: yesterday, page: "/", code: 1, size: 40})...)
	whale = append(whale, people(20, 1, visit{at: yesterday, page: "/b", code: 2, size: 300})...)
	whale = append(whale, people(21, 6, visit{at: yesterday, page: "/b", code: 2, size: 1})...)
	whale = append(whale, people(40, 6, visit{at: yesterday, page: "/c", code: 1, size: 10})...)
	whale = append(whale, people(60, 11, visit{at: yesterday, page: "/e", code: 1, size: 40})...)
	today := people(1, 8, visit{at: noon.Add(-time.Hour), page: "/", code: 1})
	few := people(9, 9, visit{at: noon.Add(-time.Hour), page: "/", code: 1}) // fewer than it waits for
	more := people(20, 17, visit{at: noon.Add(-time.Hour), page: "/", code: 1})
	for _, c := range []struct {
		name, old, new string
		wrong          string // what the model says; empty is nothing
	}{
		{"nothing", "\x00", "", ""},
		{"k of a cell", "_n3 < 5", "_n3 < 1", "should be"},
		{"folding level by level", "_n1 < 5", "_n1 < 500", "should be"},
		{"what is left over takes in a cell", "_n0 >= 5 AND", "_n0 >= 0 AND", "should be"},
		{"what is left over is not lost", "_n0 >= 5 AND", "1, _c0, 0 AND", "should be"},
		{"nobody has too much of a leaf", "OR 100 * _g3", "OR 0 * _g3", "should be"},
		{"nobody has too much of what is left over", "AND NOT (0 OR 100", "AND NOT (0 OR 0", "should be"},
		{"as much is taken in as it takes", "AND 100 * (_g0", "AND 0 * (_g0", "should be"},
		{"what is in cells does not wait", " AND log_seq > ", " AND log_seq + 1000000 > ", "should be"},
		{"a day that is not over waits for more", "toInt64(uniqExactIf(_token, NOT _waits AND", "toInt64(uniqExactIf(_token, 0 AND", "not over"},
		{"what is published counts", "toInt64(sum(value)), max(toUInt64(through))", "toInt64(0), max(toUInt64(through))", "there never were more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.forget()
			w := newWorld(strings.ReplaceAll(c.name, " ", "-"), time.UTC)
			config := s.config()
			tampered := &tamperer{Warehouse: config.Warehouse, t: t, old: c.old, new: c.new}
			config.Warehouse = tampered
			s.p = publisher(t, config)
			s.p.Hurry()
			var wrong []string
			for _, batch := range [][]visit{slices.Concat(visits, today), whale, few, more} {
				for i := range batch {
					batch[i].tenant = w.tenant
				}
				w.add(s.publish(batch...), batch...)
				for range 6 { // what is broken may never end
					s.loaded()
					s.must2(s.p.Look(t.Context()))
				}
				s.loaded()
				wrong = append(wrong, w.learn(s.cells(), ago(0))...)
				wrong = append(wrong, w.beyond()...)
			}
			if c.wrong == "" && len(wrong) > 0 || c.wrong != "" && (!tampered.done || !strings.Contains(strings.Join(wrong, "\n"), c.wrong)) {
				t.Errorf("taken out: %t; the model says: %s", tampered.done, strings.Join(wrong, "\n"))
			}
		})
	}
}

// TestARoundThatWasWeighedWronglyPublishesNothing: the statement that cuts has
// its own say about how many are enough.
func TestARoundThatWasWeighedWronglyPublishesNothing(t *testing.T) {
	s := start(t)
	c := s.config()
	tampered := &tamperer{Warehouse: c.Warehouse, t: t, old: "AS _k,", new: "+ 100 AS _k,"}
	c.Warehouse = tampered
	s.p = publisher(t, c)
	s.publish(people(1, 4, visit{at: noon.AddDate(0, 0, -1), page: "/"})...)
	s.loaded()
	for range 3 {
		s.must2(s.p.Look(t.Context()))
	}
	s.loaded()
	if got := s.cells(); len(got) != 0 || !tampered.done {
		t.Errorf("four people were published as %v", got)
	}
}
