package verify

import (
	"encoding/json"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
)

const (
	// clockSlack is how far the two clocks may be apart: retention moves
	// Lethe's at least that often.
	clockSlack = time.Hour
	// runEvery is how long after the last run of retention the next has to
	// have ended, and recordEvery how long after the last record of one.
	runEvery    = 2 * time.Hour
	recordEvery = 25 * time.Hour
	// startingUp is how long a process may be without a first run.
	startingUp = 10 * time.Minute
)

// readClock takes the later of the two clocks, as the read barrier does, but for
// a clock that somebody set by hand: nothing is due by that.
func (l *look) readClock() error {
	at, err := l.c.Warehouse.Clock(l.ctx)
	if err != nil {
		return err
	}
	l.clock, l.own = at, at
	if at.Sub(l.wall) > clockSlack {
		if own, within, known := l.retentionsClock(); known && at.Sub(own) > within {
			l.own = own
		}
	}
	l.now = l.wall
	if l.own.After(l.wall) {
		l.now = l.own
	}
	return nil
}

// retentionsClock is how far retention has moved Lethe's clock, and how much
// further it may have by now: by its own word, or, when it does not answer, by
// what is on record.
func (l *look) retentionsClock() (at time.Time, within time.Duration, known bool) {
	if at := unix(l.number("clock")); !at.IsZero() {
		return at, time.Second, true
	}
	if l.c.Audit == nil {
		return time.Time{}, 0, false
	}
	var run audit.Run
	if e, ok := l.c.Audit.Last(audit.KindRun); ok && json.Unmarshal(e.Detail, &run) == nil {
		at = run.Clock
	}
	var jump audit.Clock
	if e, ok := l.c.Audit.Last(audit.KindClock); ok && json.Unmarshal(e.Detail, &jump) == nil && (jump.Accepted || jump.Rejected) && jump.To.After(at) {
		at = jump.To
	}
	return at, recordEvery, !at.IsZero()
}

func (l *look) checkClock() error {
	const where = "clock"
	l.lookedAt(where, "lethe.clock against the wall clock", 1)
	behind := l.wall.Sub(l.clock)
	switch {
	case l.own.Before(l.clock):
		l.broken(periods, where, "Lethe's clock stands at %s in the warehouse, %s ahead of the wall clock, and it was not retention that set it there: somebody put a row into lethe.clock. Nothing is removed by it, but nobody can select what ends before it. Find out who it was, and have an operator reject it (lethe clock reject); or, if all that ends before it is to be destroyed, confirm it (lethe clock confirm)",
			instant(l.clock), span(-behind))
	case l.clock.Unix() <= 0 && l.number("clock_held") > 0:
		l.broken(periods, where, "Lethe's clock was never set, and the wall clock stands at %s, which retention does not believe at the beginning: nothing is removed until the machine's clock is set right, a day has passed or an operator confirms it (lethe clock confirm)", instant(l.wall))
	case l.clock.Unix() <= 0: // never advanced: checkRetention says so
	case behind > clockSlack && l.number("clock_held") > 0:
		l.broken(periods, where, "Lethe's clock stands at %s, and the wall clock is %s ahead: retention takes that for a wrong clock, and removes nothing that expires by it until a day has passed or an operator confirms it (lethe clock confirm)", instant(l.clock), span(behind))
	case behind > clockSlack:
		l.broken(periods, where, "Lethe's clock stands at %s, %s behind the wall clock: retention has not moved it since", instant(l.clock), span(behind))
	case -behind > clockSlack && l.still.since(l.clock, l.wall) > stillMost:
		l.broken(periods, where, "Lethe's clock has stood still for %s at %s, %s ahead of the wall clock, which must have been set back: until that has caught up, nothing more expires. Set the machine's clock right", span(l.still.since(l.clock, l.wall)), instant(l.clock), span(-behind))
	case -behind > clockSlack:
		l.note(where, "Lethe's clock stands at %s, %s ahead of the wall clock, which must have been set back; what expires does so by Lethe's", instant(l.clock), span(-behind))
	}
	return nil
}

