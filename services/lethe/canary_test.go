package main_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// keptMark stands in a field that is nobody's and is kept: a scan that does not
// find it is no scan.
const keptMark = "kept-product-name-4711"

// canaryServices send every event of every person, each in a form of its own.
var canaryServices = []string{"shop", "desk"}

// TestMarkedPeopleAreFoundNowhere: P1, P2. Everything personal that the policy
// lets anybody say is said of 200 people, well and badly. Then their marks are
// nowhere in what Lethe keeps or says, and their tokens are in the warehouse
// alone.
func TestMarkedPeopleAreFoundNowhere(t *testing.T) {
	pol := policyOf(t, "")
	events, people := canaryEvents(t, pol), canaries(canaryPeople)
	r := up(t, func(r *running) { r.Env = append(r.Env, "LETHE_LOG_LEVEL=debug") })
	e := &ear{r: r}

	publishCanaries(t, e, events, people)
	publishUntreatable(t, e, people)
	for _, c := range refusedCalls(t, people[0]) {
		if status, _ := e.do(c); status >= 500 {
			t.Errorf("%s: status %d", c.name, status)
		}
	}
	for _, c := range people[1:20] { // the rarer ways of being wrong, by more people
		for _, call := range refusedCalls(t, c)[:30] {
			e.do(call)
		}
	}
	for name, request := range rawRequests(people[1]) {
		e.raw(name, request)
	}
	useCommands(t, e, people)
	r.Settle()
	holdEverything(t, e, people[9])
	listen(t, e, pol, "json")
	e.run("quarantine redrive", "quarantine", "redrive", "-o", "json")
	e.run("rebuild", "rebuild")
	r.Settle()
	listen(t, e, pol, "table", "csv")
	nameFiles(t, e, people[5])
	walkTheConsole(t, e, people[6])

	var marks lethetest.Marks
	for _, c := range people {
		c.marks(&marks)
	}
	marks.Add("a value that is kept", keptMark)
	alive := lethetest.NewScanner(&marks)
	if err := alive.Dir(r.Data); err != nil {
		t.Fatal(err)
	}
	r.Stop()
	stopped := lethetest.NewScanner(&marks)
	if err := stopped.Dir(r.Data); err != nil {
		t.Fatal(err)
	}
	said := lethetest.NewScanner(&marks)
	e.hear("standard output", []byte(r.out.String()))
	e.hear("log", []byte(r.log.String()))
	for _, topic := range topicsOf(t, r) {
		e.hear("a topic", []byte(topic))
	}
	e.scan(said)
	t.Logf("scanned %d MiB of files and %d KiB of answers and logs; opened %v",
		(alive.Scanned()+stopped.Scanned())>>20, said.Scanned()>>10, stopped.Opened())

	for _, s := range []*lethetest.Scanner{alive, stopped, said} {
		noMarks(t, s)
	}
	if opened := stopped.Opened(); opened[lethetest.FormLZ4Block] == 0 || opened[lethetest.FormZSTDBlock] == 0 {
		t.Errorf("the scan opened %v of the warehouse", opened)
	}
	if !slices.ContainsFunc(stopped.Findings(), func(f lethetest.Finding) bool {
		return f.Label == "a value that is kept" && strings.Contains(f.Where, ".bin > ")
	}) {
		t.Error("the scan did not find in the warehouse's blocks what is kept there")
	}
	if !strings.Contains(r.log.String(), `"level":"DEBUG"`) {
		t.Error("nothing was logged at level debug")
	}
	plantedIsFound(t, &marks, people[7])

	tokens := tokensOf(t, r, pol)
	theirs := lethetest.NewScanner(tokens)
	e.scan(theirs)
	for _, f := range theirs.Findings() {
		t.Errorf("a token was said: %s", f)
	}
	// Everywhere else a token is sealed.
	kept := lethetest.NewScanner(tokens)
	if err := kept.Dir(r.Data); err != nil {
		t.Fatal(err)
	}
	inWarehouse := filepath.Join("clickhouse", "data", "store") + string(filepath.Separator)
	within := 0
	for _, f := range kept.Findings() {
		if strings.HasPrefix(f.Where, inWarehouse) {
			within++
		} else {
			t.Errorf("a token is outside the warehouse: %s", f)
		}
	}
	if within == 0 {
		t.Error("the scan did not find the tokens where they are")
	}
}

