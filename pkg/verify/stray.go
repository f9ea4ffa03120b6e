package verify

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// What Lethe's own directories hold, as patterns of path.Match. What matches
// none is somebody else's, and what a directory that matches none holds is not
// looked into.
var (
	// natsFiles are those of the log: a stream's blocks and indices, how far its
	// consumers are, and the same of a batch that is being appended.
	natsFiles = slices.Concat(
		[]string{"lock", "jetstream", "jetstream/*", "jetstream/*/streams", natsStream, natsStream + "/batches", natsStream + "/batches/*"},
		natsStore(natsStream), natsStore(natsStream+"/batches/*"))
	// auditFiles are those of the audit log (pkg/audit), whose Check holds what
	// is in them to what was signed.
	auditFiles = []string{
		"key", "lock", auditYear, auditYear + "/checkpoint", auditYear + "/checkpoints", auditYear + "/checkpoints/[0-9]*",
		auditYear + "/tile", auditYear + "/tile/[0-9]", auditYear + "/tile/entries",
		auditTile, auditTile + ".p", auditTile + ".p/[0-9]*", auditTiles, auditTiles + "/*", auditTiles + "/*.p/[0-9]*",
	}
	// engineHollow are directories of the engine in which Lethe's has nothing,
	// and engineOwn those in which an embedded one has nothing either.
	engineHollow = []string{
		"dictionaries_lib", "disks", "dynamic_user_defined_executable_functions", "filesystem_caches", "format_schemas",
		"named_collections", "quarantine", "user_defined", "user_files", "user_scripts", "workload",
		"cores", // memory of an engine that crashed
	}
	engineOwn = []string{"access", "coordination", "flags", "log", "preprocessed_configs"}
)

const (
	natsStream = "jetstream/*/streams/*"
	auditYear  = "[0-9][0-9][0-9][0-9]"
	auditTile  = auditYear + "/tile/*/[0-9][0-9][0-9]"
	auditTiles = auditYear + "/tile/*/x[0-9][0-9][0-9]"
)

// natsStore are the files that the log's server keeps of one store of messages.
func natsStore(at string) (files []string) {
	for _, file := range []string{
		"meta.*", "msgs", "__msgs__", "msgs/lock", "msgs/*.db", "msgs/[0-9]*.blk", "msgs/[0-9]*.key", "msgs/[0-9]*.new", "msgs/*.tmp",
		"obs", "obs/*", "obs/*/meta.*", "obs/*/o.*",
	} {
		files = append(files, at+"/"+file)
	}
	return files
}

// only finds strange what a directory has, however deep, beside what matches a
// pattern. What is being written or removed may be there for a while.
func (w *walk) only(dir string, patterns []string) {
	w.onlyBelow(dir, "", patterns)
}

func (w *walk) onlyBelow(dir, below string, patterns []string) {
	for i, e := range w.list(path.Join(dir, below)) {
		name := path.Join(below, e.Name())
		passing := strings.HasPrefix(e.Name(), ".temp-") || strings.HasPrefix(e.Name(), ".removed-")
		switch {
		case passing && young(e, stale):
		case !slices.ContainsFunc(patterns, func(p string) bool {
			is, _ := path.Match(p, name)
			return is
		}):
			w.strange = append(w.strange, w.found(path.Join(dir, below), i, e))
		case e.IsDir():
			w.onlyBelow(dir, name, patterns)
		}
	}
}

// hollow finds strange what is in directories of the engine that should have
// nothing, and in those of its metadata what is no definition of a table.
func (w *walk) hollow() {
	for _, dir := range engineHollow {
		w.expect(dir)
	}
	if w.below != "" { // an embedded one
		for _, dir := range engineOwn {
			w.expect(dir)
		}
	}
	for _, dir := range []string{"metadata", "metadata_dropped"} {
		for i, e := range w.list(dir) {
			switch {
			case e.IsDir() && dir == "metadata":
				for j, table := range w.list(path.Join(dir, e.Name())) {
					if !strings.HasSuffix(table.Name(), ".sql") {
						w.strange = append(w.strange, w.found(path.Join(dir, plain(e.Name())), j, table))
					}
				}
			case e.Type()&fs.ModeSymlink == 0 && !strings.HasSuffix(e.Name(), ".sql"):
				w.strange = append(w.strange, w.found(dir, i, e))
			}
		}
	}
}
