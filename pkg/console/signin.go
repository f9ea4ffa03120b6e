package console

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// signInBody is what the page shows. A credential is never put into a page.
// Where it leads to stays in the page's address, to which its form is sent.
type signInBody struct {
	Over  bool // a session ended
	Wrong string
}

func (o *Console) showSignIn(w http.ResponseWriter, r *http.Request) {
	o.showSignInAs(w, r, http.StatusOK, signInBody{Over: r.URL.Path == prefix+"over"})
}

func (o *Console) showSignInAs(w http.ResponseWriter, r *http.Request, status int, b signInBody) {
	o.render(w, r, status, "signin", &page{Title: "Sign in", Body: b})
}

// signIn takes a credential. One that is not accepted counts as a failed
// attempt of the gate's, wherever it was tried (P22).
func (o *Console) signIn(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		o.showSignInAs(w, r, http.StatusBadRequest, signInBody{Wrong: "The form could not be read."})
		return
	}
	var b signInBody
	credential := strings.TrimSpace(r.PostForm.Get("credential"))
	if credential == "" {
		b.Wrong = "Paste a credential. It reads lethe_, your role, and two more words."
		o.showSignInAs(w, r, http.StatusUnprocessableEntity, b)
		return
	}
	p, err := o.recognize(r, credential)
	if err != nil {
		status := fault.Status(fault.KindOf(err))
		b.Wrong = sentence(err)
		if errors.Is(err, access.ErrBadCredential) {
			status = http.StatusUnauthorized
			b.Wrong = "This credential is not accepted. It may be mistyped, expired or revoked."
		}
		o.showSignInAs(w, r, status, b)
		return
	}
	// The session before, if the browser has one, is over.
	if s, _ := o.sessions.find(sessionID(r), true); s != nil {
		o.sessions.end(s)
	}
	purpose := ""
	if all := purposes(p); len(all) == 1 {
		purpose = all[0]
	}
	http.SetCookie(w, cookie(r, o.sessions.begin(credential, p, purpose)))
	o.c.Log.InfoContext(r.Context(), "session began", "credential", p.ID)
	http.Redirect(w, r, next(r.URL.Query().Get("next")), http.StatusSeeOther)
}

// signOut ends the session at once, here and in the browser.
func (o *Console) signOut(v *visit) {
	o.sessions.end(v.session)
	o.c.Log.InfoContext(v.r.Context(), "session ended", "credential", v.who.ID)
	http.SetCookie(v.w, cookie(v.r, ""))
	v.w.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(v.w, v.r, prefix+"signin", http.StatusSeeOther)
}

// purposeBody is what the page for choosing a purpose shows.
type purposeBody struct {
	All    []string
	Chosen string
}

func (o *Console) showPurpose(v *visit) {
	v.render(http.StatusOK, "purpose", "Purpose", purposeBody{purposes(v.who), v.purpose})
}

// setPurpose says what the session is for: what every request after it is
// decided and recorded with.
func (o *Console) setPurpose(v *visit) {
	purpose := v.r.PostForm.Get("purpose")
	if !slices.Contains(purposes(v.who), purpose) {
		v.fail(http.StatusUnprocessableEntity, "That is not a purpose of your credential.")
		return
	}
	o.sessions.choose(v.session, purpose)
	http.Redirect(v.w, v.r, next(v.r.URL.Query().Get("next")), http.StatusSeeOther)
}

// purposes are those that a credential may be used for.
func purposes(p access.Principal) []string {
	if len(p.Purposes) == 0 {
		return []string{p.Role.Purpose()}
	}
	return p.Purposes
}

// themeCookie holds how the pages look: light, dark, or as the device says.
const themeCookie = "lethe_theme"

var themes = []string{"auto", "light", "dark"}

// setTheme needs no session and no proof: all it changes is a color.
func (o *Console) setTheme(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || !slices.Contains(themes, r.PostForm.Get("theme")) {
		o.fail(w, r, http.StatusUnprocessableEntity, "There is no such look.")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: themeCookie, Value: r.PostForm.Get("theme"), Path: prefix, MaxAge: 365 * 24 * 3600,
		HttpOnly: true, Secure: secured(r), SameSite: http.SameSiteStrictMode,
	})
	// The address of the page that the form was on; other sites' do not come
	// this far.
	back := r.Header.Get("Referer")
	if u, err := url.Parse(back); err != nil || u.Host != r.Host {
		back = prefix
	} else {
		back = u.RequestURI()
	}
	http.Redirect(w, r, next(back), http.StatusSeeOther)
}

// theme is how a browser wants its pages.
func theme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && slices.Contains(themes, c.Value) {
		return c.Value
	}
	return themes[0]
}

// asks are the parameters that pages have, and word is what each may hold:
// names that a policy declares, days and places in a log; of where, also a value
// that was published. Nothing else of an address is ever repeated in a page
// (P1).
var (
	asks = []string{"metric", "by", "from", "to", "where", "top", "explain", "pick", "board", "kind", "before"}
	word = regexp.MustCompile(`^[a-z0-9_,/-]{0,200}$`)
)

// holds says whether a parameter may hold a value.
func holds(name, value string) bool {
	if name == "where" {
		_, ok := readWhere(value)
		return ok
	}
	return word.MatchString(value)
}

// next is where to go after a form: a page of the console and nothing else, so
// that a link to the sign-in page leads nowhere but in.
func next(at string) string {
	u, err := url.Parse(at)
	if err != nil || u.IsAbs() || u.Host != "" {
		return prefix
	}
	path, found := strings.CutPrefix(u.Path, prefix)
	if !found || !slices.ContainsFunc(places, func(p place) bool { return p.path == path }) {
		return prefix
	}
	q := url.Values{}
	for _, name := range asks {
		for _, v := range u.Query()[name] {
			if holds(name, v) {
				q.Add(name, v)
			}
		}
	}
	if len(q) == 0 {
		return u.Path
	}
	return u.Path + "?" + q.Encode()
}

// toNext is a page of the console with the page that was asked for as a
// parameter.
func toNext(path string, r *http.Request) string {
	if at := next(r.URL.RequestURI()); r.Method == http.MethodGet && at != prefix {
		return prefix + path + "?" + url.Values{"next": {at}}.Encode()
	}
	return prefix + path
}

// sentence writes an error of ours as one.
func sentence(err error) string {
	text := err.Error()
	if k := fault.KindOf(err); k == "" || k == fault.Corrupt {
		text = "something inside failed; the log of the process says what"
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}
