package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// auditBody is what the page shows.
type auditBody struct {
	No      *refusal
	Kinds   []audit.Kind
	Kind    audit.Kind
	Entries []shownEntry
	Older   string // where the next page begins; empty on the last
	First   bool
	Head    asked[evidence.Head]
	Tree    tree
	Looked  asked[verify.History]
	P10     verify.Promise
	Proof   string
}

// shownEntry is an entry in words.
type shownEntry struct {
	evidence.ListedEntry
	What string
	For  string
	Bad  bool
}

// tree is what a checkpoint says (C2SP tlog-checkpoint).
type tree struct{ Origin, Size, Root, Signer string }

// perPage is how many entries one page shows.
const perPage = 50

var placePattern = regexp.MustCompile(`^[0-9]{4}/[0-9]{1,18}$`)

func (o *Console) audit(v *visit) {
	if !v.enter("audit") {
		return
	}
	q := v.r.URL.Query()
	b := auditBody{Kinds: evidence.Kinds(), Kind: audit.Kind(q.Get("kind")), Proof: v.session.proof, First: true}
	ask := url.Values{"limit": {strconv.Itoa(perPage)}}
	if slices.Contains(b.Kinds, b.Kind) {
		ask.Set("kind", string(b.Kind))
	} else {
		b.Kind = ""
	}
	if at := q.Get("before"); placePattern.MatchString(at) {
		ask.Set("before", at)
		b.First = false
	}
	var listed asked[evidence.Listed]
	together(
		func() { listed = get[evidence.Listed](v, "/v1/audit", ask) },
		func() { b.Head = get[evidence.Head](v, "/v1/audit/checkpoint", url.Values{"format": {"json"}}) },
		func() { b.Looked = get[verify.History](v, "/v1/verify/history", nil) },
	)
	b.No = listed.No
	for _, e := range listed.V.Entries {
		b.Entries = append(b.Entries, inWords(e))
	}
	if n := len(listed.V.Entries); listed.V.More && n > 0 {
		last := listed.V.Entries[n-1]
		b.Older = "?" + url.Values{"kind": {string(b.Kind)}, "before": {fmt.Sprintf("%d/%d", last.Year, last.Place.Entry)}}.Encode()
	}
	b.Tree = readTree(b.Head.V.Checkpoint)
	if r := b.Looked.V.Latest; r != nil {
		for _, p := range r.Promises {
			if p.ID == "P10" {
				b.P10 = p
			}
		}
	}
	v.render(http.StatusOK, "audit", "Audit", b)
}

// readTree reads a checkpoint for people. Whether it is true is not judged
// here.
func readTree(note string) tree {
	text, signatures, found := strings.Cut(note, "\n\n")
	lines := strings.Split(text, "\n")
	if !found || len(lines) < 3 {
		return tree{}
	}
	t := tree{Origin: lines[0], Size: lines[1], Root: lines[2]}
	if words := strings.Fields(signatures); len(words) > 1 {
		t.Signer = words[1]
	}
	return t
}

// inWords says what an entry is about. Its detail holds names, counts and
// digests and nothing of a person; whatever kind it is of, it is shown as a
// list of those.
func inWords(e evidence.ListedEntry) shownEntry {
	s := shownEntry{ListedEntry: e}
	if e.Kind == audit.KindAccess {
		var d audit.Access
		if json.Unmarshal(e.Detail, &d) == nil {
			s.What, s.For, s.Bad = d.Route, d.Purpose, !d.Allowed
			if !d.Allowed {
				s.What += ": refused, " + d.Reason
			}
			if d.Credential != "" {
				s.What += ", credential " + d.Credential
			}
			return s
		}
	}
	var detail map[string]any
	if json.Unmarshal(e.Detail, &detail) != nil {
		s.What = "(not readable)"
		return s
	}
	s.What = facts(detail)
	if e.Kind == audit.KindVerify {
		var d audit.Verify
		if json.Unmarshal(e.Detail, &d) == nil {
			s.What, s.Bad = "every enforced promise holds", !d.Holds
			if !d.Holds {
				s.What = "broken: " + strings.Join(d.Broken, ", ")
			}
		}
	}
	return s
}

// facts writes the members of a detail, each with its name.
func facts(detail map[string]any) string {
	names := make([]string, 0, len(detail))
	for name := range detail {
		names = append(names, name)
	}
	sort.Strings(names)
	var out []string
	for _, name := range names {
		switch v := detail[name].(type) {
		case string:
			if v != "" {
				out = append(out, strings.ReplaceAll(name, "_", " ")+" "+short64(v))
			}
		case float64:
			if v != 0 {
				out = append(out, strings.ReplaceAll(name, "_", " ")+" "+num(v))
			}
		case bool:
			if v {
				out = append(out, strings.ReplaceAll(name, "_", " "))
			}
		case []any:
			out = append(out, strings.ReplaceAll(name, "_", " ")+" "+strconv.Itoa(len(v)))
		}
	}
	return strings.Join(out, " · ")
}

// short64 shortens digests and nothing else.
func short64(s string) string {
	if len(s) == 64 && !strings.ContainsAny(s, " /-") {
		return short(s)
	}
	return s
}
