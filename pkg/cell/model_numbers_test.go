package cell_test

import (
	"cmp"
	"fmt"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

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
