package cell

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// A count is what the rows say of a number.
type count struct {
	number
	n     int64 // subjects
	fresh int64 // of these, those that are in rows behind the cells so far
}

// mostValues is how many values of one dimension are told of one bucket: the
// largest.
const mostValues = 1_000

// subjects counts the subjects of the buckets of a unit that are due, and
// publishes those that can be.
func (p *Publisher) subjects(ctx context.Context, b *book, pub *publication) error {
	var due []window
	for w, s := range b.windows {
		if s.due(p.elapsed(), p.patience) {
			due = append(due, w)
		}
	}
	if len(due) == 0 {
		return nil
	}
	// The longest first: what would give a few away when both are published
	// is the finer one.
	slices.SortFunc(due, func(a, c window) int {
		return cmp.Or(cmp.Compare(c.length(), a.length()), cmp.Compare(a.first, c.first), cmp.Compare(a.bucket, c.bucket))
	})
	known, err := p.published(ctx, b, due)
	if err != nil {
		return err
	}
	today := pub.today(b.unit)
	for _, w := range due {
		s := b.windows[w]
		open := w.last >= today
		if last := known.through[w]; s.seq > 0 && s.seq <= last && !open {
			delete(b.windows, w) // another process counted them
			continue
		}
		if pub.room() < 1+mostValues*len(b.lead().Dimensions) {
			return nil // it waits, as it did
		}
		began := p.elapsed()
		counts, err := p.count(ctx, b, w, known.through[w], pub.floor)
		if err != nil {
			return err
		}
		need := int64(b.k())
		before := known.all(b.lead().Name, w)
		if open {
			need = max(need, step(before, need))
		}
		total := int64(0)
		if len(counts) > 0 {
			total = counts[0].n // of all, which comes first
		}
		var told []count
		if !open || total-before >= need {
			var held bool
			told, held = known.choose(counts)
			s.held = held
			for _, c := range told {
				pub.add(b.unit, c.coordinates(), c.n)
			}
		}
		s.open = open
		missing := int64(0)
		if open {
			missing = max(0, need-(total-before)) // none brings more than one subject
		}
		s.lookedAt(began, p.elapsed(), missing)
		if len(told) > 0 {
			pub.then(func(done bool) { b.counted(done, w) })
		} else if !open && !s.held {
			delete(b.windows, w)
		}
	}
	return nil
}

// counted says what became of a bucket's numbers. What was held back because of
// another number is looked at again, now that some have changed.
func (b *book) counted(done bool, w window) {
	if s := b.windows[w]; s != nil && !done {
		s.again()
		return
	}
	for w, s := range b.windows {
		if s.held {
			s.again()
			s.held = false
		} else if !s.open && !s.waits {
			delete(b.windows, w)
		}
	}
}

func (c count) coordinates() coordinates {
	out := coordinates{c.metric, string(c.window.bucket), c.window.first, c.window.last, c.cube, nil}
	if c.cube != "" {
		out.told = []string{c.value}
	}
	return out
}

// count counts the subjects of a bucket, all of them first, then by each single
// dimension the values that have enough.
func (p *Publisher) count(ctx context.Context, b *book, w window, behind, floor uint64) ([]count, error) {
	u, q := b.unit, newQuery()
	where := u.where(q, scope{b.place, w.first, w.last, floor})
	columns := append(u.subject("_first"), "log_seq > "+formatUint(behind)+" AS _waits")
	sets := []string{"(_root)"}
	which, value := "toUInt8(0)", "''"
	for i, d := range u.lead().Dimensions {
		columns = append(columns, u.told(d)+" AS "+dim(i))
		sets = append(sets, "(_root, "+dim(i)+")")
		which = fmt.Sprintf("if(grouping(%s) = 0, toUInt8(%d), %s)", dim(i), i+1, which)
		value = fmt.Sprintf("if(grouping(%s) = 0, %s, %s)", dim(i), dim(i), value)
	}
	is := "_token != 0"
	sql := "SELECT " + which + " AS _which, " + value + " AS _value, toInt64(uniqExactIf(_token, " + is + ")) AS _n," +
		" _n - toInt64(uniqExactIf(_token, " + is + " AND NOT _waits)) AS _fresh" +
		"\nFROM (SELECT " + strings.Join(columns, ", ") + "\nFROM " + u.from + "\nWHERE " + where + ")" +
		"\nGROUP BY GROUPING SETS (" + strings.Join(sets, ", ") + ")"
	// Of several roots the largest counts: no two are added up.
	q.sql = "WITH (SELECT min(epoch) FROM " + u.from + " WHERE " + where + ") AS _first\n" +
		"SELECT _which, _value, max(_n) AS _most, argMax(_fresh, _n)\nFROM (" + sql + ")\nGROUP BY _which, _value" +
		fmt.Sprintf("\nHAVING _which = 0 OR _most >= %d", u.k()) + fmt.Sprintf("\nORDER BY _which, _most DESC, _value\nLIMIT %d BY _which", mostValues)
	result, err := p.c.Warehouse.Rows(ctx, q.sql, q.params)
	if err != nil {
		return nil, err
	}
	var out []count
	for _, row := range result.Rows {
		if len(row) != 4 {
			return nil, errShape
		}
		at, ok := row[0].(uint8)
		v, ok2 := row[1].(string)
		n, ok3 := row[2].(int64)
		fresh, ok4 := row[3].(int64)
		if !ok || !ok2 || !ok3 || !ok4 || int(at) > len(u.lead().Dimensions) {
			return nil, errShape
		}
		c := count{number: number{metric: u.lead().Name, window: w, value: v}, n: n, fresh: fresh}
		if at > 0 {
			c.cube = u.lead().Dimensions[at-1].Name
		}
		out = append(out, c)
	}
	return out, nil
}