// noMarks fails the test for every mark of a person that was found, and for
// what the scan could not open.
func noMarks(t *testing.T, s *lethetest.Scanner) {
	t.Helper()
	first, more := map[string]lethetest.Finding{}, map[string]int{}
	for _, f := range s.Findings() {
		if f.Label != "a value that is kept" {
			if _, ok := first[f.Where]; !ok {
				first[f.Where] = f
			}
			more[f.Where]++
		}
	}
	for where, f := range first {
		t.Errorf("found %s (and %d more there)", f, more[where]-1)
	}
	for _, file := range s.Closed() {
		t.Errorf("not opened: %s", file)
	}
}

// publishCanaries sends every event of every person and expects all of it to be
// stored.
func publishCanaries(t *testing.T, e *ear, events []canaryEvent, people []canary) {
	t.Helper()
	occurred := time.Now().UTC().Add(-time.Minute).Format(time.RFC3339Nano)
	pack, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range events {
		var lines, cloud [][]byte
		for _, c := range people {
			data := ev.data(c)
			if ev.name == "activation" {
				data["product"] = keptMark
			}
			id := "order " + c.mark + " of " + c.email
			lines = append(lines, canaryBody(t, canaryServices[0], ev.name, id, occurred, data))
			cloud = append(cloud, canaryCloudEvent(t, "/users/"+c.email, ev.name, id, occurred, data))
		}
		key := "upload of " + people[0].email
		for _, c := range []call{
			{name: "NDJSON of " + ev.name, path: "/v1/events", contentType: "application/x-ndjson",
				body: pack.EncodeAll(bytes.Join(lines, []byte("\n")), nil), headers: []string{"Content-Encoding", "zstd", "Idempotency-Key", key}},
			{name: "the same again", path: "/v1/events", contentType: "application/x-ndjson",
				body: pack.EncodeAll(bytes.Join(lines, []byte("\n")), nil), headers: []string{"Content-Encoding", "zstd", "Idempotency-Key", key}},
			{name: "CloudEvents of " + ev.name, path: "/v1/events?service=" + canaryServices[1], contentType: "application/cloudevents-batch+json",
				body: slices.Concat([]byte("["), bytes.Join(cloud, []byte(",")), []byte("]"))},
		} {
			c.role, c.method = "publisher", http.MethodPost
			status, body := e.do(c)
			stored := bytes.Count(body, []byte(`"stored"`)) + bytes.Count(body, []byte(`"duplicate"`))
			if status != http.StatusOK || stored != len(people) {
				t.Fatalf("%s: status %d, %d of %d stored", c.name, status, stored, len(people))
			}
		}
	}
}

// publishUntreatable sends events that their schemas allow and no treatment
// does: they go to quarantine.
func publishUntreatable(t *testing.T, e *ear, people []canary) {
	t.Helper()
	for _, c := range people[:20] {
		for name, data := range map[string]map[string]any{
			"login":       {"account": c.email + "\x01", "outcome": "failure", "ip": c.ip(), "user_agent": c.mark},
			"user_action": {"user": c.mark + "\x02" + c.email, "action": "opened", "details": c.text()},
		} {
			status, _ := e.do(call{name: "an event that cannot be treated", role: "publisher", method: http.MethodPost, path: "/v1/events",
				contentType: "application/json", body: canaryBody(t, "shop", name, "", "", data)})
			if status != http.StatusOK {
				t.Errorf("an event that cannot be treated: status %d", status)
			}
		}
	}
}

