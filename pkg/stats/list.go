package stats

import (
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// Listed describes a metric to those who may ask for it.
type Listed struct {
	Name        string            `json:"name"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Value       string            `json:"value"` // count, sum, distinct, current or ratio
	K           int               `json:"k"`     // 0 when public
	Public      bool              `json:"public"`
	Zone        string            `json:"zone"` // where days begin
	Dimensions  []ListedDimension `json:"dimensions"`
}

// ListedDimension describes a dimension.
type ListedDimension struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // service, a bucket of time, hour, or the type of a column
	Description string `json:"description,omitempty"`
}

// List describes every metric, by name.
func (s *Stats) List() []Listed {
	out := []Listed{}
	for _, m := range s.metrics {
		l := Listed{
			Name: m.Name, Title: m.Title, Description: m.Description, Value: string(m.Value),
			Public: m.Public, Zone: m.Zone.String(), Dimensions: []ListedDimension{},
		}
		if !m.Public {
			l.K = m.K
		}
		l.Dimensions = append(l.Dimensions, ListedDimension{Name: serviceName, Type: serviceName, Description: "The service that sent the events."})
		for _, b := range bucketsOf(m) {
			l.Dimensions = append(l.Dimensions, ListedDimension{Name: string(b), Type: "bucket", Description: bucketAbout[b]})
		}
		for _, d := range m.Dimensions {
			l.Dimensions = append(l.Dimensions, describe(m, d))
		}
		out = append(out, l)
	}
	return out
}

func describe(m *policy.Metric, d policy.Dimension) ListedDimension {
	if d.Hour {
		return ListedDimension{d.Name, d.Name, "When the hour began, in UTC."}
	}
	c, _ := columnOf(m, d)
	return ListedDimension{d.Name, c.Kind.String(), c.Description}
}
