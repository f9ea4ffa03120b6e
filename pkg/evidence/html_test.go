package evidence_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// elements walks over every element of a page.
func elements(n *html.Node, visit func(*html.Node)) {
	if n.Type == html.ElementNode {
		visit(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		elements(c, visit)
	}
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func text(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		b.WriteString(text(c))
	}
	return b.String()
}

// checkPage holds a page to what everybody can read and print (WCAG 2.2: 1.3.1,
// 2.4.2, 2.4.6, 3.1.1), and to asking nobody for anything.
func checkPage(t *testing.T, page []byte) *html.Node {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	last := 0
	elements(doc, func(n *html.Node) {
		count[n.Data]++
		switch n.Data {
		case "html":
			if lang, _ := attribute(n, "lang"); lang != "en" {
				t.Errorf("the page is in the language %q", lang)
			}
		case "h1", "h2", "h3", "h4", "h5", "h6":
			level := int(n.Data[1] - '0')
			if level > last+1 {
				t.Errorf("heading %q is of level %d after %d", text(n), level, last)
			}
			last = level
		case "th":
			scope, _ := attribute(n, "scope")
			want := "row"
			if n.Parent.Parent.Data == "thead" {
				want = "col"
			}
			if scope != want {
				t.Errorf("the heading %q has the scope %q", text(n), scope)
			}
		case "table":
			columns := 0
			elements(n, func(row *html.Node) {
				if row.Data != "tr" {
					return
				}
				cells := 0
				elements(row, func(c *html.Node) {
					if c.Data == "td" || c.Data == "th" {
						cells++
					}
				})
				if columns == 0 {
					columns = cells
				}
				if cells != columns {
					t.Errorf("a row has %d cells and its table %d: %q", cells, columns, text(row))
				}
			})
		case "script", "link", "img", "iframe", "object", "embed", "form", "base", "video", "audio":
			t.Errorf("the page has a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if slices.Contains([]string{"href", "src", "srcset", "action", "style"}, a.Key) || strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s> has the attribute %s", n.Data, a.Key)
			}
		}
	})
	if count["h1"] != 1 || count["title"] != 1 || count["main"] != 1 {
		t.Errorf("the page has %d h1, %d title, %d main", count["h1"], count["title"], count["main"])
	}
	for _, outside := range []string{"http:", "https:", "url(", "@import", "ZgotmplZ"} {
		if bytes.Contains(page, []byte(outside)) {
			t.Errorf("the page has %q in it", outside)
		}
	}
	return doc
}

func TestTheReportIsReadableByEverybodyAndAsksNobody(t *testing.T) {
	l := months(t)
	page, err := evidence.HTML(l.all, evidence.Options{Key: l.key, Earlier: l.earlier})
	if err != nil {
		t.Fatal(err)
	}
	all := text(checkPage(t, page))
	for _, want := range []string{
		"This evidence is intact, and it shows that the deletion rules were kept: ",
		fmt.Sprintf("Retention ran on each of %d days", l.days), "What is not proved", "not enforced", "✓ holds in part", "– not shown", "P12 (not enforced)", "2026-10", "http_access", "24 months", l.key,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if file := os.Getenv("LETHE_REPORT"); file != "" { // to look at it
		if err := os.WriteFile(file, page, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheReportShowsWhatIsWrong(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01")
	w.report = func(r *verify.Report) {
		r.Holds, r.Promises[3].Holds = false, false
		r.Promises[3].Findings = []verify.Finding{{Where: "table <b>", Sentence: "A part is detached & left."}}
		r.Rules[0].Overdue = 12345
	}
	w.skip = func(day event.Day) bool { return day == "2026-03-05" }
	bundle := w.days(8).bundle(evidence.Request{})
	page, err := evidence.HTML(bundle, evidence.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := text(checkPage(t, page))
	for _, want := range []string{"it shows", "What is wrong", "On 1 of 8 days", "table <b>: A part is detached & left.", "✗ does not hold", "12,345", "no key was given"} {
		if !strings.Contains(all, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

func TestTheReportOfAnEditedFileShowsNothingOfIt(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01").days(3)
	b := read(t, w.bundle(evidence.Request{}))
	b.Trees[0].Entries[5] = strings.Replace(b.Trees[0].Entries[5], "pseudonymizer", "somebody else", 1)
	page, err := evidence.HTML(write(t, b), evidence.Options{Key: w.log.VerifierKey()})
	if err != nil {
		t.Fatal(err)
	}
	all := text(checkPage(t, page))
	if !strings.Contains(all, "not what its checkpoint stands for") || strings.Contains(all, "What was looked at") || strings.Contains(all, "What is proved") {
		t.Error("the report of an edited file shows what it says")
	}
}
