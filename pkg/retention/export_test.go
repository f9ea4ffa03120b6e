package retention

import (
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// SetStep has f called at every numbered step.
func (r *Retention) SetStep(f func(string)) { r.step = f }

// SetRemove has f remove the entries of folders.
func (r *Retention) SetRemove(f func(dir, name string) error) { r.removeEntry = f }

const (
	LeaseFor   = leaseFor
	RenewEvery = renewEvery
	Believed   = believed
)

func Cutoff(p policy.Period, now time.Time) time.Time         { return p.Cutoff(now) }
func Ended(day event.Day, now time.Time) bool                 { return ended(day, now) }
func Late(due event.Day, since time.Time, now time.Time) bool { return late(due, since, now) }
