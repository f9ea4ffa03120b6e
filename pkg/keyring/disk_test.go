package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

const cleanFile = "clean.access-30d.2026-12-21.key"

func TestOpenMakesNothingThatIsMissing(t *testing.T) {
	c := config(t, t.TempDir())
	if _, err := keyring.Open(t.Context(), c); !errors.Is(err, fault.NotFound) {
		t.Fatalf("opening where nothing is: %v, want not found", err)
	}
	for _, path := range []string{c.Dir, c.KEKFile} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open made %s", filepath.Base(path))
		}
	}
	if err := keyring.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.KEKFile); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(t.Context(), c); !errors.Is(err, fault.NotFound) {
		t.Errorf("opening without a key-encryption key: %v, want not found", err)
	}
}

func TestCreateRefusesWhatIsThere(t *testing.T) {
	k, c := setup(t)
	if _, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain); err != nil {
		t.Fatal(err)
	}
	if err := keyring.Create(t.Context(), c); !errors.Is(err, fault.Conflict) {
		t.Errorf("creating over an open keyring: %v, want conflict", err)
	}
	k.Close()
	if err := keyring.Create(t.Context(), c); !errors.Is(err, fault.Conflict) {
		t.Errorf("creating over a keyring: %v, want conflict", err)
	}
	if err := os.Remove(filepath.Join(c.Dir, "wrapping.age")); err != nil {
		t.Fatal(err)
	}
	if err := keyring.Create(t.Context(), c); !errors.Is(err, fault.Conflict) {
		t.Errorf("creating beside keys whose wrapping key is missing: %v, want conflict", err)
	}
}

func TestCreateUsesAKeyEncryptionKeyThatIsThere(t *testing.T) {
	_, c := setup(t)
	before, err := os.ReadFile(c.KEKFile)
	if err != nil {
		t.Fatal(err)
	}
	c.Dir = filepath.Join(t.TempDir(), "another")
	if err := keyring.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	reopen(t, c)
	if after, err := os.ReadFile(c.KEKFile); err != nil || !bytes.Equal(before, after) {
		t.Errorf("Create replaced the key-encryption key (%v)", err)
	}
}

