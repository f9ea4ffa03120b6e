package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

// The console, in a real browser and against a real Lethe. What it promises of
// sessions and forms is proved in pkg/console.

// consolePages are the pages of each role; what the navigation offers is among
// them.
var consolePages = map[string][]string{
	"publisher": {"/console/"},
	"analyst": {
		"/console/", "/console/usage", "/console/usage?board=access", "/console/usage?board=pages", "/console/usage?metric=activations&by=day,product",
		"/console/usage?metric=active_machines&by=product", "/console/usage?metric=requests&by=day,status&where=path%3D%2Fpricing&explain=1",
		"/console/usage?metric=requests&by=path,status&top=10&pick=browser", "/console/usage?metric=requests_per_visitor&by=day", "/console/catalog",
	},
	"officer": {
		"/console/", "/console/usage", "/console/usage?metric=visitors&by=trailing_7", "/console/usage?metric=log_lines&by=hour", "/console/retention", "/console/catalog", "/console/flow",
		"/console/audit", "/console/audit?kind=verify",
	},
	"operator": {"/console/", "/console/usage", "/console/retention", "/console/catalog", "/console/flow"},
}

// chromium is the browser of this machine. It skips the test where there is
// none, or nothing to drive it with, and fails it where that is required.
func chromium(t testing.TB) (program, libraries string) {
	t.Helper()
	need := func(why string) {
		t.Helper()
		if strings.Contains(os.Getenv("LETHE_TEST_REQUIRE"), "chromium") || os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip("not tested in a browser: " + why)
	}
	program = os.Getenv("LETHE_CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && program == "" {
			program = path
		}
	}
	if program == "" {
		need("there is no Chromium; pkg/console/browser/install gets it")
	}
	if _, err := exec.LookPath("node"); err != nil {
		need("there is no Node.js")
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join("..", "..", "pkg", "console", "browser", "install")).Output()
	lines := strings.Fields(string(out))
	if err != nil || len(lines) == 0 {
		need("pkg/console/browser/install could not get what drives the browser")
	}
	return program, lines[len(lines)-1]
}

// browse runs a script of pkg/console/browser and reads what it says.
func (r *running) browse(t testing.TB, script string, input map[string]any, into any) {
	t.Helper()
	program, libraries := chromium(t)
	dir := t.TempDir()
	scripts, err := filepath.Glob(filepath.Join("..", "..", "pkg", "console", "browser", "*.mjs"))
	if err != nil || len(scripts) == 0 {
		t.Fatal("there are no scripts for the browser")
	}
	for _, from := range scripts {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, filepath.Base(from), string(text))
	}
	if err := os.Symlink(libraries, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	credentials := map[string]string{}
	for role := range consolePages {
		credentials[role] = r.Credential(role)
	}
	input["base"], input["chromium"], input["credentials"] = r.HTTP, program, credentials
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, script))
	cmd.Stdin = bytes.NewReader(encode(t, input))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, errs.String())
	}
	decode(t, out.String(), into)
}

// demoUp is a Lethe that has something to show: the demo's events, and the log
// of a web server.
func demoUp(t testing.TB) *running {
	r := up(t, func(r *running) { r.Args = []string{"--demo"} })
	dir := t.TempDir()
	writeFile(t, dir, "access.log", accessLog(time.Now()))
	r.Import("--format", "combined", "--service", "web", filepath.Join(dir, "access.log"))
	r.until("the demo has shown its answers", func() bool { return strings.Contains(r.out.String(), "Ctrl-C") })
	r.until("requests and visitors are published", func() bool { return r.Total("requests") > 0 && len(r.Ask("visitors", "--by", "trailing_7").Rows) > 0 })
	return r
}

