package assembly

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/sqldoor"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// sqlDoor puts the SQL door on the process's mux and makes the service of its
// own listener, where it has one. Without a way to the engine there is neither.
func (s *Site) sqlDoor() (process.Service, error) {
	e, ok, err := s.engineHTTP()
	if err != nil || !ok {
		return idle, err
	}
	key, err := s.statementKey()
	if err != nil {
		return nil, err
	}
	d := sqldoor.New(sqldoor.Config{
		Gate: s.gate, Who: s.store, Engine: e, Key: key,
		Limits: sqldoor.Limits{Concurrency: s.Config.SQL.Concurrency},
		Log:    s.Log.With("service", "sqldoor"), Now: time.Now,
	})
	d.Routes(s.mux)
	s.onClose(d.Close)
	if s.Config.SQL.Listen == "" {
		return idle, nil
	}
	return s.sqlListener()
}

// engineHTTP is the way to the engine's HTTP port, where there is one.
func (s *Site) engineHTTP() (sqldoor.Engine, bool, error) {
	s.mu.Lock()
	in := s.engine
	s.mu.Unlock()
	e := sqldoor.Engine{URL: strings.TrimSuffix(s.Config.ClickHouse.HTTP, "/"), User: warehouse.UserSQL, Password: s.Config.ClickHouse.SQLPassword}
	switch {
	case in != nil:
		e.URL, e.Password, e.Dial = "http://engine", s.secret(engineUser(warehouse.UserSQL)), in.DialHTTP
	case e.URL == "" && s.Config.SQL.Listen != "":
		return e, false, fault.Invalid.Errorf("sql.listen is set and clickhouse.http is not: the SQL door needs the server's HTTP interface")
	case e.URL == "":
		return e, false, nil
	case s.Config.ClickHouse.CA != "":
		dial, err := s.dialTLS()
		if err != nil {
			return e, false, err
		}
		e.Dial = func(ctx context.Context, _, addr string) (net.Conn, error) { return dial(ctx, addr) }
	}
	return e, true, nil
}

// statementKey is what statements are hashed with on record.
func (s *Site) statementKey() ([]byte, error) {
	if s.Config.SQL.Key != "" {
		return []byte(s.Config.SQL.Key), nil
	}
	file := filepath.Join(s.Config.Data, "statement.key")
	b, err := os.ReadFile(file)
	if err == nil && len(strings.TrimSpace(string(b))) > 0 {
		return []byte(strings.TrimSpace(string(b))), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Unavailable.Errorf("reading the key of statements: %w", err)
	}
	key := rand.Text() + rand.Text() // 260 bits
	if err := os.MkdirAll(s.Config.Data, 0o700); err != nil {
		return nil, fault.Unavailable.Errorf("making the data directory: %w", err)
	}
	temp := file + ".new"
	if err := os.WriteFile(temp, []byte(key+"\n"), 0o600); err != nil {
		return nil, fault.Unavailable.Errorf("writing the key of statements: %w", err)
	}
	if err := os.Rename(temp, file); err != nil {
		return nil, fault.Unavailable.Errorf("writing the key of statements: %w", err)
	}
	return []byte(key), nil
}

// sqlListener serves the SQL door, and nothing else, where tools look for it:
// at the root. P16.
func (s *Site) sqlListener() (process.Service, error) {
	if err := checkListener("sql.listen", s.Config.SQL.Listen, s.secured(), s.Config); err != nil {
		return nil, err
	}
	certificates, err := newCertificates(s.Config.TLS, s.Log)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", s.Config.SQL.Listen)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.sqlAddr = l.Addr().String()
	s.mu.Unlock()
	server := s.server(sqlPaths(newEntrance(s.mux, s.gate, s.Config.Door.Concurrency, s.Log)), certificates)
	return process.Func(func(ctx context.Context, ready func()) error {
		return s.serve(ctx, server, l, func() {
			s.Log.Info("sql door opened", "address", l.Addr().String(), "tls", s.secured())
			ready()
		})
	}), nil
}

// sqlPaths leads the paths of ClickHouse's HTTP interface to the SQL door. No
// other path leads anywhere.
func sqlPaths(next http.Handler) http.Handler {
	paths := sqldoor.ListenerPaths()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, ok := paths[r.URL.EscapedPath()]
		if !ok {
			w.Header().Set("X-Content-Type-Options", "nosniff")
			fault.WriteStatus(w, http.StatusNotFound, "there is nothing at this path")
			return
		}
		inside := r.Clone(r.Context())
		inside.URL.Path, inside.URL.RawPath = path, ""
		next.ServeHTTP(w, inside)
	})
}
