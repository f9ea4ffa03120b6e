package assembly

import (
	"context"
	"crypto/tls"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// TestNoAnswerRepeatsAnAddress: P1.
func TestNoAnswerRepeatsAnAddress(t *testing.T) {
	mux, gate := http.NewServeMux(), access.NewGate(&access.Store{}, lethetest.Logger(t))
	mux.HandleFunc("GET /v1/stats/{metric}", func(http.ResponseWriter, *http.Request) {})
	gate.Public("GET /v1/stats/{metric}")
	door := newEntrance(mux, gate, 1, lethetest.Logger(t))
	for path, want := range map[string]int{
		"/v1/stats/actions":          http.StatusOK,
		"/ada@example.org":           http.StatusNotFound,
		"//ada@example.org":          http.StatusNotFound,
		"/v1/../ada@example.org":     http.StatusNotFound,
		"/v1/stats//ada@example.org": http.StatusNotFound,
		"/v1/./stats/ada":            http.StatusNotFound,
		"/v1/stats/ada/":             http.StatusNotFound,
		"/":                          http.StatusNotFound,
	} {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
		if w.Header().Get("Location") != "" || strings.Contains(w.Body.String(), "ada") {
			t.Errorf("%s: the answer repeats it", path)
		}
	}
	w := httptest.NewRecorder()
	door.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/v1/stats/actions", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("a method that is not taken: status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

// TestARouteWithoutARuleIsNotThere: P15. What somebody puts on the mux past
// the gate stays shut.
func TestARouteWithoutARuleIsNotThere(t *testing.T) {
	mux, gate := http.NewServeMux(), access.NewGate(&access.Store{}, lethetest.Logger(t))
	ran := false
	mux.HandleFunc("GET /v1/secrets", func(http.ResponseWriter, *http.Request) { ran = true })
	door := newEntrance(mux, gate, 1, lethetest.Logger(t))
	w := httptest.NewRecorder()
	door.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/secrets", nil))
	if w.Code != http.StatusNotFound || ran {
		t.Errorf("status %d, and the handler ran: %t", w.Code, ran)
	}
	gate.Public("GET /v1/secrets") // the control
	door.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1/secrets", nil))
	if !ran {
		t.Error("with a rule, it does not run either")
	}
}

// TestEveryRouteHasARule looks at the sources: a route comes onto the mux
// through the gate, or is one of those that need no credential.
func TestEveryRouteHasARule(t *testing.T) {
	fset := token.NewFileSet()
	root, found := filepath.Join("..", ".."), 0
	for _, top := range []string{"pkg", "services"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			// The gate itself; the keyring's listener: mutual TLS, and a caller's
			// certificate says what it may; and the console's own mux, which
			// stands behind two public routes, has no power and asks for each
			// number with the credential of whoever is signed in.
			if dir := filepath.Base(filepath.Dir(path)); dir == "access" || dir == "keyring" || dir == "console" {
				return nil
			}
			file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 2 {
					return true
				}
				sel, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "Handle" && sel.Sel.Name != "HandleFunc" {
					return true
				}
				found++
				lit, ok := call.Args[0].(*ast.BasicLit)
				if !ok {
					t.Errorf("%s: a route that cannot be told without running it", fset.Position(call.Pos()))
					return true
				}
				if pattern, _ := strconv.Unquote(lit.Value); !slices.Contains(openRoutes, pattern) {
					t.Errorf("%s: %s comes onto the mux past the gate", fset.Position(call.Pos()), pattern)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < len(openRoutes) {
		t.Errorf("%d routes found past the gate, want at least %d: the search is broken", found, len(openRoutes))
	}
}

// settings are those of a door on a free port.
func settings(t *testing.T) config.Config {
	c := config.Default()
	c.Data, c.Listen = t.TempDir(), "127.0.0.1:0"
	return c
}

// enter opens the door of a process without any part and returns its site and
// address.
func enter(t *testing.T, c config.Config, routes func(*Site)) (*Site, string) {
	t.Helper()
	site, err := NewSite(c, lethetest.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.close)
	if routes != nil {
		routes(site)
	}
	service, err := Door.Make(t.Context(), site)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	opened, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- service.Run(ctx, func() { close(opened) }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the door did not shut in order: %v", err)
		}
	})
	select {
	case <-opened:
	case err := <-ended:
		ended <- err
		t.Fatalf("the door did not open: %v", err)
	}
	return site, site.scheme() + "://" + site.door
}

// TestBeyondThisMachineThereIsTLSOrNothing: P16.
func TestBeyondThisMachineThereIsTLSOrNothing(t *testing.T) {
	ca := newAuthority(t)
	secured := ca.issue(t, "lethe.example.org").files(t)
	for name, c := range map[string]struct {
		listen  string
		plain   bool
		tls     config.TLS
		refused bool
	}{
		"loopback":              {listen: "127.0.0.1:0"},
		"loopback by name":      {listen: "localhost:0"},
		"loopback, IPv6":        {listen: "[::1]:0"},
		"everywhere":            {listen: "0.0.0.0:0", refused: true},
		"everywhere, IPv6":      {listen: "[::]:0", refused: true},
		"everywhere, unsaid":    {listen: ":0", refused: true},
		"another address":       {listen: "192.0.2.7:7480", refused: true},
		"everywhere, meant":     {listen: "0.0.0.0:0", plain: true},
		"everywhere, with TLS":  {listen: "0.0.0.0:0", tls: secured},
		"a certificate alone":   {listen: "127.0.0.1:0", tls: config.TLS{Cert: secured.Cert}, refused: true},
		"a key alone":           {listen: "127.0.0.1:0", tls: config.TLS{Key: secured.Key}, refused: true},
		"a client CA alone":     {listen: "127.0.0.1:0", tls: config.TLS{ClientCA: secured.Cert}, refused: true},
		"files that are not":    {listen: "127.0.0.1:0", tls: config.TLS{Cert: "none.pem", Key: "none.pem"}, refused: true},
		"a key in its place":    {listen: "127.0.0.1:0", tls: config.TLS{Cert: secured.Key, Key: secured.Key}, refused: true},
		"a CA without any":      {listen: "127.0.0.1:0", tls: config.TLS{Cert: secured.Cert, Key: secured.Key, ClientCA: secured.Key}, refused: true},
		"certificate of others": {listen: "127.0.0.1:0", tls: config.TLS{Cert: ca.issue(t, "a").files(t).Cert, Key: secured.Key}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings(t)
			s.Listen, s.Plaintext, s.TLS = c.listen, c.plain, c.tls
			if !c.refused {
				if l, err := net.Listen("tcp", c.listen); err != nil {
					t.Skipf("not tested: this machine has no such address: %v", err)
				} else {
					l.Close()
				}
				enter(t, s, nil)
				return
			}
			site, err := NewSite(s, lethetest.Logger(t))
			if err != nil {
				t.Fatal(err)
			}
			defer site.close()
			if _, err := Door.Make(t.Context(), site); !errors.Is(err, fault.Invalid) {
				t.Errorf("it opens: %v", err)
			}
		})
	}
}

func get(t *testing.T, client *http.Client, url string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return resp.StatusCode, resp.Header, string(b)
}

// TestTheDoorSpeaksTLS13AndNothingOlder: P16.
func TestTheDoorSpeaksTLS13AndNothingOlder(t *testing.T) {
	ca := newAuthority(t)
	c := settings(t)
	c.TLS = ca.issue(t, "127.0.0.1").files(t)
	_, url := enter(t, c, nil)
	if status, _, text := get(t, ca.client(nil), url+"/healthz"); status != http.StatusOK {
		t.Fatalf("over TLS 1.3: status %d: %s", status, text)
	}
	old := ca.client(nil)
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	if status, _, _ := get(t, old, url+"/healthz"); status != 0 {
		t.Errorf("over TLS 1.2: status %d", status)
	}
	if status, _, _ := get(t, http.DefaultClient, strings.Replace(url, "https", "http", 1)+"/healthz"); status == http.StatusOK {
		t.Error("in plain text it answers too")
	}
	if status, _, _ := get(t, http.DefaultClient, url+"/healthz"); status != 0 {
		t.Error("a client that does not know the authority is answered")
	}
}

func TestOnlyClientsWithACertificateComeInWhereOneIsAsked(t *testing.T) {
	ca, others := newAuthority(t), newAuthority(t)
	c := settings(t)
	c.TLS = ca.issue(t, "127.0.0.1").files(t)
	c.TLS.ClientCA = ca.file(t)
	_, url := enter(t, c, nil)
	for name, of := range map[string]struct {
		pair   *pair
		status int
	}{
		"none":         {nil, 0},
		"another's":    {others.issue(t, "client"), 0},
		"the right CA": {ca.issue(t, "client"), http.StatusOK},
	} {
		if status, _, _ := get(t, ca.client(of.pair), url+"/healthz"); status != of.status {
			t.Errorf("a client with the certificate of %s: status %d, want %d", name, status, of.status)
		}
	}
}

// TestACertificateIsRenewedWithoutARestart, and one that cannot be read
// changes nothing.
func TestACertificateIsRenewedWithoutARestart(t *testing.T) {
	ca := newAuthority(t)
	first, second := ca.issue(t, "127.0.0.1"), ca.issue(t, "127.0.0.1")
	files := first.files(t)
	c, err := newCertificates(files, lethetest.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	shown := func() string {
		t.Helper()
		l, err := tls.Listen("tcp", "127.0.0.1:0", c.config())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			if conn, err := l.Accept(); err == nil {
				_ = conn.(*tls.Conn).Handshake()
				conn.Close()
			}
		}()
		conn, err := tls.Dial("tcp", l.Addr().String(), ca.client(nil).Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	step := func(say string, want *pair) {
		t.Helper()
		if got := shown(); got != want.serial() {
			t.Errorf("%s: another certificate is shown", say)
		}
	}
	step("at first", first)
	second.write(t, files)
	step("within the second", first)
	now = now.Add(lookEvery)
	step("a second later", second)
	if err := os.WriteFile(files.Cert, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lookEvery)
	step("with a file that holds none", second)
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	now = now.Add(lookEvery)
	step("with a file gone", second)
	first.write(t, files)
	now = now.Add(lookEvery)
	step("mended", first)
}

// TestMoreRequestsThanTheDoorHoldsAreAskedToComeAgain, and whoever watches the
// process still learns how it is.
func TestMoreRequestsThanTheDoorHoldsAreAskedToComeAgain(t *testing.T) {
	c := settings(t)
	c.Door.Concurrency = 2
	began, free := make(chan struct{}), make(chan struct{})
	_, url := enter(t, c, func(s *Site) {
		s.mux.HandleFunc("GET /slow", func(http.ResponseWriter, *http.Request) {
			began <- struct{}{}
			<-free
		})
		s.gate.Public("GET /slow")
	})
	ended := make(chan int, 2)
	for range 2 {
		go func() {
			status, _, _ := get(t, http.DefaultClient, url+"/slow")
			ended <- status
		}()
		<-began
	}
	status, header, text := get(t, http.DefaultClient, url+"/slow")
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the third: status %d, Retry-After %q: %s", status, header.Get("Retry-After"), text)
	}
	if status, _, _ := get(t, http.DefaultClient, url+"/healthz"); status != http.StatusOK {
		t.Errorf("health: status %d", status)
	}
	close(free)
	for range 2 {
		if status := <-ended; status != http.StatusOK {
			t.Errorf("one that was being served: status %d", status)
		}
	}
	go func() { <-began }()
	if status, _, _ := get(t, http.DefaultClient, url+"/slow"); status != http.StatusOK {
		t.Errorf("one that comes again: status %d", status)
	}
}

func TestHeadersThatAreTooLargeAreRefused(t *testing.T) {
	_, url := enter(t, settings(t), nil)
	for size, want := range map[int]int{1 << 10: http.StatusOK, 64 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Padding", strings.Repeat("a", size))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes of headers: status %d, want %d", size, resp.StatusCode, want)
		}
	}
}
