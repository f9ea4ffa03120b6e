package stats_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/sqldoor"
	"github.com/lethe-pipeline/lethe/pkg/stats"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// ways are those on which an answer leaves Lethe: JSON, CSV, a table, and SQL.
type ways struct {
	a     *attack
	when  string
	every int // so many questions go one of the ways
	shift int // which question goes which way
	login string
	mux   *http.ServeMux
}

func (a *attack) newWays(when string) *ways {
	a.t.Helper()
	c, err := a.f.lab.store.Create(a.t.Context(), access.Principal{Role: access.Analyst, Tenant: a.tenant}, access.Options{})
	if err != nil {
		a.t.Fatal(err)
	}
	out := &ways{a: a, when: when, every: max(1, len(a.asked)/100), shift: a.r.IntN(3), login: c.Reveal(), mux: http.NewServeMux()}
	door := sqldoor.New(sqldoor.Config{
		Gate: access.NewGate(a.f.lab.store, lethetest.Logger(a.t)), Who: a.f.lab.store, Key: []byte("key of the test"), Log: lethetest.Logger(a.t), Now: time.Now,
		Engine: sqldoor.Engine{URL: "http://engine", User: warehouse.UserSQL, Password: lethetest.Password(warehouse.UserSQL), Dial: a.f.engine.DialHTTP},
	})
	a.t.Cleanup(door.Close)
	door.Routes(out.mux)
	return out
}

func (w *ways) do(mux *http.ServeMux, method, address, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(w.a.t.Context(), method, address, strings.NewReader(body))
	r.SetBasicAuth("lethe", w.login)
	if method == http.MethodGet {
		r.Header.Set("Authorization", "Bearer "+w.login)
	}
	out := httptest.NewRecorder()
	mux.ServeHTTP(out, r)
	return out
}

// ask asks one question in one of the formats, and holds it to an answer.
func (w *ways) ask(i int, q stats.Question, a stats.Answer) string {
	format := []string{"json", "csv", "table"}[(i/w.every+w.shift)%3]
	if i%w.every > 0 || format == "csv" && q.Explain { // those are cells
		return ""
	}
	got := w.do(w.a.f.mux, http.MethodGet, address(q, format), "")
	if got.Code != http.StatusOK {
		return fmt.Sprintf("as %s: %d", format, got.Code)
	}
	var read [][]string
	switch format {
	case "json":
		var same stats.Answer
		if err := json.Unmarshal(got.Body.Bytes(), &same); err != nil {
			return err.Error()
		}
		if diff := cmp.Diff(a.Beside, same.Beside) + cmp.Diff(a.Cells, same.Cells); diff != "" {
			return "JSON has another number beside or other cells: " + diff
		}
		read = table(same)
	case "csv":
		all, err := csv.NewReader(got.Body).ReadAll()
		if err != nil {
			return err.Error()
		}
		for _, line := range all[1:] {
			if line[len(line)-1] == "true" {
				line[len(line)-2] = "hidden"
			}
			read = append(read, line[:len(line)-1])
		}
	case "table":
		numbers, _, _ := strings.Cut(got.Body.String(), "\n\n") // cells are below
		for _, line := range strings.Split(strings.TrimSpace(numbers), "\n")[1:] {
			if strings.HasPrefix(line, "# ") {
				break
			}
			line := regexp.MustCompile(" {2,}").Split(line, -1)
			for i, v := range line[:len(line)-1] {
				if v == "-" {
					line[i] = ""
				}
			}
			read = append(read, line)
		}
	}
	if diff := cmp.Diff(table(a), read); diff != "" {
		return "as " + format + " (-want +got):\n" + diff
	}
	return ""
}

// table is an answer as text, the total last.
func table(a stats.Answer) (out [][]string) {
	total := []string{}
	for _, r := range a.Rows {
		var line []string
		for _, name := range a.By {
			v := ""
			switch {
			case slices.Contains(r.Other, name):
				v = "(other)"
			case r.By[name] != nil:
				v = fmt.Sprint(r.By[name])
			}
			line = append(line, v)
		}
		out = append(out, append(line, show(r.Number)))
	}
	for range a.By {
		total = append(total, "(total)")
	}
	return append(out, append(total, show(a.Total)))
}

// address asks a question over HTTP.
func address(q stats.Question, format string) string {
	v := url.Values{"format": {format}}
	if len(q.By) > 0 {
		v.Set("by", strings.Join(q.By, ","))
	}
	if !q.From.IsZero() {
		v.Set("from", q.From.Format(time.DateOnly))
	}
	if !q.To.IsZero() {
		v.Set("to", q.To.Format(time.DateOnly))
	}
	if q.Explain {
		v.Set("explain", "1")
	}
	for name, values := range q.Filters {
		v["filter."+name] = values
	}
	return "/v1/stats/" + q.Metric + "?" + v.Encode()
}

// explained holds the cells that an answer lists to those that are in it.
func explained(q stats.Question, a stats.Answer, in []modelCell) string {
	if !q.Explain || len(in) > stats.MaxCells {
		return ""
	}
	var want, got []string
	for _, c := range in {
		told := map[string]string{}
		for i, v := range c.told {
			told[c.dims[i]] = v
		}
		want = append(want, fmt.Sprintf("%s %s %s %q %d at least %d", c.service, c.first, c.last, told, c.value, c.k))
	}
	for _, c := range a.Cells {
		got = append(got, fmt.Sprintf("%s %s %s %q %d %s", c.Service, c.First, c.Last, c.Told, c.Value, c.Subjects))
	}
	slices.Sort(want)
	slices.Sort(got)
	return cmp.Diff(want, got)
}

// sql reads all that there is through the door of SQL: the cells, and no other.
func (w *ways) sql(cells []modelCell) {
	t := w.a.t
	t.Helper()
	ask := func(statement string) (lines [][]string) {
		t.Helper()
		got := w.do(w.mux, http.MethodPost, sqldoor.Path, statement+" FORMAT TabSeparated")
		if got.Code != http.StatusOK {
			t.Fatalf("%s: SQL is answered with %d %s", w.when, got.Code, got.Body)
		}
		for _, line := range strings.Split(strings.TrimSuffix(got.Body.String(), "\n"), "\n") {
			lines = append(lines, strings.Split(line, "\t"))
		}
		return lines
	}
	var want, got []string
	sums := map[string]int64{}
	for _, c := range cells {
		bucket := c.bucket
		if c.metric != "visitors" {
			bucket = "day"
			sums[c.metric] += c.value
		}
		want = append(want, fmt.Sprint(c.metric, " ", c.service, " ", bucket, " ", c.first, " ", c.last, " ", len(c.told), " ", c.value))
	}
	for _, line := range ask("SELECT metric, service, bucket, toString(first_day), toString(last_day), length(dimensions), value FROM cells WHERE metric IN ('visits', 'income', 'visitors')") {
		got = append(got, strings.Join(line, " "))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: SQL shows (-want +got):\n%s", w.when, diff)
	}
	for metric, sum := range sums {
		// The parts of a total, and the total.
		parts := int64(0)
		for _, line := range ask("SELECT action, sum(value) FROM " + metric + " GROUP BY action WITH TOTALS")[:] {
			if n, err := strconv.ParseInt(line[len(line)-1], 10, 64); err == nil {
				parts += n
			}
		}
		if parts != 2*sum {
			t.Errorf("%s: SQL adds %s up to %d, twice %d", w.when, metric, parts, sum)
		}
	}
}
