package console

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// prefix is where the console is.
const prefix = "/console/"

const (
	// maxForm bounds the body of a form, in bytes.
	maxForm = 16 << 10
	// patience bounds what one page asks for. It is shorter than the door
	// waits, so that whoever asked learns of it.
	patience = 100 * time.Second
)

// Config is what a Console needs. All of it is required but the clock.
type Config struct {
	API  API
	Gate *access.Gate
	Log  *slog.Logger
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Console serves the pages. It may be used from many goroutines.
type Console struct {
	c        Config
	sessions *sessions
	pages    *http.ServeMux
	handler  http.Handler
}

// New makes a Console. It panics when a required field is missing.
func New(c Config) *Console {
	if c.API == nil || c.Gate == nil || c.Log == nil {
		panic("console: an API, a gate and a log are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	o := &Console{c: c, sessions: newSessions(c.Now), pages: http.NewServeMux()}
	o.pages.HandleFunc("GET "+prefix+"static/{name...}", serveStatic)
	o.pages.HandleFunc("GET "+prefix+"signin", o.showSignIn)
	o.pages.HandleFunc("GET "+prefix+"over", o.showSignIn)
	o.pages.HandleFunc("POST "+prefix+"signin", o.signIn)
	o.pages.HandleFunc("POST "+prefix+"over", o.signIn)
	o.pages.HandleFunc("POST "+prefix+"theme", o.setTheme)
	o.form("signout", o.signOut)
	o.page("purpose", o.showPurpose)
	o.form("purpose", o.setPurpose)
	o.page("{$}", o.home)
	o.page("usage", o.usage)
	o.page("usage.csv", o.usageCSV)
	o.page("retention", o.retention)
	o.form("retention/run", o.runRetention)
	o.form("retention/verify", o.lookAgain)
	o.page("evidence", o.evidence)
	o.page("catalog", o.catalog)
	o.page("record", o.record)
	o.page("flow", o.flow)
	o.page("flow.json", o.flowNumbers)
	o.form("flow/redrive", o.redrive)
	o.page("audit", o.audit)
	o.pages.HandleFunc(prefix, o.nothing)

	// Forms of other sites are refused before anything is read of them. What
	// carries no sign of a browser is not one.
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.fail(w, r, http.StatusForbidden, "This form was sent from another site, and was not taken.")
	}))
	o.handler = cross.Handler(o.pages)
	return o
}

// Routes puts the console on a mux. Its pages open to anyone as far as the gate
// is concerned: the first one asks for a credential, and everything behind it
// asks the API with that.
func (o *Console) Routes(mux *http.ServeMux) {
	patterns := []string{"GET " + prefix, "POST " + prefix}
	o.c.Gate.Public(patterns...)
	for _, p := range patterns {
		mux.Handle(p, o)
	}
}

// contentPolicy is the Content-Security-Policy (W3C CSP3) of every page: nothing from
// elsewhere, nothing inline, nowhere to send a form or a thought but here, and
// no text that becomes script.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

func (o *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
	if secured(r) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	o.handler.ServeHTTP(w, r)
}

// page serves a page to those who are signed in.
func (o *Console) page(path string, show func(*visit)) {
	o.pages.HandleFunc("GET "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
		if v := o.visit(w, r); v != nil {
			show(v)
		}
	})
}

// form takes a form from those who are signed in and were served it.
func (o *Console) form(path string, do func(*visit)) {
	o.pages.HandleFunc("POST "+prefix+path, func(w http.ResponseWriter, r *http.Request) {
		v := o.visit(w, r)
		if v == nil {
			return
		}
		if err := r.ParseForm(); err != nil {
			v.fail(http.StatusBadRequest, "The form could not be read.")
			return
		}
		if !v.session.served(r.PostForm.Get("proof")) {
			v.fail(http.StatusForbidden, "This form was served to another session. Go back, load the page again, and repeat what you did.")
			return
		}
		do(v)
	})
}

// visit is a request of somebody who is signed in.
type visit struct {
	*Console
	w       http.ResponseWriter
	r       *http.Request
	session *session
	who     access.Principal
	purpose string
}

// liveHeader marks what a page asks for by itself.
const liveHeader = "Lethe-Live"

// visit finds out who asks, with every request anew: a credential that was
// revoked ends its sessions with the next request. Nil was answered.
func (o *Console) visit(w http.ResponseWriter, r *http.Request) *visit {
	id := sessionID(r)
	live := r.Header.Get(liveHeader) != ""
	s, purpose := o.sessions.find(id, live)
	if s == nil {
		o.unknown(w, r, id != "")
		return nil
	}
	p, err := o.recognize(r, s.reveal())
	switch {
	case errors.Is(err, access.ErrBadCredential), errors.Is(err, fault.Denied):
		o.sessions.end(s)
		o.unknown(w, r, true)
		return nil
	case err != nil:
		o.fail(w, r, fault.Status(fault.KindOf(err)), sentence(err))
		return nil
	}
	v := &visit{Console: o, w: w, r: r, session: s, who: p, purpose: purpose}
	switch v.r.URL.Path {
	case prefix + "purpose", prefix + "signout":
	default:
		if purpose == "" {
			http.Redirect(w, r, toNext("purpose", r), http.StatusSeeOther)
			return nil
		}
	}
	return v
}

// recognize asks the gate whose credential a text is, for the browser that
// sent a request.
func (o *Console) recognize(r *http.Request, credential string) (access.Principal, error) {
	asked := r.Clone(r.Context())
	asked.Header.Set("Authorization", "Bearer "+credential)
	return o.c.Gate.Recognize(asked)
}

// unknown answers who is not signed in. A browser sends no cookie that is
// strictly of this site with a link from another one, a colleague's message for
// instance: it is asked once to follow the link itself.
func (o *Console) unknown(w http.ResponseWriter, r *http.Request, had bool) {
	switch {
	case r.Header.Get(liveHeader) != "":
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodGet && !had && r.Header.Get("Sec-Fetch-Site") == "cross-site":
		o.render(w, r, http.StatusOK, "again", &page{Title: "One moment"})
	default:
		at := toNext("signin", r)
		if had {
			http.SetCookie(w, cookie(r, ""))
			at = toNext("over", r)
		}
		http.Redirect(w, r, at, http.StatusSeeOther)
	}
}

// nothing answers for a page that is not there.
func (o *Console) nothing(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		o.fail(w, r, http.StatusMethodNotAllowed, "This page takes no form.")
		return
	}
	o.fail(w, r, http.StatusNotFound, "There is no such page.")
}
