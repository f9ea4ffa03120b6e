package main_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/openapi"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// TestTheDocumentDescribesEveryRoute of a running Lethe and no other, as the
// gate's rules have it: P15. The committed one is that of the built-in policy;
// with -update it is written anew.
func TestTheDocumentDescribesEveryRoute(t *testing.T) {
	t.Parallel()
	r := up(t)
	rules := r.rules()
	for _, sentence := range openapi.Check(rules) {
		t.Error(sentence)
	}
	status, text := r.Do("", "GET", "/openapi.json", "", nil)
	if status != http.StatusOK {
		t.Fatalf("the document: status %d", status)
	}
	var doc document
	decode(t, string(text), &doc)
	for _, rule := range rules {
		method, path, _ := strings.Cut(rule.Pattern, " ")
		o := doc.Paths[path][strings.ToLower(method)]
		if o == nil {
			continue // left out on purpose, or Check said so
		}
		if diff := cmp.Diff(rule, o.Access); diff != "" {
			t.Errorf("%s has another rule than is described (-rule +described):\n%s", rule.Pattern, diff)
		}
		var open []access.Role
		for _, one := range o.Security {
			for _, roles := range one {
				open = append(open, roles...)
			}
		}
		if !slices.Equal(open, rule.Roles) {
			t.Errorf("%s opens to %v, and is described as open to %v", rule.Pattern, rule.Roles, open)
		}
	}
	file := filepath.Join("..", "..", "pipelines", "derived", "openapi.json")
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if committed, err := os.ReadFile(file); err != nil || !bytes.Equal(committed, text) {
		t.Errorf("%s is not what a running Lethe says of itself: run make derive (%v)\n%s", file, err, cmp.Diff(string(committed), string(text)))
	}
}

