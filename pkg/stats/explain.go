package stats

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// MaxCells is how many cells an explanation lists, the newest first.
const MaxCells = 1000

// A Cell is one published number, as it was cut.
type Cell struct {
	Metric  string `json:"metric"`
	Service string `json:"service"`
	Bucket  string `json:"bucket"`
	First   string `json:"first_day"`
	Last    string `json:"last_day"`
	// Told are the dimensions that it tells, as text.
	Told map[string]string `json:"told"`
	// Other are those that were folded.
	Other []string  `json:"other"`
	Value int64     `json:"value"`
	Cut   time.Time `json:"cut_at"`
	// Subjects is in words: how many exactly is kept nowhere.
	Subjects string `json:"subjects"`
}

// cells lists the cells behind an answer.
func (s *Stats) cells(ctx context.Context, p *plan, where []string, params map[string]any) ([]Cell, error) {
	columns := []string{"toString(service)", "toString(bucket)", "toString(first_day)", "toString(last_day)", "toString(cube)", "toInt64(level)", "toInt64(value)", "occurred_at"}
	for i := range maxTold {
		columns = append(columns, "toString("+policy.ColumnTold(i)+")")
	}
	result, err := s.cfg.Warehouse.Rows(ctx, "SELECT "+strings.Join(columns, ", ")+"\nFROM "+s.cfg.Warehouse.Table(policy.CellTable)+
		"\nWHERE "+join(where)+"\nORDER BY last_day DESC, first_day DESC, occurred_at DESC, event_id\nLIMIT "+strconv.Itoa(MaxCells), params)
	if err != nil {
		return nil, err
	}
	subjects := "at least " + strconv.Itoa(p.metric.K)
	if p.metric.Public {
		subjects = "public"
	}
	out := []Cell{}
	for _, row := range result.Rows {
		if len(row) != len(columns) {
			return nil, errShape
		}
		var texts [5]string
		for i := range texts {
			texts[i], _ = row[i].(string)
		}
		level, ok := row[5].(int64)
		value, ok2 := row[6].(int64)
		at, ok3 := row[7].(time.Time)
		if !ok || !ok2 || !ok3 {
			return nil, errShape
		}
		c := Cell{Metric: p.metric.Name, Service: texts[0], Bucket: texts[1], First: texts[2], Last: texts[3],
			Told: map[string]string{}, Other: []string{}, Value: value, Cut: at.UTC(), Subjects: subjects}
		for i, name := range strings.Split(texts[4], ",") {
			if name == "" || i >= maxTold {
				continue
			}
			if held, _ := row[8+i].(string); int64(i) < level {
				c.Told[name] = held
				if p.masks(name) {
					c.Told[name] = maskedValue
				}
			} else {
				c.Other = append(c.Other, name)
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func join(where []string) string { return strings.Join(where, " AND ") }
