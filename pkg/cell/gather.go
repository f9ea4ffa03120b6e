package cell

import (
	"context"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// gather takes note of the rows that came since it was called last, through the
// loader's floor, and of a day that has passed. The first time these are all
// rows that there are.
func (p *Publisher) gather(ctx context.Context, floor uint64, now time.Time) error {
	for _, u := range p.units {
		if today := dayOf(now, u.lead().Zone); p.today[u.zone()] != today {
			for _, b := range p.books[u] {
				b.turn(p.elapsed(), today, now)
			}
		}
	}
	for _, u := range p.units {
		p.today[u.zone()] = dayOf(now, u.lead().Zone)
	}
	if floor <= p.seen {
		return nil
	}
	type source struct {
		table *policy.Table
		zone  string
	}
	came := map[source][]arrival{}
	for _, u := range p.units {
		at := source{u.table, u.zone()}
		if came[at] != nil {
			continue
		}
		all, err := p.arrivals(ctx, u, p.seen, floor)
		if err != nil {
			return err
		}
		came[at] = append([]arrival{}, all...)
	}
	at := p.elapsed()
	for _, u := range p.units {
		for _, a := range came[source{u.table, u.zone()}] {
			b := p.books[u][a.place]
			if b == nil {
				b = newBook(u, a.place)
				p.books[u][a.place] = b
			}
			b.came(at, a.day, p.today[u.zone()], a.seq, a.rows)
		}
	}
	p.seen = floor
	return nil
}

// An arrival is rows of one place and day.
type arrival struct {
	place
	day  string
	seq  uint64 // the highest
	rows int64
}

func (p *Publisher) arrivals(ctx context.Context, u *unit, after, through uint64) ([]arrival, error) {
	result, err := p.c.Warehouse.Rows(ctx, "SELECT toString(tenant) AS _tenant, toString(service) AS _service, "+u.day()+" AS _day, max(log_seq), toInt64(count())"+
		"\nFROM "+u.from+"\nWHERE log_seq > "+formatUint(after)+" AND log_seq <= "+formatUint(through)+"\nGROUP BY _tenant, _service, _day", nil)
	if err != nil {
		return nil, err
	}
	out := make([]arrival, 0, len(result.Rows))
	for _, row := range result.Rows {
		if len(row) != 5 {
			return nil, errShape
		}
		var a arrival
		var ok [5]bool
		a.tenant, ok[0] = row[0].(string)
		a.service, ok[1] = row[1].(string)
		a.day, ok[2] = row[2].(string)
		a.seq, ok[3] = row[3].(uint64)
		a.rows, ok[4] = row[4].(int64)
		if ok != [5]bool{true, true, true, true, true} {
			return nil, errShape
		}
		out = append(out, a)
	}
	return out, nil
}
