package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// An attack is a call that was made to break something, and what its answer
// must be like. No answer to any may be a 5xx or repeat a needle.
type attack struct {
	call
	needles []string
	check   func(status int, receipts []hostileReceipt) error
}

type hostileReceipt struct {
	Index   int    `json:"index"`
	Status  string `json:"status"`
	Problem string `json:"problem"`
}

// A siege is a running Lethe under attack.
type siege struct {
	e      *ear
	made   atomic.Int64 // good events, each with a number
	good   atomic.Int64 // those that were stored
	stored atomic.Int64 // events of all kinds that were stored, those included
}

// attackers is how many attack at once.
const attackers = 100

// maxWire is more than the gateway reads of a body.
const maxWire = 10 << 20

// launch makes all attacks, many at once, and says which were not answered as
// they must be.
func (s *siege) launch(t *testing.T, attacks []attack) {
	t.Helper()
	todo := make(chan attack)
	var wg sync.WaitGroup
	for range attackers {
		wg.Go(func() {
			for a := range todo {
				if err := s.one(a); err != nil {
					t.Errorf("%s: %v", a.name, err)
				}
			}
		})
	}
	for _, a := range attacks {
		todo <- a
	}
	close(todo)
	wg.Wait()
}

func (s *siege) one(a attack) error {
	status, body, err := s.e.try(a.call)
	if err != nil {
		if len(a.body) > maxWire {
			return nil // the door was shut before all of it came
		}
		return fmt.Errorf("no answer: %w", err)
	}
	if status >= 500 {
		return fmt.Errorf("status %d", status)
	}
	var answer struct {
		Receipts []hostileReceipt `json:"receipts"`
	}
	if status == http.StatusOK && a.method == http.MethodPost {
		if err := json.Unmarshal(body, &answer); err != nil {
			return errors.New("the answer is not JSON")
		}
	}
	for _, r := range answer.Receipts {
		switch {
		case r.Status == "stored":
			s.stored.Add(1)
		case r.Status == "refused" && r.Problem == "":
			return fmt.Errorf("event %d is refused without a reason", r.Index)
		}
	}
	if status == http.StatusOK {
		s.good.Add(int64(bytes.Count(a.body, []byte(`"service":"good"`))))
	}
	said := string(body) + "\n" + strings.Join(textsOf(body), "\n")
	for _, needle := range a.needles {
		if strings.Contains(said, needle) {
			return fmt.Errorf("the answer, status %d, repeats what was sent", status)
		}
	}
	if a.check == nil {
		return nil
	}
	return a.check(status, answer.Receipts)
}

// textsOf returns every text in a JSON document, unescaped.
func textsOf(body []byte) []string {
	var out []string
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return out
		}
		if text, ok := token.(string); ok {
			out = append(out, text)
		}
	}
}

// goodEvent is an event that nothing is wrong with. Each is of somebody else.
func (s *siege) goodEvent() string {
	return fmt.Sprintf(`{"event":"user_action","service":"good","data":{"user":"user %d","action":"opened"}}`, s.made.Add(1))
}

// hostileMark stands in every attack and in no answer.
const hostileMark = "hostile-mark-4711@example.org"

func events(name, contentType, body string) call {
	return call{name: name, role: "publisher", method: http.MethodPost, path: "/v1/events", contentType: contentType, body: []byte(body)}
}

// besideGood checks that the first and last receipts are of good events, stored,
// and hands those between to the rest.
func besideGood(rest func([]hostileReceipt) error) func(int, []hostileReceipt) error {
	return func(status int, receipts []hostileReceipt) error {
		last := len(receipts) - 1
		if status != http.StatusOK || last < 1 || receipts[0].Status != "stored" || receipts[last].Status != "stored" {
			return fmt.Errorf("status %d: the good events beside it are not stored", status)
		}
		if rest == nil {
			return nil
		}
		return rest(receipts[1:last])
	}
}

func refusedWhole(status int, receipts []hostileReceipt) error {
	if status != http.StatusBadRequest || len(receipts) > 0 {
		return fmt.Errorf("status %d, %d receipts; want 400 for the whole", status, len(receipts))
	}
	return nil
}

