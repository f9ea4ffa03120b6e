package console

import (
	"slices"
	"strconv"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// behind are the cells behind an answer as a table has them.
type behind struct {
	Metrics bool // more than one
	Names   []string
	Rows    []behindRow
}

type behindRow struct {
	stats.Cell
	Places []named
}

// Behind lays out the cells, their dimensions in the declared order.
func (p *panel) Behind() behind {
	var b behind
	has := func(c stats.Cell, name string) bool {
		_, told := c.Told[name]
		return told || slices.Contains(c.Other, name)
	}
	for _, d := range p.Metric.Dimensions {
		if slices.ContainsFunc(p.Answer.Cells, func(c stats.Cell) bool { return has(c, d.Name) }) {
			b.Names = append(b.Names, d.Name)
		}
	}
	for _, c := range p.Answer.Cells {
		r := behindRow{Cell: c}
		b.Metrics = b.Metrics || c.Metric != p.Metric.Name
		for _, name := range b.Names {
			v, told := c.Told[name]
			n := named{Text: v}
			switch {
			case !has(c, name):
				n = named{Text: "–"}
			case !told:
				n = named{Text: "(other)", Mark: true}
			case v == "":
				n = named{Text: "(empty)", Mark: true}
			}
			r.Places = append(r.Places, n)
		}
		b.Rows = append(b.Rows, r)
	}
	return b
}

// Came says how the number of a metric comes to be.
func (p *panel) Came() string {
	of := "Of each it is known how many subjects are at least behind it; how many exactly is kept nowhere. "
	switch {
	case p.Metric.Public:
		of = "The metric is public: it counts nothing that people do. "
	case p.Answer.K > 0:
		of = "Each is about at least " + strconv.Itoa(p.Answer.K) + " subjects; how many exactly is kept nowhere. "
	}
	const once = "A cell is cut once, and nothing changes or withdraws it."
	switch policy.ValueOf(p.Metric.Value) {
	case policy.Ratio:
		return "One published number is divided by another. " + of + once
	case policy.Distinct:
		return "Each number is a published cell as it stands; those of different services are added up. " + of + once
	case policy.Current:
		return "The number is the sum of its published changes. " + of + once
	}
	return "Each number is a sum of whole published cells, and no event is in two of them. " + of + once
}
