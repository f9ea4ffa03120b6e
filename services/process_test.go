package services_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// built is where the programs are, and "" when no test has needed them.
func built() (string, error) {
	if !wanted {
		return "", nil
	}
	return build()
}

var wanted bool

// build builds every program of the image, and the NATS server of the version
// that this module depends on.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lethe-test-bin-*")
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"build", "-tags", "crashpoints", "-o", dir + "/", "./..."},
		{"build", "-o", filepath.Join(dir, "nats-server"), "github.com/nats-io/nats-server/v2"},
	} {
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", errors.Join(fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out), os.RemoveAll(dir))
		}
	}
	return dir, nil
})

func program(t testing.TB, name string) string {
	t.Helper()
	wanted = true
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// A process is started again when it ends by itself, as a container with
// `restart: unless-stopped` is.
type process struct {
	t    testing.TB
	name string
	args []string
	env  []string
	well string // URL that answers 200 when it can do its work

	log *lethetest.Buffer

	// mu guards what follows.
	mu       sync.Mutex
	cmd      *exec.Cmd // nil while none runs
	ended    chan struct{}
	told     bool // to stop
	over     chan struct{}
	exit     error // of the last one
	restarts int
}

// start starts it and does not wait until it is ready.
func (p *process) start() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over != nil {
		p.t.Fatalf("%s runs already", p.name)
	}
	p.told, p.restarts, p.over = false, 0, make(chan struct{})
	if err := p.spawn(); err != nil {
		p.t.Fatal(err)
	}
	go p.keep(p.over)
}

// spawn is called with mu held.
func (p *process) spawn() error {
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env = p.env
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		err := cmd.Wait()
		p.mu.Lock()
		p.exit, p.cmd = err, nil
		p.mu.Unlock()
		close(ended)
	}(p.ended)
	return nil
}

// keep starts it again until it is told to stop.
func (p *process) keep(over chan struct{}) {
	defer close(over)
	pause := 100 * time.Millisecond
	for {
		p.mu.Lock()
		ended := p.ended
		p.mu.Unlock()
		<-ended
		p.mu.Lock()
		told := p.told
		p.mu.Unlock()
		if told {
			return
		}
		time.Sleep(pause) // as docker does
		pause = min(2*pause, 2*time.Second)
		p.mu.Lock()
		var err error
		if !p.told {
			p.restarts++
			err = p.spawn()
		}
		told = p.told
		p.mu.Unlock()
		if told || err != nil {
			return
		}
	}
}

// kill ends the process as a crash would, and waits until it has ended.
func (p *process) kill() {
	p.t.Helper()
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if cmd == nil {
		p.t.Errorf("%s is to be killed and does not run", p.name)
		return
	}
	_ = cmd.Process.Signal(syscall.SIGKILL)
	<-ended
}

// stop tells it to stop, and fails the test when it does not, within the time
// that a container has, or says that something went wrong.
func (p *process) stop() {
	p.t.Helper()
	if err := p.end(syscall.SIGTERM); err != nil {
		p.t.Errorf("stopping %s: %v\n%s", p.name, err, p.log.Tail(20))
	}
}

const stopGrace = 10 * time.Second

func (p *process) end(signal os.Signal) error {
	p.mu.Lock()
	cmd, over := p.cmd, p.over
	p.told = true
	p.mu.Unlock()
	if over == nil {
		return nil
	}
	if cmd != nil {
		_ = cmd.Process.Signal(signal)
	}
	late := false
	select {
	case <-over:
	case <-time.After(stopGrace):
		late = true
		if cmd != nil {
			_ = cmd.Process.Kill()
		}
		<-over
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = nil
	switch {
	case late:
		return fmt.Errorf("it still ran after %v", stopGrace)
	case cmd == nil:
		return nil // it was between two lives
	}
	return p.exit
}

// ready waits until it can do its work.
func (p *process) ready() {
	p.t.Helper()
	last := "nothing"
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(p.well)
		if err != nil {
			last = err.Error()
			continue
		}
		_ = resp.Body.Close()
		if last = resp.Status; resp.StatusCode == http.StatusOK {
			return
		}
	}
	p.t.Fatalf("%s did not become ready: %s\n%s", p.name, last, p.log.Tail(30))
}

// freeAddress is a loopback address that nothing listens on. Its port is not
// one that the system gives to connections going out, as a client that tries
// to reach a server which is down could be given the server's own.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000)))
		if err != nil {
			continue
		}
		defer l.Close()
		return l.Addr().String()
	}
	t.Fatal("there is no free port")
	return ""
}