func noneStored(receipts []hostileReceipt) error {
	for _, r := range receipts {
		if r.Status != "refused" {
			return fmt.Errorf("event %d is %s", r.Index, r.Status)
		}
	}
	return nil
}

// parsing are attacks with the cases of JSONTestSuite: as a body, as an event's
// data, as a field, alone and beside good events.
func (s *siege) parsing(t *testing.T) []attack {
	t.Helper()
	dir := testData(t, "hostile/json")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) < 200 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	const data = `{"event":"user_action","service":"shop","id":"` + hostileMark + `","data":`
	const cloud = `{"specversion":"1.0","type":"user_action","source":"/shop","id":"` + hostileMark + `","data":`
	var out []attack
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, name := string(raw), filepath.Base(file)
		valid := strings.HasPrefix(name, "y_")
		// A valid text is an event of its own that is refused; any other
		// breaks the text around it, but for the line it stands on.
		alone := refusedWhole
		if valid {
			alone = func(status int, receipts []hostileReceipt) error {
				if status != http.StatusOK && status != http.StatusBadRequest {
					return fmt.Errorf("status %d", status)
				}
				return noneStored(receipts)
			}
		}
		named := func(receipts []hostileReceipt) error {
			if len(receipts) != 1 {
				return fmt.Errorf("%d receipts between the good ones", len(receipts))
			}
			if r := receipts[0]; r.Status == "refused" && !strings.Contains(r.Problem, "user") && !strings.Contains(r.Problem, "twice") {
				return errors.New("the refusal does not name the field")
			}
			return nil
		}
		// What is no JSON at all leaves nobody to say where the next event
		// begins; what is JSON of a sort is refused by itself.
		inArray, inLines := func(status int, receipts []hostileReceipt) error {
			if refusedWhole(status, receipts) == nil {
				return nil
			}
			return besideGood(nil)(status, receipts)
		}, besideGood
		if valid {
			inArray = besideGood(named)
		}
		field := data + `{"action":"opened","user":` + text + `}}`
		add := func(how, contentType, body string, check func(int, []hostileReceipt) error) {
			out = append(out, attack{events(name+" "+how, contentType, body), []string{hostileMark}, check})
		}
		add("as a body", "application/json", text, alone)
		add("as data", "application/json", data+text+"}", alone)
		add("as a CloudEvent's data", "application/cloudevents+json", cloud+text+"}", alone)
		add("as a field", "application/json", field, nil)
		add("beside good events", "application/json", "["+s.goodEvent()+","+field+","+s.goodEvent()+"]", inArray)
		add("on lines of its own", "application/x-ndjson", s.goodEvent()+"\n"+text+"\n"+s.goodEvent(), inLines(noneStored))
		add("in a line", "application/x-ndjson", s.goodEvent()+"\n"+field+"\n"+s.goodEvent(), inLines(nil))
	}
	return out
}

