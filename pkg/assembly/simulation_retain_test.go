package assembly_test

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// retain is today's run. One in twenty dies on the way, at any of its steps;
// half of those are followed by another at once, and half by tomorrow's.
func (s *simulation) retain(day int) {
	s.t.Helper()
	f := &fuse{}
	if (s.look.IntN(20) == 0 || day == s.days/2) && s.steps > 0 && day < s.days-1 {
		f = &fuse{last: 1 + s.look.IntN(s.steps), landed: s.look.IntN(2) == 0}
	}
	s.runs++
	s.w.tried = s.clock()
	err := s.runRetention(f)
	if f.blown {
		s.crashes++
		if f.whole { // it died giving back the lease
			s.w.ran = s.w.tried
		} else if !errors.Is(err, errCrashed) {
			s.t.Errorf("a run that died on the way says %v", err)
		}
		if s.look.IntN(2) == 0 {
			return
		}
		s.runs++
		f = &fuse{}
		err = s.runRetention(f)
	}
	s.must(err)
	s.w.ran, s.steps = s.w.tried, f.steps
}

// runRetention is one run, in a process that begins and ends with it. A process
// that died may have left the lease, and the one after it takes it over when
// it has seen for ten minutes that nobody renews it.
func (s *site) runRetention(f *fuse) error {
	s.t.Helper()
	var stops []func()
	defer unwind(&stops)
	nc := s.connect("retention", &stops)
	var elapsed time.Duration
	c := retention.Config{
		Policy: s.pol, Warehouse: s.as(warehouse.UserRetention, &stops), Log: eventlog.NewLog(nc), Keys: s.keys.Retention(),
		Holds: hold.NewStore(eventlog.OpenBucket(nc, eventlog.HoldBucket)), Bucket: eventlog.OpenBucket(nc, eventlog.RetentionBucket),
		Recorder: s.recorder("retention", &stops), Logger: s.log, Metrics: prometheus.NewRegistry(), Now: s.clock,
		Elapsed: func() time.Duration { return elapsed },
		Arrived: loader.OpenBooks(eventlog.OpenBucket(nc, eventlog.LoaderBucket)).Arrived,
	}
	for _, f := range folders {
		c.Folders = append(c.Folders, retention.Folder{Name: f.name, Dir: filepath.Join(s.dir, f.name), Governs: f.governs})
	}
	f.wire(&c)
	r := retention.New(c)
	s.retained = r
	err := r.Once(s.t.Context())
	if errors.Is(err, retention.ErrElsewhere) {
		elapsed += time.Hour
		err = r.Once(s.t.Context())
	}
	return err
}
