package cell_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// k is that of every metric of the test policy that counts people.
const k = 5

// world is what there is of one tenant, known row by row and person by person,
// and what was published about it. It says what may be published, in plain Go:
// nothing of it is shared with what is tested.
type world struct {
	tenant  string
	zone    *time.Location
	rows    []*known
	covered map[string]uint64    // service and day: through which sequence rows are in cells
	cells   map[string]published // by id
}

type known struct {
	visit
	day    string
	seq    uint64
	erased bool // or expired: it cannot be seen any more
	in     string
}

func newWorld(tenant string, zone *time.Location) *world {
	return &world{tenant: tenant, zone: zone, covered: map[string]uint64{}, cells: map[string]published{}}
}

func (w *world) add(seqs []uint64, visits ...visit) {
	for i, v := range visits {
		w.rows = append(w.rows, &known{visit: v.whole(), day: v.at.In(w.zone).Format(time.DateOnly), seq: seqs[i]})
	}
}

// persons counts the different people behind rows.
func persons(rows []*known) int64 {
	seen := map[int]bool{}
	for _, r := range rows {
		if r.person != 0 {
			seen[r.person] = true
		}
	}
	return int64(len(seen))
}

func (w *world) where(keep func(*known) bool) []*known {
	var out []*known
	for _, r := range w.rows {
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}

// told is what a row's cell could tell of it.
func (r *known) told() []string {
	code := ""
	if r.code >= 0 {
		code = fmt.Sprint(r.code)
	}
	return []string{r.page, code, ""}
}

type group struct {
	told []string
	rows []*known
}

// share is what one subject may have of a sum, in percent.
const share = 80

// sizes are the most that one subject has of a sum, and the sum. Who bears no
// token may be anybody.
func sizes(rows []*known) (most, total int) {
	of := map[int]int{}
	for _, r := range rows {
		size := max(r.size, -r.size)
		total += size
		if r.person == 0 {
			most = max(most, size)
		} else {
			of[r.person] += size
			most = max(most, of[r.person])
		}
	}
	return most, total
}

func dominated(rows []*known) bool {
	most, total := sizes(rows)
	return 100*most > share*total
}

// fold cuts rows into cells: the rule of docs, in plain Go. Where one subject
// has too much of all, no sums are told.
func fold(rows []*known) (cells []group, sums bool) {
	for n := 3; n >= 0; n-- {
		if cells := foldBy(rows, n, true); len(cells) > 0 {
			return cells, true
		}
	}
	return foldBy(rows, 3, false), false
}

func foldBy(rows []*known, n int, guarded bool) []group {
	few := func(rows []*known) bool { return persons(rows) < k || guarded && dominated(rows) }
	var cells []group
	rest := rows
	for level := n; level > 0; level-- {
		by := map[string]*group{}
		for _, r := range rest {
			told := r.told()[:level]
			id := strings.Join(told, "\x00")
			if by[id] == nil {
				by[id] = &group{told: told}
			}
			by[id].rows = append(by[id].rows, r)
		}
		rest = nil
		for _, g := range by {
			if few(g.rows) {
				rest = append(rest, g.rows...)
			} else {
				cells = append(cells, *g)
			}
		}
	}
	if len(rest) == 0 {
		return cells
	}
	if !few(rest) {
		return append(cells, group{rows: rest})
	}
	slices.SortFunc(cells, func(a, b group) int {
		return cmp.Or(cmp.Compare(persons(a.rows), persons(b.rows)), cmp.Compare(len(a.told), len(b.told)), slices.Compare(a.told, b.told))
	})
	most, total := sizes(rest)
	for i, g := range cells {
		m, t := sizes(g.rows)
		most, total = most+m, total+t // as if the same had the most in each
		rest = append(rest, g.rows...)
		if !guarded || 100*most <= share*total {
			return append(slices.Clone(cells[i+1:]), group{rows: rest})
		}
	}
	return nil
}

// learn takes in what is published and says what is wrong with it. What it sees
// first was cut on the day called today.
func (w *world) learn(all []published, today string) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	there := map[string]bool{}
	rounds := map[[4]string][]published{}
	var order [][4]string
	for _, c := range all {
		if c.Tenant != w.tenant {
			continue
		}
		there[c.id] = true
		if old, ok := w.cells[c.id]; ok {
			if old.raw != c.raw {
				say("a cell was changed: %v became %v", old, c)
			}
			continue
		}
		w.cells[c.id] = c
		switch {
		case c.Metric == "visits" || c.Metric == "volume":
			at := [4]string{c.Service, c.First, c.Last, fmt.Sprint(c.Through)}
			if rounds[at] == nil {
				order = append(order, at)
			}
			rounds[at] = append(rounds[at], c)
		case c.Metric == "visitors" && c.Value < k:
			say("a number grew by %d: %v", c.Value, c)
		case c.Metric == "present" && c.Value > -k && c.Value < k:
			say("a number changed by %d: %v", c.Value, c)
		}
	}
	for id, c := range w.cells {
		if !there[id] {
			say("a cell is gone: %v", c)
		}
	}
	for _, at := range order {
		wrong = append(wrong, w.round(rounds[at], today)...)
	}
	return wrong
}

