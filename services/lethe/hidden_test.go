package main_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestFewAreInNoNumberOnAnyWayOut: P19. The same question, asked over the CLI
// and over HTTP in every form, has the same answer, and none of them shows a
// number about few people or one from which it could be worked out.
func TestFewAreInNoNumberOnAnyWayOut(t *testing.T) {
	r := up(t)
	var lines strings.Builder
	person := 0
	crowd := func(people, each int, event, data string) {
		for range people {
			person++
			for range each {
				fmt.Fprintf(&lines, `{"event":"%s","service":"shop","data":%s}`+"\n", event, fmt.Sprintf(data, person, person%250))
			}
		}
	}
	for action, people := range map[string]int{"common": 40, "usual": 25, "rare": 3, "seldom": 10} {
		crowd(people, 2, "user_action", `{"user":"user %d","action":"`+action+`","object_type":"%d"}`)
	}
	for path, people := range map[string]int{"/start": 30, "/secret/corner": 2, "/hidden/corner": 4} {
		crowd(people, 1, "page_view", `{"path":"`+path+`","ip":"192.0.2.1","user_id":"viewer %d","title":"%d"}`)
	}
	status, _ := r.Do("publisher", http.MethodPost, "/v1/events", "application/x-ndjson", strings.NewReader(lines.String()))
	if status != http.StatusOK {
		t.Fatalf("publishing: status %d", status)
	}
	r.Shows(156, "actions")
	r.Shows(36, "views")
	r.Shows(36, "viewers")

	for _, q := range []struct {
		metric string
		args   []string
		want   []shownCell
	}{
		{"actions", nil, []shownCell{{"", "156"}}},
		// Of the rare and the seldom there are enough together.
		{"actions", []string{"--by", "action"}, []shownCell{{"common", "80"}, {"usual", "50"}, {"(other)", "26"}, {"", "156"}}},
		{"actions", []string{"--by", "service,action"}, []shownCell{{"shop|common", "80"}, {"shop|usual", "50"}, {"shop|(other)", "26"}, {"|", "156"}}},
		{"actions", []string{"--by", "object_type"}, []shownCell{{"(other)", "156"}, {"", "156"}}},
		{"actions", []string{"--where", "action=rare"}, []shownCell{{"", "hidden"}}},
		{"actions", []string{"--where", "action=nothing-at-all"}, []shownCell{{"", "hidden"}}},
		{"actions", []string{"--by", "action", "--where", "action=rare", "--where", "action=common"}, []shownCell{{"common", "80"}, {"", "80"}}},
		{"actions", []string{"--by", "action", "--top", "1"}, []shownCell{{"common", "80"}, {"(other)", "76"}, {"", "156"}}},
		// Without /start, few would be left.
		{"views", []string{"--by", "path"}, []shownCell{{"(other)", "36"}, {"", "36"}}},
		{"viewers", []string{"--by", "path"}, []shownCell{{"", "36"}}},
		{"viewers", []string{"--where", "path=/secret/corner"}, []shownCell{{"", "hidden"}}},
	} {
		name := q.metric + " " + strings.Join(q.args, " ")
		fromJSON := jsonCells(t, r.Run(append([]string{"ask", q.metric, "-o", "json"}, q.args...)...))
		text := r.Run(append([]string{"ask", q.metric, "-o", "csv"}, q.args...)...)
		table := r.Run(append([]string{"ask", q.metric, "-o", "table"}, q.args...)...)
		if !slices.Equal(fromJSON, q.want) {
			t.Errorf("%s: %v, want %v", name, fromJSON, q.want)
		}
		if fromCSV := csvCells(t, text); !slices.Equal(fromCSV, fromJSON) {
			t.Errorf("%s: as CSV %v, as JSON %v", name, fromCSV, fromJSON)
		}
		if fromTable := tableCells(table); !slices.Equal(fromTable, fromJSON) {
			t.Errorf("%s: as a table %v, as JSON %v", name, fromTable, fromJSON)
		}
		for accept, want := range map[string]string{"text/csv": text, "text/plain": table} {
			status, body := r.Do("analyst", http.MethodGet, "/v1/stats/"+q.metric+"?"+questionOf(q.args), "", nil, "Accept", accept)
			if status != http.StatusOK || string(body) != want {
				t.Errorf("%s: HTTP as %s, status %d, differs from the CLI", name, accept, status)
			}
		}
		fewArePublished(t, name, fromJSON)
		if out := text + table; strings.Contains(out, "corner") {
			t.Errorf("%s: a path that few people took is shown", name)
		}
	}
	behind := r.Run("ask", "actions", "--by", "action", "--explain")
	if !strings.Contains(behind, "at least 11") || strings.Contains(behind, "seldom") {
		t.Errorf("the cells behind an answer are\n%s", behind)
	}
}