// stillMost is for how long Lethe's clock may stand still: what expires has a
// day of grace.
const stillMost = 24 * time.Hour

// still remembers since when Lethe's clock stands where it is, by the wall
// clock: time that passes by that and not by Lethe's is time in which nothing
// expires.
type still struct{ clock, wall time.Time }

// since is for how long it has stood there, as far as this process has seen.
func (s *still) since(clock, wall time.Time) time.Duration {
	if !s.clock.Equal(clock) || wall.Before(s.wall) {
		*s = still{clock, wall}
	}
	return wall.Sub(s.wall)
}

// clockDeed tells what went on record about Lethe's clock that somebody did to
// its table: that it was taken back, and that a time set ahead was rejected.
func (l *look) clockDeed(e audit.Entry) {
	const where = "clock"
	var c audit.Clock
	switch {
	case json.Unmarshal(e.Detail, &c) != nil:
	case c.Back:
		l.since(e.At, periods, where, "somebody took rows out of lethe.clock: retention had moved it to %s, and on %s it stood at %s. What had expired could be selected again until retention set it right, as far as the wall clock was behind it. Find out who may write there", instant(c.From), instant(e.At), instant(c.To))
	case c.Rejected:
		l.note(where, "on %s an operator rejected %s, to which somebody had set Lethe's clock by hand, and took it back to %s", instant(e.At), instant(c.From), instant(c.To))
	}
}

// readStages asks the stages how they are.
func (l *look) readStages() error {
	all, err := l.c.Stages(l.ctx)
	l.stages = all
	return err
}

// stage is a running stage's numbers, or nil. Of several the one that ran last
// counts.
func (l *look) stage(name string) map[string]float64 {
	var found map[string]float64
	for _, s := range l.stages {
		if s.Stage == name && (found == nil || s.Numbers["last_ok"] > found["last_ok"]) {
			found = s.Numbers
		}
	}
	return found
}

// number is one of retention's.
func (l *look) number(name string) float64 { return l.stage("retention")[name] }

// checkRetention looks at when retention ran last, by what it says itself and
// by what is on record.
func (l *look) checkRetention() error {
	const where = "retention"
	if l.c.Stages == nil && l.c.Audit == nil {
		l.looked = append(l.looked, Look{Where: where, Not: "no stage and no audit log is in reach of this process"})
		return nil
	}
	l.lookedAt(where, "its last run, by its own numbers and on record", 1)
	fresh := l.wall.Sub(l.started) < startingUp
	var run audit.Entry
	var known bool
	if l.c.Audit != nil {
		run, known = l.c.Audit.Last(audit.KindRun)
	}
	recorded := known && l.wall.Sub(run.At) <= recordEvery
	if l.c.Stages != nil {
		n := l.stage("retention")
		last, next := unix(n["last_ok"]), unix(n["next_run"])
		l.lastRun, l.nextRun = last, next
		switch {
		case n == nil:
			l.broken(periods, where, "retention does not run: it does not answer. What expires stays until it does")
		case last.IsZero() && (fresh || recorded): // it has just been started
		case last.IsZero():
			l.broken(periods, where, "retention has not finished a run since it started")
		case l.wall.Sub(last) > runEvery:
			l.broken(periods, where, "retention has not finished a run since %s, %s ago", instant(last), span(l.wall.Sub(last)))
		}
		if n["held_back"] > 0 {
			l.note(where, "leaves %s that are due, until the loader has passed or a legal hold is copied", plural(uint64(n["held_back"]), "thing"))
		}
	}
	switch {
	case l.c.Audit == nil || recorded:
	case known:
		l.broken(periods, where, "the last run of retention on record is of %s, %s ago; there is one each day", instant(run.At), span(l.wall.Sub(run.At)))
	case !fresh:
		l.broken(periods, where, "no run of retention is on record")
	}
	if known && l.lastRun.IsZero() {
		l.lastRun = run.At
	}
	return nil
}

func unix(seconds float64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}
