package openapi

import (
	"encoding/json"
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
	o.Description = "Every number is a sum of published cells of at least k people each; what was too rare to be told apart stands in rows that say so. " +
		"A parameter that this does not take is refused: an answer without it would be one to another question."
	names, dimensions := []string{}, map[string][]string{}
	for _, m := range b.policy.Metrics() {
		names = append(names, m.Name)
		for _, name := range stats.Coordinates(m) {
			dimensions[name] = append(dimensions[name], m.Name)
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
		inQuery("from", "The first day, YYYY-MM-DD in the metric's zone, or RFC 3339 where such a day begins. Without it, everything published.", &Schema{Type: "string"}),
		inQuery("to", "The day behind the last, as from.", &Schema{Type: "string"}),
		inQuery("top", "Only so many of the largest values of the last dimension in by; the others are one row.", &Schema{Type: "integer"}),
		inQuery("explain", "1 lists the cells behind the answer.", &Schema{Type: "string", Enum: []string{"0", "1"}}),
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
	value, cut := json.Number("4711"), time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	example := stats.Answer{
		By: []string{"day"}, Rows: []stats.Row{
			{By: map[string]any{"day": "2026-11-20"}, Number: stats.Number{Value: &value}},
		},
		Total: stats.Number{Hidden: true}, K: 11, Zone: "UTC", AsOf: &cut, Notes: []string{},
	}
	if i := slices.Index(names, "visitors"); i >= 0 {
		example.Metric = names[i]
	}
	content := asJSON[stats.Answer](b, example)
	content["text/csv"] = text("day,value,hidden\r\n2026-11-20,4711,false\r\n(total),,true\r\n")
	content["text/plain"] = text("DAY         VISITORS\n2026-11-20  4711\n(total)     hidden\n")
	o.answers(200, "The numbers.", content)
	b.fails(o, 404, "There is no such metric.")
	b.fails(o, 422, "The question makes no sense: a parameter, a dimension, a filter or a time cannot be.")
}
