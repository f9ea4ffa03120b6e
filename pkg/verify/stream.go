package verify

import (
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// Frames that wait longer than waitNote are worth a word, and those that wait
// longer than waitMost will be lost at the cap if nobody looks.
const (
	waitNote = time.Hour
	waitMost = 7 * 24 * time.Hour
)

func (l *look) readStreams() error {
	all, err := l.c.Streams(l.ctx)
	if err != nil {
		return err
	}
	l.sights, l.untreated = all, time.Time{}
	for _, s := range all {
		if s.Name == eventlog.AuditStream && l.through == 0 {
			l.through = s.State.Last
		}
		for _, r := range s.Readers {
			if s.Name == eventlog.RawStream {
				l.untreated = since(s, r)
			}
		}
	}
	return nil
}

// since is about when the first message came that a consumer has not
// confirmed: as far back as its share of what is on the stream. It is zero
// when everything is confirmed.
func since(s eventlog.Sight, r eventlog.ConsumerSight) time.Time {
	open := r.Pending + r.Open
	if open == 0 || s.State.Messages == 0 {
		return time.Time{}
	}
	share := min(1, float64(open)/float64(s.State.Messages))
	return s.State.LastAt.Add(-time.Duration(share * float64(s.State.LastAt.Sub(s.State.FirstAt)))).UTC()
}

// checkStreams looks at every stream that the server has.
func (l *look) checkStreams() error {
	for _, s := range l.sights {
		where := "stream " + plain(s.Name)
		if !s.Listed {
			l.unlistedStream(where, s)
			continue
		}
		l.lookedAt(where, "its settings, consumers, number of messages and the first one's age", int(s.State.Messages))
		for _, sentence := range s.Drift {
			l.broken(l.promisesOfStream(s.Name), where, "%s", sentence)
		}
		for _, r := range s.Readers {
			l.waiting(where, s, r)
		}
		switch s.Name {
		case eventlog.RawStream:
			l.aged(where, s, "raw")
		case eventlog.QuarantineStream:
			l.aged(where, s, "quarantine")
		}
	}
	if l.c.Topics == nil {
		l.looked = append(l.looked, Look{Where: "topics of the clean log", Not: "no log is in reach of this process"})
		return nil
	}
	if err := l.checkClean(); err != nil {
		return err
	}
	return l.checkHeldFrames()
}

func (l *look) unlistedStream(where string, s eventlog.Sight) {
	l.lookedAt(where, "listed by the server", int(s.State.Messages))
	what := "holds " + plural(s.State.Messages, "message")
	if len(s.Topics) > 0 {
		what += " of " + Some(plainTopics(s.Topics))
	}
	if s.State.Messages > 0 {
		what += ", the first of " + instant(s.State.FirstAt)
	}
	if len(s.Copies) > 0 {
		what += "; it copies " + Some(plainTopics(s.Copies)) + ", and what expires there stays here"
	}
	l.broken(append([]string{"P1"}, unlisted...), where, "is not in the policy: no rule covers it. It %s. Delete it, or say in the policy what it is for", what)
}

// promisesOfStream are those of the classes that govern a stream, P18, and
// P21.
func (l *look) promisesOfStream(name string) []string {
	out := []string{"P18", "P21"}
	for store, stream := range map[string]string{"raw": eventlog.RawStream, "quarantine": eventlog.QuarantineStream, "audit": eventlog.AuditStream} {
		if c := l.governing(store, true); stream == name && c != nil {
			out = append(out, c.Promises...)
		}
	}
	return out
}

// waiting says for how long a stage has left frames waiting.
func (l *look) waiting(where string, s eventlog.Sight, r eventlog.ConsumerSight) {
	first := since(s, r)
	if first.IsZero() {
		return
	}
	if r.Confirmed.After(first) {
		first = r.Confirmed
	}
	switch waits := l.wall.Sub(first); {
	case waits > waitMost:
		l.broken(flow, where, "has %s waiting for the %s, the first for %s; at the end of their rule they are destroyed unread", plural(r.Pending+r.Open, "frame"), r.Name, span(waits))
	case waits > waitNote:
		l.note(where, "has %s waiting for the %s, the first for %s", plural(r.Pending+r.Open, "frame"), r.Name, span(waits))
	}
}

// aged holds a stream to the age of its first message.
func (l *look) aged(where string, s eventlog.Sight, store string) {
	class := l.governing(store, true)
	if class == nil {
		return
	}
	r := rule(class, where, "frames", l.now)
	r.Found = s.State.Messages
	if r.Found > 0 {
		first := s.State.FirstAt.UTC()
		r.Oldest = &first
		due := l.due(class, class.Period.After(first), time.Time{})
		r.past(due, l.now)
		if l.overdue(due) {
			// How many of the others are is not known without reading them.
			r.Overdue, r.Hidden = 1, 1
			l.broken(class.Promises, where, "its first frame came on %s; by the rule of %s it should have been gone since %s", instant(first), class.Period, event.DayOf(due))
		}
	}
	l.rules = append(l.rules, r)
}

// cleanFrames is what the clean log holds of one class.
type cleanFrames struct {
	rule  Rule
	ended uint64
	first event.Day
}

// checkClean counts the clean frames by class and expiry day, as their topics
// say. Frames of a day whose key is destroyed are noise that takes up room.
func (l *look) checkClean() error {
	topics, err := l.c.Topics(l.ctx, eventlog.CleanStream, event.CleanTopics)
	if err != nil {
		return err
	}
	where := "stream " + eventlog.CleanStream
	all := map[string]*cleanFrames{}
	var strange uint64
	framed := map[string]map[event.Day]bool{}
	for topic, n := range topics {
		day, err := event.CleanTopicDay(topic)
		if err != nil {
			strange += n
			continue
		}
		table := strings.Split(topic, ".")[4]
		if framed[table] == nil {
			framed[table] = map[event.Day]bool{}
		}
		framed[table][day] = true
		class := l.classOfTable(table)
		f := all[class.Name]
		if f == nil {
			f = &cleanFrames{rule: rule(class, where, "frames", l.now)}
			f.rule.Holds = l.coveringClass(class)
			all[class.Name] = f
		}
		f.rule.Found += n
		if day == event.Never || day.End().After(l.now) {
			continue
		}
		f.rule.Hidden += n
		f.rule.past(day.End(), l.now)
		if l.overdue(day.Start()) {
			f.ended += n
			if f.first == "" || day < f.first {
				f.first = day
			}
		}
	}
	for _, name := range sorted(all) {
		f := all[name]
		l.rules = append(l.rules, f.rule)
		if f.ended > 0 {
			l.note(where, "still has %s of class %s whose expiry day has ended, the first on %s; with their key destroyed nobody can open them, and they only take up room", plural(f.ended, "frame"), name, f.first)
		}
	}
	l.frameless(where, framed)
	if strange > 0 {
		l.broken(unlisted, where, "has %s on topics without an expiry day: no rule covers them", plural(strange, "frame"))
	}
	return nil
}

// frameless finds rows of days that have not ended and of which no frame is on
// the clean log: it is the source of the tables, and a frame is there before its
// rows and goes with them. P18.
func (l *look) frameless(where string, framed map[string]map[event.Day]bool) {
	for _, table := range sorted(l.rows) {
		var rows uint64
		var days []string
		for _, day := range sorted(l.rows[table]) {
			if !framed[table][day] {
				rows += l.rows[table][day]
				days = append(days, string(day))
			}
		}
		if rows > 0 {
			l.broken(flow, where, "has no frame of %s of table %s of the expiry days %s: somebody purged them, or the log was made anew. A rebuild would lose the rows", plural(rows, "row"), plain(table), Some(days))
		}
	}
}

// classOfTable is the class of a table, or one that stands for those of an
// earlier policy.
func (l *look) classOfTable(name string) *policy.Class {
	if t, ok := l.c.Policy.Table(name); ok {
		return t.Class
	}
	return &policy.Class{Name: "of an earlier policy", Cluster: "Tables that have left the policy", Promises: slices.Clone(unlisted)}
}
