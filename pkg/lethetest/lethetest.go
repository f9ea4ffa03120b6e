package lethetest

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/process"
)

// handedOver is set by Main: the engine can be started.
var handedOver bool

// Main runs the tests of a package, or, when this process was started as the
// child that holds an engine, the engine. Call it from TestMain before
// anything else.
func Main(m *testing.M) int {
	if len(os.Args) > 1 && os.Args[1] == embedded.EngineChildCommand {
		embedded.EngineChildMain()
	}
	handedOver = true
	return m.Run()
}

// Logger writes to the log of the test, from level Debug up, and falls silent
// when the test ends. A benchmark's is silent: it would measure its log.
func Logger(t testing.TB) *slog.Logger {
	if _, ok := t.(*testing.B); ok {
		return slog.New(slog.DiscardHandler)
	}
	w := &output{w: t.Output()}
	t.Cleanup(w.close)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// output guards a test's output, which must not be written to after its end.
type output struct {
	mu sync.Mutex
	w  io.Writer // nil after close
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.w == nil {
		return len(p), nil
	}
	return o.w.Write(p)
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w = nil
}

// Start runs a service until the test ends, and returns when it is ready. The
// test fails when the service fails.
func Start(t testing.TB, name string, s process.Service) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, sync.OnceFunc(func() { close(ready) })) }()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		t.Fatalf("starting %s: %v", name, err)
	}
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("running %s: %v", name, err)
			}
		case <-time.After(time.Minute):
			t.Errorf("stopping %s: not done after a minute", name)
		}
	})
}

// required says whether a missing dependency is a failure here.
func required(name string) bool {
	return slices.Contains(strings.FieldsFunc(os.Getenv("LETHE_TEST_REQUIRE"), func(r rune) bool {
		return r == ',' || r == ' '
	}), name)
}
