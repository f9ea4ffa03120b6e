package cell_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
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

// fold cuts rows into cells: the rule of docs, in plain Go.
func fold(rows []*known) []group {
	var cells []group
	rest := rows
	for level := 3; level > 0; level-- {
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
			if persons(g.rows) >= k {
				cells = append(cells, *g)
			} else {
				rest = append(rest, g.rows...)
			}
		}
	}
	if len(rest) == 0 {
		return cells
	}
	if persons(rest) < k {
		least := slices.IndexFunc(cells, func(g group) bool { return true })
		for i, g := range cells {
			if least < 0 || cmp.Or(cmp.Compare(persons(g.rows), persons(cells[least].rows)),
				cmp.Compare(len(g.told), len(cells[least].told)), slices.Compare(g.told, cells[least].told)) < 0 {
				least = i
			}
		}
		if least < 0 {
			return nil
		}
		rest = append(rest, cells[least].rows...)
		cells = slices.Delete(cells, least, least+1)
	}
	return append(cells, group{rows: rest})
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
	for _, g := range fold(rows) {
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
		want = append(want, fmt.Sprintf("visits %q %d", strings.Join(g.told, "|"), len(g.rows)), fmt.Sprintf("volume %q %d", strings.Join(g.told, "|"), size))
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

// A num is a published number of subjects.
type num struct {
	service, bucket, first, last, cube, value string
}

func (w *world) numbers() map[num]int64 {
	out := map[num]int64{}
	for _, c := range w.cells {
		if c.Metric == "visitors" {
			out[num{c.Service, c.Bucket, c.First, c.Last, c.Cube, c.Told}] += c.Value
		}
	}
	return out
}

// within says whether every subject of x is one of y.
func (x num) within(y num) bool {
	return x != y && x.service == y.service && y.first <= x.first && x.last <= y.last && (y.cube == "" || x.cube == y.cube && x.value == y.value)
}

// partOf says whether x is one value of y, or one day.
func (x num) partOf(y num) bool {
	if x.service != y.service || y.cube != "" {
		return false
	}
	return x.cube != "" && x.bucket == y.bucket && x.first == y.first && x.last == y.last ||
		x.cube == "" && x.bucket == "day" && y.bucket != "day" && y.first <= x.first && x.last <= y.last
}

func few(d int64) bool { return 0 < d && d < k }

// givesAway says which two numbers have a difference about few.
func givesAway(all map[num]int64) (wrong []string) {
	for y, n := range all {
		parts := map[string]int64{}
		for x, part := range all {
			if x.within(y) && few(n-part) {
				wrong = append(wrong, fmt.Sprintf("%v is %d and %v is %d", y, n, x, part))
			}
			if x.partOf(y) {
				parts[x.cube] += part
			}
		}
		for cube, sum := range parts {
			if few(n - sum) {
				wrong = append(wrong, fmt.Sprintf("%v is %d and its parts by %q are %d", y, n, cube, sum))
			}
		}
	}
	return wrong
}

// counts are what numbers of subjects would be published of rows, by the
// window.
func (w *world) counts(service, bucket, first, last string) map[num]int64 {
	by := map[num][]*known{}
	for _, r := range w.rows {
		if r.erased || r.service != service || r.day < first || r.day > last {
			continue
		}
		at := num{service: service, bucket: bucket, first: first, last: last}
		by[at] = append(by[at], r)
		at.cube, at.value = "page", r.page
		by[at] = append(by[at], r)
		at.cube, at.value = "code", r.told()[1]
		by[at] = append(by[at], r)
	}
	out := map[num]int64{}
	for at, rows := range by {
		out[at] = persons(rows)
	}
	return out
}

// windows are the buckets of a service that may be published, and whether they
// are open.
func (w *world) windows(service, today string) map[num]bool {
	out := map[num]bool{}
	add := func(bucket, first, last string) {
		out[num{service: service, bucket: bucket, first: first, last: last}] = last >= today
	}
	for _, d := range w.days(service) {
		t, _ := time.Parse(time.DateOnly, d)
		monday := t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
		add("day", d, d)
		add("week", monday.Format(time.DateOnly), monday.AddDate(0, 0, 6).Format(time.DateOnly))
	}
	t, _ := time.Parse(time.DateOnly, today)
	for _, end := range []time.Time{t, t.AddDate(0, 0, -1)} {
		for _, b := range []policy.Bucket{policy.Trailing7, policy.Trailing30} {
			add(string(b), end.AddDate(0, 0, 1-b.Days()).Format(time.DateOnly), end.Format(time.DateOnly))
		}
	}
	return out
}

// lags says which numbers of subjects should have been published: they would
// give nothing away, and are more by enough.
func (w *world) lags(today string) (wrong []string) {
	published := w.numbers()
	for _, service := range w.services() {
		for at, open := range w.windows(service, today) {
			counts := w.counts(service, at.bucket, at.first, at.last)
			if open && counts[at]-published[at] < max(k, step(published[at])) {
				continue
			}
			for x, n := range counts {
				if n-published[x] < k {
					continue
				}
				if open && x != at {
					continue // they wait for the whole
				}
				then := map[num]int64{x: n}
				for y, have := range published {
					if y != x {
						then[y] = have
					}
				}
				if len(givesAway(then)) == 0 {
					wrong = append(wrong, fmt.Sprintf("%v is %d and %d are published", x, n, published[x]))
				}
			}
		}
	}
	return wrong
}

// beyond says which numbers of subjects are larger than they can be.
func (w *world) beyond() (wrong []string) {
	for x, n := range w.numbers() {
		rows := w.where(func(r *known) bool {
			return r.service == x.service && x.first <= r.day && r.day <= x.last &&
				(x.cube == "" || x.cube == "page" && r.page == x.value || x.cube == "code" && r.told()[1] == x.value)
		})
		if p := persons(rows); n > p {
			wrong = append(wrong, fmt.Sprintf("%v is %d, and there never were more than %d", x, n, p))
		}
	}
	return wrong
}

// present is who is in, by their latest row: all, and by page.
func (w *world) present(service string) map[string]int64 {
	latest := map[string]map[int]*known{}
	for _, r := range w.rows {
		if r.erased || r.service != service || r.person == 0 {
			continue
		}
		for _, page := range []string{"", "page " + r.page} {
			if latest[page] == nil {
				latest[page] = map[int]*known{}
			}
			old := latest[page][r.person]
			if old == nil || cmp.Or(old.at.Truncate(time.Millisecond).Compare(r.at.Truncate(time.Millisecond)), cmp.Compare(old.seq, r.seq)) < 0 ||
				old.at.Equal(r.at) && old.seq == r.seq && r.state == "out" {
				latest[page][r.person] = r
			}
		}
	}
	out := map[string]int64{}
	for page, by := range latest {
		out[page] = 0
		for _, r := range by {
			if r.state == "in" {
				out[page]++
			}
		}
	}
	return out
}

// absent says which numbers of those who are in should be others.
func (w *world) absent() (wrong []string) {
	standing := map[string]map[string]int64{}
	for _, c := range w.cells {
		if c.Metric != "present" {
			continue
		}
		if standing[c.Service] == nil {
			standing[c.Service] = map[string]int64{}
		}
		page := ""
		if c.Cube != "" {
			page = "page " + c.Told
		}
		standing[c.Service][page] += c.Value
	}
	for service, by := range standing {
		for page, n := range by {
			if n < 0 || few(n) {
				wrong = append(wrong, fmt.Sprintf("%s %q: %d are said to be in", service, page, n))
			}
			if page != "" && few(by[""]-n) {
				wrong = append(wrong, fmt.Sprintf("%s %q: %d of %d are said to be in", service, page, n, by[""]))
			}
		}
	}
	for _, service := range w.services() {
		all := w.present(service)[""]
		if d := all - standing[service][""]; (d >= k || d <= -k) && all >= k {
			sum := int64(0)
			held := false
			for page, n := range standing[service] {
				if page != "" {
					sum += n
					held = held || few(all-n)
				}
			}
			if !held && !few(all-sum) {
				wrong = append(wrong, fmt.Sprintf("%s: %d are in and %d are published", service, all, standing[service][""]))
			}
		}
	}
	return wrong
}
