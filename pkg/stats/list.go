package stats

import (
	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// Listed describes a metric to those who may ask for it.
type Listed struct {
	Name        string            `json:"name"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Value       string            `json:"value"`        // count, sum, distinct, current or ratio
	Of          []string          `json:"of,omitempty"` // of a ratio: the metric that is divided, and the one that it is divided by
	K           int               `json:"k"`            // 0 when public
	Public      bool              `json:"public"`
	Zone        string            `json:"zone"` // where days begin
	Dimensions  []ListedDimension `json:"dimensions"`
}

// ListedDimension describes a dimension.
type ListedDimension struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // service, a bucket of time, hour, or the type of a column
	Description string `json:"description,omitempty"`
	// Masked: whoever asks is not told its values, and it can be no filter.
	Masked bool `json:"masked,omitempty"`
}

// List describes every metric that a principal may ask for, by name.
func (s *Stats) List(who access.Principal) []Listed {
	out := []Listed{}
	for _, m := range s.metrics {
		p, err := Question{}.plan(m, who)
		if err != nil {
			continue // limited to products, of which it does not tell
		}
		l := Listed{
			Name: m.Name, Title: m.Title, Description: m.Description, Value: string(m.Value),
			Public: m.Public, Zone: m.Zone.String(), Dimensions: []ListedDimension{},
		}
		if !m.Public {
			l.K = m.K
		}
		if m.Value == policy.Ratio {
			l.Of = []string{m.Parts[0].Name, m.Parts[1].Name}
		}
		l.Dimensions = append(l.Dimensions, ListedDimension{Name: serviceName, Type: serviceName, Description: "The service that sent the events."})
		for _, b := range bucketsOf(m) {
			l.Dimensions = append(l.Dimensions, ListedDimension{Name: string(b), Type: "bucket", Description: bucketAbout[b]})
		}
		for _, d := range m.Dimensions {
			l.Dimensions = append(l.Dimensions, describe(m, d))
		}
		for i, d := range l.Dimensions {
			c, err := p.coordinate(d.Name)
			l.Dimensions[i].Masked = err == nil && c.masked
		}
		out = append(out, l)
	}
	return out
}

func describe(m *policy.Metric, d policy.Dimension) ListedDimension {
	if d.Hour {
		return ListedDimension{Name: d.Name, Type: d.Name, Description: "When the hour began, in UTC."}
	}
	c, _ := columnOf(m, d)
	return ListedDimension{Name: d.Name, Type: c.Kind.String(), Description: c.Description}
}
