//go:build !((linux || darwin) && (amd64 || arm64))

package embedded

import (
	"fmt"
	"os"
	"runtime"
)

const exitUnusable = 78

// EngineChildMain says that there is no embedded engine on this platform. It
// does not return.
func EngineChildMain() {
	fmt.Fprintf(os.Stderr, "there is no embedded ClickHouse for %s/%s\n", runtime.GOOS, runtime.GOARCH)
	os.Exit(exitUnusable)
}