// useCommands publishes and imports what people are marked in, well and badly,
// through the CLI.
func useCommands(t *testing.T, e *ear, people []canary) {
	t.Helper()
	dir := t.TempDir()
	var log, events strings.Builder
	at := time.Now().UTC().Format("02/Jan/2006:15:04:05 +0000")
	for _, c := range people {
		fmt.Fprintf(&log, "%s - %s [%s] \"GET %s HTTP/1.1\" 200 51 \"%s\" \"%s\"\n", c.ip(), c.email, at, strings.ReplaceAll(c.path(), " ", "+"), c.referrer(), c.mark)
		fmt.Fprintf(&log, "%s %s [%s] \"GET %s\n", c.mark, c.email, at, c.mark)
		fmt.Fprintf(&events, "%s\n", canaryBody(t, "", "user_action", "", "", map[string]any{"user": c.email, "action": "opened"}))
		fmt.Fprintf(&events, "{\"event\":\"user_action\",\"service\":\"shop\",\"data\":{\"user\":\"%s\",\"%s\":\"%s\"}}\n", c.email, c.mark, c.email)
	}
	access := writeFile(t, dir, "access.log", log.String())
	lines := writeFile(t, dir, "events.ndjson", events.String())
	broken := writeFile(t, dir, "broken.json", `{"event":"user_action","`+people[3].mark)
	c := people[4]
	for _, args := range [][]string{
		{"import", "--format", "combined", "--service", "shop", access},
		{"import", "--format", "nginx-json", "--service", "shop", access},
		{"publish", "--service", "shop", lines},
		{"publish", "--service", "shop", broken},
		{"ask", "actions", "--by", c.mark},
		{"ask", "actions", "--where", "action=" + c.email},
		{"ask", "requests", "--by", "path", "--where", "path=" + c.path(), "-o", "csv"},
	} {
		for _, form := range []string{"table", "json"} {
			if !slices.Contains(args, "-o") {
				e.run(args[0]+" as "+form, append(slices.Clone(args), "-o", form)...)
			}
		}
		if slices.Contains(args, "-o") {
			e.run(args[0], args...)
		}
	}
}

