package console

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

//go:embed templates/*.html
var templateFiles embed.FS

// templates are the pages by name, each within the layout.
var templates = func() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err)
	}
	out := map[string]*template.Template{}
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		out[name] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, f))
	}
	return out
}()

// page is what the layout shows around a page of its own.
type page struct {
	Title string
	Theme string
	// Of who is signed in.
	Proof   string
	Nav     []link
	Role    string
	ID      string
	Tenant  string
	Purpose string
	Several bool // purposes to choose from
	// Done is what a form has done.
	Done string
	Body any
}

// link is one entry of the navigation.
type link struct {
	Name, Path string
	Here       bool
}

// A place is a page of the navigation: who may see it follows from the route
// that it is about.
type place struct {
	name, path string
	route      string
	roles      []access.Role
}

var places = []place{
	{"Home", "", "", access.Roles()},
	{"Usage", "usage", "GET /v1/stats", []access.Role{access.Analyst, access.Officer, access.Operator}},
	{"Retention", "retention", "GET /v1/verify/history", []access.Role{access.Officer, access.Operator}},
	{"Catalog", "catalog", "GET /v1/catalog", []access.Role{access.Analyst, access.Officer, access.Operator}},
	{"Flow", "flow", "GET /v1/status", []access.Role{access.Officer, access.Operator}},
	{"Audit", "audit", "GET /v1/audit", []access.Role{access.Officer}},
}

// may says whether the navigation offers a place to somebody. What the gate
// says when it is asked is what counts.
func (p place) may(who access.Principal) bool {
	return slices.Contains(p.roles, who.Role) && (p.route == "" || who.CoversRoute(p.route))
}

// sees says whether a place is offered to who is signed in.
func (v *visit) sees(path string) bool {
	i := slices.IndexFunc(places, func(p place) bool { return p.path == path })
	return i >= 0 && places[i].may(v.who)
}

// enter says whether a page is for who is signed in, and answers when it is
// not.
func (v *visit) enter(path string) bool {
	if v.sees(path) {
		return true
	}
	v.fail(http.StatusForbidden, "This page is not for the role "+string(v.who.Role)+", or not for your credential.")
	return false
}

// render answers with a page for who is signed in.
func (v *visit) render(status int, name, title string, body any) {
	v.Console.render(v.w, v.r, status, name, v.page(title, body))
}

func (v *visit) page(title string, body any) *page {
	p := &page{
		Title: title, Body: body, Proof: v.session.proof, Role: string(v.who.Role), ID: v.who.ID, Tenant: v.who.Tenant,
		Purpose: v.purpose, Several: len(purposes(v.who)) > 1, Done: done[v.r.URL.Query().Get("done")],
	}
	for _, l := range places {
		if v.purpose != "" && l.may(v.who) {
			at := prefix + l.path
			p.Nav = append(p.Nav, link{l.name, at, v.r.URL.Path == at})
		}
	}
	return p
}

// done are the sentences that a page says after a form, by the word for each
// in the address.
var done = map[string]string{
	"run":    "Retention ran. What it removed is on record.",
	"verify": "Lethe looked at everything again.",
}

// fail answers with a sentence.
func (v *visit) fail(status int, text string) {
	v.Console.render(v.w, v.r, status, "problem", v.page(http.StatusText(status), text))
}

// fail is that for who is not signed in, or not known to be.
func (o *Console) fail(w http.ResponseWriter, r *http.Request, status int, text string) {
	o.render(w, r, status, "problem", &page{Title: http.StatusText(status), Body: text})
}

func (o *Console) render(w http.ResponseWriter, r *http.Request, status int, name string, p *page) {
	p.Theme = theme(r)
	var b bytes.Buffer
	if err := templates[name].ExecuteTemplate(&b, "layout", p); err != nil {
		// The caller may have sent half a page otherwise.
		o.c.Log.ErrorContext(r.Context(), "page not made", "page", name, "err", err)
		fault.WriteStatus(w, http.StatusInternalServerError, "internal error")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the caller has gone; nobody to tell
}

// refusal is why something cannot be shown.
type refusal struct {
	Status int
	Text   string
}

// asked is an answer of the API, or why there is none.
type asked[T any] struct {
	V  T
	No *refusal
}

// ask asks the API and reads its answer.
func ask[T any](v *visit, method, path string, query url.Values, body any) (out asked[T]) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return asked[T]{No: &refusal{http.StatusInternalServerError, sentence(err)}}
		}
	}
	a, no := v.call(method, path, query, text)
	if no != nil {
		out.No = no
		return out
	}
	read := json.NewDecoder(bytes.NewReader(a.Body))
	read.UseNumber() // a value of a dimension stays as it was written
	if err := read.Decode(&out.V); err != nil {
		v.c.Log.ErrorContext(v.r.Context(), "answer not readable", "path", path)
		out.No = &refusal{http.StatusBadGateway, "The answer to this could not be read."}
	}
	return out
}

func get[T any](v *visit, path string, query url.Values) asked[T] {
	return ask[T](v, http.MethodGet, path, query, nil)
}

// call asks the API with the credential and the purpose of the session.
func (v *visit) call(method, path string, query url.Values, body []byte) (Answer, *refusal) {
	ctx, cancel := context.WithTimeout(v.r.Context(), patience)
	defer cancel()
	a, err := v.c.API.Do(ctx, Call{
		Method: method, Path: path, Query: query, Body: body,
		Credential: v.session.reveal(), Purpose: v.purpose, From: v.r,
	})
	if err != nil {
		return Answer{}, &refusal{fault.Status(fault.KindOf(err)), sentence(err)}
	}
	if a.Status < 300 {
		return a, nil
	}
	var p fault.Problem
	if json.Unmarshal(a.Body, &p) != nil || p.Detail == "" {
		p.Detail = "the request was answered with status " + http.StatusText(a.Status)
	}
	return a, &refusal{a.Status, strings.ToUpper(p.Detail[:1]) + strings.TrimSuffix(p.Detail[1:], ".") + "."}
}

// together asks several things at once.
func together(asks ...func()) {
	var wg sync.WaitGroup
	for _, f := range asks {
		wg.Go(f)
	}
	wg.Wait()
}

// pass hands an answer of the API on as a file.
func (v *visit) pass(path string, query url.Values, kind, file string) {
	a, no := v.call(http.MethodGet, path, query, nil)
	if no != nil {
		v.fail(no.Status, no.Text)
		return
	}
	v.w.Header().Set("Content-Type", kind)
	v.w.Header().Set("Content-Disposition", `attachment; filename="`+file+`"`)
	_, _ = v.w.Write(a.Body) // the caller has gone; nobody to tell
}
