package verify

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

// A History is what was found of late, without looking again.
type History struct {
	// Latest is the report of the last verification, whoever asked for it;
	// absent until the first has ended.
	Latest *Report `json:"latest,omitempty"`
	// Past are the verifications since this process began, oldest first, at
	// most [Remembered] of them.
	Past []Moment `json:"past"`
}

// A Moment is one verification in a few numbers.
type Moment struct {
	At     time.Time `json:"at"`
	Holds  bool      `json:"holds"`
	Broken []string  `json:"broken,omitempty"`
	// Overdue and Hidden are as in [Rule], of all rules together.
	Overdue uint64 `json:"overdue"`
	Hidden  uint64 `json:"hidden"`
	// Late is by how many seconds the first thing of a deletion class is past
	// its deadline, by class; classes of which nothing is are left out.
	Late map[string]int64 `json:"late_seconds,omitempty"`
}

// Remembered is how many verifications a history holds: ten days of those that
// the verifier makes by itself.
const Remembered = 10 * 24 * 6

// past is the history, in memory. What is on record outlives it.
type past struct {
	mu     sync.Mutex // guards what follows
	latest *Report
	last   []Moment
}

func (p *past) add(r Report) {
	m := Moment{At: r.At, Holds: r.Holds, Broken: r.Broken(), Late: map[string]int64{}}
	for _, rule := range r.Rules {
		m.Overdue += rule.Overdue
		m.Hidden += rule.Hidden
		if rule.Late > 0 {
			m.Late[rule.Class] = max(m.Late[rule.Class], rule.Late)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = &r
	if p.last = append(p.last, m); len(p.last) > Remembered {
		p.last = append([]Moment{}, p.last[len(p.last)-Remembered:]...)
	}
}

// History is what was found of late.
func (v *Verifier) History() History {
	v.past.mu.Lock()
	defer v.past.mu.Unlock()
	return History{Latest: v.past.latest, Past: append([]Moment{}, v.past.last...)}
}

func (v *Verifier) serveHistory(w http.ResponseWriter, _ *http.Request, _ access.Principal) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v.History()) // the caller has gone; nobody to tell
}
