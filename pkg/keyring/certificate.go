package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	// ServerName is the name, and the folder, of the keyring's own
	// certificate.
	ServerName = "keyring"

	authorityFile   = "ca.pem"
	certificateFile = "cert.pem"
	privateFile     = "key.pem"

	// certificateLife is how long a set of certificates lasts. A set is
	// renewed whole, by deleting it and writing another.
	certificateLife = 5 * 365 * 24 * time.Hour
)

// WriteCertificates writes a certificate authority and one certificate for
// each caller and for the keyring, which answers to hosts (names or
// addresses):
//
//	DIR/ca.pem
//	DIR/keyring/{ca,cert,key}.pem
//	DIR/CALLER/{ca,cert,key}.pem
//
// Every file is 0600 in a folder 0700, so that each process can be given its
// own folder and no other. A caller's certificate names it and cannot serve;
// the keyring's can do nothing but serve. The authority's private key is never
// written: a set is made whole, once. DIR/ca.pem is written last, so that its
// presence means that the set is complete; if it is there already,
// WriteCertificates changes nothing and returns a [fault.Conflict].
func WriteCertificates(dir string, callers, hosts []string) error {
	for _, c := range callers {
		if c == ServerName || escape(c) != c || c == "" {
			return fault.Invalid.Errorf("caller %q: a caller is named by lower-case letters, digits, - and _, and not %q", c, ServerName)
		}
	}
	if len(hosts) == 0 {
		return fault.Invalid.Errorf("certificates: the keyring needs a host name")
	}
	top := filepath.Join(dir, authorityFile)
	if _, err := os.Lstat(top); !errors.Is(err, fs.ErrNotExist) {
		return fault.Conflict.Errorf("there are certificates in %s already", dir)
	}
	ca, err := newAuthority(time.Now())
	if err != nil {
		return err
	}
	if err := ca.issue(filepath.Join(dir, ServerName), ServerName, hosts); err != nil {
		return err
	}
	for _, c := range slices.Compact(slices.Sorted(slices.Values(callers))) {
		if err := ca.issue(filepath.Join(dir, c), c, nil); err != nil {
			return err
		}
	}
	return writeFile(top, ca.pem, nil, "")
}

// An authority signs certificates while WriteCertificates runs, and is then
// forgotten.
type authority struct {
	hidden[*ecdsa.PrivateKey]
	certificate *x509.Certificate
	pem         []byte
}

func newAuthority(now time.Time) (*authority, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Lethe keyring authority"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making a certificate authority: %w", err)
	}
	return &authority{hide(private), certificate, encodePEM("CERTIFICATE", der)}, nil
}

// issue writes a folder with a certificate: one that serves hosts, or one that
// calls if there are none.
func (a *authority) issue(dir, name string, hosts []string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    a.certificate.NotBefore,
		NotAfter:     a.certificate.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, h := range hosts {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.open())
	if err != nil {
		return fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("making the certificate of %s: %w", name, err)
	}
	defer clear(secret)
	if err := makeDir(dir); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{
		{authorityFile, a.pem},
		{certificateFile, encodePEM("CERTIFICATE", der)},
		{privateFile, encodePEM("PRIVATE KEY", secret)},
	} {
		if err := writeFile(filepath.Join(dir, f.name), f.data, nil, ""); err != nil {
			return err
		}
	}
	return nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[0] &= 0x7f // positive, as RFC 5280 demands
	return new(big.Int).SetBytes(b)
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// ServerTLS reads the keyring's folder of [WriteCertificates] for
// [ServerConfig].
func ServerTLS(dir string) (*tls.Config, error) {
	certificate, pool, err := readCertificates(dir)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}, nil
}

// ClientTLS reads a caller's folder of [WriteCertificates] for [RemoteConfig].
func ClientTLS(dir string) (*tls.Config, error) {
	certificate, pool, err := readCertificates(dir)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{certificate},
		RootCAs:      pool,
	}, nil
}

func readCertificates(dir string) (tls.Certificate, *x509.CertPool, error) {
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, certificateFile), filepath.Join(dir, privateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, nil, fault.NotFound.Errorf("there is no certificate in %s", dir)
	}
	if err != nil {
		return tls.Certificate{}, nil, fault.Invalid.Errorf("reading the certificate in %s: %w", dir, err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, authorityFile))
	if err != nil {
		return tls.Certificate{}, nil, fault.NotFound.Errorf("reading the certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return tls.Certificate{}, nil, fault.Invalid.Errorf("%s holds no certificate", filepath.Join(dir, authorityFile))
	}
	return certificate, pool, nil
}
