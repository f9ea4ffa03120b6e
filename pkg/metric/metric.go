// Package metric registers the metrics of the services. There is no global
// registry: every part is given one, or none in a test that looks at nothing.
package metric

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Register puts a collector into a registry and returns the one to use: c, or
// the collector of the same metric that another part has registered before.
// Without a registry c counts for itself. Two different metrics of one name are
// a mistake of the program, and Register panics.
func Register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic("metric: " + err.Error())
	}
	return c
}