// naughty are attacks with strings that broke other software, as values of
// fields, in the places of names, and in questions.
func (s *siege) naughty(t *testing.T) []attack {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(testData(t, "hostile/blns"), "blns.json"))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	decode(t, string(raw), &texts)
	var out []attack
	for i, text := range texts {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		q := string(quoted)
		var needles []string
		if len(text) >= 6 && !strings.Contains(commonWords, strings.ToLower(text)) {
			needles = []string{text}
		}
		inNames := needles
		if fieldLike.MatchString(text) {
			inNames = nil // a field that the schema does not know may be named
		}
		of := func(event, data string) string {
			return `{"event":"` + event + `","service":"shop","data":{` + data + `}}`
		}
		values := []struct{ field, event string }{
			{"user", of("user_action", `"user":`+q+`,"action":"opened"`)},
			{"action", of("user_action", `"user":"somebody","action":`+q)},
			{"details", of("user_action", `"user":"somebody","action":"opened","object_type":`+q+`,"object_id":`+q+`,"session_id":`+q+`,"details":`+q)},
			{"message", of("app_log", `"level":"info","message":`+q+`,"logger":`+q+`,"user":`+q+`,"host":`+q+`,"trace_id":`+q)},
			{"path", of("http_access", `"client_ip":"192.0.2.1","status":200,"path":`+q+`,"referrer":`+q+`,"user_agent":`+q+`,"host":`+q+`,"user":`+q+`,"method":`+q)},
			{"client_ip", of("http_access", `"status":200,"client_ip":`+q)},
			{"actor", of("admin_audit", `"kind":"sudo","actor":`+q+`,"command":`+q+`,"target_user":`+q)},
			{"license_key", of("activation", `"action":"activate","product":`+q+`,"license_key":`+q+`,"machine_code":`+q+`,"friendly_name":`+q+`,"data_object_value":`+q)},
		}
		bodies := []string{s.goodEvent()}
		for _, v := range values {
			bodies = append(bodies, v.event)
		}
		bodies = append(bodies, s.goodEvent())
		named := func(receipts []hostileReceipt) error {
			if len(receipts) != len(values) {
				return fmt.Errorf("%d receipts for %d events", len(receipts), len(values))
			}
			for i, r := range receipts {
				if r.Status != "stored" && (r.Status != "refused" || !namesAField(r.Problem)) {
					return fmt.Errorf("field %s: %s, and the problem names no field", values[i].field, r.Status)
				}
			}
			return nil
		}
		id := fmt.Sprintf("string %d", i)
		out = append(out,
			attack{events(id+" in fields, as an array", "application/json", "["+strings.Join(bodies, ",")+"]"), needles, besideGood(named)})
		bodies[0], bodies[len(bodies)-1] = s.goodEvent(), s.goodEvent()
		out = append(out,
			attack{events(id+" in fields, as lines", "application/x-ndjson", strings.Join(bodies, "\n")), needles, besideGood(named)},
			attack{events(id+" as names", "application/x-ndjson", strings.Join([]string{
				s.goodEvent(),
				`{"event":` + q + `,"service":"shop","data":{}}`,
				`{"event":"user_action","service":` + q + `,"data":{}}`,
				`{"event":"user_action","service":"shop","id":` + q + `,"data":{}}`,
				`{"event":"user_action","service":"shop","occurred_at":` + q + `,"data":{}}`,
				`{"event":"user_action","service":"shop","version":` + q + `,"data":{}}`,
				`{"event":"user_action","service":"shop","data":` + q + `}`,
				`{"event":"user_action","service":"shop","data":{` + q + `:` + q + `}}`,
				`{"event":"user_action","service":"shop",` + q + `:` + q + `}`,
				`{"specversion":` + q + `,"type":` + q + `,"source":` + q + `,"id":` + q + `,"time":` + q + `}`,
				s.goodEvent()}, "\n")), inNames, besideGood(noneStored)})
		if i%5 > 0 {
			continue // a fifth of the questions are enough
		}
		escaped := url.QueryEscape(text)
		for _, path := range []string{
			"/v1/stats/requests?by=path&filter.path=" + escaped, "/v1/stats/actions?by=" + escaped,
			"/v1/stats/actions?" + escaped + "=1", "/v1/stats/actions?from=" + escaped, "/v1/stats/" + url.PathEscape(text),
		} {
			out = append(out, attack{call{name: id + " in an address", role: "analyst", method: http.MethodGet, path: path}, needles, nil})
		}
		out = append(out, attack{call{name: id + " as a filter", role: "analyst", method: http.MethodGet,
			path: "/v1/stats/actions?filter.action=" + escaped}, nil, nil})
	}
	return out
}

var fieldLike = regexp.MustCompile(`^[a-z_]{1,32}$`)

// commonWords stand in answers whoever asks: what is found of them says
// nothing.
const commonWords = "undefined null true false none event events status stored refused problem receipts index"

// namesAField says whether a problem names one of the fields that were sent.
func namesAField(problem string) bool {
	for _, name := range []string{"user", "action", "details", "object_type", "object_id", "session_id", "message", "logger", "host", "trace_id",
		"path", "referrer", "user_agent", "method", "client_ip", "actor", "command", "target_user", "product", "license_key",
		"machine_code", "friendly_name", "data_object_value"} {
		if strings.HasPrefix(problem, name+" ") {
			return true
		}
	}
	return false
}