// A cell is one number of an answer: the values it is split by, and what stands
// for it, a number or "hidden". The total has no values.
type shownCell struct{ by, value string }

func cellOf(by []string, value string, isHidden bool) shownCell {
	if isHidden {
		value = "hidden"
	}
	for i, v := range by {
		if v == "(total)" || v == "-" {
			by[i] = ""
		}
	}
	return shownCell{strings.Join(by, "|"), value}
}

func jsonCells(t *testing.T, text string) []shownCell {
	t.Helper()
	var a struct {
		By   []string `json:"by"`
		Rows []struct {
			By     map[string]any `json:"by"`
			Other  []string       `json:"other"`
			Value  *int64         `json:"value"`
			Hidden bool           `json:"hidden"`
		} `json:"rows"`
		Total struct {
			Value  *int64 `json:"value"`
			Hidden bool   `json:"hidden"`
		} `json:"total"`
	}
	decode(t, text, &a)
	number := func(v *int64, isHidden bool) string {
		if (v == nil) != isHidden {
			t.Error("a JSON cell is hidden and has a value, or is neither")
		}
		if v == nil {
			return ""
		}
		return strconv.FormatInt(*v, 10)
	}
	var out []shownCell
	for _, row := range a.Rows {
		by := make([]string, len(a.By))
		for i, name := range a.By {
			if v := row.By[name]; v != nil {
				by[i] = fmt.Sprint(v)
			} else if slices.Contains(row.Other, name) {
				by[i] = "(other)"
			}
		}
		out = append(out, cellOf(by, number(row.Value, row.Hidden), row.Hidden))
	}
	return append(out, cellOf(make([]string, len(a.By)), number(a.Total.Value, a.Total.Hidden), a.Total.Hidden))
}

func csvCells(t *testing.T, text string) []shownCell {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) < 2 {
		t.Fatalf("%d records: %v", len(records), err)
	}
	var out []shownCell
	for _, r := range records[1:] {
		last := len(r) - 1
		if (r[last] == "true") != (r[last-1] == "") {
			t.Error("a CSV cell is hidden and has a value, or is neither")
		}
		out = append(out, cellOf(r[:last-1], r[last-1], r[last] == "true"))
	}
	return out
}

var gap = regexp.MustCompile(` {2,}`)

func tableCells(text string) []shownCell {
	var out []shownCell
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if i == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		fields := gap.Split(strings.TrimSpace(line), -1)
		last := len(fields) - 1
		out = append(out, cellOf(fields[:last], fields[last], fields[last] == "hidden"))
	}
	return out
}

// fewArePublished fails the test when an answer says something about fewer than
// 11 people, and so about less than 11 events: by a cell, or by the total and
// all cells that are shown.
func fewArePublished(t *testing.T, name string, cells []shownCell) {
	t.Helper()
	const k = 11
	shown, isHidden := 0, false
	for _, c := range cells[:len(cells)-1] {
		n, err := strconv.Atoi(c.value)
		if err != nil {
			isHidden = true
			continue
		}
		if n < k {
			t.Errorf("%s: the number %d is shown", name, n)
		}
		shown += n
	}
	total, err := strconv.Atoi(cells[len(cells)-1].value)
	if err == nil && isHidden && total-shown < k {
		t.Errorf("%s: the total betrays what is hidden", name)
	}
	if err == nil && total > 0 && total < k {
		t.Errorf("%s: the total %d is shown", name, total)
	}
}

// questionOf turns arguments of `lethe ask` into a query.
func questionOf(args []string) string {
	q := url.Values{}
	for i := 0; i+1 < len(args); i += 2 {
		switch args[i] {
		case "--by":
			q.Set("by", args[i+1])
		case "--top":
			q.Set("top", args[i+1])
		case "--where":
			name, value, _ := strings.Cut(args[i+1], "=")
			q.Add("filter."+name, value)
		}
	}
	return q.Encode()
}
