package access

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// ReadsDays is how many days before today the median is taken over.
	ReadsDays = 30
	// ReadsFactor times the median is what a credential may read in a day
	// before somebody is told.
	ReadsFactor = 5
	// ReadsHistory is on how many of those days a credential must have read
	// something before its median means anything.
	ReadsHistory = 5

	// readsFlush is the most that a crash forgets.
	readsFlush = 10 * time.Second
)

// Reads counts how often each credential reads, by UTC day. It knows nothing
// of what was read. One process keeps one file.
type Reads struct {
	path string
	log  *slog.Logger

	// mu guards what follows.
	mu      sync.Mutex
	days    map[string]map[string]int // by day, then by the credential's id
	written time.Time
	pending bool
}

type readsDocument struct {
	Version int                       `json:"version"`
	Days    map[string]map[string]int `json:"days"`
}

// OpenReads reads the counts at a path. Without a path they live in memory. A
// file that cannot be read costs the history and not the service: counting
// begins anew, and the log says so.
func OpenReads(path string, log *slog.Logger) *Reads {
	r := &Reads{path: path, log: log, days: map[string]map[string]int{}}
	if path == "" {
		return r
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r
	}
	var d readsDocument
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil || d.Version != 1 || d.Days == nil {
		log.Warn("read counts begun anew", "err", err)
		return r
	}
	for day, counts := range d.Days {
		if counts != nil {
			r.days[day] = counts
		}
	}
	return r
}

// Count counts one read and returns how many the credential has made today,
// and the median of the days among the 30 before on which it made any. unusual
// is true for the one read with which today's first exceed 5 times the median.
func (r *Reads) Count(id string, now time.Time) (reads int, median float64, unusual bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	today := now.UTC().Format(time.DateOnly)
	if r.days[today] == nil {
		r.days[today] = map[string]int{}
		r.forget(now)
	}
	r.days[today][id]++
	r.pending = true
	reads = r.days[today][id]
	var before []int
	for i := 1; i <= ReadsDays; i++ {
		if n := r.days[now.UTC().AddDate(0, 0, -i).Format(time.DateOnly)][id]; n > 0 {
			before = append(before, n)
		}
	}
	if d := now.Sub(r.written); d >= readsFlush || d < 0 {
		r.flush(now)
	}
	if len(before) < ReadsHistory {
		return reads, 0, false
	}
	slices.Sort(before)
	half := len(before) / 2
	if median = float64(before[half]); len(before)%2 == 0 {
		median = (median + float64(before[half-1])) / 2
	}
	limit := ReadsFactor * median
	return reads, median, float64(reads) > limit && float64(reads-1) <= limit
}

// forget drops days that no median is taken over. It is called with mu held.
func (r *Reads) forget(now time.Time) {
	first := now.UTC().AddDate(0, 0, -ReadsDays).Format(time.DateOnly)
	for day := range r.days {
		if day < first {
			delete(r.days, day)
		}
	}
}

// Close writes what is not written yet.
func (r *Reads) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending {
		r.flush(time.Now())
	}
}

// flush is called with mu held. What fails is tried again with a later read.
func (r *Reads) flush(now time.Time) {
	r.written, r.pending = now, false
	if r.path == "" {
		return
	}
	b, err := json.Marshal(readsDocument{Version: 1, Days: r.days})
	if err == nil {
		err = replace(r.path, append(b, '\n'), nil)
	}
	if err != nil {
		r.pending = true
		r.log.Warn("read counts not written", "err", err)
	}
}
