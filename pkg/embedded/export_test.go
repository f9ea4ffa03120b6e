package embedded

import (
	"context"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// JetStreamConfig is what the running server works by.
func (n *NATS) JetStreamConfig() *server.JetStreamConfig {
	srv, err := n.get()
	if err != nil {
		return nil
	}
	return srv.JetStreamConfig()
}

var (
	MergeTreeSettings = mergeTreeSettings
	ServerSettings    = serverSettings
	UserSettings      = userSettings
)

func (s setting) Name() string  { return s.name }
func (s setting) Value() string { return s.value }

// Setting makes a setting.
func Setting(name, value string) setting { return setting{name, value} }

// SetFirstStart changes how long the first start is tried, until the returned
// function is called. Engines must not be starting meanwhile.
func SetFirstStart(d time.Duration) (restore func()) {
	before := engineFirstStart
	engineFirstStart = d
	return func() { engineFirstStart = before }
}

// Identify asks the server on an HTTP port whether it is this engine.
func (e *Engine) Identify(ctx context.Context, port int) error {
	return e.identify(ctx, ports{http: port})
}

// LogPath is where the engine writes its log.
func (e *Engine) LogPath() string { return e.logPath() }

// Mute says whether the engine does not answer.
func (e *Engine) Mute(ctx context.Context) bool { return e.mute(ctx) }

// SaidFatal returns a reader of a log that says whether it said so since.
func SaidFatal(path string) func() bool {
	var c child
	return func() bool { return c.saidFatal(path) }
}

// SetLogLevel has engines log more until the returned function is called.
func SetLogLevel(level string) (restore func()) {
	before := logLevel
	logLevel = level
	return func() { logLevel = before }
}
