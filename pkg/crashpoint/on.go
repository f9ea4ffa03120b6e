//go:build crashpoints

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Enabled says whether this build can crash on purpose.
const Enabled = true

var (
	point, count = parse(os.Getenv("LETHE_CRASH_AT"))
	reached      atomic.Int64
)

// Reach kills the process with SIGKILL when LETHE_CRASH_AT names this point,
// the first time or, written "name:N", the Nth time that it is reached. It does
// not return then.
func Reach(name string) {
	if name != point || reached.Add(1) != count {
		return
	}
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill() // what follows holds whether or not it can
	}
	select {} // the signal is on its way; do nothing more
}

// parse panics on a count that is none, because a crash test that never
// crashes passes.
func parse(s string) (string, int64) {
	name, n, found := strings.Cut(s, ":")
	if !found {
		return name, 1
	}
	count, err := strconv.ParseInt(n, 10, 64)
	if err != nil || count < 1 {
		panic("LETHE_CRASH_AT: what follows the colon is not a count from 1 upward")
	}
	return name, count
}
