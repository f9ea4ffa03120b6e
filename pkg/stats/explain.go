package stats

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// maxTold is how many dimensions a cell has columns for.
const maxTold = 8

// MaxCells is how many cells of a metric an explanation lists.
const MaxCells = 1000

// A Cell is one published number, as it was cut.
type Cell struct {
	Metric  string `json:"metric"`
	Service string `json:"service"`
	Bucket  string `json:"bucket"`
	First   string `json:"first_day"`
	Last    string `json:"last_day"`
	// Told are the dimensions that it tells, as text; an absent value is "".
	Told map[string]string `json:"told"`
	// Other are those that were folded.
	Other []string  `json:"other"`
	Value int64     `json:"value"`
	Cut   time.Time `json:"cut_at"`
	// Subjects is in words, by the k under which the cell was cut: how many
	// exactly is kept nowhere.
	Subjects string `json:"subjects"`
}

// explain lists the cells behind an answer.
func (s *Stats) explain(ctx context.Context, p *plan, a *Answer) error {
	if len(a.found.behind) == 0 {
		return nil
	}
	q := s.newQuery(p)
	columns := []string{"toString(service)", "toString(bucket)", "toString(first_day)", "toString(last_day)", "toString(cube)", "level", "value", policy.ColumnK, "occurred_at"}
	for i := range maxTold {
		columns = append(columns, "toString("+policy.ColumnTold(i)+")")
	}
	result, err := s.cfg.Warehouse.Rows(ctx, "SELECT "+strings.Join(columns, ", ")+"\nFROM "+q.table+
		"\nWHERE "+strings.Join(join(a.found.behind)(q), " AND ")+
		"\nORDER BY last_day DESC, first_day DESC, occurred_at DESC, service, bucket, cube, level DESC, d1, d2, d3, d4\nLIMIT "+strconv.Itoa(MaxCells+1), q.params)
	if err != nil {
		return err
	}
	for _, row := range result.Rows[:min(len(result.Rows), MaxCells)] {
		c, err := cellOf(p.metric.Name, row)
		if err != nil {
			return err
		}
		a.Cells = append(a.Cells, c)
	}
	if len(result.Rows) > MaxCells {
		a.Notes = append(a.Notes, fmt.Sprintf("More than %d cells are behind this answer; the newest are listed.", MaxCells))
	}
	return nil
}

func cellOf(metric string, row []any) (Cell, error) {
	const texts, told = 5, 9 // of how many columns begin the row, and where the values do
	var text [texts]string
	if len(row) != told+maxTold {
		return Cell{}, errShape
	}
	for i := range text {
		text[i], _ = row[i].(string)
	}
	level, ok := row[texts].(int64)
	value, ok2 := row[texts+1].(int64)
	k, ok3 := row[texts+2].(int64)
	at, ok4 := row[texts+3].(time.Time)
	if !ok || !ok2 || !ok3 || !ok4 {
		return Cell{}, errShape
	}
	c := Cell{Metric: metric, Service: text[0], Bucket: text[1], First: text[2], Last: text[3],
		Told: map[string]string{}, Other: []string{}, Value: value, Cut: at.UTC(), Subjects: "public"}
	if k > 0 {
		c.Subjects = "at least " + strconv.FormatInt(k, 10)
	}
	for i, name := range strings.Split(text[4], ",") {
		switch {
		case name == "" || i >= maxTold:
		case int64(i) < level:
			c.Told[name], _ = row[told+i].(string)
		default:
			c.Other = append(c.Other, name)
		}
	}
	return c, nil
}
