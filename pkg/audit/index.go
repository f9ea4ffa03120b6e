package audit

import (
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

// index is what is asked about a year's entries all the time. It is guarded by
// the Log's mu.
type index struct {
	last      map[Kind]Entry
	destroyed map[string]time.Time // key: when its destruction was last recorded
	ended     map[int]bool         // years whose tree was to be removed
	// lost is the last of those that say that something was, and when that
	// was recorded.
	lost   Began
	lostAt time.Time
}

func newIndex() *index {
	return &index{last: map[Kind]Entry{}, destroyed: map[string]time.Time{}, ended: map[int]bool{}}
}

func (x *index) add(e Entry) {
	x.last[e.Kind] = e
	switch e.Kind {
	case KindKey:
		var k Key
		if jsonv2.Unmarshal(e.Detail, &k) == nil && k.Verb == verbDestroy { // ParseEntry has read it
			x.destroyed[k.Key] = e.At
		}
	case KindTree:
		var t Tree
		if jsonv2.Unmarshal(e.Detail, &t) == nil && t.Ended {
			x.ended[t.Year] = true
		}
	case KindLog:
		var b Began
		if jsonv2.Unmarshal(e.Detail, &b) == nil && b.Lost != "" {
			x.lost, x.lostAt = b, e.At
		}
	}
}

// verbDestroy is the verb of a [Key] that is destroyed.
const verbDestroy = "destroy"
