package console

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

// P22: how long a session lasts without and with somebody at it.
const (
	idleMost = 30 * time.Minute
	lifeMost = 30 * 24 * time.Hour
)

const (
	// maxSessions and maxOfOne bound how many sessions there are, and how many
	// of one credential. The one that was not used for longest goes first.
	maxSessions = 4096
	maxOfOne    = 32
)

// A session is somebody who is signed in. It lives in the memory of this
// process alone, and a restart ends it.
type session struct {
	// proof stands in every form, so that one that was not served to this
	// session is refused.
	proof string
	began time.Time
	// reveal gives the credential. It is behind a function because fmt and the
	// encoders follow no function.
	reveal func() string
	id     string // of the credential

	// The rest is guarded by the mutex of sessions.
	seen    time.Time
	purpose string // empty until one of several was chosen
}

// sessions are those there are, by the SHA-256 of their ids: who reads this
// memory cannot make a cookie of it.
type sessions struct {
	now func() time.Time

	mu   sync.Mutex // guards what follows
	byID map[[sha256.Size]byte]*session
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, byID: map[[sha256.Size]byte]*session{}}
}

// secret is 256 random bits, as a cookie or a form can hold them.
func secret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// begin makes a session and returns its id, which is nowhere else.
func (s *sessions) begin(credential string, p access.Principal, purpose string) (id string) {
	id = secret()
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(func(o *session) bool { return o.over(now) })
	s.crowd(maxOfOne, func(o *session) bool { return o.id == p.ID })
	s.crowd(maxSessions, func(*session) bool { return true })
	s.byID[sha256.Sum256([]byte(id))] = &session{
		proof: secret(), began: now, reveal: func() string { return credential }, id: p.ID, seen: now, purpose: purpose,
	}
	return id
}

// crowd makes room for one more of those that match. It is called with mu held.
func (s *sessions) crowd(most int, match func(*session) bool) {
	n := 0
	var oldest [sha256.Size]byte
	var at time.Time
	for hash, o := range s.byID {
		if !match(o) {
			continue
		}
		if n++; at.IsZero() || o.seen.Before(at) {
			oldest, at = hash, o.seen
		}
	}
	if n >= most {
		delete(s.byID, oldest)
	}
}

// drop ends those that match. It is called with mu held.
func (s *sessions) drop(match func(*session) bool) {
	for hash, o := range s.byID {
		if match(o) {
			delete(s.byID, hash)
		}
	}
}

func (o *session) over(now time.Time) bool {
	return now.Sub(o.seen) >= idleMost || now.Sub(o.began) >= lifeMost
}

// find returns the session with an id, or nil. What a page asks for by itself
// is no sign of somebody being there, and does not keep a session from ending.
func (s *sessions) find(id string, byItself bool) (o *session, purpose string) {
	hash := sha256.Sum256([]byte(id))
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if o = s.byID[hash]; o == nil {
		return nil, ""
	}
	if o.over(now) {
		delete(s.byID, hash)
		return nil, ""
	}
	if !byItself {
		o.seen = now
	}
	return o, o.purpose
}

// choose sets what the session is for.
func (s *sessions) choose(o *session, purpose string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.purpose = purpose
}

// end ends a session at once.
func (s *sessions) end(o *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(func(other *session) bool { return other == o })
}

// served says whether a form was served to the session.
func (o *session) served(proof string) bool {
	return subtle.ConstantTimeCompare([]byte(proof), []byte(o.proof)) == 1
}

// The cookie that holds a session's id. Over TLS its name has the prefix that
// lets no other host and no plain connection set it (RFC 6265bis, section
// 4.1.3), for which its path must be the whole host.
const (
	cookieName   = "lethe_console"
	secureCookie = "__Host-lethe_console"
)

// secured says whether the browser speaks TLS, to us or to what is in front of
// us. Who claims it falsely gets a cookie that their own browser does not send.
func secured(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// cookie holds a session's id, or takes one away when it is empty. It is one of
// the browser's session; how long it is good for is decided here.
func cookie(r *http.Request, id string) *http.Cookie {
	c := &http.Cookie{Name: cookieName, Value: id, Path: prefix, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if secured(r) {
		c.Name, c.Path, c.Secure = secureCookie, "/", true
	}
	if id == "" {
		c.MaxAge = -1
	}
	return c
}

// sessionID is what the request's cookie says.
func sessionID(r *http.Request) string {
	name := cookieName
	if secured(r) {
		name = secureCookie
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}
