package stats

import "github.com/lethe-pipeline/lethe/pkg/fault"

// newTally reads what the statement returned.
func newTally(p *plan, rows [][]any) (tally, error) {
	t := tally{services: map[string]bool{}}
	for _, row := range rows {
		if len(row) != colDimensions+len(p.by) {
			return t, fault.Corrupt.Errorf("the warehouse answered with %d columns", len(row))
		}
		part, ok := row[colPart].(string)
		service, ok2 := row[colService].(string)
		if !ok || !ok2 {
			return t, errShape
		}
		var n [colDimensions]int64
		for i := colHidden; i < colDimensions; i++ {
			if n[i], ok = number(row[i]); !ok {
				return t, errShape
			}
		}
		u := union{
			rows: n[colRows], people: n[colPeople], most: n[colMost],
			counted: n[colCounted], mostCounted: n[colMostCounted],
		}
		switch part {
		case partCell:
			c := cell{hidden: n[colHidden] != 0, value: u.value(p.metric)}
			for i, d := range p.by {
				v, err := d.value(row[colDimensions+i])
				if err != nil {
					return t, err
				}
				c.by = append(c.by, v)
			}
			t.cells = append(t.cells, c)
		case partService:
			if u.people > 0 {
				t.services[service] = true
			}
			u.counted, u.mostCounted = n[colOverall], n[colOverall]
			t.all.add(u)
		case partHidden:
			t.hidden.add(u)
		case partShown:
			t.shown.add(u)
		default:
			return t, errShape
		}
	}
	if len(t.cells) > MaxRows || len(rows) > MaxRows+maxParts {
		return t, fault.Exhausted.Errorf("the answer has more than %d rows; ask for fewer dimensions or a shorter time", MaxRows)
	}
	return t, nil
}

// add adds another service: its subjects are others, as far as anybody can
// tell, and so the largest count of any one service is the larger of the two.
func (u *union) add(o union) {
	u.rows += o.rows
	u.people += o.people
	u.counted += o.counted
	u.most = max(u.most, o.most)
	u.mostCounted = max(u.mostCounted, o.mostCounted)
}

var errShape = fault.Corrupt.Errorf("the warehouse answered with what was not asked")

func number(v any) (int64, bool) {
	switch v := v.(type) {
	case uint64:
		return int64(v), true
	case uint8:
		return int64(v), true
	}
	return 0, false
}
