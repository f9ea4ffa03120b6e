package console_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/console"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

func TestAFormOfAnotherSiteIsRefused(t *testing.T) {
	s := open(t)
	ran := func() (n int) {
		for _, d := range s.onRecord() {
			if d.Route == "POST /v1/retention/run" {
				n++
			}
		}
		return n
	}
	b := s.in(access.Operator)
	for name, header := range map[string]http.Header{
		"another origin": {"Origin": {"https://evil.example.org"}},
		"another site":   {"Sec-Fetch-Site": {"cross-site"}},
		"a sibling":      {"Sec-Fetch-Site": {"same-site"}},
	} {
		for _, path := range []string{"/console/retention/run", "/console/signin", "/console/signout", "/console/theme", "/console/purpose"} {
			b.send("/console/purpose", url.Values{"purpose": {"operation"}}) // has the proof
			b.header = header
			if p := b.send(path, nil); p.status != http.StatusForbidden {
				t.Errorf("%s from %s: status %d", path, name, p.status)
			}
			b.header = http.Header{}
		}
	}
	for name, proof := range map[string]string{"none": "", "a made-up one": strings.Repeat("a", 43)} {
		if p := b.do(http.MethodPost, "/console/retention/run", url.Values{"proof": {proof}}); p.status != http.StatusForbidden {
			t.Errorf("with proof %s: status %d", name, p.status)
		}
	}
	other := s.in(access.Operator)
	other.send("/console/purpose", url.Values{"purpose": {"operation"}})
	if p := b.do(http.MethodPost, "/console/retention/run", url.Values{"proof": {other.proof}}); p.status != http.StatusForbidden {
		t.Errorf("with the proof of another session: status %d", p.status)
	}
	if n := ran(); n != 0 {
		t.Fatalf("%d forged forms were taken", n)
	}
	// The control: one of its own is taken.
	b.header.Set("Sec-Fetch-Site", "same-origin")
	if p := b.send("/console/retention/run", nil); p.status != http.StatusSeeOther || ran() != 1 {
		t.Errorf("its own form: status %d, taken %d times", p.status, ran())
	}
}

func TestEveryAnswerSaysWhatABrowserMayDo(t *testing.T) {
	s := open(t)
	out, in := s.browser(), s.in(access.Officer)
	for _, p := range []page{
		out.get("/console/"), out.get("/console/signin"), out.get("/console/none"), in.get("/console/"), in.get("/console/usage"), in.get("/console/flow.json"),
		in.get("/console/usage.csv?metric=activations"), in.get(console.Address("console.css")), out.do(http.MethodPost, "/console/", url.Values{}), out.signIn("wrong"),
	} {
		csp := p.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("status %d: the policy does not say %s", p.status, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "data:") || strings.Contains(csp, "http") {
			t.Error("the policy opens more than this site")
		}
		if p.header.Get("X-Content-Type-Options") != "nosniff" || p.header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("status %d: a header is missing", p.status)
		}
		static := strings.Contains(p.header.Get("Cache-Control"), "immutable")
		if !static && p.header.Get("Cache-Control") != "no-store" {
			t.Errorf("status %d may be kept", p.status)
		}
	}
}

func TestTemplatesHaveNothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)\sstyle=|<style|\son[a-z]+="|javascript:|<script(>|[^>]*[^c]="[^"]*">[^<])|https?://`)
	err := fs.WalkDir(console.Templates, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(console.Templates, path)
		if m := inline.Find(text); m != nil {
			t.Errorf("%s holds %s", path, m)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !inline.MatchString(`<p style="color:red">`) || !inline.MatchString(`<a onclick="x()">`) || !inline.MatchString(`<script>x()</script>`) {
		t.Error("the pattern finds nothing")
	}
}

func TestVendoredFilesAreAsTheyCame(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("static", "vendor", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("\\| `([^`]+)` \\|.*\\| `([0-9a-f]{64})` \\|")
	listed := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(readme), -1) {
		listed[filepath.Join("static", "vendor", m[1])] = m[2]
	}
	found := 0
	err = filepath.WalkDir(filepath.Join("static", "vendor"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) == "README.md" {
			return err
		}
		data, err := os.ReadFile(path)
		if sum := sha256.Sum256(data); listed[path] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s is not what the list says", path)
		}
		found++
		return err
	})
	if err != nil || found != len(listed) || found == 0 {
		t.Errorf("%d files, %d listed: %v", found, len(listed), err)
	}
	for _, name := range console.Vendored {
		if listed[filepath.Join("static", name)] == "" {
			t.Errorf("%s is not listed", name)
		}
	}
}

