package cell

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A unit is what is cut together: all metrics that count or add up the rows of
// one table, whose cells are the same, or one metric that counts subjects.
type unit struct {
	table   *policy.Table
	metrics []*policy.Metric
	mark    mark
	from    string // the table, as statements name it
}

// lead is the metric that says how a unit is cut: the others say the same.
func (u *unit) lead() *policy.Metric { return u.metrics[0] }

func (u *unit) zone() string { return u.lead().Zone.String() }

// k is how many subjects stand behind a cell at least; 0 where nobody does.
func (u *unit) k() int {
	if u.lead().Public {
		return 0
	}
	return u.lead().K
}

// units are the units of a policy, in the order of tables and metrics.
func units(pol *policy.Policy, from func(table string) string) ([]*unit, error) {
	var out []*unit
	marked := map[[4]byte]string{}
	for _, t := range pol.Tables() {
		var sums *unit
		for _, m := range pol.Metrics() {
			if m.Table != t {
				continue
			}
			if sums != nil && m.Value.Additive() {
				sums.metrics = append(sums.metrics, m)
				continue
			}
			u := &unit{t, []*policy.Metric{m}, markOf(t, m), from(t.Name)}
			if other := marked[u.mark.table]; other != "" && other != t.Name {
				return nil, fault.Invalid.Errorf("the names of the tables %s and %s have one mark: give one of them another", other, t.Name)
			}
			marked[u.mark.table] = t.Name
			out = append(out, u)
			if m.Value.Additive() {
				sums = u
			}
		}
	}
	return out, nil
}

// A mark ends the id of every cell. It says of which table's rows the cell is,
// how they were counted, and in which zone their days began. So no row is cut
// again under a metric of another name, or of another zone, by a later policy.
type mark struct {
	kind  byte // 's' of cells that add up, 'd' of subjects, 'c' of what is current
	zone  [2]byte
	table [4]byte
}

const markSize = 7

func (m mark) bytes() []byte {
	return append(append([]byte{m.kind}, m.zone[:]...), m.table[:]...)
}

// In the id of a cell, counted from 1 as the engine does.
const (
	kindAt  = 20 - markSize + 1
	zoneAt  = kindAt + 1
	tableAt = zoneAt + 2
)

func markOf(t *policy.Table, m *policy.Metric) mark {
	table := sha256.Sum256([]byte("lethe/cell/table/v1 " + t.Name))
	zone := sha256.Sum256([]byte("lethe/cell/zone/v1 " + m.Zone.String()))
	kind := byte('s')
	switch m.Value {
	case policy.Distinct:
		kind = 'd'
	case policy.Current:
		kind = 'c'
	}
	return mark{kind, [2]byte(zone[:]), [4]byte(table[:])}
}

// mine is true of a cell of the unit's table that was counted alike, whatever
// its metric is called.
func (u *unit) mine() string {
	return fmt.Sprintf("substring(event_id, %d, 1) = '%c' AND substring(event_id, %d, 4) = unhex('%x')", kindAt, u.mark.kind, tableAt, u.mark.table)
}

// bridge is the column that holds a subject's token of the epoch before.
func (u *unit) bridge() (string, bool) {
	i := slices.IndexFunc(u.table.Columns, func(c policy.Column) bool { return u.lead().Subject != "" && c.Bridges == u.lead().Subject })
	if i < 0 {
		return "", false
	}
	return u.table.Columns[i].Name, true
}