func TestAWrongKeyEncryptionKeyIsDenied(t *testing.T) {
	k, c := setup(t)
	k.Close()
	_, other := setup(t)
	c.KEKFile = other.KEKFile
	_, err := keyring.Open(t.Context(), c)
	if !errors.Is(err, fault.Denied) || !strings.Contains(err.Error(), "key-encryption key") {
		t.Errorf("opening with another's key: %v, want denied with a sentence", err)
	}
	garbage := filepath.Join(t.TempDir(), "kek")
	secret := "AGE-SECRET-KEY-1NONSENSE"
	if err := os.WriteFile(garbage, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	c.KEKFile = garbage
	if _, err := keyring.Open(t.Context(), c); !errors.Is(err, fault.Invalid) || strings.Contains(err.Error(), secret) {
		t.Error("a malformed key-encryption key must be invalid, and not in the error")
	}
}

func TestTwoKeyringsNeverShareADirectory(t *testing.T) {
	k, c := setup(t)
	if _, err := keyring.Open(t.Context(), c); !errors.Is(err, fault.Conflict) {
		t.Errorf("opening a second time: %v, want conflict", err)
	}
	k.Close()
	reopen(t, c)
}

func TestAClosedKeyringDoesNothing(t *testing.T) {
	k, _ := setup(t)
	p := powers{k.Gateway(), k.Pseudonymizer(), k.Loader(), k.Retention(), k.Rights()}
	s := sealEach(t, p)
	k.Close()
	for name, err := range uses(t, p, s) {
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
	}
	if err := p.retention.DestroyClean(t.Context(), class, day); !errors.Is(err, fault.Unavailable) {
		t.Errorf("DestroyClean: %v, want unavailable", err)
	}
	if _, err := p.retention.List(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("List: %v, want unavailable", err)
	}
	if err := k.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// spellings are the forms in which bytes might be written down.
func spellings(secret []byte) [][]byte {
	return [][]byte{
		secret,
		[]byte(hex.EncodeToString(secret)),
		[]byte(strings.ToUpper(hex.EncodeToString(secret))),
		[]byte(base64.StdEncoding.EncodeToString(secret)[:40]),
		[]byte(base64.RawURLEncoding.EncodeToString(secret)[:40]),
	}
}

// findOnDisk says in which file under dir a secret can be read.
func findOnDisk(t *testing.T, dir string, secret []byte) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range spellings(secret) {
			if bytes.Contains(b, s) {
				found = path
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// P16.
func TestNoKeyIsReadableOnDisk(t *testing.T) {
	k, c := setup(t)
	sealEach(t, powers{k.Gateway(), k.Pseudonymizer(), k.Loader(), k.Retention(), k.Rights()})
	secrets := map[string][]byte{}
	for _, name := range []string{"raw/acme/2026-11-21T12", "quarantine/acme/2026-11-21", "clean/access-30d/2026-12-21", "epoch/web/7"} {
		secrets[name] = keyring.SecretOf(k, name)
		if len(secrets[name]) != 32 {
			t.Fatalf("%s is not a key in memory", name)
		}
	}
	sealed, err := os.ReadFile(filepath.Join(c.Dir, "wrapping.age"))
	if err != nil {
		t.Fatal(err)
	}
	if secrets["wrapping"], err = keyring.ReadWrapping(c.KEKFile, sealed); err != nil {
		t.Fatal(err)
	}
	for name, secret := range secrets {
		if where := findOnDisk(t, c.Dir, secret); where != "" {
			t.Errorf("the bytes of %s can be read in %s", name, filepath.Base(where))
		}
	}
	// The control: each spelling, written down, is found.
	for n, s := range spellings(secrets["epoch/web/7"]) {
		path := filepath.Join(c.Dir, "control")
		if err := os.WriteFile(path, s, 0o600); err != nil {
			t.Fatal(err)
		}
		if findOnDisk(t, c.Dir, secrets["epoch/web/7"]) != path {
			t.Errorf("spelling %d is not found where it is", n)
		}
	}
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	k, c := setup(t)
	sealEach(t, powers{k.Gateway(), k.Pseudonymizer(), k.Loader(), k.Retention(), k.Rights()})
	if err := k.Retention().DestroyClean(t.Context(), class, day); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{c.Dir, filepath.Dir(c.KEKFile)} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", filepath.Base(path), info.Mode().Perm())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestADamagedKeyIsCorruptAndNeverMadeAnew: a fresh key in its place would
// hide that what the old one sealed is lost.
func TestADamagedKeyIsCorruptAndNeverMadeAnew(t *testing.T) {
	k, c := setup(t)
	if _, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, "2026-12-22", aad, plain); err != nil {
		t.Fatal(err)
	}
	k.Close()
	path := filepath.Join(c.Dir, "keys", cleanFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	another, err := os.ReadFile(strings.Replace(path, "12-21", "12-22", 1))
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string][]byte{
		"empty": {}, "cut": whole[:len(whole)/2], "another key's": another,
		"another key's, renamed": bytes.Replace(another, []byte("12-22"), []byte("12-21"), 1),
		"another date":           bytes.Replace(whole, []byte("2026-11-21"), []byte("2026-11-20"), 1),
	}
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(whole, []byte(`"wrapped":"`))+20] ^= 1
	damage["one bit"] = flipped
	for name, b := range damage {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		k := reopen(t, c)
		if _, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain); !errors.Is(err, fault.Corrupt) {
			t.Errorf("%s: %v, want corrupt", name, err)
		}
		k.Close()
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil { // the control
		t.Fatal(err)
	}
	if _, err := reopen(t, c).Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain); err != nil {
		t.Error(err)
	}
}

func TestAStrangeFileInTheKeyringIsRefused(t *testing.T) {
	k, c := setup(t)
	k.Close()
	if err := os.WriteFile(filepath.Join(c.Dir, "keys", "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(t.Context(), c); !errors.Is(err, fault.Corrupt) {
		t.Errorf("%v, want corrupt", err)
	}
}

func TestKeyNamesSurviveTheFileSystem(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringN(1, 32, 64).Draw(rt, "name")
		for _, kind := range []keyring.Kind{keyring.KindRaw, keyring.KindClean, keyring.KindEpoch} {
			period := rapid.Int64Range(0, 2932896).Draw(rt, "period")
			file := keyring.FileOf(kind, name, period)
			if strings.ContainsAny(file, "/\\\x00:ABCDEFGHIJKLMNOPQRSU") || len(file) > 240 {
				rt.Fatalf("%q is no name for a file", file)
			}
			gotKind, gotName, gotPeriod, ok := keyring.NameOf(file)
			if !ok || gotKind != kind || gotName != name || gotPeriod != period {
				rt.Fatalf("%q is read back differently", file)
			}
		}
	})
}
