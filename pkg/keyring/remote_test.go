package keyring_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// post calls a verb with a caller's certificate, bypassing Remote: what a
// stolen certificate could do.
func (s *site) post(t *testing.T, caller, method, verb string, body []byte) (status int, kind string) {
	t.Helper()
	c, err := keyring.ClientTLS(filepath.Join(s.certificates, caller))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: c}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://"+s.addr+"/v1/"+verb, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Lethe-Fault")
}

// TestACallerHasTheVerbsOfItsPowerAndNoOther goes through every verb with
// every certificate. An empty message gets past the door if the verb is
// granted, and is then malformed, or done for the verbs without arguments.
func TestACallerHasTheVerbsOfItsPowerAndNoOther(t *testing.T) {
	s := setupSite(t)
	granted := map[keyring.Power][]string{
		keyring.PowerGateway:       {"raw-keys", "event-ids", "message-id"},
		keyring.PowerPseudonymizer: {"open-raw", "open-quarantine", "seal-quarantine", "seal-clean", "tokens"},
		keyring.PowerLoader:        {"open-clean"},
		keyring.PowerRetention:     {"destroy-raw", "destroy-quarantine", "destroy-clean", "destroy-epoch", "list", "live"},
		keyring.PowerRights:        {"open-raw", "open-quarantine", "seal-quarantine", "seal-clean", "tokens", "open-clean"},
		keyring.PowerHold:          {"open-clean", "seal-clean"},
		keyring.PowerCells:         {"seal-clean"},
	}
	callers := callers()
	callers["the-stranger"] = ""
	refused, admitted := 0, 0
	for caller, power := range callers {
		for _, v := range keyring.Verbs() {
			status, kind := s.post(t, caller, http.MethodPost, v.Name, nil)
			if slices.Contains(granted[power], v.Name) {
				admitted++
				if status == http.StatusForbidden {
					t.Errorf("%s is refused %s, which it has", caller, v.Name)
				}
				continue
			}
			refused++
			if status != http.StatusForbidden || kind != string(fault.Denied) {
				t.Errorf("%s asking to %s: status %d, want 403", caller, v.Name, status)
			}
		}
		if status, _ := s.post(t, caller, http.MethodPost, "export", nil); status != http.StatusForbidden {
			t.Errorf("%s asking for a verb that does not exist: status %d, want 403", caller, status)
		}
	}
	if admitted != 24 || refused != 8*15-24 {
		t.Errorf("%d calls admitted and %d refused", admitted, refused)
	}
}

func TestARemotePowerAskedForWithAnothersCertificateIsDenied(t *testing.T) {
	s := setupSite(t)
	raw, err := s.keyring.Gateway().SealRaw(t.Context(), tenant, noon, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	loader := s.dial(t, "the-loader")
	for name, err := range map[string]error{
		"OpenRaw":    second(loader.Rights().OpenRaw(t.Context(), tenant, aad, raw)),
		"Tokens":     second(loader.Rights().Tokens(t.Context(), []keyring.TokenKey{webKey}, "x")),
		"SealRaw":    second(loader.Gateway().SealRaw(t.Context(), tenant, noon, aad, plain)),
		"DestroyRaw": loader.Retention().DestroyRaw(t.Context(), tenant, noon),
	} {
		if !errors.Is(err, fault.Denied) {
			t.Errorf("%s with the loader's certificate: %v, want denied", name, err)
		}
	}
	if _, err := s.dial(t, "the-rights").Rights().OpenRaw(t.Context(), tenant, aad, raw); err != nil { // the control
		t.Error(err)
	}
}

func TestWithoutACertificateOfTheAuthorityNobodyIsHeard(t *testing.T) {
	s := setupSite(t)
	good, err := keyring.ClientTLS(filepath.Join(s.certificates, "the-retention"))
	if err != nil {
		t.Fatal(err)
	}
	none := good.Clone()
	none.Certificates = nil
	foreign := filepath.Join(t.TempDir(), "foreign")
	if err := keyring.WriteCertificates(foreign, []string{"the-retention"}, []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	stranger, err := keyring.ClientTLS(filepath.Join(foreign, "the-retention"))
	if err != nil {
		t.Fatal(err)
	}
	forged := good.Clone()
	forged.Certificates = stranger.Certificates
	server, err := keyring.ServerTLS(filepath.Join(s.certificates, keyring.ServerName))
	if err != nil {
		t.Fatal(err)
	}
	serving := good.Clone()
	serving.Certificates = server.Certificates
	misled := stranger.Clone() // trusts another authority than the keyring's
	for name, c := range map[string]*tls.Config{
		"no certificate": none, "another authority's certificate": forged,
		"the keyring's own certificate": serving, "a keyring that is not trusted": misled,
	} {
		r, err := keyring.Dial(keyring.RemoteConfig{Addr: s.addr, TLS: c})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := r.Retention().List(t.Context()); !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v, want no connection", name, err)
		}
	}
	r, err := keyring.Dial(keyring.RemoteConfig{Addr: s.addr, TLS: good}) // the control
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Retention().List(t.Context()); err != nil {
		t.Error(err)
	}
}

// P16.
func TestNothingOlderThanTLS13IsSpoken(t *testing.T) {
	s := setupSite(t)
	for version, spoken := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
		c, err := keyring.ClientTLS(filepath.Join(s.certificates, "the-loader"))
		if err != nil {
			t.Fatal(err)
		}
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, version
		d := tls.Dialer{Config: c}
		conn, err := d.DialContext(t.Context(), "tcp", s.addr)
		if (err == nil) != spoken {
			t.Errorf("%s: %v, want spoken %v", tls.VersionName(version), err, spoken)
		}
		if err == nil {
			conn.Close()
		}
	}
}