// round compares the cells of one round with those that the rows make.
func (w *world) round(cells []published, today string) (wrong []string) {
	one := cells[0]
	rows := w.where(func(r *known) bool {
		return !r.erased && r.service == one.Service && one.First <= r.day && r.day <= one.Last &&
			r.seq > w.covered[one.Service+r.day] && r.seq <= uint64(one.Through)
	})
	if one.Last >= today {
		before := w.where(func(r *known) bool {
			return !r.erased && r.service == one.Service && r.day == one.First && r.seq <= w.covered[one.Service+r.day]
		})
		if n, need := persons(rows), max(k, step(persons(before))); n < need || one.First != one.Last {
			wrong = append(wrong, fmt.Sprintf("a day that is not over was cut for %d people, and waits for %d", n, need))
		}
	}
	for d := one.First; d <= one.Last; d = next(d) {
		if w.covered[one.Service+d] >= uint64(one.Through) {
			wrong = append(wrong, fmt.Sprintf("the day %s was cut twice through one sequence", d))
		}
		w.covered[one.Service+d] = uint64(one.Through)
	}
	var want, got []string
	groups, sums := fold(rows)
	for _, g := range groups {
		size := 0
		for _, r := range g.rows {
			size += r.size
			if r.in != "" {
				wrong = append(wrong, "a row is in two cells")
			}
			r.in = one.id
		}
		if persons(g.rows) < k {
			wrong = append(wrong, fmt.Sprintf("the model made a cell of %d", persons(g.rows)))
		}
		if sums && dominated(g.rows) {
			wrong = append(wrong, "the model made a cell of which one person has nearly all")
		}
		want = append(want, fmt.Sprintf("visits %q %d", strings.Join(g.told, "|"), len(g.rows)))
		if sums {
			want = append(want, fmt.Sprintf("volume %q %d", strings.Join(g.told, "|"), size))
		}
	}
	for _, c := range cells {
		got = append(got, fmt.Sprintf("%s %q %d", c.Metric, c.Told, c.Value))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		wrong = append(wrong, fmt.Sprintf("%s %s..%s was cut into\n  %s\nand should be\n  %s", one.Service, one.First, one.Last, strings.Join(got, "\n  "), strings.Join(want, "\n  ")))
	}
	return wrong
}

func next(d string) string {
	t, _ := time.Parse(time.DateOnly, d)
	return t.AddDate(0, 0, 1).Format(time.DateOnly)
}

func step(p int64) int64 {
	if p < 5*k {
		return 2 * p
	}
	return p / 4
}

// waits says where more waits than should, once everything was looked at.
func (w *world) waits(today string) (wrong []string) {
	for _, service := range w.services() {
		months := map[string][]*known{}
		for _, d := range w.days(service) {
			day := w.where(func(r *known) bool { return !r.erased && r.service == service && r.day == d })
			var pending, before []*known
			for _, r := range day {
				if r.seq > w.covered[service+d] {
					pending = append(pending, r)
				} else {
					before = append(before, r)
				}
			}
			n, need := persons(pending), int64(k)
			if d >= today {
				need = max(need, step(persons(before)))
			} else {
				months[d[:7]] = append(months[d[:7]], pending...)
			}
			if n >= need {
				wrong = append(wrong, fmt.Sprintf("%s %s: %d people wait, and %d are enough", service, d, n, need))
			}
		}
		for m, rows := range months {
			if n := persons(rows); n >= k {
				wrong = append(wrong, fmt.Sprintf("%s %s: the remainders are of %d people", service, m, n))
			}
		}
	}
	return wrong
}

func (w *world) services() []string {
	var out []string
	for _, r := range w.rows {
		if !slices.Contains(out, r.service) {
			out = append(out, r.service)
		}
	}
	return out
}

func (w *world) days(service string) []string {
	var out []string
	for _, r := range w.rows {
		if r.service == service && !slices.Contains(out, r.day) {
			out = append(out, r.day)
		}
	}
	slices.Sort(out)
	return out
}
