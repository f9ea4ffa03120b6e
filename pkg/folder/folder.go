package folder

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Entry is one thing in a folder that expires by itself: a file, or a set of
// files that goes as a whole.
type Entry struct {
	// Name is its path below the folder, with slashes.
	Name string
	// Number is its place among the direct children of the folder, or that of
	// the child in which it lies, by name and counted from 1: what there is to
	// say of a name that is not to be said.
	Number int
	// Made is when it was made, as far as is known: the oldest of its
	// modification times and what its manifest says. It is zero for an entry
	// whose removal was interrupted.
	Made time.Time
	// Bytes is what it measures, a set with all that is in it.
	Bytes int64
	Dir   bool
}

const (
	// manifestName is the manifest within a set; manifestSuffix follows the
	// name of a file.
	manifestName   = "manifest.json"
	manifestSuffix = "." + manifestName
	// removing precedes the name of what is being removed.
	removing = ".removing-"
	// maxManifest is the most bytes of a manifest that are read.
	maxManifest = 1 << 20
)

// Entries lists what is in a folder, however deep, by name. A folder that is
// not there has nothing. Entries that could not be looked at are left out, and
// are in the error.
func Entries(dir string) ([]Entry, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(err)
	}
	defer root.Close()
	l := listing{root: root}
	l.folder(".", 0)
	return l.out, errors.Join(l.errs...)
}

// listing is what is found in a folder.
type listing struct {
	root *os.Root
	out  []Entry
	errs []error
}

// folder lists a folder that is no set. number is that of the child it lies
// in, and zero for the folder itself.
func (l *listing) folder(at string, number int) {
	children, err := fs.ReadDir(l.root.FS(), at)
	if l.failed(err) {
		return
	}
	files := map[string]bool{}
	for _, c := range children {
		files[c.Name()] = c.Type().IsRegular()
	}
	for i, c := range children {
		name, n := path.Join(at, c.Name()), number
		if n == 0 {
			n = i + 1
		}
		if owner, ok := strings.CutSuffix(c.Name(), manifestSuffix); ok && files[c.Name()] && files[owner] {
			continue // goes with its file
		}
		if c.IsDir() && l.mixed(name) {
			l.folder(name, n)
			continue
		}
		e, err := look(l.root, name)
		if !l.failed(err) {
			e.Number = n
			l.out = append(l.out, e)
		}
	}
}

// mixed says whether each file of a folder expires by itself: it has files, and
// no manifest that makes them a set. What is half removed is one thing.
func (l *listing) mixed(name string) bool {
	if halfRemoved(name) {
		return false
	}
	if info, err := l.root.Lstat(path.Join(name, manifestName)); err == nil && info.Mode().IsRegular() {
		return false
	}
	children, err := fs.ReadDir(l.root.FS(), name)
	return err != nil || len(children) > 0
}

// failed notes an error. That something is gone meanwhile is none.
func (l *listing) failed(err error) bool {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.errs = append(l.errs, unreadable(err))
	}
	return err != nil
}

func halfRemoved(name string) bool { return strings.HasPrefix(path.Base(name), removing) }

func look(root *os.Root, name string) (Entry, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Name: name, Made: info.ModTime().UTC(), Bytes: info.Size(), Dir: info.IsDir()}
	manifest := name + manifestSuffix
	switch {
	case e.Dir:
		manifest = path.Join(name, manifestName)
		if err := e.within(root); err != nil {
			return Entry{}, err
		}
	case strings.HasSuffix(name, manifestSuffix):
		manifest = name // its file is gone
	}
	if at, ok := created(root, manifest); ok && at.Before(e.Made) {
		e.Made = at
	}
	if halfRemoved(name) {
		e.Made = time.Time{}
	}
	return e, nil
}

// within adds up the files of a set, and finds the oldest.
func (e *Entry) within(root *os.Root) error {
	e.Bytes = 0
	return fs.WalkDir(root.FS(), e.Name, func(_ string, d fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil && !d.IsDir() {
			info, err = d.Info()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || info == nil {
			return err
		}
		e.Bytes += info.Size()
		if at := info.ModTime().UTC(); at.Before(e.Made) {
			e.Made = at
		}
		return nil
	})
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
//  1. a set gets another name, by which it is known as half removed
//  2. it is removed with all that is in it, or the file is
//  3. the manifest of a file is removed
//  4. the folder it was in is synced, and folders that are empty by that go
//
// The manifest goes last: without it what is left of an entry would look young.
func Remove(dir, name string) error {
	root, err := open(dir, name)
	if root == nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err == nil && info.IsDir() && !halfRemoved(name) {
		to := path.Join(path.Dir(name), removing+path.Base(name))
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
	for in := path.Dir(name); ; in = path.Dir(in) { // 4
		if err := sync(root, in); err != nil || in == "." {
			return err
		}
		if root.Remove(in) != nil {
			return nil // there is something in it
		}
	}
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
	return sync(root, path.Dir(name))
}

// open opens a folder to change one of its entries. It is nil where there is
// no folder, and with an error.
func open(dir, name string) (*os.Root, error) {
	if !filepath.IsLocal(name) || path.Clean(name) != name || name == "." {
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

// sync puts on disk what a folder within another has. One that is gone has
// nothing.
func sync(root *os.Root, in string) error {
	d, err := root.Open(in)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
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
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		return at.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