func TestTheHandlerRefusesWithoutAVerifiedCertificate(t *testing.T) {
	k, _ := setup(t)
	h := k.Handler(map[string]keyring.Power{"": keyring.PowerRetention})
	for name, state := range map[string]*tls.ConnectionState{"no TLS": nil, "no certificate": {}} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/list", nil)
		req.TLS = state
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", name, w.Code)
		}
	}
}

func TestAMalformedMessageIsInvalidAndHarmless(t *testing.T) {
	s := setupSite(t)
	field := func(b []byte, s string) []byte {
		return append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	for name, body := range map[string][]byte{
		"a length past the end": {200, 1, 'a'},
		"no end to the length":  bytes.Repeat([]byte{255}, 12),
		"a short number":        field(field(nil, tenant), "1"),
		"too many fields":       field(field(field(nil, tenant), "12345678"), "more"),
	} {
		if status, kind := s.post(t, "the-retention", http.MethodPost, "destroy-raw", body); status != 422 || kind != "invalid" {
			t.Errorf("%s: status %d %s, want 422 invalid", name, status, kind)
		}
	}
	huge := binary.BigEndian.AppendUint64(nil, 1<<62)
	if status, _ := s.post(t, "the-rights", http.MethodPost, "tokens", field(nil, string(huge))); status != 422 {
		t.Errorf("a count past reason: status %d, want 422", status)
	}
	if status, _ := s.post(t, "the-retention", http.MethodGet, "list", nil); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d, want 405", status)
	}
}

