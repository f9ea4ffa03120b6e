//go:build (linux || darwin) && (amd64 || arm64)

package embedded

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

const (
	exitUnusable = 78 // EX_CONFIG of sysexits.h
	exitFailed   = 5
	exitLate     = 6
)

// engineLastExit is how long after being told to stop a child may live, when
// the parent is not there to kill it.
const engineLastExit = 8 * time.Second

// engineResult is what the library returns: struct local_result_v2 of chdb.h.
type engineResult struct {
	_   *byte          // buf
	_   uintptr        // len
	_   unsafe.Pointer // _vec
	_   float64        // elapsed
	_   uint64         // rows_read
	_   uint64         // bytes_read
	err *byte          // error_message
}

// EngineChildMain is the body of the hidden command [EngineChildCommand]: it
// loads the library and serves until its standard input ends or it is told to
// stop by a signal. Its arguments are written by the supervisor. It does not
// return.
func EngineChildMain() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "this command is for lethe itself")
		os.Exit(exitUnusable)
	}
	os.Exit(engineChild(os.Args[2], os.Args[3], os.Args[4], os.Args[5]))
}

func engineChild(library, dir, tcp, http string) int {
	// The library is made to be entered from one thread.
	runtime.LockOSThread()
	// A core file would hold whatever was in memory.
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		fmt.Fprintln(os.Stderr, "forbidding core files:", err)
		return exitUnusable
	}
	lib, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		fmt.Fprintln(os.Stderr, "loading the library:", err)
		return exitUnusable
	}
	const entry = "query_stable_v2"
	if _, err := purego.Dlsym(lib, entry); err != nil {
		fmt.Fprintln(os.Stderr, "the library is not the one it should be:", err)
		return exitUnusable
	}
	var query func(argc int32, argv unsafe.Pointer) *engineResult
	purego.RegisterLibFunc(&query, lib, entry)

	// The engine runs a file of statements and then the next one, which it
	// reads to the end first. The next one is a pipe to which nothing is
	// written: the engine serves until the pipe ends, and runs nothing then.
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		fmt.Fprintln(os.Stderr, "making a pipe:", err)
		return exitFailed
	}
	go endWithParent(pipe[1])

	args := []string{
		"clickhouse-local",
		"--config-file=" + filepath.Join(dir, configFile),
		"--path=" + filepath.Join(dir, "data"),
		"--listen_host=127.0.0.1",
		"--tcp_port=" + tcp,
		"--http_port=" + http,
		"--queries-file", filepath.Join(dir, startFile), fmt.Sprintf("/dev/fd/%d", pipe[0]),
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]*byte, len(args)+1)
	for i, a := range args {
		b, err := syscall.BytePtrFromString(a)
		if err != nil {
			fmt.Fprintln(os.Stderr, "a path holds a zero byte")
			return exitUnusable
		}
		pin.Pin(b)
		argv[i] = b
	}
	pin.Pin(&argv[0])

	result := query(int32(len(args)), unsafe.Pointer(&argv[0]))
	switch {
	case result == nil:
		fmt.Fprintln(os.Stderr, "the engine returned nothing")
		return exitFailed
	case result.err != nil:
		fmt.Fprintln(os.Stderr, cString(result.err))
		return exitFailed
	}
	return 0
}

// endWithParent closes the pipe when standard input ends, which the death of
// the parent brings about too, or when a signal asks for it.
func endWithParent(pipe int) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	eof := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // an error ends it as well
		close(eof)
	}()
	select {
	case <-signals:
	case <-eof:
	}
	_ = syscall.Close(pipe)
	time.Sleep(engineLastExit)
	os.Exit(exitLate)
}

// cString copies a string of C, up to a length that an error message does not
// need.
func cString(p *byte) string {
	n := 0
	for n < 4096 && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
