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
	engineTop = []string{
		"access", "cores", "coordination", "data", "dictionaries_lib", "disks", "dynamic_user_defined_executable_functions",
		"filesystem_caches", "flags", "format_schemas", "log", "metadata", "metadata_dropped", "named_collections",
		"preprocessed_configs", "quarantine", "shadow", "status", "store", "tmp", "user_defined", "user_files",
		"user_scripts", "uuid", "workload",
	}
	engineTable = []string{"detached", "deduplication_logs", "moving", "columns.txt", "format_version.txt", "table_disk.txt", "increment.txt"}
)

// checkFiles looks at what the engine has on disk and does not tell of: copies
// that FREEZE made, parts that were copied by hand, tables that nobody knows.
// It follows no link, and leaves the directory by none.
func (l *look) checkFiles() error {
	root, err := os.OpenRoot(l.c.EngineDir)
	if err != nil {
		return unreadable(err)
	}
	defer root.Close()
	if info, err := root.Lstat("data/store"); err == nil && info.IsDir() {
		// An embedded engine's directory has its files one below.
		inner, err := root.OpenRoot("data")
		if err != nil {
			return unreadable(err)
		}
		defer inner.Close()
		return l.walkEngine(inner)
	}
	return l.walkEngine(root)
}

// walkEngine lists first and asks the engine then: what came meanwhile is not
// on the list, and what went is not there any more.
func (l *look) walkEngine(root *os.Root) error {
	w := &walk{root: root}
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
	parts, err := l.c.Warehouse.PartNames(l.ctx)
	if err != nil {
		return err
	}
	l.lookedAt("files of the engine", "directories of tables and parts, shadow copies, detached parts, files of users", w.n)
	for _, c := range w.copies {
		l.broken(unlisted, "files of the engine", "shadow/%s is a copy that FREEZE made, of %s, since %s: no rule covers it. Remove it with ALTER TABLE … UNFREEZE or SYSTEM UNFREEZE", plain(c.name), plural(uint64(c.files), "file"), instant(c.at))
	}
	var strange []string
	for _, name := range w.strange {
		strange = append(strange, plain(strings.ReplaceAll(name, "/", "_")))
	}
	for _, t := range w.tables {
		if !known[path.Base(t)] {
			strange = append(strange, plain(strings.ReplaceAll(t, "/", "_")))
		}
	}
	for _, p := range w.parts {
		if table := path.Base(path.Dir(p)); known[table] && !parts[table+"/"+path.Base(p)] && exists(root, p) {
			strange = append(strange, plain(strings.ReplaceAll(p, "/", "_")))
		}
	}
	if len(strange) > 0 {
		l.broken(unlisted, "files of the engine", "have %s of no table and no part that the engine knows, copies perhaps: %s. It neither reads nor removes them", plural(uint64(len(strange)), "entry"), some(strange))
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
	return fault.Unavailable.Errorf("reading the directory of the engine: %w", err)
}

// walk is what a directory of an engine has.
type walk struct {
	root    *os.Root
	n       int
	err     error
	copies  []shadowCopy
	tables  []string // store/abc/uuid
	parts   []string // store/abc/uuid/part
	strange []string
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

func (w *walk) shadow() {
	for _, e := range w.list("shadow") {
		if !e.IsDir() {
			if e.Name() != "increment.txt" {
				w.strange = append(w.strange, "shadow/"+e.Name())
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
	for _, e := range w.list(".") {
		if e.IsDir() && !slices.Contains(engineTop, e.Name()) {
			w.strange = append(w.strange, e.Name())
		}
	}
	// What a query writes to or reads from a file.
	for _, e := range w.list("user_files") {
		w.strange = append(w.strange, "user_files/"+e.Name())
	}
	// Tables of databases that are not Atomic lie here, and links to others.
	for _, database := range w.list("data") {
		if database.IsDir() && database.Name() != "system" {
			for _, table := range w.list("data/" + database.Name()) {
				if table.Type()&fs.ModeSymlink == 0 {
					w.strange = append(w.strange, "data/"+database.Name()+"/"+table.Name())
				}
			}
		}
	}
}

// store lists the directories of tables, store/abc/abcdef…, and what is in
// each.
func (w *walk) store() {
	for _, prefix := range w.list("store") {
		if !prefix.IsDir() {
			w.strange = append(w.strange, "store/"+prefix.Name())
			continue
		}
		for _, table := range w.list("store/" + prefix.Name()) {
			name := "store/" + prefix.Name() + "/" + table.Name()
			w.tables = append(w.tables, name)
			if table.IsDir() {
				w.table(name)
			}
		}
	}
}

// young says whether an entry was written within a day.
func young(e fs.DirEntry) bool {
	info, err := e.Info()
	return err != nil || time.Since(info.ModTime()) < 24*time.Hour
}

func (w *walk) table(dir string) {
	for _, e := range w.list(dir) {
		name := e.Name()
		switch {
		case slices.Contains(engineTable, name), strings.HasSuffix(name, ".sql"):
		case strings.HasPrefix(name, "mutation_") && strings.HasSuffix(name, ".txt"):
		case (strings.HasPrefix(name, "tmp") || strings.HasPrefix(name, "delete_tmp_")) && young(e):
			// Work under way.
		case e.IsDir():
			w.parts = append(w.parts, dir+"/"+name)
		default:
			w.strange = append(w.strange, dir+"/"+name)
		}
	}
}
