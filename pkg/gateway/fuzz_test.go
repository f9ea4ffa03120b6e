package gateway_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/gateway"
)

// FuzzParse: no body is a fault, none is changed by being read, and a body that
// is taken holds what may be.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		line("m", ""), "[" + line("m", `"id":"1",`) + "," + cloud("m", "app_log") + "]",
		line("m", "") + "\n" + line("n", ""), `{"level":"info"}`, "[", "{}", "[[]]", `{"data":{"data":{}}}`, "\n\n", " [ 1 , {} ] ",
		`{"specversion":"1.0","data_base64":"e30="}`, "{\"\xff\":1}", `{"a":1,"a":2}`,
	} {
		f.Add([]byte(seed))
	}
	dir := filepath.Join("..", "..", "..", "shared", "data", "hostile", "json")
	if set := os.Getenv("LETHE_TEST_DATA"); set != "" {
		dir = filepath.Join(set, "hostile", "json")
	}
	if files, err := os.ReadDir(dir); err == nil {
		for _, file := range files {
			if b, err := os.ReadFile(filepath.Join(dir, file.Name())); err == nil && len(b) < 10000 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		for _, as := range gateway.Forms {
			n, err := gateway.Parse(as, body)
			if err != nil && errors.Unwrap(err) != nil {
				t.Error("an error wraps one that may hold a value")
			}
			if n > gateway.MaxEvents {
				t.Errorf("%d events", n)
			}
		}
		if !bytes.Equal(before, body) {
			t.Error("the body was changed")
		}
	})
}
