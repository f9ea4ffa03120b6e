package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

const (
	// engineStartTimeout bounds one start. Measured: 0.1 to 0.4 s empty, about
	// the same with 17 million rows.
	engineStartTimeout = 2 * time.Minute

	// engineLookEvery is how often the log of the engine is looked at for
	// news of its death.
	engineLookEvery = 100 * time.Millisecond
	// engineAnswer is how soon an engine answers that is suspected of dying.
	engineAnswer = 250 * time.Millisecond

	// A crash is followed by a start at once, and the next by longer and longer
	// pauses, until an engine lives for engineSettled.
	engineBackoffMin = 50 * time.Millisecond
	engineBackoffMax = 5 * time.Second
	engineSettled    = 10 * time.Second

	// The steps of stopping, together under process.StopTimeout. Measured: 15
	// to 60 ms, unless a stranger holds a connection to the HTTP port; for that
	// one the engine would wait five seconds.
	engineStopEOF  = 2500 * time.Millisecond
	engineStopTERM = 500 * time.Millisecond
)

// engineFirstStart is how long Run tries before it gives up the first start.
// The engine of a process that was killed a moment ago may hold the directory
// for some seconds. It is a variable for the test of giving up.
var engineFirstStart = 15 * time.Second

// Run starts the engine and starts it again whenever it ends, until ctx ends.
// It returns an error only when the engine cannot be started the first time.
func (e *Engine) Run(ctx context.Context, ready func()) error {
	defer close(e.stopped)
	defer e.setChild(nil)
	if err := e.makeDirs(); err != nil {
		return err
	}
	var (
		giveUp  = time.Now().Add(engineFirstStart)
		started = false
		pause   time.Duration
	)
	for {
		c, err := e.start(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				e.stopChild(c)
			}
			return nil
		case err != nil && !started && (errors.Is(err, errUnusable) || time.Now().After(giveUp)):
			return fmt.Errorf("starting the engine: %w", err)
		case err != nil && started:
			e.cfg.Log.Error("engine did not start", "err", err)
		case err == nil:
			e.setChild(c)
			if !started {
				started = true
				ready()
			}
			crashed := e.attend(ctx, c)
			if !crashed || time.Since(c.began) >= engineSettled {
				pause = 0
			}
		}
		if !sleep(ctx, pause) {
			return nil
		}
		pause = min(max(2*pause, engineBackoffMin), engineBackoffMax)
	}
}

// attend watches over a child that is ready until it ends, and ends it in
// order when ctx ends or its users are replaced.
func (e *Engine) attend(ctx context.Context, c *child) (crashed bool) {
	log := e.cfg.Log.With("pid", c.cmd.Process.Pid)
	log.Info("engine ready", "elapsed", time.Since(c.began))
	tick := time.NewTicker(engineLookEvery)
	defer tick.Stop()
	suspicion := 0 // for how many ticks more the child must prove that it lives
	for {
		if e.outdated(c) {
			e.stopChild(c)
			log.Info("engine stopped to read its users")
			return false
		}
		select {
		case <-c.ended:
			e.setChild(nil)
			log.Error("engine crashed", "err", c.err, "lived", time.Since(c.began), "details", e.logPath())
			return true
		case <-e.reload:
		case <-ctx.Done():
			e.stopChild(c)
			log.Info("engine stopped")
			return false
		case <-tick.C:
			if c.saidFatal(e.logPath()) {
				suspicion = 20
			}
			if suspicion > 0 {
				suspicion--
				if e.mute(ctx) {
					// It would sit for three seconds, answering nobody, before
					// it aborts. It has said what it has to say.
					e.setChild(nil)
					c.kill()
				}
			}
		}
	}
}

// mute says whether the engine does not answer at once. What stands in the log
// is not enough to kill it for: the text of a statement can look like it.
func (e *Engine) mute(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, engineAnswer)
	defer cancel()
	e.mu.Lock()
	p := e.ports
	e.mu.Unlock()
	return e.identify(ctx, p) != nil
}

// saidFatal says whether the log has grown, since it was last looked at, by a
// line that says that the engine is about to end.
func (c *child) saidFatal(log string) bool {
	f, err := os.Open(log)
	if err != nil {
		return false // there is nothing in it yet
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == c.read {
		return false
	}
	if info.Size() < c.read {
		c.read = 0 // the log was rotated
	}
	const most = 1 << 20
	text, err := io.ReadAll(io.NewSectionReader(f, c.read, most))
	if err != nil {
		return false
	}
	// Stop behind the last whole line; the rest is read with its end. A line
	// that fills the buffer is not one we look for.
	if n := bytes.LastIndexByte(text, '\n') + 1; n > 0 || len(text) < most {
		text = text[:n]
	}
	c.read += int64(len(text))
	return fatalLine.Match(text)
}

// fatalLine is how the engine's log begins a line of the highest level.
var fatalLine = regexp.MustCompile(`(?m)^[\d.]+ [\d:.]+ \[ \d+ \] \{[^}\n]*\} <Fatal> `)

// child is one process that holds, or held, an engine.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	began time.Time
	users int   // the version of the users it works by
	read  int64 // how much of the log saidFatal has seen
	ended chan struct{}
	err   error // how it ended; set before ended is closed
}

