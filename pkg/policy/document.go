package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Documents is what a policy is compiled from: every schema and pipeline
// document of every layer, after later layers have replaced what they mean to
// replace.
type Documents struct {
	all []document
}

type document struct {
	file string // path within its layer
	text []byte
}

func (d document) isSchema() bool { return path.Ext(d.file) == ".json" }

// maxDocument is the size above which a file cannot be a policy document.
const maxDocument = 4 << 20

// Load reads the documents of each layer: every *.json is a schema and every
// *.yaml or *.yml a pipeline or a list of deletion classes, at any depth. Files
// and directories whose names begin with a dot, and directories named derived
// or testdata, are passed over.
//
// A document of a later layer replaces the document of an earlier one that has
// the same base name, wherever either stands; any other is added. To replace
// an event, a class or a metric, replace the file that declares it: declaring
// it a second time elsewhere is a problem, so that nobody changes a rule
// without meaning to.
//
// Load fails when a layer cannot be read, or with Problems when one layer holds
// two documents of one name. What the documents say is for [Compile].
func Load(layers ...fs.FS) (Documents, error) {
	var docs Documents
	var problems Problems
	for _, layer := range layers {
		before := len(docs.all)
		err := fs.WalkDir(layer, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() {
				if name != "." && (hidden(entry.Name()) || entry.Name() == "derived" || entry.Name() == "testdata") {
					return fs.SkipDir
				}
				return nil
			}
			if !isDocument(name) {
				return nil
			}
			text, err := fs.ReadFile(layer, name)
			if err != nil {
				return err
			}
			doc := document{file: name, text: text}
			if len(text) > maxDocument {
				problems.add(place{file: name}, "is larger than %d bytes", maxDocument)
				return nil
			}
			for i, other := range docs.all {
				if path.Base(other.file) != path.Base(name) {
					continue
				}
				if i >= before {
					problems.add(place{file: name}, "has the same name as %s", other.file)
					return nil
				}
				// Taken out and appended, so that a third document of
				// this layer cannot replace it unseen.
				docs.all = slices.Delete(docs.all, i, i+1)
				before--
				break
			}
			docs.all = append(docs.all, doc)
			return nil
		})
		if err != nil {
			return Documents{}, fmt.Errorf("reading policy documents: %w", err)
		}
	}
	docs.sort()
	return docs, problems.orNil()
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// Files names the documents, by base name.
func (d Documents) Files() []string {
	files := make([]string, len(d.all))
	for i, doc := range d.all {
		files[i] = doc.file
	}
	return files
}

// Digest names the documents and the policy that they compile to: hex SHA-256
// over the directory, base name and text of every document, each with its
// length before it.
func (d Documents) Digest() string {
	h := sha256.New()
	for _, doc := range d.all {
		for _, part := range [][]byte{[]byte(doc.file), doc.text} {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			h.Write(part)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
