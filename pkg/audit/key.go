package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// originPattern is a host name and a path without a scheme.
var originPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?(/[A-Za-z0-9._~-]+)*$`)

// Create makes the directory of a log and the key that signs its checkpoints.
// [fault.Conflict] where there is a key, or trees that another key signed.
func Create(ctx context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	if !originPattern.MatchString(cfg.Origin) || len(cfg.Origin) > 200 {
		return fault.Invalid.Errorf("the origin of the audit log is a host name and a path, such as lethe.example/audit")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return failed("making the directory of the audit log", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // lets go of the lock
	years, err := listYears(cfg.Dir)
	if err != nil {
		return err
	}
	if len(years) > 0 {
		return fault.Conflict.Errorf("%s holds the trees of an audit log already, and the key that signs them is missing: "+
			"put the key back; where it is lost for good, move the directory away and start Lethe, which begins a new log and says so (docs/operations.md, Recovery)", cfg.Dir)
	}
	secret, _, err := note.GenerateKey(rand.Reader, cfg.Origin)
	if err != nil {
		return fault.Unavailable.Errorf("making the key of the audit log: %w", err)
	}
	temp, err := writeTemp(cfg.Dir, []byte(secret+"\n"))
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp) }() // a name more; Open removes it too
	if err := ctx.Err(); err != nil {
		return err
	}
	// A link fails where a name is taken; a rename would replace the key.
	err = os.Link(temp, filepath.Join(cfg.Dir, keyFile))
	if errors.Is(err, fs.ErrExist) {
		return fault.Conflict.Errorf("%s holds the key of an audit log already", cfg.Dir)
	}
	if err != nil {
		return failed("making the key of the audit log", err)
	}
	return syncDir(cfg.Dir)
}

// readKey reads the key that signs, and makes the verifier key that belongs to
// it.
func readKey(dir string) (note.Signer, string, error) {
	path := filepath.Join(dir, keyFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fault.NotFound.Errorf("there is no audit log at %s", dir)
	}
	if err != nil {
		return nil, "", failed("reading the key of the audit log", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, "", fault.Denied.Errorf("the key of the audit log at %s may be read by others than its owner; its mode must be 0600", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", failed("reading the key of the audit log", err)
	}
	secret := strings.TrimSuffix(string(data), "\n")
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, "", fault.Corrupt.Errorf("the key of the audit log at %s is none", path)
	}
	// PRIVATE+KEY+name+hash+key, which note.NewSigner has checked.
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(secret, "+", 5)[4])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return nil, "", fault.Corrupt.Errorf("the key of the audit log at %s is none", path)
	}
	public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	verifierKey, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return nil, "", fault.Corrupt.Errorf("the key of the audit log at %s is none", path)
	}
	return signer, verifierKey, nil
}