func TestAFileIsKeptForGoodUnderItsContent(t *testing.T) {
	b := open(t).browser()
	p := b.get(console.Address("console.js"))
	if p.status != http.StatusOK || !strings.Contains(p.header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(p.header.Get("Content-Type"), "text/javascript") {
		t.Errorf("status %d, %v", p.status, p.header)
	}
	other := regexp.MustCompile(`/static/[0-9a-f]+/`).ReplaceAllString(console.Address("console.js"), "/static/0000000000000000/")
	if p := b.get(other); p.status != http.StatusNotFound {
		t.Errorf("under another digest: status %d", p.status)
	}
	if p := b.get("/console/static/../console.go"); p.status == http.StatusOK {
		t.Error("a file outside is served")
	}
}

// P1, P15: what opens something is in no page, header or address.
func TestNoPageHoldsACredential(t *testing.T) {
	s := open(t)
	text, _ := s.issue(access.Principal{Role: access.Officer})
	secret := strings.Split(text, "_")[3]
	b := s.browser()
	answers := []page{b.signIn(text[:len(text)-1] + "!"), b.signIn(text)}
	u, _ := url.Parse(s.server.URL + "/console/")
	id := b.client.Jar.Cookies(u)[0].Value
	for _, path := range append(pages, "/console/none", "/console/signin", "/console/signin?next=%2Fconsole%2F%3Fcredential="+text) {
		answers = append(answers, b.get(path))
	}
	for _, p := range answers {
		set := p.header.Get("Set-Cookie")
		p.header.Del("Set-Cookie")
		all := p.body
		for name, v := range p.header {
			all += name + strings.Join(v, "")
		}
		if strings.Contains(all, secret[:20]) || strings.Contains(all, id) || strings.Contains(set, secret[:20]) {
			t.Errorf("an answer with status %d holds it", p.status)
		}
	}
}

func TestAPageThatIsNotForARoleSaysSoPolitely(t *testing.T) {
	s := open(t)
	for role, paths := range map[access.Role][]string{
		access.Publisher: {"/console/usage", "/console/retention", "/console/catalog", "/console/flow", "/console/audit"},
		access.Analyst:   {"/console/retention", "/console/flow", "/console/audit"},
		access.Operator:  {"/console/audit"},
	} {
		b := s.in(role)
		home := b.get("/console/")
		for _, path := range paths {
			if strings.Contains(home.body, `href="`+path+`"`) {
				t.Errorf("%s is offered %s", role, path)
			}
			if p := b.get(path); p.status != http.StatusForbidden || !strings.Contains(p.body, "not for the role") {
				t.Errorf("%s as %s: status %d", path, role, p.status)
			}
		}
	}
	officer := s.in(access.Officer)
	for _, path := range []string{"/console/usage", "/console/retention", "/console/catalog", "/console/flow", "/console/audit"} {
		if !strings.Contains(officer.get("/console/").body, `href="`+path+`"`) {
			t.Errorf("an officer is not offered %s", path)
		}
	}
	// A credential for one route is offered what that route is for.
	text, _ := s.issue(access.Principal{Role: access.Officer, Scope: access.Scope{Routes: []string{"GET /v1/catalog"}}})
	if p := s.inWith(text).get("/console/"); strings.Contains(p.body, "/console/flow") || !strings.Contains(p.body, "/console/catalog") {
		t.Error("the navigation does not know the credential's routes")
	}
	// Another tenant's officer is refused by the gate, and told.
	text, _ = s.issue(access.Principal{Role: access.Officer, Tenant: "other"})
	if p := s.inWith(text).get("/console/flow"); !strings.Contains(p.body, "This is for those who run the installation.") {
		t.Error("the page does not say why there is nothing")
	}
}

func TestAFormThatIsTooLargeIsRefused(t *testing.T) {
	b := open(t).browser()
	for size, want := range map[int]int{console.MaxForm / 2: http.StatusUnauthorized, console.MaxForm + 1: http.StatusBadRequest} {
		if p := b.signIn(strings.Repeat("a", size)); p.status != want {
			t.Errorf("%d bytes: status %d, want %d", size, p.status, want)
		}
	}
}

func TestALinkFromAnotherSiteIsFollowedOnce(t *testing.T) {
	s := open(t)
	b := s.browser()
	b.header.Set("Sec-Fetch-Site", "cross-site")
	if p := b.get("/console/usage?metric=activations"); p.status != http.StatusOK || !strings.Contains(p.body, `http-equiv="refresh"`) {
		t.Errorf("from another site: status %d", p.status)
	}
	b.header.Set("Sec-Fetch-Site", "same-origin")
	if p := b.get("/console/usage?metric=activations"); p.to != "/console/signin?next=%2Fconsole%2Fusage%3Fmetric%3Dactivations" {
		t.Errorf("from this one: status %d to %s", p.status, p.to)
	}
	text, _ := s.issue(access.Principal{Role: access.Analyst})
	p := b.do(http.MethodPost, "/console/signin?next=%2Fconsole%2Fusage%3Fmetric%3Dactivations", url.Values{"credential": {text}})
	if p.to != "/console/usage?metric=activations" {
		t.Errorf("after signing in: %s", p.to)
	}
}

// P1: whatever stands in an address, the page that one comes to next is one of
// the console's, and its address holds names and days.
func TestTheNextPageIsOneOfTheConsole(t *testing.T) {
	for at, want := range map[string]string{
		"":                                     "/console/",
		"https://evil.example.org/console/":    "/console/",
		"//evil.example.org/console/":          "/console/",
		`/\evil.example.org/console/`:          "/console/",
		"/console/../v1/stats":                 "/console/",
		"/console/signin":                      "/console/",
		"/console/none":                        "/console/",
		"javascript:alert(1)":                  "/console/",
		"/console/usage?metric=views":          "/console/usage?metric=views",
		"/console/usage?metric=a@example.org":  "/console/usage",
		"/console/usage?ip=192.0.2.7":          "/console/usage",
		"/console/usage?from=192.0.2.7":        "/console/usage",
		"/console/audit?before=2026/12&kind=a": "/console/audit?before=2026%2F12&kind=a",

		"/console/usage?metric=views&by=&from=&top=10&explain=1":                        "/console/usage?by=&explain=1&from=&metric=views&top=10",
		"/console/usage?where=path%3D/a%3Fb%26c&where=status%3D200&where=nothing":       "/console/usage?where=path%3D%2Fa%3Fb%26c&where=status%3D200",
		"/console/usage?where=browser%3DChrome+141&where=a%3D%00&where=Path%3D/&pick=a": "/console/usage?pick=a&where=browser%3DChrome+141",
	} {
		if got := console.Next(at); got != want {
			t.Errorf("after %q comes %q, want %q", at, got, want)
		}
	}
	safe := regexp.MustCompile(`^/console/[a-z]*(\?[a-z]+=[a-zA-Z0-9_.~+%-]*(&[a-z]+=[a-zA-Z0-9_.~+%-]*)*)?$`)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.OneOf(rapid.String(), rapid.StringMatching(`(https?:)?//?\\?/?console/(usage|audit)?\?(metric|from|by|where|x)=[a-z0-9@.:/%\\]{0,20}`)).Draw(t, "address")
		got := console.Next(at)
		if !safe.MatchString(got) {
			t.Errorf("after %q comes %q", at, got)
		}
		if u, err := url.Parse(got); err != nil || strings.ContainsAny(u.Query().Get("metric")+u.Query().Get("from")+u.Query().Get("by"), "@.:") {
			t.Errorf("after %q comes %q, which holds what no policy declares", at, got)
		}
	})
}