// TestAnswersAreAsTheDocumentSays: every route that reads is asked, those that
// change are used, and all fail in the ways there are. What the document does
// not name is not in an answer.
func TestAnswersAreAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	d := describedBy(t, up(t))
	const good = `{"event": "http_access", "data": {"client_ip": "192.0.2.7", "status": 200}}`
	archive, err := policyOf(t, "").Documents().Archive()
	if err != nil {
		t.Fatal(err)
	}
	d.post("publisher", "POST /v1/events?service=shop", "application/json", "["+good+`, {"event": "http_access", "data": {}}]`, 200)
	d.post("publisher", "POST /v1/events?service=shop", "application/x-ndjson", good+"\nnone\n", 200)
	d.post("publisher", "POST /v1/events?service=shop", "application/json", "{", 400)
	d.post("", "POST /v1/events", "application/json", good, 401)
	d.post("analyst", "POST /v1/events", "application/json", good, 403)
	d.post("publisher", "POST /v1/events", "application/json", strings.Repeat(" ", gateway.MaxBody+1), 413)
	d.post("publisher", "POST /v1/events", "text/html", good, 415)
	d.r.Settle()

	d.get("", "GET /healthz", 200)
	d.get("", "GET /readyz", 200)
	d.get("", "GET /metrics", 200)
	d.get("", "GET /openapi.json", 200)

	d.get("analyst", "GET /v1/stats", 200)
	for _, m := range policyOf(t, "").Metrics() {
		d.get("analyst", "GET /v1/stats/{metric="+m.Name+"}?by="+m.Dimensions[0].Name, 200)
	}
	d.get("analyst", "GET /v1/stats/{metric=requests}?by=day,status&filter.status=200&from=2026-01-01", 200)
	d.get("analyst", "GET /v1/stats/{metric=requests}?format=csv", 200)
	d.get("analyst", "GET /v1/stats/{metric=requests}?format=table", 200)
	d.get("analyst", "GET /v1/stats/{metric=gossip}", 404)
	d.get("analyst", "GET /v1/stats/{metric=requests}?by=client_ip", 422)
	d.get("publisher", "GET /v1/stats", 403)
	d.get("", "GET /v1/stats", 401)

	const hold = `{"name": "claim-17", "reason": "Claim 17, letter of 3 November", "until": "%s", "tables": ["activation"]}`
	d.post("officer", "POST /v1/holds", "application/json", fmt.Sprintf(hold, soon()), 201)
	d.post("officer", "POST /v1/holds", "application/json", fmt.Sprintf(hold, soon()), 409)
	d.post("officer", "POST /v1/holds", "application/json", fmt.Sprintf(hold, "2020-01-01"), 422)
	d.get("officer", "GET /v1/holds", 200)
	d.post("officer", "POST /v1/holds/{id=none}/release", "", "", 404)
	var held struct{ Holds []struct{ ID string } }
	decode(t, string(d.get("officer", "GET /v1/holds", 200)), &held)
	d.post("officer", "POST /v1/holds/{id="+held.Holds[0].ID+"}/release", "", "", 200)

	d.get("officer", "GET /v1/verify", 200)
	d.get("officer", "GET /v1/verify/history", 200)
	d.post("officer", "POST /v1/retention/run", "", "", 200)
	d.get("officer", "GET /v1/evidence?since=all", 200)
	d.get("officer", "GET /v1/evidence?format=html", 200)
	d.get("officer", "GET /v1/evidence?format=pdf", 422)
	d.get("officer", "GET /v1/audit?limit=1000", 200)
	d.get("officer", "GET /v1/audit?kind=access", 200)
	d.get("officer", "GET /v1/audit?limit=0", 422)
	d.get("officer", "GET /v1/audit?limit=1001", 422)
	d.get("officer", "GET /v1/audit/checkpoint", 200)
	d.get("officer", "GET /v1/audit/checkpoint?format=json", 200)
	d.get("operator", "GET /v1/audit", 403)
	d.get("officer", "GET /v1/catalog", 200)
	d.get("officer", "GET /v1/ropa", 200)
	d.get("officer", "GET /v1/ropa?form=processor&format=csv", 200)
	d.get("officer", "GET /v1/ropa?format=pdf", 422)

	var made access.Issued
	decode(t, string(d.post("operator", "POST /v1/credentials", "application/json",
		`{"role": "analyst", "networks": ["127.0.0.0/8"], "purposes": ["billing"], "expires": "2100-01-01T00:00:00Z"}`, 201)), &made)
	d.post("operator", "POST /v1/credentials", "application/json", `{"role": "king"}`, 422)
	d.post("operator", "POST /v1/credentials/{id="+made.ID+"}/rotate", "application/json", `{"grace": "1h"}`, 200)
	d.post("operator", "POST /v1/credentials/{id="+made.ID+"}/rotate", "application/json", `{"grace": "long"}`, 422)
	d.post("operator", "DELETE /v1/credentials/{id="+made.ID+"}", "", "", 204)
	d.post("operator", "POST /v1/credentials/{id="+made.ID+"}/rotate", "", "", 409)
	d.post("operator", "DELETE /v1/credentials/{id=none}", "", "", 404)
	d.get("operator", "GET /v1/credentials", 200)
	d.get("operator", "GET /v1/access", 200)

	d.get("operator", "GET /v1/status", 200)
	d.get("operator", "GET /v1/plan", 200)
	d.post("officer", "POST /v1/plan", "application/json", string(archive), 200)
	d.post("officer", "POST /v1/plan", "application/json", "{}", 422)
	d.post("officer", "POST /v1/plan", "application/json", strings.Repeat(" ", policy.MaxArchive+1), 413)
	d.post("operator", "POST /v1/apply?told=true", "application/json", string(archive), 200)
	d.get("operator", "GET /v1/quarantine", 200)
	d.post("operator", "POST /v1/quarantine/redrive", "", "", 200)
	d.get("operator", "GET /v1/keys", 200)
	d.post("operator", "POST /v1/clock/confirm", "", "", 409)
	d.post("operator", "POST /v1/clock/reject", "", "", 409)
	d.get("operator", "GET /v1/rebuild", 200)
	d.post("operator", "POST /v1/rebuild", "", "", 200)

	for path, operations := range d.doc.Paths {
		for method := range operations {
			if pattern := strings.ToUpper(method) + " " + path; !d.asked[pattern] {
				t.Errorf("%s was not asked: add it to this test", pattern)
			}
		}
	}
}

// soon is a day within the next year.
func soon() string { return time.Now().AddDate(0, 6, 0).Format(time.DateOnly) }

