package embedded_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
)

func TestLockFileNamesTheVersionAndTheDigestAndNoAddress(t *testing.T) {
	text, err := os.ReadFile("engine/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Version, Integrity, Resolved string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	p := lock.Packages["node_modules/@chdb/lib-linux-x64-gnu"]
	if p.Version != embedded.EngineVersion || !strings.HasPrefix(p.Integrity, "sha512-") {
		t.Errorf("the lock file names version %q with digest %q, want %q with a SHA-512",
			p.Version, p.Integrity, embedded.EngineVersion)
	}
	if strings.Contains(string(text), "://") {
		t.Error("the lock file names an address")
	}
	pack, err := os.ReadFile("engine/package.json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(pack), `"`+embedded.EngineVersion+`"`) {
		t.Errorf("package.json does not name version %s", embedded.EngineVersion)
	}
}

func TestLibraryIsFoundWhereItIsNamedFirst(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	find := func(explicit, want string) {
		t.Helper()
		if got, err := embedded.FindLibrary(explicit); err != nil || got != want {
			t.Errorf("FindLibrary = %q, %v, want %q", got, err, want)
		}
	}
	missing := func(explicit string) {
		t.Helper()
		got, err := embedded.FindLibrary(explicit)
		if err == nil {
			t.Fatalf("FindLibrary = %q, want a sentence", got)
		}
		if !strings.Contains(err.Error(), "make engine") && !strings.Contains(err.Error(), "docker compose") {
			t.Errorf("FindLibrary = %q, which does not say what to do", err)
		}
	}
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	t.Setenv(embedded.EngineLibraryEnv, "")
	missing("")
	if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
		find("", file("lethe/engine/"+embedded.EngineVersion+"/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"))
	}
	explicit, env := file("explicit.so"), file("env.so")
	t.Setenv(embedded.EngineLibraryEnv, env)
	find("", env)
	find(explicit, explicit)
	missing(filepath.Join(dir, "nowhere.so"))
	missing(dir)
	t.Setenv(embedded.EngineLibraryEnv, filepath.Join(dir, "nowhere.so"))
	missing("")
}
