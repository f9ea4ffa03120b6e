package policy

import (
	"cmp"
	"io/fs"
	"path"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// MaxArchive is how many bytes an archive may measure.
const MaxArchive = 8 << 20

// archive is documents as one JSON text: what a policy was compiled from,
// without the directories it came from.
type archive struct {
	Format    string            `json:"format"`
	Documents map[string]string `json:"documents"` // path → text
}

const archiveFormat = "lethe-policy-1"

// Archive writes documents as one JSON text, from which [ParseArchive] makes
// them again: equal documents give equal texts. Documents that are not UTF-8,
// which no policy is compiled from, and more than [MaxArchive] bytes are
// [fault.Invalid].
func (d Documents) Archive() ([]byte, error) {
	a := archive{Format: archiveFormat, Documents: map[string]string{}}
	for _, doc := range d.all {
		a.Documents[doc.file] = string(doc.text)
	}
	text, err := json.Marshal(a, json.Deterministic(true))
	switch {
	case err != nil:
		return nil, fault.Invalid.Errorf("a policy document is not UTF-8")
	case len(text) > MaxArchive:
		return nil, fault.Invalid.Errorf("the policy's documents measure more than %d bytes", MaxArchive)
	}
	return text, nil
}

// ParseArchive reads what [Documents.Archive] wrote. What it reads may come
// from outside: anything that Archive does not write is [fault.Invalid], and
// what the documents say is for [Compile].
func ParseArchive(text []byte) (Documents, error) {
	var a archive
	switch {
	case len(text) > MaxArchive:
		return Documents{}, fault.Invalid.Errorf("the policy's documents measure more than %d bytes", MaxArchive)
	case json.Unmarshal(text, &a, json.RejectUnknownMembers(true)) != nil || a.Format != archiveFormat:
		return Documents{}, fault.Invalid.Errorf("that is not an archive of policy documents")
	}
	var docs Documents
	names := map[string]bool{}
	for file, text := range a.Documents {
		name := path.Base(file)
		switch {
		case !fs.ValidPath(file) || !isDocument(file):
			return Documents{}, fault.Invalid.Errorf("the archive holds a file that is no policy document")
		case names[name]:
			return Documents{}, fault.Invalid.Errorf("the archive holds two documents of one name")
		case len(text) > maxDocument:
			return Documents{}, fault.Invalid.Errorf("the archive holds a document larger than %d bytes", maxDocument)
		}
		names[name] = true
		docs.all = append(docs.all, document{file: file, text: []byte(text)})
	}
	docs.sort()
	return docs, nil
}

// isDocument says whether a file can be a policy document, by its name.
func isDocument(file string) bool {
	return !hidden(path.Base(file)) && slices.Contains([]string{".json", ".yaml", ".yml"}, path.Ext(file))
}

// sort puts documents in the order in which they are compiled and digested.
func (d Documents) sort() {
	slices.SortFunc(d.all, func(a, b document) int {
		return cmp.Or(cmp.Compare(path.Base(a.file), path.Base(b.file)), cmp.Compare(a.file, b.file))
	})
}