func TestAnUnreachableKeyringIsUnavailable(t *testing.T) {
	s := setupSite(t)
	sealed, err := s.keyring.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	l := s.dial(t, "the-loader").Loader()
	if _, err := l.OpenClean(t.Context(), tenant, class, day, aad, sealed); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if _, err := l.OpenClean(t.Context(), tenant, class, day, aad, sealed); !errors.Is(err, fault.Unavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.OpenClean(ended, tenant, class, day, aad, sealed); !errors.Is(err, context.Canceled) || errors.Is(err, fault.Unavailable) {
		t.Errorf("%v, want the context's error and no kind", err)
	}
	s.serve(t, s.addr)
	if _, err := l.OpenClean(t.Context(), tenant, class, day, aad, sealed); err != nil {
		t.Errorf("after the keyring came back: %v", err)
	}
}

func TestAGatewaySealsWhileTheKeyringIsAway(t *testing.T) {
	s := setupSite(t)
	g := s.dial(t, "the-gateway").Gateway()
	open := func(sealed []byte, err error) {
		t.Helper()
		if err == nil {
			_, err = s.keyring.Pseudonymizer().OpenRaw(t.Context(), tenant, aad, sealed)
		}
		if err != nil {
			t.Error(err)
		}
	}
	open(g.SealRaw(t.Context(), tenant, noon, aad, plain))
	s.stop()
	open(g.SealRaw(t.Context(), tenant, noon, aad, plain))
	open(g.SealRaw(t.Context(), tenant, noon.Add(2*time.Hour), aad, plain)) // published ahead
	keyring.EndLeases(g)
	open(g.SealRaw(t.Context(), tenant, noon, aad, plain)) // asked in vain
	if _, err := g.SealRaw(t.Context(), tenant, noon.Add(3*time.Hour), aad, plain); !errors.Is(err, fault.Unavailable) {
		t.Errorf("an hour whose key it never saw: %v, want unavailable", err)
	}
	s.serve(t, s.addr)
	open(g.SealRaw(t.Context(), tenant, noon.Add(3*time.Hour), aad, plain))
}

func TestTwoGatewaysSealForOneKeyring(t *testing.T) {
	s := setupSite(t)
	a, b := s.dial(t, "the-gateway").Gateway(), s.dial(t, "the-gateway").Gateway()
	one, err := a.SealRaw(t.Context(), tenant, noon, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.SealRaw(t.Context(), tenant, noon, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	again, err := a.SealRaw(t.Context(), tenant, noon, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	enc := func(sealed []byte) string { return string(sealed[6:38]) }
	if enc(one) == enc(two) || enc(one) != enc(again) {
		t.Error("each gateway encapsulates once, for itself")
	}
	for _, sealed := range [][]byte{one, two, again} {
		if _, err := s.keyring.Pseudonymizer().OpenRaw(t.Context(), tenant, aad, sealed); err != nil {
			t.Error(err)
		}
	}
}

func TestARemoteUseIsRecordedWithItsCaller(t *testing.T) {
	k, c := setup(t)
	k.Close()
	var got []keyring.Use
	c.Record = func(_ context.Context, u keyring.Use) error { got = append(got, u); return nil }
	s := &site{keyring: reopen(t, c), config: c, certificates: filepath.Join(t.TempDir(), "certificates")}
	if err := keyring.WriteCertificates(s.certificates, []string{"the-rights", "the-retention"}, []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	s.serve(t, "127.0.0.1:0")
	if _, err := s.dial(t, "the-rights").Rights().Tokens(t.Context(), nil, "x"); err != nil {
		t.Fatal(err)
	}
	if err := s.dial(t, "the-retention").Retention().DestroyEpoch(t.Context(), "web", 7); err != nil {
		t.Fatal(err)
	}
	s.stop()
	want := []keyring.Use{
		{Verb: "tokens", Power: keyring.PowerRights, Caller: "the-rights"},
		{Verb: "destroy", Key: "epoch/web/7", Power: keyring.PowerRetention, Caller: "the-retention"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
}

func TestAServerThatIsMissingSomethingIsNotMade(t *testing.T) {
	s := setupSite(t)
	c, err := keyring.ServerTLS(filepath.Join(s.certificates, keyring.ServerName))
	if err != nil {
		t.Fatal(err)
	}
	open := c.Clone()
	open.ClientCAs = nil
	for name, sc := range map[string]keyring.ServerConfig{
		"no keyring":       {TLS: c, Log: s.config.Log, Listen: "127.0.0.1:0"},
		"no authority":     {Keyring: s.keyring, TLS: open, Log: s.config.Log, Listen: "127.0.0.1:0"},
		"an unknown power": {Keyring: s.keyring, TLS: c, Log: s.config.Log, Listen: "127.0.0.1:0", Callers: map[string]keyring.Power{"x": "root"}},
		"a caller unnamed": {Keyring: s.keyring, TLS: c, Log: s.config.Log, Listen: "127.0.0.1:0", Callers: map[string]keyring.Power{"": keyring.PowerLoader}},
	} {
		if _, err := keyring.NewServer(sc); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if _, err := keyring.Dial(keyring.RemoteConfig{}); !errors.Is(err, fault.Invalid) {
		t.Errorf("dialing nowhere: %v, want invalid", err)
	}
}