// errUnusable is an end of the child that trying again will not mend.
var errUnusable = errors.New("the library cannot be used")

// start makes a child and waits until the engine in it answers, and is the one
// in our directory. It leaves no child behind when it fails.
func (e *Engine) start(ctx context.Context) (*child, error) {
	e.mu.Lock()
	p, u := e.ports, e.users
	e.mu.Unlock()
	p, err := p.usable()
	if err != nil {
		return nil, err
	}
	if err := e.writeFiles(u.xml); err != nil {
		return nil, err
	}
	c, err := e.spawn(p)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, engineStartTimeout)
	defer cancel()
	for {
		err := e.identify(ctx, p)
		select {
		case <-c.ended:
			// Whoever answered was not ours.
			if c.cmd.ProcessState.ExitCode() == exitUnusable {
				return nil, fmt.Errorf("%w: %s", errUnusable, e.lastWords())
			}
			return nil, fmt.Errorf("it ended before it was ready (%w); what it said is in %s", c.err, e.outputPath())
		default:
		}
		if err == nil {
			c.users = u.version
			e.mu.Lock()
			e.ports = p
			e.mu.Unlock()
			return c, nil
		}
		if !sleep(ctx, 5*time.Millisecond) {
			c.kill()
			return nil, fmt.Errorf("it did not answer in time: %w", err)
		}
	}
}

func (e *Engine) spawn(p ports) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	if runtime.GOOS == "linux" {
		// The very program that runs, though its file be replaced meanwhile.
		self = "/proc/self/exe"
	}
	out, err := os.OpenFile(e.outputPath(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the output of the engine: %w", err)
	}
	defer out.Close()

	cmd := exec.Command(self, EngineChildCommand, e.cfg.Library, e.cfg.Dir, strconv.Itoa(p.tcp), strconv.Itoa(p.http))
	cmd.Args[0] = os.Args[0]
	cmd.Dir = e.cfg.Dir
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = ownGroup()
	// Nothing of our environment: it may hold credentials. The time zone of the
	// engine follows TZ and nothing else.
	cmd.Env = []string{"TZ=UTC", "HOME=" + e.cfg.Dir, "GOTRACEBACK=single"}
	// Built with the race detector, as tests are, it would linger for a second.
	cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0")
	if v, ok := os.LookupEnv("LD_LIBRARY_PATH"); ok {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+v)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making the pipe to the engine: %w", err)
	}
	c := &child{cmd: cmd, stdin: stdin, began: time.Now(), ended: make(chan struct{})}
	if info, err := os.Stat(e.logPath()); err == nil {
		c.read = info.Size() // what is there was said by another
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	go func() {
		if c.err = cmd.Wait(); c.err == nil {
			c.err = errors.New("exit status 0")
		}
		close(c.ended)
	}()
	return c, nil
}

// stopChild ends a child in order: its connections go first, because the
// engine waits for them; then its standard input, which is its reason to live;
// then a signal; and at last SIGKILL, after which nothing acknowledged is
// missing either.
func (e *Engine) stopChild(c *child) {
	e.setChild(nil)
	_ = c.stdin.Close() // fails only when the child is gone
	if c.await(engineStopEOF) {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	if c.await(engineStopTERM) {
		return
	}
	e.cfg.Log.Warn("engine killed", "pid", c.cmd.Process.Pid)
	c.kill()
}

func (c *child) await(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.ended:
		return true
	case <-timer.C:
		return false
	}
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // fails only when the child is gone
	<-c.ended
}

func (e *Engine) outputPath() string { return filepath.Join(e.cfg.Dir, "log", "output.log") }
func (e *Engine) logPath() string    { return filepath.Join(e.cfg.Dir, "log", "server.log") }

// lastWords is what a child wrote that could not use the library.
func (e *Engine) lastWords() string {
	text, err := os.ReadFile(e.outputPath())
	if err != nil || len(text) == 0 {
		return "it did not say why"
	}
	return string(text[:min(len(text), 500)])
}

// sleep reports whether it slept to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
