package folder

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Entry is one direct child of a folder.
type Entry struct {
	Name string
	// Made is when it was made, as far as is known: the older of its
	// modification time and what its manifest says. It is zero for an entry
	// whose removal was interrupted.
	Made time.Time
	// Bytes is what it measures, a folder with all that is in it.
	Bytes int64
	Dir   bool
}

const (
	// manifestName is the manifest within a folder; manifestSuffix follows the
	// name of a file.
	manifestName   = "manifest.json"
	manifestSuffix = "." + manifestName
	// removing precedes the name of what is being removed.
	removing = ".removing-"
	// maxManifest is the most bytes of a manifest that are read.
	maxManifest = 1 << 20
)

// Entries lists the direct children of a folder by name. A folder that is not
// there has none. Entries that could not be looked at are left out, and are in
// the error.
func Entries(dir string) ([]Entry, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(err)
	}
	defer root.Close()
	children, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, unreadable(err)
	}
	files := map[string]bool{}
	for _, c := range children {
		files[c.Name()] = c.Type().IsRegular()
	}
	var out []Entry
	var errs []error
	for _, c := range children {
		if owner, ok := strings.CutSuffix(c.Name(), manifestSuffix); ok && files[c.Name()] && files[owner] {
			continue // goes with its file
		}
		e, err := look(root, c.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
		case err != nil:
			errs = append(errs, unreadable(err))
		default:
			out = append(out, e)
		}
	}
	return out, errors.Join(errs...)
}

func look(root *os.Root, name string) (Entry, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Name: name, Made: info.ModTime().UTC(), Bytes: info.Size(), Dir: info.IsDir()}
	manifest := name + manifestSuffix
	switch {
	case e.Dir:
		manifest = filepath.Join(name, manifestName)
		if e.Bytes, err = size(root, name); err != nil {
			return Entry{}, err
		}
	case strings.HasSuffix(name, manifestSuffix):
		manifest = name // its file is gone
	}
	if at, ok := created(root, manifest); ok && at.Before(e.Made) {
		e.Made = at
	}
	if strings.HasPrefix(name, removing) {
		e.Made = time.Time{}
	}
	return e, nil
}

// size adds up the files below a folder.
func size(root *os.Root, name string) (total int64, err error) {
	err = fs.WalkDir(root.FS(), filepath.ToSlash(name), func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}

// created reads when a manifest says that its entry was made. A manifest that
// cannot be read says nothing.
func created(root *os.Root, name string) (time.Time, bool) {
	// Whatever is not a file is not opened: a named pipe would never answer.
	if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return time.Time{}, false
	}
	f, err := root.Open(name)
	if err != nil {
		return time.Time{}, false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err != nil {
		return time.Time{}, false
	}
	var m struct {
		Created time.Time `json:"created"`
	}
	if json.Unmarshal(b, &m) != nil || m.Created.IsZero() {
		return time.Time{}, false
	}
	return m.Created.UTC(), true
}

// Remove removes an entry with its manifest, and returns when the folder is on
// disk without them. An entry that is not there is no error.
//
//  1. a folder gets another name, by which it is known as half removed
//  2. it is removed with all that is in it, or the file is
//  3. the manifest of a file is removed
//  4. the folder is synced
//
// The manifest goes last: without it what is left of an entry would look young.
func Remove(dir, name string) error {
	root, err := open(dir, name)
	if root == nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err == nil && info.IsDir() && !strings.HasPrefix(name, removing) {
		to := removing + name
		// 1. What stands there is half removed itself.
		if err := errors.Join(root.RemoveAll(to), root.Rename(name, to)); err != nil {
			return unwritable(err)
		}
		name = to
	}
	if err == nil {
		err = root.RemoveAll(name) // 2
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unwritable(err)
	}
	if err := root.Remove(name + manifestSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) { // 3
		return unwritable(err)
	}
	return sync(root) // 4
}

// Date sets the modification time of an entry, for one that says it comes from
// the future: without it its life would never end.
func Date(dir, name string, at time.Time) error {
	root, err := open(dir, name)
	if root == nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return unwritable(errors.Join(err, errors.New("it is a link")))
	}
	if err := root.Chtimes(name, at, at); err != nil {
		return unwritable(err)
	}
	return sync(root)
}

// open opens a folder to change one of its entries. It is nil where there is
// no folder, and with an error.
func open(dir, name string) (*os.Root, error) {
	if !filepath.IsLocal(name) || filepath.Base(name) != name || name == "." {
		return nil, fault.Invalid.Errorf("that is not the name of an entry of a folder")
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unwritable(err)
	}
	return root, nil
}

func sync(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return unwritable(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return unwritable(err)
	}
	return nil
}

func unreadable(err error) error {
	return fault.Unavailable.Errorf("looking into a folder: %w", plain(err))
}
func unwritable(err error) error {
	return fault.Unavailable.Errorf("removing from a folder: %w", plain(err))
}

// plain leaves out paths: whoever named a file may have named a person.
func plain(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// PlainName says whether the name of an entry may be shown: letters, digits
// and ._- only, and 100 of them at most. Any other may say something about a
// person.
func PlainName(name string) bool {
	return len(name) <= 100 && !slices.ContainsFunc([]byte(name), func(c byte) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-", c) >= 0)
	})
}
