package sqldoor

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

// The routes of the door. [ListenerPaths] are those on a listener of its own.
const (
	Path     = "/v1/sql"
	PingPath = Path + "/ping"
)

// ListenerPaths leads the paths of a listener of the door's own to those of its
// routes. It has no other: / and /ping are where ClickHouse's clients look.
func ListenerPaths() map[string]string { return map[string]string{"/": Path, "/ping": PingPath} }

// askers may ask.
var askers = []access.Role{access.Analyst, access.Officer, access.Operator}

// maxBody bounds the body of a request, in bytes: a statement, compressed or
// not.
const maxBody = maxStatement

// Config is what a Door is made of. All of it but Limits is required.
type Config struct {
	Gate *access.Gate
	// Who tells whose credential a text is.
	Who Identifier
	// Engine is the engine's HTTP port.
	Engine Engine
	// Key is what statements are hashed with on record. With the same key, a
	// statement has the same hash.
	Key []byte
	// Limits are what one credential may take; zero fields are those of
	// [DefaultLimits].
	Limits Limits
	Log    *slog.Logger
	Now    func() time.Time
}

// Identifier tells whose credential a text is. [access.Store] is one.
type Identifier interface {
	Identify(text string) (access.Principal, error)
}

// Engine says where the engine's HTTP port is.
type Engine struct {
	URL string // http://host:port
	// User is warehouse.UserSQL, or its like.
	User, Password string
	// Dial opens a connection; nil dials what the URL says.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Door takes statements. It may be used from many goroutines.
type Door struct {
	cfg    Config
	client *http.Client
	shares *shares
	places *places
}

// New makes a door.
func New(c Config) *Door {
	return &Door{cfg: c, client: newClient(c.Engine), shares: newShares(c.Limits, c.Now), places: newPlaces()}
}

// Routes puts the door on a mux, behind the gate:
//
//	GET  /v1/sql?query=…   a statement
//	POST /v1/sql           a statement in the body, or in query, or begun there
//	GET  /v1/sql/ping      "Ok."
//
// Answers and errors are those of ClickHouse's HTTP interface; what the gate
// refuses is a problem document.
func (d *Door) Routes(mux *http.ServeMux) {
	marks := []access.Mark{access.Recorded, access.By(authenticator{d.cfg.Who}), access.Stating(d.state), access.MaxBody(maxBody)}
	d.cfg.Gate.Handle(mux, "GET /v1/sql", askers, d.serve, marks...)
	d.cfg.Gate.Handle(mux, "POST /v1/sql", askers, d.serve, marks...)
	// Anyone may ask whether it is there: whoever has the mux says so.
	mux.HandleFunc("GET /v1/sql/ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("Ok.\n"))
	})
}

// Close ends every connection to the engine.
func (d *Door) Close() { d.client.CloseIdleConnections() }

// state is what goes on record of a request.
func (d *Door) state(r *http.Request) (access.Statement, error) {
	q, err := parse(r)
	if err != nil {
		return access.Statement{}, err
	}
	return access.Statement{Hash: d.hash(q.text), Length: len(q.text)}, nil
}

// hash is that of a statement's text: HMAC-SHA-256, of which 128 bits are
// plenty to tell statements apart.
func (d *Door) hash(text string) string {
	mac := hmac.New(sha256.New, d.cfg.Key)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// serve answers a request that is on record.
func (d *Door) serve(w http.ResponseWriter, r *http.Request, who access.Principal) {
	q, err := parse(r)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set(statementHeader, d.hash(q.text))
	done, err := d.shares.take(who.ID)
	if err != nil {
		refuse(w, err)
		return
	}
	defer done()
	leave, err := d.places.take(r.Context(), who.Tenant)
	if err != nil {
		refuse(w, err)
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	if err := d.answer(ctx, w, q, who); err != nil && r.Context().Err() == nil {
		if unexpected(err) {
			d.cfg.Log.ErrorContext(ctx, "statement failed", "principal", who, "err", err)
		}
		refuse(w, err)
	}
}
