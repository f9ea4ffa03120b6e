package assembly_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// everything is the window of [site.checkSelectable] that leaves nothing out.
const everything = event.Never

// checkSelectable asks from behind the read barrier, in one question over all
// tables of events, what may be selected: nothing past its rule, and nothing younger missing. The
// question is about expiry days up to one, because it takes time to look into
// every part; of tables whose rule became shorter it is about all.
func (s *site) checkSelectable(w *world, at time.Time, upto event.Day) (problems []string) {
	s.t.Helper()
	var parts []string
	for _, t := range s.pol.Tables() {
		if t.Name == policy.CellTable {
			continue // see checkCells
		}
		until := upto
		if w.shortened[t.Class.Name] {
			until = everything
		}
		parts = append(parts, fmt.Sprintf("SELECT '%s' AS t, service, toString(expiry_day) AS day, count() AS n,"+
			" toUnixTimestamp64Milli(min(expires_at)) AS soonest, toUnixTimestamp64Milli(min(occurred_at)) AS oldest"+
			" FROM %s WHERE expiry_day <= '%s' GROUP BY service, day"+
			// Many small parts are read faster by one thread.
			" SETTINGS max_threads = 1, local_filesystem_read_method = 'pread'", t.Name, s.reader.Table(t.Name), until))
	}
	r, err := s.reader.Rows(s.t.Context(), strings.Join(parts, " UNION ALL "), nil)
	s.must(err)
	found, want := map[cell]uint64{}, map[cell]uint64{}
	for _, row := range r.Rows {
		c := cell{row[0].(string), row[1].(string), event.Day(row[2].(string))}
		found[c] = row[3].(uint64)
		t, _ := s.pol.Table(c.table)
		if t.Class.Lasting {
			continue
		}
		soonest, oldest := time.UnixMilli(row[4].(int64)), time.UnixMilli(row[5].(int64))
		if !soonest.After(at) || !t.Class.ExpiresAt(oldest).After(at) {
			problems = append(problems, fmt.Sprintf("table %s lets a row be selected that is past its rule, of expiry day %s", c.table, c.day))
		}
	}
	for c, n := range w.selectable(at) {
		t, _ := s.pol.Table(c.table)
		if c.day <= upto || w.shortened[t.Class.Name] {
			want[c] = n
		}
	}
	return append(problems, differences("who stands behind the barrier sees", found, want)...)
}

func differences(who string, found, want map[cell]uint64) (out []string) {
	for c, n := range want {
		if found[c] != n {
			out = append(out, fmt.Sprintf("%s %d rows of %s %s %s, and should %d", who, found[c], c.table, c.service, c.day, n))
		}
	}
	for c, n := range found {
		if _, ok := want[c]; !ok {
			out = append(out, fmt.Sprintf("%s %d rows of %s %s %s, and should none", who, n, c.table, c.service, c.day))
		}
	}
	return out
}

// part is the parts of one partition.
type part struct {
	database, table, partition string
	active                     bool
	rows                       uint64
}

// parts are all there are, as verify sees them, but those of Lethe's clock and
// of legal holds.
func (s *site) parts() (out []part) {
	s.t.Helper()
	r, err := s.verify.Rows(s.t.Context(), `
SELECT database, table, partition, active, sum(rows) FROM system.parts
WHERE database NOT IN ('system', '`+warehouse.HoldDatabase+`') AND table != 'clock' GROUP BY database, table, partition, active`, nil)
	s.must(err)
	for _, row := range r.Rows {
		out = append(out, part{row[0].(string), row[1].(string), row[2].(string), row[3].(uint8) == 1, row[4].(uint64)})
	}
	return out
}

// checkStored looks at every part of every table, as verify: nothing is there
// that a run has removed or should have, and nothing younger is missing. Parts
// that a removal of single rows replaced go some seconds later, when the engine
// comes to it; they are waited for when the check is to be thorough.
func (s *site) checkStored(w *world, thorough bool) (problems []string) {
	s.t.Helper()
	least, most := w.stored()
	var found map[cell]uint64
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		problems, found = nil, map[cell]uint64{}
		for _, p := range s.parts() {
			c := cell{table: p.table, day: event.Day(p.partition)}
			switch {
			case p.table == policy.CellTable: // see checkCells
			case p.database != warehouse.DefaultDatabase:
				problems = append(problems, fmt.Sprintf("table %s.%s holds rows", p.database, p.table))
			case p.active:
				found[c] += p.rows
			case thorough && most[c] == 0:
				problems = append(problems, fmt.Sprintf("an inactive part of %s %s is still there", c.table, c.day))
			}
		}
		if len(problems) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for c, n := range least {
		if found[c] < n {
			problems = append(problems, fmt.Sprintf("table %s holds %d rows of expiry day %s, and should %d", c.table, found[c], c.day, n))
		}
	}
	for c, n := range found {
		if n > most[c] {
			problems = append(problems, fmt.Sprintf("table %s holds %d rows of expiry day %s, and should %d at most", c.table, n, c.day, most[c]))
		}
	}
	r, err := s.verify.Rows(s.t.Context(), "SELECT count() FROM system.detached_parts", nil)
	s.must(err)
	if n := r.Rows[0][0].(uint64); n > 0 {
		problems = append(problems, fmt.Sprintf("%d parts are detached", n))
	}
	return problems
}

// checkLogs looks at the clean log and at the keys: no frame and no key is left
// of what the last whole run should have removed.
func (s *site) checkLogs(w *world) (problems []string) {
	s.t.Helper()
	ctx := s.t.Context()
	topics, err := s.all.Topics(ctx, eventlog.CleanStream, event.CleanTopics)
	s.must(err)
	for topic := range topics {
		if day, err := event.CleanTopicDay(topic); err != nil || day != event.Never && !day.End().After(w.ran) {
			problems = append(problems, "the clean log holds frames on "+topic)
		}
	}
	keys, err := s.keys.Retention().Live(ctx)
	s.must(err)
	for _, k := range keys {
		if end, early := s.keyEnd(k); w.over(end, early) {
			problems = append(problems, fmt.Sprintf("key %s should have ended at %v, and a run was at %v", k.ID, end, w.ran))
		}
	}
	return problems
}

// keyEnd is the instant from which a run must destroy a key, zero where the key
// may stay, and whether that is earlier than it was when the key was made.
func (s *site) keyEnd(k keyring.KeyInfo) (end time.Time, early bool) {
	switch k.Kind {
	case keyring.KindRaw:
		return k.Start.Add(time.Hour + 72*time.Hour), false // every frame is treated at once
	case keyring.KindQuarantine:
		return k.Start.AddDate(0, 0, 1+30), false
	case keyring.KindClean:
		own := event.DayOf(k.Start)
		if day := s.pol.KeyExpiry(k.Class, own); day != event.Never {
			return day.End(), day != own
		}
	case keyring.KindEpoch:
		end, _ := s.pol.EpochExpiry(k.Domain, k.Epoch)
		return end, true
	}
	return time.Time{}, false
}
