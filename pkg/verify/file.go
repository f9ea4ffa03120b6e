package verify

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// What the engine keeps in its directory. Anything else is somebody else's.
var (
	// Of an embedded engine: its files are in data.
	engineOuter = []string{"backups", "config.xml", "data", "lock", "log", "start.sql", "users.xml"}
	engineTop   = []string{
		"access", "cores", "coordination", "data", "dictionaries_lib", "disks", "dynamic_user_defined_executable_functions",
		"filesystem_caches", "flags", "format_schemas", "log", "metadata", "metadata_dropped", "named_collections",
		"preprocessed_configs", "quarantine", "shadow", "status", "store", "tmp", "user_defined", "user_files",
		"user_scripts", "uuid", "workload",
	}
	engineTable = []string{"detached", "deduplication_logs", "moving", "columns.txt", "format_version.txt", "table_disk.txt", "increment.txt"}
	// Files of a part that its checksums do not name, and how large they get.
	enginePart = []string{
		"checksums.txt", "columns.txt", "columns_substreams.txt", "default_compression_codec.txt",
		"delete-on-destroy.txt", "metadata_version.txt", "txn_version.txt", "uuid.txt",
	}
)

// checkFiles looks at what the engine has on disk and does not tell of: copies
// that FREEZE made, parts and files that were copied by hand, tables that nobody
// knows. It follows no link, and leaves the directory by none.
func (l *look) checkFiles() error {
	root, err := os.OpenRoot(l.c.EngineDir)
	if err != nil {
		return unreadable(err)
	}
	defer root.Close()
	w := &walk{root: root}
	if info, err := root.Lstat("data/store"); err == nil && info.IsDir() {
		w.expect(".", engineOuter...)
		w.expect("log", "output.log", "server.log")
		inner, err := root.OpenRoot("data")
		if err != nil {
			return unreadable(err)
		}
		defer inner.Close()
		w.root, w.below = inner, "data/"
	}
	return l.walkEngine(w)
}

// walkEngine lists first and asks the engine then: what came meanwhile is not
// on the list, and what went is not there any more.
func (l *look) walkEngine(w *walk) error {
	w.shadow()
	w.top()
	w.store()
	if w.err != nil {
		return unreadable(w.err)
	}
	known, err := l.c.Warehouse.Identifiers(l.ctx)
	if err != nil {
		return err
	}
	parts, err := l.c.Warehouse.PartFiles(l.ctx)
	if err != nil {
		return err
	}
	l.lookedAt("files of the engine", "directories of tables and parts, files of parts, shadow copies, detached parts, files of users, and whatever else is there", w.n)
	for _, c := range w.copies {
		l.broken(unlisted, "files of the engine", "shadow/%s is a copy that FREEZE made, of %s, since %s: no rule covers it. Remove it with ALTER TABLE … UNFREEZE or SYSTEM UNFREEZE", plain(c.name), plural(uint64(c.files), "file"), instant(c.at))
	}
	strange := w.strange
	for _, t := range w.tables {
		if !known[t.name] {
			strange = append(strange, t.find)
		}
	}
	for _, p := range w.parts {
		table := path.Base(p.dir)
		files, is := parts[table+"/"+p.name]
		switch {
		case !known[table] || !exists(w.root, path.Join(p.dir, p.name)):
		case !is:
			p.dir = w.below + p.dir
			strange = append(strange, p.find)
		case w.partFiles(path.Join(p.dir, p.name)) > files:
			l.broken(unlisted, "files of the engine", "have a part with more files in it than the engine knows of, %sstore/…/%s/%s: a copy perhaps, which it does not read and removes with the part alone", w.below, table, p.name)
		}
	}
	if len(strange) > 0 {
		l.broken(unlisted, "files of the engine", "have %s of no table and no part that the engine knows, copies perhaps: %s. It neither reads nor removes them", plural(uint64(len(strange)), "entry"), finds(strange))
	}
	return nil
}

func exists(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return err == nil
}

// unreadable leaves the path out: whoever named a file may have named a
// person.
func unreadable(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fault.Unavailable.Errorf("reading a directory: %w", err)
}

// walk is what a directory of an engine has.
type walk struct {
	root    *os.Root
	below   string // what root is called in the engine's directory
	n       int
	err     error
	copies  []shadowCopy
	tables  []named // store/abc/uuid
	parts   []named // store/abc/uuid/part
	strange []find
}

// named is a find with the name that the engine is asked about.
type named struct {
	find
	name string
}

type shadowCopy struct {
	name  string
	files int
	at    time.Time
}