// listen hears everything that the CLI and HTTP say of a Lethe at rest, numbers
// in the given forms.
func listen(t *testing.T, e *ear, pol *policy.Policy, forms ...string) {
	t.Helper()
	for _, args := range [][]string{
		{"status"}, {"plan"}, {"quarantine", "list"}, {"keys", "list"}, {"doctor"}, {"ask"},
		{"verify"}, {"hold", "list"}, {"audit", "list", "--limit", "1000"},
	} {
		for _, form := range []string{"table", "json"} {
			e.run(strings.Join(args, " ")+" as "+form, append(slices.Clone(args), "-o", form)...)
		}
	}
	for _, m := range pol.Metrics() {
		for _, d := range append([]policy.Dimension{{}}, m.Dimensions...) {
			for _, form := range forms {
				path := "/v1/stats/" + m.Name + "?format=" + form
				if d.Name != "" {
					path += "&by=" + d.Name
				}
				c := call{name: m.Name + " by " + d.Name + " as " + form, role: "analyst", method: http.MethodGet, path: path}
				if status, _ := e.do(c); status != http.StatusOK {
					t.Errorf("%s: status %d", c.name, status)
				}
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/stats"} {
		e.do(call{name: path, role: "analyst", method: http.MethodGet, path: path})
	}
	for _, path := range []string{"/v1/status", "/v1/plan", "/v1/catalog", "/v1/ropa", "/v1/quarantine", "/v1/keys", "/v1/rebuild"} {
		if status, _ := e.do(call{name: path, role: "operator", method: http.MethodGet, path: path}); status != http.StatusOK {
			t.Errorf("%s: status %d", path, status)
		}
	}
	e.run("audit checkpoint", "audit", "checkpoint")
	// What it writes is scanned where it lies, and where it is shown.
	reports := filepath.Join(e.r.Data, "reports")
	evidence, page := filepath.Join(reports, "evidence.json"), filepath.Join(reports, "report.html")
	if err := os.MkdirAll(reports, 0o700); err != nil {
		t.Fatal(err)
	}
	e.r.Run("verify", "--evidence", evidence, "--report", page)
	e.run("audit verify", "audit", "verify", evidence)
	for _, path := range []string{"/v1/verify", "/v1/evidence", "/v1/evidence?since=all", "/v1/evidence?format=html", "/v1/audit?limit=1000", "/v1/audit/checkpoint", "/v1/holds"} {
		if status, _ := e.do(call{name: path, role: "officer", method: http.MethodGet, path: path}); status != http.StatusOK {
			t.Errorf("%s: status %d", path, status)
		}
	}
	status, body := e.do(call{name: "activations by product", role: "analyst", method: http.MethodGet, path: "/v1/stats/activations?by=product"})
	if status != http.StatusOK || !bytes.Contains(body, []byte(keptMark)) {
		t.Error("an answer does not show what is kept; a scan of answers shows nothing then")
	}
}

// holdEverything has everything copied for a legal hold, and asks in vain for
// holds that tell of a person.
func holdEverything(t *testing.T, e *ear, c canary) {
	t.Helper()
	until := time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	for _, reason := range []string{"claim of " + c.email, "claim of a person at " + c.ipv4, "claim of a person at " + c.ipv6.String()} {
		if _, _, err := e.r.Try("hold", "add", "case-2", "--until", until, "--reason", reason); err == nil {
			t.Error("a hold whose reason tells of a person was taken")
		}
		e.run("hold add with a person in it", "hold", "add", "case-2", "--until", until, "--reason", reason)
	}
	e.run("hold add on what is not there", "hold", "add", "case-2", "--until", until, "--reason", "An inquiry, file 2", "--table", c.mark, "--service", c.email)
	e.run("hold release of what is not there", "hold", "release", c.email)
	var status struct {
		Tables []struct {
			Rows   uint64
			Oldest event.Day
		}
	}
	decode(t, e.r.Run("status", "-o", "json"), &status)
	rows := uint64(0)
	for _, table := range status.Tables {
		if table.Oldest != event.Never {
			rows += table.Rows
		}
	}
	if rows == 0 {
		t.Fatal("there is nothing to hold")
	}
	e.r.hold("case-1", rows)
}

// nameFiles gives files and folders that verify finds the name of a person, and
// hears what it says of them.
func nameFiles(t *testing.T, e *ear, c canary) {
	t.Helper()
	r := e.r
	r.put("reports", 91*aDay, c.email+".csv")
	r.put("backups", 31*aDay, c.email+"/part")
	r.put("keys", 0, c.email)
	r.put("clickhouse/data/shadow", 0, c.email+"/part")
	r.put("clickhouse/data/user_files", 0, c.email+".csv")
	file := filepath.Join(r.Data, "reports", "evidence.json")
	page := filepath.Join(r.Data, "reports", "report.html")
	for _, form := range []string{"table", "json"} {
		text := e.run("verify as "+form+" of files with a person's name", "verify", "-o", form, "--evidence", file, "--report", page)
		for _, found := range []string{
			"the rule is 90 days, and the oldest, number ", "the rule is 30 days, and the oldest, number ", "holds 1 file in . that no keyring has",
			"shadow/(a name that is not shown)", "number 1 in data/user_files",
		} {
			if !strings.Contains(text, found) {
				t.Errorf("verify as %s does not say %q", form, found)
			}
		}
	}
	e.run("audit verify of files with a person's name", "audit", "verify", file)
	for _, parts := range [][]string{
		{"reports", c.email + ".csv"}, {"backups"}, {"keys", c.email}, {"clickhouse", "data", "shadow", c.email}, {"clickhouse", "data", "user_files", c.email + ".csv"},
	} {
		r.remove(parts...)
	}
}
