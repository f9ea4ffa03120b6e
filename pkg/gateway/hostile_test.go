package gateway_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

var symbol = regexp.MustCompile(`^[a-z0-9_]{1,48}$`)

func principal(services ...string) access.Principal {
	return access.Principal{Role: access.Publisher, Tenant: tenant, Services: services}
}

func TestHostileBodiesAreAnsweredWithoutAFault(t *testing.T) {
	dir := filepath.Join(dataDir(t), "hostile", "json")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := setup(t)
	played := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".json") {
			continue
		}
		played++
		body := string(readData(t, "hostile", "json", f.Name()))
		for _, contentType := range []string{"application/json", "application/x-ndjson", "application/cloudevents+json", "application/cloudevents-batch+json", ""} {
			a := s.post(contentType, body)
			if a.status >= 500 {
				t.Errorf("%s as %q: status %d", f.Name(), contentType, a.status)
			}
			if strings.HasPrefix(f.Name(), "n_") && contentType == "application/json" && a.status == http.StatusOK {
				t.Errorf("%s is not JSON and was taken", f.Name())
			}
			if strings.Contains(a.statuses(), "stored") {
				t.Errorf("%s as %q is no event and was stored", f.Name(), contentType)
			}
		}
		// The same as the data of an event, and as a field's value.
		for _, wrapped := range []string{
			`{"event":"app_log","data":` + body + `}`,
			`{"event":"app_log","data":{"level":"info","message":` + body + `}}`,
			`{"event":` + body + `,"data":{}}`,
		} {
			if a := s.post("application/x-ndjson", strings.ReplaceAll(wrapped, "\n", " ")); a.status >= 500 {
				t.Errorf("%s in an event: status %d", f.Name(), a.status)
			}
		}
	}
	if played < 250 {
		t.Errorf("%d files were played", played)
	}
}

func TestHostileStringsAreStoredAsTheyAreAndNeverSaidAgain(t *testing.T) {
	var strs []string
	if err := json.Unmarshal(readData(t, "hostile", "blns", "blns.json"), &strs); err != nil {
		t.Fatal(err)
	}
	s := setup(t)
	var lines []string
	sent := map[string]bool{}
	for _, str := range strs {
		if str == "" {
			continue
		}
		sent[str] = true
		quoted, err := json.Marshal(str)
		if err != nil {
			t.Fatal(err)
		}
		q := string(quoted)
		lines = append(lines,
			line(str, ""),
			// Where it is wrong.
			`{"event":"app_log","data":{"level":`+q+`,"message":"x"}}`,
			`{"event":"app_log","data":{"level":"info","message":"x","ip":`+q+`}}`,
			`{"event":"app_log","data":{"level":"info","message":"x",`+q+`:1}}`,
			`{"event":`+q+`,"data":{}}`,
			`{"event":"app_log","service":`+q+`,"data":{}}`,
			`{"event":"app_log","occurred_at":`+q+`,"data":{}}`,
			`{`+q+`:1}`,
		)
	}
	a := s.post("application/x-ndjson", strings.Join(lines, "\n"))
	if a.status != http.StatusOK {
		t.Fatalf("status %d", a.status)
	}
	for i, r := range a.receipts {
		if want := i%8 == 0; (r.Status == "stored") != want {
			// An address or a level may be among them.
			if r.Status == "stored" && (i%8 == 1 || i%8 == 2) {
				continue
			}
			t.Errorf("string %d, way %d: %s %s", i/8, i%8, r.Status, r.Problem)
		}
		for str := range sent {
			if i%8 == 3 && symbol.MatchString(str) {
				continue // a name that policy.Schema.Decode says again
			}
			// Shorter ones are part of any sentence.
			if len(str) > 12 && strings.Contains(r.Problem, str) {
				t.Errorf("string %d, way %d: the problem says a value", i/8, i%8)
			}
		}
	}
	for _, m := range s.messages() {
		delete(sent, m)
	}
	if len(sent) > 0 {
		t.Errorf("%d strings are not stored as they were sent", len(sent))
	}
}

// A mark in every place where a value can stand: it must be nowhere but sealed.
func TestAValueIsNowhereButSealed(t *testing.T) {
	const mark = "ada.lovelace.4711"
	s := setup(t)
	good := line(mark, `"id":"`+mark+`",`)
	bodies := []string{
		good,
		"[" + good + "," + line("x", `"id":"`+mark+`","occurred_at":"`+mark+`",`) + "]",
		`{"event":"` + mark + `","data":{}}`,
		`{"event":"app_log","service":"` + mark + `","data":{}}`,
		`{"event":"app_log","data":{"level":"` + mark + `","message":"x","` + mark + `":1}}`,
		`{"event":"login","data":{"account":"` + mark + `","outcome":"` + mark + `","ip":"` + mark + `"}}`,
		`{"` + mark + `":"` + mark + `"}`,
		`{"event":"app_log","` + mark + `"`,
		`"` + mark + `"`,
		cloud(mark, mark), cloud(mark, "app_log"),
	}
	var told strings.Builder
	for _, b := range bodies {
		for _, contentType := range []string{"application/json", "application/x-ndjson", "application/cloudevents+json", mark, "application/" + mark} {
			for _, query := range []string{"", "?service=shop", "?service=" + url.QueryEscape(mark+"!")} {
				a := s.request("POST", query, contentType, b, "Idempotency-Key", mark)
				told.WriteString(a.text)
				for _, v := range a.header {
					told.WriteString(strings.Join(v, " "))
				}
			}
		}
		a := s.request("POST", "", "application/json", b, "Ce-Specversion", "1.0", "Ce-Type", mark, "Ce-Id", mark, "Ce-Source", mark)
		told.WriteString(a.text)
	}
	if strings.Contains(told.String(), mark) {
		t.Error("an answer says a value")
	}
	if strings.Contains(s.logged.String(), mark) {
		t.Error("the log says a value")
	}
	metrics, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range metrics {
		if strings.Contains(m.String(), mark) {
			t.Error("a metric says a value")
		}
	}
	raw := 0
	l := eventlog.NewLog(s.nc)
	info, err := l.Info(t.Context(), eventlog.RawStream)
	if err != nil {
		t.Fatal(err)
	}
	for m, err := range l.Range(t.Context(), eventlog.RawStream, 1, info.Last) {
		if err != nil {
			t.Fatal(err)
		}
		raw++
		if bytes.Contains(m.Data, []byte(mark)) || strings.Contains(m.Topic+m.ID, mark) {
			t.Error("the raw log shows a value")
		}
	}
	found := false
	for _, m := range s.messages() {
		found = found || m == mark
	}
	if raw == 0 || !found {
		t.Error("control: the mark was not stored, and this test shows nothing")
	}
	// The control of the search itself: a body that is not sealed shows it.
	open := event.RawBody([]event.Raw{event.NewRaw(event.Contents{Fields: []string{"message"}, Values: []event.Value{event.StringValue(mark)}})})
	if !bytes.Contains(open, []byte(mark)) {
		t.Error("control: the mark would not be found if it were not sealed")
	}
}