// document is what these tests read of an OpenAPI document.
type document struct {
	Paths map[string]map[string]*struct {
		Responses map[string]response
		Security  []map[string][]access.Role
		Access    access.Route `json:"x-lethe-access"`
	}
	Components struct{ Responses map[string]response }
}

type response struct {
	Ref              string `json:"$ref"`
	Headers, Content map[string]any
}

// described is a running Lethe and what its document says.
type described struct {
	t        *testing.T
	r        *running
	doc      document
	compiler *jsonschema.Compiler
	asked    map[string]bool
}

func describedBy(t *testing.T, r *running) *described {
	t.Helper()
	_, text := r.Do("", "GET", "/openapi.json", "", nil)
	d := &described{t: t, r: r, compiler: jsonschema.NewCompiler(), asked: map[string]bool{}}
	decode(t, string(text), &d.doc)
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	// Members may be added to answers, and here none may go unnamed.
	for _, s := range raw.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any) {
		if s := s.(map[string]any); s["properties"] != nil && s["additionalProperties"] == nil {
			s["additionalProperties"] = false
		}
	}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("openapi.json", raw); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *described) get(role, call string, want int) []byte {
	d.t.Helper()
	return d.post(role, call, "", "", want)
}

// post makes a call, "GET /v1/stats/{metric=requests}?by=day", and holds the
// answer to the document.
func (d *described) post(role, call, contentType, body string, want int) []byte {
	d.t.Helper()
	method, target, _ := strings.Cut(call, " ")
	path, query, _ := strings.Cut(target, "?")
	described := path
	if before, rest, ok := strings.Cut(path, "{"); ok {
		parameter, after, _ := strings.Cut(rest, "}")
		name, value, _ := strings.Cut(parameter, "=")
		described, path = before+"{"+name+"}"+after, before+value+after
	}
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.r.HTTP+path+"?"+query, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if role != "" {
		req.Header.Set("Authorization", "Bearer "+d.r.Credential(role))
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatalf("%s: %v", call, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatalf("%s: %v", call, err)
	}
	if resp.StatusCode != want {
		d.t.Fatalf("%s: status %d, want %d\n%s", call, resp.StatusCode, want, text)
	}
	d.hold(method, described, resp, text)
	return text
}

// hold holds an answer to what is said of its operation and status.
func (d *described) hold(method, path string, resp *http.Response, text []byte) {
	d.t.Helper()
	at := fmt.Sprintf("%s %s, status %d", method, path, resp.StatusCode)
	o := d.doc.Paths[path][strings.ToLower(method)]
	if o == nil {
		d.t.Fatalf("%s is not described", at)
	}
	d.asked[method+" "+path] = true
	status := strconv.Itoa(resp.StatusCode)
	if _, there := o.Responses[status]; !there {
		status = "default"
	}
	place := []string{"paths", path, strings.ToLower(method), "responses", status}
	r := o.Responses[status]
	if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
		r, place = d.doc.Components.Responses[name], []string{"components", "responses", name}
	}
	for name := range r.Headers {
		if resp.Header.Get(name) == "" && name != "Retry-After" {
			d.t.Errorf("%s: the header %s is not there", at, name)
		}
	}
	if len(r.Content) == 0 {
		if len(text) > 0 {
			d.t.Errorf("%s: there is a body, and none is described", at)
		}
		return
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if _, ok := r.Content[media]; !ok || err != nil {
		d.t.Fatalf("%s: the answer is %q, and described are %v", at, media, slices.Collect(maps.Keys(r.Content)))
	}
	if !strings.HasSuffix(media, "json") {
		if len(text) == 0 {
			d.t.Errorf("%s: the answer is empty", at)
		}
		return
	}
	pointer := ""
	for _, step := range append(place, "content", media, "schema") {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
	}
	s, err := d.compiler.Compile("openapi.json#" + pointer)
	if err != nil {
		d.t.Fatalf("%s: %v", at, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		d.t.Fatalf("%s: %v", at, err)
	}
	if err := s.Validate(v); err != nil {
		d.t.Errorf("%s: %v", at, err)
	}
	// The control: what is not described is found out.
	if v, ok := v.(map[string]any); ok && path != "/openapi.json" {
		v["gossip"] = true
		if s.Validate(v) == nil {
			d.t.Errorf("%s: the schema lets what it does not name through", at)
		}
	}
}
