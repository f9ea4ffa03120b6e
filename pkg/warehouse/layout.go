package warehouse

import (
	"fmt"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// The columns every table begins with. Their types are written as the engine
// writes them, so that have and want compare as text.
var fixedColumns = []column{
	{"tenant", "LowCardinality(String)", "whose data the row is"},
	{"service", "LowCardinality(String)", "the service that published the event"},
	{"event_id", "FixedString(20)", "ksuid of the event; its time part is when the event occurred"},
	{"occurred_at", typeTime, "when the event occurred, as precise as the deletion rule allows"},
	{"expires_at", typeTime, "the instant from which the row may not be selected"},
	{"expiry_day", "Date", "UTC day of expires_at: the partition"},
	{"epoch", "Int64", "key epoch of the row's tokens"},
	{"log_seq", "UInt64", "sequence of the clean frame that the row came in"},
	{"identified", "Bool", "whether the event is recognized by its id when it comes again"},
}

const (
	typeTime = "DateTime64(3, 'UTC')"

	partitionBy = "expiry_day"
	// Look-ups of event ids are narrow: ksuids of one moment sort together.
	orderBy = "tenant, service, event_id"
	// backstop is added to the expiry day. A Date has room for it: an
	// expiring row's day is at most a rule's period from the present.
	backstop = "expiry_day + toIntervalDay(3)"
	// backstopDays is the number in it.
	backstopDays = 3
)

// Backstop is when the engine's own TTL begins to remove the rows of an expiry
// day, whoever still needs them. It goes by the engine's clock, and works when
// the engine merges.
func Backstop(day event.Day) time.Time { return day.Start().AddDate(0, 0, backstopDays) }

// Settings of every table. A promise leans on each, so a test reads each back
// from the engine.
var tableSettings = []setting{
	// An insert is on disk before it is answered (P18).
	{"fsync_after_insert", "1"},
	{"fsync_part_directory", "1"},
	// A merge is on disk before its sources are removed.
	{"min_rows_to_fsync_after_merge", "1"},
	{"min_compressed_bytes_to_fsync_after_merge", "1"},
	// A batch that landed is recognized when it is inserted again.
	{"non_replicated_deduplication_window", "10000"},
	// After a power cut the engine starts, and what was broken is set aside.
	{"max_suspicious_broken_parts", "1000000"},
	// What a merge or an erasure replaced does not stay on disk.
	{"old_parts_lifetime", "0"},
	// Only whole partitions expire.
	{"ttl_only_drop_parts", "1"},
}

// Settings of lethe.clock.
var clockSettings = tableSettings[:4]

const clockTable = "clock"

type setting struct{ name, value string }

// A column as the engine knows it.
type column struct{ name, kind, comment string }

// columnsOf lists a table's columns in order.
func columnsOf(t *policy.Table) []column {
	out := append([]column(nil), fixedColumns...)
	for _, c := range t.Columns {
		out = append(out, column{c.Name, columnType(c), columnComment(c)})
	}
	return out
}

func columnNames(t *policy.Table) []string {
	all := columnsOf(t)
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.name
	}
	return names
}

func columnType(c policy.Column) string {
	kind := ""
	switch c.Kind {
	case event.String:
		if c.LowCardinality {
			return "LowCardinality(String)"
		}
		return "String"
	case event.Token:
		return fmt.Sprintf("FixedString(%d)", event.TokenSize)
	case event.Int:
		kind = "Int64"
	case event.Float:
		kind = "Float64"
	case event.Bool:
		kind = "Bool"
	case event.Time:
		kind = typeTime
	default:
		panic("warehouse: no column holds a " + c.Kind.String())
	}
	if c.Nullable {
		return "Nullable(" + kind + ")"
	}
	return kind
}

// columnComment says what a column means and what it was made of.
func columnComment(c policy.Column) string {
	var from []string
	classes := map[policy.FieldClass]bool{}
	for _, alternative := range c.From {
		var names []string
		for _, f := range alternative {
			names = append(names, f.Name)
			classes[f.Class] = true
		}
		from = append(from, strings.Join(names, " and "))
	}
	made := string(c.Verb)
	if len(from) > 0 {
		made += " of " + strings.Join(from, ", else ")
	}
	for _, class := range []policy.FieldClass{policy.Sensitive, policy.Identifier, policy.FreeText, policy.Quasi, policy.Plain} {
		if classes[class] {
			made += ", " + string(class)
			break // the most telling class of its fields
		}
	}
	if c.Bridges != "" {
		made += ", of the epoch before"
	}
	return strings.TrimSpace(c.Description + " (" + made + ")")
}