func TestABucketBeginsWhereItsNameSays(t *testing.T) {
	for name, want := range map[[2]string]string{
		{"hour", "2026-11-21T05:00:00Z"}: "2026-11-21T05:00:00Z",
		{"day", "2026-11-21"}:            "2026-11-21T00:00:00Z",
		{"month", "2026-11"}:             "2026-11-01T00:00:00Z",
		{"week", "2026-W01"}:             "2025-12-29T00:00:00Z",
		{"week", "2026-W47"}:             "2026-11-16T00:00:00Z",
		{"week", "2027-W53"}:             "2028-01-03T00:00:00Z", // a year of 52 has none; the next begins
		{"week", "2020-W53"}:             "2020-12-28T00:00:00Z",
	} {
		if got := time.Unix(console.Instant(name[0], name[1]), 0).UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s %s begins %s, want %s", name[0], name[1], got, want)
		}
	}
}

// P7: a month is one of the calendar, on the page as in the rule.
func TestThePageSaysWhenTheOldestThingMustBeGone(t *testing.T) {
	at := func(s string) time.Time {
		out, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	oldest, now := at("2026-11-16"), at("2026-11-22")
	for period, want := range map[string]string{"24 months": "2028-11-16", "30 days": "2026-12-16", "6 years": "2032-11-16", "stays": "0001-01-01"} {
		ends, used := console.Spot(verify.Rule{Period: period, Oldest: &oldest, Cutoff: at("2026-01-01")}, now)
		if ends.Format(time.DateOnly) != want || period == "30 days" && used != 20 {
			t.Errorf("%s: %s, %d percent", period, ends.Format(time.DateOnly), used)
		}
	}
}

func TestAThinnedHistoryLosesNothingThatWasBroken(t *testing.T) {
	past := make([]verify.Moment, verify.Remembered)
	for i := range past {
		past[i].Holds = i%97 != 0
	}
	if n, broken := console.Moments(past); n > 260 || broken != (len(past)+96)/97 {
		t.Errorf("%d moments are shown, %d of them broken", n, broken)
	}
}
