package keyring_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

func TestCertificatesAreWrittenWholeAndOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certificates")
	if err := keyring.WriteCertificates(dir, []string{"loader", "gateway", "loader"}, []string{"keyring", "127.0.0.1", "::1"}); err != nil {
		t.Fatal(err)
	}
	var files []string
	private := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", filepath.Base(path), info.Mode().Perm())
		}
		if !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			files = append(files, filepath.ToSlash(name))
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			private += strings.Count(string(b), "PRIVATE KEY-----\n") / 2
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "ca.pem gateway/ca.pem gateway/cert.pem gateway/key.pem keyring/ca.pem keyring/cert.pem keyring/key.pem " +
		"loader/ca.pem loader/cert.pem loader/key.pem"
	if got := strings.Join(files, " "); got != want {
		t.Errorf("files %s, want %s", got, want)
	}
	if private != 3 {
		t.Errorf("%d private keys are on disk, want 3: the authority's is kept nowhere", private)
	}
	before, err := os.ReadFile(filepath.Join(dir, "loader", "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteCertificates(dir, []string{"loader"}, []string{"keyring"}); !errors.Is(err, fault.Conflict) {
		t.Errorf("writing again: %v, want conflict", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "loader", "cert.pem")); err != nil || string(after) != string(before) {
		t.Errorf("writing again changed a certificate (%v)", err)
	}
}

func TestACallersCertificateCannotServeAndTheKeyringsCannotCall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certificates")
	if err := keyring.WriteCertificates(dir, []string{"loader"}, []string{"keyring.internal", "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]x509.ExtKeyUsage{
		"loader": x509.ExtKeyUsageClientAuth, keyring.ServerName: x509.ExtKeyUsageServerAuth,
	} {
		b, err := os.ReadFile(filepath.Join(dir, name, "cert.pem"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(b)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != want || c.Subject.CommonName != name || c.IsCA {
			t.Errorf("%s's certificate may do %v as %s", name, c.ExtKeyUsage, c.Subject.CommonName)
		}
		if err := c.VerifyHostname("keyring.internal"); (err == nil) != (name == keyring.ServerName) {
			t.Errorf("%s's certificate for the keyring's host: %v", name, err)
		}
	}
}

func TestCallersThatCannotBeNamedAreInvalid(t *testing.T) {
	for _, callers := range [][]string{{""}, {"../x"}, {"A"}, {keyring.ServerName}} {
		dir := filepath.Join(t.TempDir(), "certificates")
		if err := keyring.WriteCertificates(dir, callers, []string{"localhost"}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v, want invalid", callers, err)
		}
	}
	if err := keyring.WriteCertificates(t.TempDir(), nil, nil); !errors.Is(err, fault.Invalid) {
		t.Errorf("no host: %v, want invalid", err)
	}
	if _, err := keyring.ClientTLS(t.TempDir()); !errors.Is(err, fault.NotFound) {
		t.Errorf("no certificate: %v, want not found", err)
	}
}
