package access

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// document is the file: JSON, so that an operator can read who has access.
type document struct {
	Version     int      `json:"version"`
	Credentials []*entry `json:"credentials"`
}

type entry struct {
	Entry
	// Hash is the SHA-256 of the secret.
	Hash []byte `json:"secret_sha256"`
	// PreviousHash is that of the secret before, while it is good.
	PreviousHash []byte `json:"previous_sha256,omitempty"`
}

// previous is the hash of the secret before, or one that no secret has.
func (e *entry) previous() []byte {
	if len(e.PreviousHash) == 0 {
		return noHash
	}
	return e.PreviousHash
}

// sound says whether an entry is one that this package writes.
func (e *entry) sound() bool {
	return e != nil && e.ID != "" && len(e.Hash) == sha256.Size &&
		(len(e.PreviousHash) == 0 && e.PreviousUntil.IsZero() || len(e.PreviousHash) == sha256.Size && !e.PreviousUntil.IsZero()) &&
		Principal{Role: e.Role, Tenant: e.Tenant, Services: e.Services, Scope: e.Scope}.check() == nil
}

const documentVersion = 1

// load reads the file. It opens before it looks, so that what it remembers is
// what it read. Where others could have written the file, its contents prove
// nothing, and it is refused.
func load(path string) (*snapshot, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &snapshot{}, nil
	}
	if err != nil {
		return nil, fault.Unavailable.Errorf("reading the credentials: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fault.Unavailable.Errorf("reading the credentials: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, fault.Unavailable.Errorf("the credentials can be written by others than their owner; set the file's mode to 0600")
	}
	var d document
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields() // a limit this program does not know must not be lost
	if err := dec.Decode(&d); err != nil {
		return nil, fault.Unavailable.Errorf("the credentials are not readable")
	}
	if d.Version != documentVersion {
		return nil, fault.Unavailable.Errorf("the credentials are of version %d; this program reads version %d", d.Version, documentVersion)
	}
	entries := make(map[string]*entry, len(d.Credentials))
	for _, e := range d.Credentials {
		if !e.sound() || entries[e.ID] != nil {
			return nil, fault.Unavailable.Errorf("the credentials hold an entry that cannot be")
		}
		entries[e.ID] = e
	}
	return &snapshot{file: info, entries: entries}, nil
}

// save replaces the file. Its modification time is later than its predecessor's
// even where the file system's clock is coarse, because that is how readers see
// the change.
func save(path string, before os.FileInfo, entries map[string]*entry) error {
	d := document{Version: documentVersion, Credentials: []*entry{}}
	for _, e := range list(entries) {
		d.Credentials = append(d.Credentials, entries[e.ID])
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	if err := replace(path, append(b, '\n'), before); err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	return nil
}

// replace replaces a file whole, with one that only its owner reads: write
// beside it, sync, rename, sync the folder. Its modification time is later than
// that of the file before, if any is given.
func replace(path string, b []byte, before os.FileInfo) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(b); err != nil {
		return err
	}
	if before != nil {
		if info, err := tmp.Stat(); err != nil {
			return err
		} else if !info.ModTime().After(before.ModTime()) {
			if err := os.Chtimes(tmp.Name(), time.Time{}, before.ModTime().Add(time.Millisecond)); err != nil {
				return err
			}
		}
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// list sorts entries by age, then id.
func list(entries map[string]*entry) []Entry {
	out := make([]Entry, 0, len(entries))
	for _, e := range entries {
		shown := e.Entry
		shown.Services, shown.Scope = slices.Clone(shown.Services), shown.clone()
		out = append(out, shown)
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return out
}
