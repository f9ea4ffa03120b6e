package services_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// remote calls the keyring with a folder of certificates.
func (s *site) remote(dir string) (*keyring.Remote, error) {
	t, err := keyring.ClientTLS(dir)
	if err != nil {
		return nil, err
	}
	r, err := keyring.Dial(keyring.RemoteConfig{Addr: s.addresses["pseudonymizer:7481"], TLS: t, Timeout: 5 * time.Second})
	if err == nil {
		s.t.Cleanup(func() { _ = r.Close() })
	}
	return r, err
}

// frame looks up a frame in a log, as a service that may.
func (s *site) frame(user, stream string, header any) (head, sealed []byte) {
	s.t.Helper()
	got, err := eventlog.NewLog(s.connect(user)).Next(s.t.Context(), stream, 1)
	if err != nil {
		s.t.Fatal(err)
	}
	head, sealed, err = event.Unpack(got.Data)
	if err == nil {
		err = event.ParseHeader(head, header)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return head, sealed
}

func TestTakenOverServiceHasNoVerbBeyondItsOwn(t *testing.T) {
	s := withEvents(t, 100)
	s.takeOver()
	ctx := t.Context()
	var raw event.RawHeader
	rawHead, rawSealed := s.frame("retention", eventlog.RawStream, &raw)
	var clean event.CleanHeader
	cleanHead, cleanSealed := s.frame("loader", eventlog.CleanStream, &clean)
	token := keyring.TokenKey{Domain: "web", Tenant: "default", Service: "shop", Kind: "ip", Epoch: 1}

	verbs := []struct {
		name string
		may  string
		do   func(r *keyring.Remote) error
	}{
		{"seal raw", "gateway", func(r *keyring.Remote) error {
			_, err := r.Gateway().SealRaw(ctx, "default", time.Now(), nil, []byte("x"))
			return err
		}},
		{"name events", "gateway", func(r *keyring.Remote) error {
			_, err := r.Gateway().EventIDs(ctx, "default", "shop", []string{"a"})
			return err
		}},
		{"name messages", "gateway", func(r *keyring.Remote) error {
			_, err := r.Gateway().MessageID(ctx, "default", []byte("a"))
			return err
		}},
		{"open raw", "", func(r *keyring.Remote) error {
			_, err := r.Rights().OpenRaw(ctx, raw.Tenant, rawHead, rawSealed)
			return err
		}},
		{"make tokens", "", func(r *keyring.Remote) error {
			_, err := r.Rights().Tokens(ctx, []keyring.TokenKey{token}, "192.0.2.1")
			return err
		}},
		{"open quarantine", "", func(r *keyring.Remote) error {
			_, err := r.Rights().OpenQuarantine(ctx, "default", rawHead, rawSealed)
			return err
		}},
		{"seal quarantine", "", func(r *keyring.Remote) error {
			_, err := r.Rights().SealQuarantine(ctx, "default", time.Now(), nil, []byte("x"))
			return err
		}},
		{"seal clean", "", func(r *keyring.Remote) error {
			_, err := r.Rights().SealClean(ctx, "default", "access", string(clean.Day), nil, []byte("x"))
			return err
		}},
		{"seal under a hold's key", "compliance", func(r *keyring.Remote) error {
			_, err := r.Hold().SealClean(ctx, "default", keyring.HoldPrefix+"tried", string(clean.Day), nil, []byte("x"))
			return err
		}},
		{"seal published numbers", "cells", func(r *keyring.Remote) error {
			_, err := r.Cells().SealClean(ctx, "default", keyring.CellClass, keyring.CellDay, nil, []byte("x"))
			return err
		}},
		{"seal clean as one who publishes", "", func(r *keyring.Remote) error {
			_, err := r.Cells().SealClean(ctx, "default", "access", string(clean.Day), nil, []byte("x"))
			return err
		}},
		{"open clean", "loader compliance", func(r *keyring.Remote) error {
			plain, err := r.Loader().OpenClean(ctx, clean.Tenant, clean.Class, string(clean.Day), cleanHead, cleanSealed)
			if err == nil && len(plain) == 0 {
				return errors.New("nothing was in it")
			}
			return err
		}},
		{"list keys", "retention", func(r *keyring.Remote) error {
			_, err := r.Retention().List(ctx)
			return err
		}},
		{"list live keys", "retention", func(r *keyring.Remote) error {
			_, err := r.Retention().Live(ctx)
			return err
		}},
		{"destroy a raw key", "retention", func(r *keyring.Remote) error {
			return r.Retention().DestroyRaw(ctx, "default", time.Now().AddDate(-1, 0, 0))
		}},
		{"destroy a clean key", "retention", func(r *keyring.Remote) error { return r.Retention().DestroyClean(ctx, "access", "2020-01-01") }},
		{"destroy a quarantine key", "retention", func(r *keyring.Remote) error {
			return r.Retention().DestroyQuarantine(ctx, "default", "2020-01-01")
		}},
		{"destroy an epoch", "retention", func(r *keyring.Remote) error { return r.Retention().DestroyEpoch(ctx, "web", -1) }},
	}
	for _, caller := range []string{"gateway", "loader", "cells", "retention", "compliance"} {
		r, err := s.remote(filepath.Join(s.dir, "secrets", caller))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range verbs {
			err := v.do(r)
			switch may := slices.Contains(strings.Fields(v.may), caller); {
			case may && err != nil:
				t.Errorf("%s cannot %s: %v", caller, v.name, err)
			case !may && !errors.Is(err, fault.Denied):
				t.Errorf("%s: %s: not refused: %v", caller, v.name, err)
			}
		}
	}

	t.Run("certificates", func(t *testing.T) {
		// A set of somebody else's, with the same names in it.
		theirs := t.TempDir()
		if err := keyring.WriteCertificates(theirs, []string{"gateway", "loader", "retention"}, []string{"127.0.0.1"}); err != nil {
			t.Fatal(err)
		}
		// Their certificate, with our authority: the keyring is trusted, and
		// must turn the caller away itself.
		mixed := t.TempDir()
		for _, f := range []struct{ name, from string }{
			{"cert.pem", theirs + "/loader"}, {"key.pem", theirs + "/loader"}, {"ca.pem", filepath.Join(s.dir, "secrets", "loader")},
		} {
			b, err := os.ReadFile(filepath.Join(f.from, f.name))
			if err == nil {
				err = os.WriteFile(filepath.Join(mixed, f.name), b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for what, dir := range map[string]string{
			"a certificate of another authority, which does not trust ours": filepath.Join(theirs, "loader"),
			"a certificate of another authority":                            mixed,
			"the keyring's own certificate, which may not call":             filepath.Join(s.dir, "secrets", "keyring"),
		} {
			r, err := s.remote(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range verbs {
				if err := v.do(r); err == nil {
					t.Errorf("%s: may %s", what, v.name)
				}
			}
		}
	})
	t.Run("no certificate", func(t *testing.T) {
		for _, service := range []string{"analyst", "operator"} {
			if _, err := os.Stat(filepath.Join(s.dir, "secrets", service)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s has a folder of certificates", service)
			}
		}
		if _, err := s.remote(filepath.Join(s.dir, "secrets", "analyst")); err == nil {
			t.Error("the analyst calls the keyring")
		}
		// A program given another's certificate has the other's verbs alone:
		// it comes up and cannot work.
		p := s.processes["loader"]
		for i, kv := range p.env {
			if strings.HasPrefix(kv, "LETHE_KEYRING_CERTIFICATES=") {
				p.env[i] = "LETHE_KEYRING_CERTIFICATES=" + filepath.Join(s.dir, "secrets", "gateway")
			}
		}
		s.start("gateway", "compliance", "loader")
		s.publish(newLedger(), 1000, 10, func() {})
		lines := func() string { return p.log.String() }
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(lines(), "the certificate does not grant this"); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("a loader with the gateway's certificate is not turned away:\n%s", p.log.Tail(10))
			}
		}
		if n := s.rows(s.reader(), "SELECT count() FROM lethe.http_access")[0][0].(uint64); n != 100 {
			t.Errorf("a loader with the gateway's certificate loaded %d rows", n-100)
		}
	})
}
