package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var staticFiles embed.FS

// asset is a file and the digest that stands in its address, so that a browser
// may keep it for good and takes another one when it changes.
type asset struct {
	data   []byte
	digest string
	kind   string
}

// assets are the files that pages name, by their names.
var assets = func() map[string]asset {
	kinds := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	out := map[string]asset{}
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		kind := kinds[path.Ext(name)]
		if err != nil || d.IsDir() || kind == "" {
			return err
		}
		data, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		out[strings.TrimPrefix(name, "static/")] = asset{data, hex.EncodeToString(sum[:8]), kind}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return out
}()

// The files of others, as static/vendor/README.md lists them.
const (
	chartScript = "vendor/uplot-1.6.32/uPlot.iife.min.js"
	chartStyle  = "vendor/uplot-1.6.32/uPlot.min.css"
)

// address is where a file is served.
func address(name string) string {
	a, ok := assets[name]
	if !ok {
		panic("console: there is no file " + name)
	}
	return prefix + "static/" + a.digest + "/" + name
}

func serveStatic(w http.ResponseWriter, r *http.Request) {
	digest, name, _ := strings.Cut(r.PathValue("name"), "/")
	a, ok := assets[name]
	if !ok || a.digest != digest {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
}
