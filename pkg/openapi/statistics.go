package openapi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/stats"
)

var statistics = table{"statistics", "Numbers about groups, never about a person.", []route{
	{"GET /v1/stats", "listMetrics", "The metrics there are", func(b *builder, o *Operation) {
		o.Description = "Every metric that may be asked for, with its dimensions."
		o.answers(200, "The metrics, by name.", asJSON[metrics](b, nil))
	}},
	{"GET /v1/stats/{metric}", "askMetric", "Ask for a metric", askMetric},
}}

// metrics is the answer to GET /v1/stats.
type metrics struct {
	All []stats.Listed `json:"metrics"`
}

func askMetric(b *builder, o *Operation) {
	o.Description = "A number over at least k people stands in the answer; one over fewer is hidden, and so is what would give it away. " +
		"A parameter that this does not take is refused: an answer without it would be one to another question."
	names, dimensions := []string{}, map[string][]string{}
	for _, m := range b.policy.Metrics() {
		names = append(names, m.Name)
		for _, d := range m.Dimensions {
			dimensions[d.Name] = append(dimensions[d.Name], m.Name)
		}
	}
	of := sorted(dimensions)
	joinedBy, repeated := false, true
	o.Parameters = append(o.Parameters,
		inPath("metric", "The metric's name.", &Schema{Type: "string", Enum: names}),
		Parameter{
			Name: "by", In: "query", Style: "form", Explode: &joinedBy,
			Description: "Dimensions of the metric that the answer is split by.",
			Schema:      &Schema{Type: "array", Items: &Schema{Type: "string", Enum: of}, MaxItems: stats.MaxDimensions},
		},
		inQuery("from", "The first instant, RFC 3339 or YYYY-MM-DD (the start of that day in UTC). Without it, everything kept.", &Schema{Type: "string"}),
		inQuery("to", "The instant behind the last, as from.", &Schema{Type: "string"}),
		inQuery("format", "The form of the answer; without it, Accept chooses.", &Schema{Type: "string", Enum: []string{"json", "csv", "table"}}),
	)
	for _, name := range of {
		has := "every metric"
		if len(dimensions[name]) < len(names) {
			has = strings.Join(dimensions[name], ", ")
		}
		o.Parameters = append(o.Parameters, Parameter{
			Name: "filter." + name, In: "query", Style: "form", Explode: &repeated,
			Description: fmt.Sprintf("Only what has one of these values of %s, each as an answer shows it; empty is absent. A dimension of %s.", name, has),
			Schema:      &Schema{Type: "array", Items: &Schema{Type: "string"}, MaxItems: stats.MaxValues},
		})
	}
	value := int64(4711)
	example := stats.Answer{
		By: []string{"day"}, Rows: []stats.Row{
			{By: map[string]any{"day": "2026-11-20"}, Number: stats.Number{Value: &value}},
			{By: map[string]any{"day": "2026-11-21"}, Number: stats.Number{Hidden: true}},
		},
		Total: stats.Number{Hidden: true}, K: 11, HiddenRows: 1, AsOf: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Notes: []string{},
	}
	if i := slices.Index(names, "visitors"); i >= 0 {
		example.Metric = names[i]
	}
	content := asJSON[stats.Answer](b, example)
	content["text/csv"] = text("day,value,hidden\r\n2026-11-20,4711,false\r\n2026-11-21,,true\r\n(total),,true\r\n")
	content["text/plain"] = text("DAY         VISITORS\n2026-11-20  4711\n2026-11-21  hidden\n(total)     hidden\n")
	o.answers(200, "The numbers.", content)
	b.fails(o, 404, "There is no such metric.")
	b.fails(o, 422, "The question makes no sense: a parameter, a dimension, a filter or a time cannot be.")
}
