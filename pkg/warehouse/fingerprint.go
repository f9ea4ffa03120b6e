package warehouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A Fingerprint says what one table holds for one expiry day. Equal
// fingerprints mean equal rows, in whatever order and parts they are stored.
type Fingerprint struct {
	Table string
	Day   event.Day
	Rows  uint64
	// Hash is the sum, modulo 2^64, of a SipHash of every column of each row.
	// A sum, not an exclusive or: two equal rows must not cancel out.
	Hash uint64
}

// Fingerprint returns one fingerprint per table and expiry day that has rows,
// in order. It reads everything, so the user must see expired rows.
func (w *Warehouse) Fingerprint(ctx context.Context, pol *policy.Policy) ([]Fingerprint, error) {
	var out []Fingerprint
	for _, t := range pol.Tables() {
		// Within a tuple, because a hash of a null alone is null.
		sql := fmt.Sprintf("SELECT toString(expiry_day) AS day, count(), sum(sipHash64(tuple(%s))) FROM %s GROUP BY day ORDER BY day",
			strings.Join(quoteAll(columnNames(t)), ", "), w.Table(t.Name))
		var found []Fingerprint
		err := w.ask(ctx, "taking the fingerprint of table "+t.Name, func(ctx context.Context) error {
			found = nil
			rows, err := w.conn.Query(ctx, sql)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var day string
				f := Fingerprint{Table: t.Name}
				if err := rows.Scan(&day, &f.Rows, &f.Hash); err != nil {
					return err
				}
				f.Day = event.Day(day)
				found = append(found, f)
			}
			return rows.Err()
		})
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func quoteAll(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quote(n)
	}
	return out
}
