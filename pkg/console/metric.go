package console

import (
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// metric is one that may be asked for, as the API lists it, and what follows
// from that for a question.
type metric struct {
	stats.Listed
	// counted are the stretches of time in which it counts subjects, each of
	// them once. Numbers of a metric that has none add up over time.
	counted []string
	// alone says that its cells are told by one dimension at a time.
	alone bool
	// masked says that some dimension is, for whoever asks.
	masked bool
}

// newMetrics adds to a list what follows from it.
func newMetrics(list []stats.Listed) []metric {
	out := make([]metric, 0, len(list))
	for _, l := range list {
		m := metric{Listed: l}
		parts := []stats.Listed{l}
		for _, p := range list {
			if slices.Contains(l.Of, p.Name) {
				parts = append(parts, p)
			}
		}
		for _, p := range parts {
			m.alone = m.alone || p.Value == string(policy.Distinct) || p.Value == string(policy.Current)
			for _, d := range p.Dimensions {
				m.masked = m.masked || d.Masked
				if p.Value == string(policy.Distinct) && d.Type == ofBucket && !slices.Contains(m.counted, d.Name) {
					m.counted = append(m.counted, d.Name)
				}
			}
		}
		out = append(out, m)
	}
	return out
}

// The types that the API lists dimensions of time with, and the dimension that
// every metric has.
const (
	ofBucket    = "bucket"
	ofHour      = "hour"
	serviceName = "service"
)

// dimension finds what the metric may be split by.
func (m metric) dimension(name string) (stats.ListedDimension, bool) {
	i := slices.IndexFunc(m.Dimensions, func(d stats.ListedDimension) bool { return d.Name == name })
	if i < 0 {
		return stats.ListedDimension{}, false
	}
	return m.Dimensions[i], true
}

func (m metric) isTime(name string) bool {
	d, _ := m.dimension(name)
	return d.Type == ofBucket || d.Type == ofHour
}

// times names the dimensions of time, and splits the others that are told.
func (m metric) times() (out []string) {
	for _, d := range m.Dimensions {
		if m.isTime(d.Name) && !d.Masked {
			out = append(out, d.Name)
		}
	}
	return out
}

func (m metric) splits() (out []string) {
	for _, d := range m.Dimensions {
		if !m.isTime(d.Name) && !d.Masked {
			out = append(out, d.Name)
		}
	}
	return out
}

// IsCurrent says that the metric is about the present, and takes no days.
func (m metric) IsCurrent() bool { return m.Value == string(policy.Current) }

// isRatio says that the metric's values have decimals and no order.
func (m metric) isRatio() bool { return m.Value == string(policy.Ratio) }

// zone is where the metric's days begin.
func (m metric) zone() *time.Location {
	if z, err := time.LoadLocation(m.Zone); err == nil {
		return z
	}
	return time.UTC // the policy knows no other
}

// trailing are buckets that are named by their last day.
var trailing = map[string]string{string(policy.Trailing7): "7 days", string(policy.Trailing30): "30 days"}

// byWords writes what an answer is split by, after a title: " by path and day".
func byWords(by []string) string {
	var names []string
	over := ""
	for _, name := range by {
		if days := trailing[name]; days != "" {
			over = " in " + days
		} else {
			names = append(names, words(name))
		}
	}
	if len(names) == 0 {
		return over
	}
	last := len(names) - 1
	if last > 0 {
		names = []string{strings.Join(names[:last], ", "), names[last]}
	}
	return " by " + strings.Join(names, " and ") + over
}

// timeWords offers a dimension of time.
func timeWords(name string) string {
	if days := trailing[name]; days != "" {
		return "in " + days
	}
	return "by " + words(name)
}

// words writes a declared name for people.
func words(name string) string {
	if days := trailing[name]; days != "" {
		return days + " up to"
	}
	return strings.ReplaceAll(name, "_", " ")
}