// list reads a directory; one that is gone is empty.
func (w *walk) list(dir string) []fs.DirEntry {
	entries, err := fs.ReadDir(w.root.FS(), dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && w.err == nil {
		w.err = err
	}
	w.n += len(entries)
	return entries
}

// found is the entry of a directory with a number. The names of directories are
// the engine's own.
func (w *walk) found(dir string, number int, e fs.DirEntry) find {
	f := find{dir: path.Clean(w.below + dir), number: number + 1}
	if info, err := e.Info(); err == nil {
		f.bytes, f.made = info.Size(), info.ModTime().UTC()
	}
	return f
}

// expect finds strange what a directory has beside names.
func (w *walk) expect(dir string, names ...string) {
	for i, e := range w.list(dir) {
		if !slices.Contains(names, e.Name()) {
			w.strange = append(w.strange, w.found(dir, i, e))
		}
	}
}

// young says whether an entry was written within a time. Copies that keep their
// times are old.
func young(e fs.DirEntry, within time.Duration) bool {
	info, err := e.Info()
	return err != nil || time.Since(info.ModTime()) < within
}

func (w *walk) shadow() {
	for i, e := range w.list("shadow") {
		if !e.IsDir() {
			if e.Name() != "increment.txt" {
				w.strange = append(w.strange, w.found("shadow", i, e))
			}
			continue
		}
		c := shadowCopy{name: e.Name()}
		if info, err := e.Info(); err == nil {
			c.at = info.ModTime()
		}
		err := fs.WalkDir(w.root.FS(), "shadow/"+e.Name(), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				c.files++
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil && w.err == nil {
			w.err = err
		}
		if c.files > 0 {
			w.copies = append(w.copies, c)
		}
	}
}

func (w *walk) top() {
	w.expect(".", engineTop...)
	w.hollow()
	// Of queries that need more room than memory.
	for i, e := range w.list("tmp") {
		if !young(e, stale) {
			w.strange = append(w.strange, w.found("tmp", i, e))
		}
	}
	// Tables of databases that are not Atomic lie here, and links to others.
	for i, database := range w.list("data") {
		switch {
		case !database.IsDir():
			w.strange = append(w.strange, w.found("data", i, database))
		case database.Name() != "system":
			for j, table := range w.list("data/" + database.Name()) {
				if table.Type()&fs.ModeSymlink == 0 {
					w.strange = append(w.strange, w.found("data/"+plain(database.Name()), j, table))
				}
			}
		}
	}
}

// store lists the directories of tables, store/abc/abcdef…, and what is in
// each.
func (w *walk) store() {
	for i, prefix := range w.list("store") {
		if !prefix.IsDir() || !isHex(prefix.Name(), 3) {
			w.strange = append(w.strange, w.found("store", i, prefix))
			continue
		}
		dir := "store/" + prefix.Name()
		for j, table := range w.list(dir) {
			f := named{w.found(dir, j, table), table.Name()}
			if !table.IsDir() || !isHex(strings.ReplaceAll(table.Name(), "-", ""), 32) {
				w.strange = append(w.strange, f.find)
				continue
			}
			w.tables = append(w.tables, f)
			w.table(dir + "/" + table.Name())
		}
	}
}

// isHex says whether a name is so many hexadecimal digits.
func isHex(name string, digits int) bool {
	return len(name) == digits && strings.Trim(name, "0123456789abcdef") == ""
}

func (w *walk) table(dir string) {
	for i, e := range w.list(dir) {
		name := e.Name()
		switch {
		case name == "detached" || name == "moving":
			w.aside(dir + "/" + name)
		case slices.Contains(engineTable, name), strings.HasSuffix(name, ".sql"):
		case strings.HasPrefix(name, "mutation_") && strings.HasSuffix(name, ".txt"):
		case (strings.HasPrefix(name, "tmp") || strings.HasPrefix(name, "delete_tmp_")) && young(e, 24*time.Hour):
			// Work under way.
		case e.IsDir():
			f := named{w.found(dir, i, e), name}
			f.dir = dir
			w.parts = append(w.parts, f)
		default:
			w.strange = append(w.strange, w.found(dir, i, e))
		}
	}
}

// aside looks at the parts that were set aside, which the engine tells of while
// they are directories, and at those that are on their way to another disk.
func (w *walk) aside(dir string) {
	for i, e := range w.list(dir) {
		moving := path.Base(dir) == "moving"
		if !e.IsDir() || moving && !young(e, stale) {
			w.strange = append(w.strange, w.found(dir, i, e))
		}
	}
}

// partFiles counts the files of a part that its checksums have to name.
func (w *walk) partFiles(dir string) (n uint64) {
	for _, e := range w.list(dir) {
		if !slices.Contains(enginePart, e.Name()) || e.IsDir() {
			n++
		}
	}
	return n
}
