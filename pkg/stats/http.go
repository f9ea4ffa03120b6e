package stats

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// askers may ask.
var askers = []access.Role{access.Analyst, access.Officer, access.Operator}

// Routes puts the statistics on a mux, behind the gate:
//
//	GET /v1/stats            the metrics that may be asked for
//	GET /v1/stats/{metric}   ?by=day,status&from=…&to=…&filter.status=200&top=10&explain=1&format=json|csv|table
//
// from and to are YYYY-MM-DD, a day in the metric's zone, or RFC 3339, where
// such a day begins; from ≤ day < to. by and filters may be repeated; a
// filter's values are alternatives. With explain=1 the cells behind the answer
// are listed: beside it in JSON, below it in a table, and instead of it in CSV.
// Without format, Accept chooses between
// application/json, text/csv and text/plain.
func (s *Stats) Routes(mux *http.ServeMux) {
	s.cfg.Gate.Handle(mux, "GET /v1/stats", askers, s.serveList, access.Honors(access.LimitServices, access.LimitProducts, access.LimitMasked))
	s.cfg.Gate.Handle(mux, "GET /v1/stats/{metric}", askers, s.serveAnswer, access.Honors(access.LimitServices, access.LimitProducts, access.LimitMasked))
}

func (s *Stats) serveList(w http.ResponseWriter, r *http.Request, who access.Principal) {
	if len(r.URL.Query()) > 0 {
		fault.WriteProblem(w, fault.Invalid.Errorf("the list of metrics takes no parameters"))
		return
	}
	s.writeJSON(w, map[string]any{"metrics": s.List(who)})
}

func (s *Stats) serveAnswer(w http.ResponseWriter, r *http.Request, who access.Principal) {
	start := s.cfg.Now()
	q, format, err := s.parseQuestion(r)
	if err == nil {
		var a Answer
		if a, err = s.Ask(r.Context(), who, q); err == nil {
			s.cfg.Log.DebugContext(r.Context(), "question answered", "metric", a.Metric, "by", a.By, "rows", len(a.Rows),
				"hidden", a.HiddenRows, "elapsed", s.cfg.Now().Sub(start), "principal", who)
			s.write(w, a, format)
			return
		}
	}
	if k := fault.KindOf(err); (k == "" || k == fault.Corrupt) && !errors.Is(err, r.Context().Err()) {
		s.cfg.Log.ErrorContext(r.Context(), "question failed", "err", err)
	}
	fault.WriteProblem(w, err)
}

func (s *Stats) write(w http.ResponseWriter, a Answer, format string) {
	if format == formatJSON {
		s.writeJSON(w, a)
		return
	}
	var b bytes.Buffer
	render, kind := a.CSV, "text/csv; charset=utf-8; header=present"
	if format == formatTable {
		render, kind = a.Table, "text/plain; charset=utf-8"
	}
	if err := render(&b); err != nil { // a buffer takes everything
		fault.WriteProblem(w, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(b.Bytes())
}

func (s *Stats) writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v)
}

// The forms of an answer.
const (
	formatJSON  = "json"
	formatCSV   = "csv"
	formatTable = "table"
)

// parseQuestion reads a question out of a URL. Parameters that mean nothing
// are refused: a filter that was misspelled and dropped would answer another
// question than was asked.
func (s *Stats) parseQuestion(r *http.Request) (q Question, format string, err error) {
	q = Question{Metric: r.PathValue("metric"), Filters: map[string][]string{}}
	m, err := s.metric(q.Metric)
	if err != nil {
		return q, "", err
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, "", fault.Invalid.Errorf("the query of the address is not readable")
	}
	for _, name := range sortedNames(values) {
		v := values[name]
		dim, isFilter := strings.CutPrefix(name, "filter.")
		switch {
		case isFilter:
			q.Filters[dim] = v
		case name == "by":
			for _, list := range v {
				if list != "" {
					q.By = append(q.By, strings.Split(list, ",")...)
				}
			}
		case len(v) > 1:
			err = fault.Invalid.Errorf("a parameter other than by and filter is given twice")
		case name == "from":
			q.From, err = parseTime(name, v[0], m.Zone)
		case name == "to":
			q.To, err = parseTime(name, v[0], m.Zone)
		case name == "top":
			if q.Top, err = strconv.Atoi(v[0]); err != nil || q.Top < 1 {
				err = fault.Invalid.Errorf("top must be a whole number above 0")
			}
		case name == "explain":
			if q.Explain = v[0] == "1"; !q.Explain && v[0] != "0" {
				err = fault.Invalid.Errorf("explain must be 1 or 0")
			}
		case name == "format":
			if format = v[0]; format != formatJSON && format != formatCSV && format != formatTable {
				err = fault.Invalid.Errorf("format must be json, csv or table")
			}
		default:
			err = fault.Invalid.Errorf("there is no such parameter; use by, from, to, top, explain, format and filter.<dimension>")
		}
		if err != nil {
			return q, "", err
		}
	}
	if format == "" {
		format = accepted(r.Header.Values("Accept"))
	}
	return q, format, nil
}

func parseTime(name, s string, zone *time.Location) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return beginningOf(t, zone), nil
	}
	return time.Time{}, fault.Invalid.Errorf("%s must be a day as YYYY-MM-DD, or when one begins as RFC 3339 writes it", name)
}

// accepted is the first form that Accept names; JSON when it names none.
func accepted(headers []string) string {
	for _, kind := range strings.Split(strings.Join(headers, ","), ",") {
		kind, _, err := mime.ParseMediaType(strings.TrimSpace(kind))
		if err != nil {
			continue
		}
		switch kind {
		case "application/json", "*/*", "application/*":
			return formatJSON
		case "text/csv":
			return formatCSV
		case "text/plain":
			return formatTable
		}
	}
	return formatJSON
}
