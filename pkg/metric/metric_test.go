package metric_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/metric"
)

func counter(help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "lethe_things_total", Help: help})
}

func TestTwoPartsShareAMetric(t *testing.T) {
	reg := prometheus.NewRegistry()
	first := metric.Register(reg, counter("Things."))
	if second := metric.Register(reg, counter("Things.")); second != first {
		t.Error("the same metric is counted in two places")
	}
	if own := counter("Things."); metric.Register(nil, own) != own {
		t.Error("without a registry the metric is another")
	}
}

func TestTwoMetricsOfOneNameAreAMistake(t *testing.T) {
	reg := prometheus.NewRegistry()
	metric.Register(reg, counter("Things."))
	defer func() {
		if recover() == nil {
			t.Error("a second metric of the name was taken in silence")
		}
	}()
	metric.Register(reg, counter("Other things."))
}
