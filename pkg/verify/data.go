package verify

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
)

// checkData looks for what lies in the data directory of a Lethe and is not
// Lethe's: a copy of the keys, of the log or of the warehouse, which no rule
// covers and nothing removes.
func (l *look) checkData() error {
	const where = "data directory"
	root, err := os.OpenRoot(l.c.DataDir)
	if err != nil {
		return unreadable(err)
	}
	defer root.Close()
	w := &walk{root: root}
	var strange []find
	for i, e := range w.list(".") {
		if slices.ContainsFunc(l.c.Own, func(pattern string) bool {
			is, _ := path.Match(pattern, e.Name())
			return is
		}) {
			continue
		}
		f := w.found(".", i, e)
		if !e.IsDir() {
			strange = append(strange, f)
			continue
		}
		var kind string
		if kind, f.bytes, err = storeIn(root, e.Name()); err != nil || kind == "" {
			// What cannot be looked into is strange too.
			strange = append(strange, f)
			continue
		}
		l.broken(append(slices.Clone(unlisted), secret...), where, "holds what looks like %s beside Lethe's own, %s, by name: a copy in which nothing expires. Remove it, or keep it where a rule covers it", kind, f)
	}
	w.only("nats", natsFiles)
	w.only("audit", auditFiles)
	strange = append(strange, w.strange...)
	if w.err != nil {
		return unreadable(w.err)
	}
	l.lookedAt(where, "whatever is in it, against what Lethe puts there", w.n)
	if len(strange) > 0 {
		l.broken(unlisted, where, "has %s that Lethe did not put there, copies perhaps, which no rule covers: %s", plural(uint64(len(strange)), "entry"), finds(strange))
	}
	return nil
}

// stores are what the stores of Lethe are known by.
var stores = []struct {
	kind string
	has  []string // one of these, below the directory
}{
	{"a keyring", []string{"keys/*.key", "clean.*.key", "raw.*.key", "wrapping.age"}},
	{"a log", []string{"jetstream/*", "*/streams/*", "streams/*"}},
	{"a warehouse", []string{"data/store/*", "store/*", "*/data.bin", "data.bin"}},
	{"an audit log", []string{"*/checkpoints/*", "*/tile/*"}},
}

// storeIn says which store's files a directory has, empty where none's, and
// adds up what it measures.
func storeIn(root *os.Root, dir string) (kind string, bytes int64, err error) {
	inner, err := root.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	defer inner.Close()
	for _, s := range stores {
		for _, pattern := range s.has {
			if found, _ := fs.Glob(inner.FS(), pattern); len(found) > 0 && kind == "" {
				kind = s.kind
			}
		}
	}
	err = fs.WalkDir(inner.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				bytes += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return kind, bytes, err
}
