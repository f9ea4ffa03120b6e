package console

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// board is a page of panels to begin with: numbers, then charts.
type board struct {
	name, title string
	tiles, asks []question
	begin       string // the command that brings events of it
}

// shownBoard is a board in the navigation of the page.
type shownBoard struct {
	Name, Title string
	Here        bool
}

// The stretches of time that boards split by.
var (
	byDay  = []string{string(policy.Day)}
	byWeek = []string{string(policy.Trailing7)} // the 7 days up to each day
)

// boards are shown as far as the policy has their metrics.
var boards = []board{
	{
		name: "activations", title: "Activations",
		tiles: []question{{Metric: "activations"}, {Metric: "active_machines"}},
		asks: []question{
			{Metric: "activations", By: byDay},
			{Metric: "activations", By: []string{"day", "product"}, Top: 5},
			{Metric: "activations", By: []string{"product"}, Top: 10},
			{Metric: "active_machines", By: []string{"version"}},
		},
		begin: "lethe publish --service licensing -",
	},
	{
		name: "access", title: "Access",
		tiles: []question{{Metric: "requests"}, {Metric: "visitors"}, {Metric: "visitors", By: byWeek}, {Metric: "requests_per_visitor"}},
		asks: []question{
			{Metric: "requests", By: byDay},
			{Metric: "visitors", By: byDay},
			{Metric: "requests", By: []string{"path"}, Top: 10},
			{Metric: "requests", By: []string{"status"}},
		},
		begin: "lethe import --format combined --service web access.log",
	},
	{
		name: "pages", title: "Page views",
		tiles: []question{{Metric: "views"}, {Metric: "viewers"}, {Metric: "viewers", By: byWeek}},
		asks: []question{
			{Metric: "views", By: byDay},
			{Metric: "viewers", By: byDay},
			{Metric: "views", By: []string{"path"}, Top: 10},
			{Metric: "viewers", By: []string{"browser"}},
		},
		begin: "lethe publish --service shop -",
	},
}

// board shows a page of panels, over a range of days where the address has one.
func (v *visit) board(b *usageBody, name string, within question) {
	var some []board
	for _, x := range boards {
		if slices.ContainsFunc(b.Metrics, func(m metric) bool { return x.has(m.Name) }) {
			some = append(some, x)
			b.Boards = append(b.Boards, shownBoard{x.name, x.title, false})
		}
	}
	if len(some) == 0 {
		return
	}
	at := max(0, slices.IndexFunc(some, func(x board) bool { return x.name == name }))
	here := some[at]
	b.Boards[at].Here, b.Ranges = true, boardRanges(here.name, within, v.c.Now())
	together(
		func() { b.Tiles = v.panels(b.Metrics, "tile-", here.tiles, within) },
		func() { b.Panels = v.panels(b.Metrics, "panel-", here.asks, within) },
	)
	if !slices.ContainsFunc(slices.Concat(b.Tiles, b.Panels), (*panel).says) {
		b.Empty = here.begin
	}
}

// boardRanges are the ranges that a board is offered for.
func boardRanges(name string, within question, now time.Time) []choice {
	var out []choice
	for _, s := range spans(today(metric{}, now)) {
		if !strings.HasSuffix(s.name, " days") {
			continue
		}
		link := prefix + "usage?" + url.Values{"board": {name}, "from": {s.from}, "to": {s.to}}.Encode()
		here := within.From == s.from && within.To == s.to || !within.dated && s.bucket == string(policy.Trailing30)
		out = append(out, choice{s.name, link, here})
	}
	return out
}

func (b board) has(metric string) bool {
	return slices.ContainsFunc(b.asks, func(q question) bool { return q.Metric == metric })
}

// says whether a panel has anything to say: a number, or why there is none.
func (p *panel) says() bool { return p.No != nil || len(p.Answer.Rows) > 0 || !p.Answer.Total.Hidden }