// accessLog is the log of a web server over two weeks, from nobody: there are
// weekends, rare pages, a day of which too little came to be published, and
// enough visitors of the first week who did not come back.
func accessLog(now time.Time) string {
	pages := []string{"/", "/pricing", "/docs/start", "/login", "/download", "/docs/install", "/api/status", "/blog/forgetting", "/docs/faq", "/about", "/contact", "/imprint"}
	agents := []string{"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "curl/8.5.0"}
	statuses := []int{200, 200, 200, 200, 200, 200, 200, 304, 404, 302}
	random := rand.New(rand.NewPCG(4, 4))
	var lines []string
	for ago := 13; ago >= 0; ago-- {
		begin := now.UTC().Truncate(aDay).AddDate(0, 0, -ago)
		n := 600
		switch day := begin.Weekday(); {
		case ago == 4:
			n = 6
		case day == time.Saturday || day == time.Sunday:
			n = 300
		}
		for i := range n {
			at := begin.Add(time.Duration(i) * aDay / time.Duration(n))
			if at.After(now) {
				break
			}
			path, host := pages[int(math.Pow(random.Float64(), 2)*float64(len(pages)))], int(math.Pow(random.Float64(), 5)*500)
			if random.IntN(40) == 0 {
				path = fmt.Sprintf("/old/%d", random.IntN(60))
			}
			network := "192.0.2"
			if host >= 250 {
				network, host = "198.51.100", host-250
			}
			lines = append(lines, fmt.Sprintf(`%s.%d - - [%s] "GET %s HTTP/1.1" %d %d "-" "%s"`, network, host,
				at.Format("02/Jan/2006:15:04:05 -0700"), path, statuses[random.IntN(len(statuses))], 300+random.IntN(20_000), agents[random.IntN(len(agents))]))
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestEveryPageIsFitForEveryone: each page of each role in light and dark, wide
// and narrow, is without a finding of axe, an error, a violation of its policy
// or a request to anywhere else.
func TestEveryPageIsFitForEveryone(t *testing.T) {
	t.Parallel()
	chromium(t)
	r := demoUp(t)
	var found struct {
		Looked           int
		Problems, Missed []string
	}
	r.browse(t, "pages.mjs", map[string]any{"pages": consolePages}, &found)
	want := 0
	for _, pages := range consolePages {
		want += 4 * len(pages)
	}
	if found.Looked != want {
		t.Errorf("%d pages were looked at, want %d", found.Looked, want)
	}
	for _, p := range found.Problems {
		t.Error(p)
	}
	for _, name := range found.Missed {
		t.Errorf("%s is not found; a page without a finding shows nothing then", name)
	}
}

// TestPeopleCanDoTheirWorkInTheConsole: what analysts, officers and operators
// come for, in a browser.
func TestPeopleCanDoTheirWorkInTheConsole(t *testing.T) {
	t.Parallel()
	chromium(t)
	r := demoUp(t)
	var found struct{ Problems []string }
	r.browse(t, "deeds.mjs", map[string]any{}, &found)
	for _, p := range found.Problems {
		t.Error(p)
	}
}

// TestScreenshots makes the pictures of docs/img: make screenshots.
func TestScreenshots(t *testing.T) {
	if os.Getenv("LETHE_SCREENSHOTS") == "" {
		t.Skip("make screenshots makes them")
	}
	r := demoUp(t)
	var found struct{ Problems []string }
	r.browse(t, "screenshots.mjs", map[string]any{"into": os.Getenv("LETHE_SCREENSHOTS")}, &found)
	for _, p := range found.Problems {
		t.Error(p)
	}
}

// consoleBrowser is a person without a browser: cookies and pages.
type consoleBrowser struct {
	r      *running
	client *http.Client
}

// console signs in as a role.
func (r *running) console(role string) *consoleBrowser {
	r.t.Helper()
	return r.consoleWith(r.Credential(role))
}

// consoleWith signs in with a credential.
func (r *running) consoleWith(credential string) *consoleBrowser {
	r.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	b := &consoleBrowser{r, &http.Client{Jar: jar, Timeout: time.Minute}}
	if status, _ := b.post("/console/signin", url.Values{"credential": {credential}}); status != http.StatusOK {
		r.t.Fatalf("signing in as %s: status %d", strings.Split(credential, "_")[1], status)
	}
	return b
}

func (b *consoleBrowser) get(path string) (int, string) {
	b.r.t.Helper()
	return b.read(b.client.Get(b.r.HTTP + path))
}

func (b *consoleBrowser) post(path string, form url.Values) (int, string) {
	b.r.t.Helper()
	return b.read(b.client.PostForm(b.r.HTTP+path, form))
}

func (b *consoleBrowser) read(resp *http.Response, err error) (int, string) {
	b.r.t.Helper()
	if err != nil {
		b.r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		b.r.t.Fatal(err)
	}
	return resp.StatusCode, text.String()
}

// send sends a form as the page that has it does.
func (b *consoleBrowser) send(page, path string, form url.Values) (int, string) {
	b.r.t.Helper()
	_, text := b.get(page)
	m := regexp.MustCompile(`name="proof" value="([^"]+)"`).FindStringSubmatch(text)
	if m == nil {
		b.r.t.Fatalf("%s has no form", page)
	}
	form.Set("proof", m[1])
	return b.post(path, form)
}

// TestTheNavigationOffersWhatTheGateAllows: P15.
func TestTheNavigationOffersWhatTheGateAllows(t *testing.T) {
	t.Parallel()
	r := up(t)
	about := map[string]string{
		"/console/usage": "GET /v1/stats", "/console/retention": "GET /v1/verify/history", "/console/catalog": "GET /v1/catalog",
		"/console/flow": "GET /v1/status", "/console/audit": "GET /v1/audit",
	}
	rules := r.rules()
	for _, role := range access.Roles() {
		b := r.console(string(role))
		_, home := b.get("/console/")
		for path, pattern := range about {
			i := slices.IndexFunc(rules, func(x access.Route) bool { return x.Pattern == pattern })
			if i < 0 {
				t.Fatalf("the gate has no rule for %s", pattern)
			}
			open := slices.Contains(rules[i].Roles, role)
			if offered := strings.Contains(home, `href="`+path+`"`); offered != open {
				t.Errorf("%s is offered to %s: %v, and its route is open: %v", path, role, offered, open)
			}
			if status, _ := b.get(path); (status == http.StatusOK) != open {
				t.Errorf("%s as %s: status %d", path, role, status)
			}
		}
	}
}

// TestAnEmptyConsoleLeadsOnAndABrokenOneSaysWhat: the commands that the first
// page shows work, and what verify finds stands before everything else.
func TestAnEmptyConsoleLeadsOnAndABrokenOneSaysWhat(t *testing.T) {
	t.Parallel()
	r := up(t)
	operator := r.console("operator")
	_, home := operator.get("/console/")
	if !strings.Contains(home, "Nothing is here yet") {
		t.Fatal("an empty Lethe does not say what to do")
	}
	here := t.TempDir()
	writeFile(t, here, "access.log", "192.0.2.7 - - ["+time.Now().UTC().Format("02/Jan/2006:15:04:05 +0000")+"] \"GET / HTTP/1.1\" 200 512 \"-\" \"-\"\n")
	tried := 0
	for _, m := range regexp.MustCompile(`<pre><code>([^<]+)</code></pre>`).FindAllStringSubmatch(home, -1) {
		command := strings.NewReplacer("&#39;", "'", "&#34;", `"`).Replace(m[1])
		if strings.HasPrefix(command, "lethe up") {
			continue // runs until it is stopped; the other tests have it
		}
		command = strings.ReplaceAll(command, "lethe ", binary(t)+" ")
		cmd := exec.Command("sh", "-c", strings.Replace(command, binary(t), "LETHE_SERVER="+r.HTTP+" LETHE_CREDENTIAL="+r.Credential("publisher")+" "+binary(t), 1))
		cmd.Dir, cmd.Env = here, clean(os.Environ())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("a command of the first page fails: %v\n%s", err, out)
		}
		tried++
	}
	if tried != 2 {
		t.Errorf("%d commands were tried, want 2", tried)
	}
	r.Settle()
	if _, home = operator.get("/console/"); strings.Contains(home, "Nothing is here yet") {
		t.Error("a Lethe with events says that it has none")
	}

	r.put("reports", 91*aDay, "report.html")
	operator.send("/console/retention", "/console/retention/verify", url.Values{"to": {"home"}})
	_, home = operator.get("/console/")
	if broken, charts := strings.Index(home, "does not hold"), strings.Index(home, "The numbers"); broken < 0 || charts >= 0 && charts < broken {
		t.Error("a broken promise is not what the first page begins with")
	}
	if _, page := operator.get("/console/retention"); !strings.Contains(page, `class="tile bad"`) {
		t.Error("the page of retention does not say that something is overdue")
	}
	// Run now removes it, and it is on record that it was asked for.
	if status, page := operator.send("/console/retention", "/console/retention/run", url.Values{}); status != http.StatusOK || strings.Contains(page, `class="tile bad"`) {
		t.Errorf("after a run it is still overdue: status %d", status)
	}
	var listed struct {
		Entries []struct {
			Detail json.RawMessage
		}
	}
	_, body := r.Do("officer", "GET", "/v1/audit?kind=access&limit=1000", "", nil)
	decode(t, string(body), &listed)
	if !bytes.Contains(body, []byte("POST /v1/retention/run")) {
		t.Error("that somebody had retention run is not on record")
	}
}
