package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

const (
	// EngineVersion is the version of the package that engine/package.json
	// names, and with it of the library that [FindLibrary] looks for.
	EngineVersion = "26.7.3-stable.1"

	// EngineLibraryEnv names the variable that says where the library is.
	EngineLibraryEnv = "LETHE_ENGINE_LIB"
)

// FindLibrary returns the path of the engine's shared library: explicit unless
// empty, else what LETHE_ENGINE_LIB says, else the place in the user's cache
// directory that `make engine` fetches it to. Its error is a sentence that
// says what to do.
func FindLibrary(explicit string) (string, error) {
	named := explicit
	if named == "" {
		named = os.Getenv(EngineLibraryEnv)
	}
	const otherwise = "use `docker compose up`, or name a ClickHouse server with `clickhouse.addr`"
	if named != "" {
		path, err := filepath.Abs(named)
		if err == nil {
			err = isFile(path)
		}
		if err != nil {
			return "", fmt.Errorf("the ClickHouse library that the configuration or %s names cannot be used (%w); "+
				"name another, or none and run `make engine`, or %s", EngineLibraryEnv, err, otherwise)
		}
		return path, nil
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("the embedded ClickHouse is for linux/amd64 and this is %s/%s; %s",
			runtime.GOOS, runtime.GOARCH, otherwise)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no cache directory to find the embedded ClickHouse in (%w); set %s, or %s",
			err, EngineLibraryEnv, otherwise)
	}
	path := filepath.Join(cache, "lethe", "engine", EngineVersion,
		"node_modules", "@chdb", "lib-linux-x64-gnu", "libchdb.so")
	if err := isFile(path); err != nil {
		return "", fmt.Errorf("the embedded ClickHouse %s is not on this machine; run `make engine`, or %s",
			EngineVersion, otherwise)
	}
	return path, nil
}

func isFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	return nil
}
