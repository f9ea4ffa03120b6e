package verify

import (
	"fmt"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// checkEngine asks the engine for what is in no table: parts that were set
// aside, work that is not done, tables that were dropped, its backups, and its
// logs of statements.
func (l *look) checkEngine() error {
	for _, f := range []func() error{l.detached, l.mutations, l.dropped, l.backups, l.logs} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (l *look) detached() error {
	all, err := l.c.Warehouse.LookDetached(l.ctx)
	if err != nil {
		return err
	}
	l.lookedAt("detached parts", "every part of every table that was set aside", len(all))
	type counted struct {
		n, bytes    uint64
		first, last string
		since       time.Time
		by          string
	}
	tables := map[[2]string]*counted{}
	for _, d := range all {
		id := [2]string{d.Database, d.Table}
		c := tables[id]
		if c == nil {
			c = &counted{by: "somebody"}
			tables[id] = c
		}
		c.n++
		c.bytes += d.Bytes
		if day := partitionDay(d.Partition); day != "" {
			if c.first == "" || day < c.first {
				c.first = day
			}
			c.last = max(c.last, day)
		}
		if c.since.IsZero() || d.Since.Before(c.since) {
			c.since = d.Since
		}
		if d.Reason != "" {
			c.by = "the engine"
		}
	}
	for id, c := range tables {
		days := ""
		if c.first != "" {
			days = fmt.Sprintf(" of the days %s to %s", c.first, c.last)
		}
		l.broken(l.promisesOfTable(id[0], id[1]), tablePlace(id[0], id[1]), "%s set aside %s%s (%s, the first of %s): detached parts are in no answer, and no partition that is dropped takes them along. Attach them, or drop them",
			c.by, plural(c.n, "part"), days, plural(c.bytes, "byte"), instant(c.since))
	}
	return nil
}

// partitionDay is the expiry day in the engine's id of a partition; empty for
// others.
func partitionDay(id string) string {
	if len(id) != 8 {
		return ""
	}
	day, err := event.ParseDay(id[:4] + "-" + id[4:6] + "-" + id[6:])
	if err != nil {
		return ""
	}
	return string(day)
}

func (l *look) mutations() error {
	all, err := l.c.Warehouse.LookMutations(l.ctx)
	if err != nil {
		return err
	}
	l.lookedAt("unfinished deletions", "mutations of every table", len(all))
	for _, m := range all {
		if m.For <= stale && !m.Failed {
			continue
		}
		why := "is not done"
		if m.Failed {
			why = "fails"
		}
		l.broken(l.promisesOfTable(m.Database, m.Table), tablePlace(m.Database, m.Table), "a deletion that was asked for %s ago %s: %s still to do", span(m.For), why, plural(m.Parts, "part"))
	}
	return nil
}

func (l *look) dropped() error {
	all, err := l.c.Warehouse.LookDropped(l.ctx)
	if err != nil {
		return err
	}
	l.lookedAt("dropped tables", "those whose files the engine still has", len(all))
	for _, d := range all {
		promises, where := l.promisesOfTable(d.Database, d.Table), tablePlace(d.Database, d.Table)
		switch {
		case d.Late > stale:
			l.broken(promises, where, "was dropped, and %s after its files should have gone they are still there", span(d.Late))
		default:
			l.note(where, "was dropped, and its files are still there; the engine removes them from %s on", instant(d.Due))
		}
	}
	return nil
}

func (l *look) backups() error {
	all, err := l.c.Warehouse.LookBackups(l.ctx)
	if err != nil {
		return err
	}
	l.lookedAt("backups by the engine", "those that it made since it started", len(all))
	if len(all) > 0 {
		l.note("engine", "it made %s since it started, the first on %s; only those in folders that are listed here are held to their rule", plural(uint64(len(all)), "backup"), instant(all[0].Since))
	}
	return nil
}

func (l *look) logs() error {
	all, err := l.c.Warehouse.LookLogs(l.ctx)
	if err != nil {
		return err
	}
	l.lookedAt("logs of statements", "the engine's own tables", len(all))
	for _, s := range all {
		if s.Rows > 0 {
			l.note(tablePlace(s.Database, s.Table), "the engine keeps a log of what it does, %s by now; no rule of the policy covers it. Lethe's own users are not logged, others may be", plural(s.Rows, "row"))
		}
	}
	return nil
}
