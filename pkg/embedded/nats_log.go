package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
)

// natsLog passes what the server reports on to slog. The server writes for a
// terminal: its lines hold the addresses of clients, and names and topics as
// the clients sent them, which may be anything (P1). It puts all of these
// either in double quotes or in front as host:port.
type natsLog struct {
	log   *slog.Logger
	known map[string]bool // quoted texts that are ours and may stay
	fatal chan error      // holds the first fatal report
}

func newNATSLog(log *slog.Logger, users []NATSUser) *natsLog {
	l := &natsLog{log: log, known: make(map[string]bool), fatal: make(chan error, 1)}
	for _, u := range users {
		l.known[fmt.Sprintf("%q", u.Name)] = true
		l.known[fmt.Sprintf("%q", "$G/user:"+u.Name)] = true
	}
	return l
}

var (
	quoted  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	address = regexp.MustCompile(`\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?:%\w+)?)\]?(?::\d+)?`)
)

func (l *natsLog) redact(text string) string {
	text = quoted.ReplaceAllStringFunc(text, func(q string) string {
		if l.known[q] {
			return q
		}
		return `"…"`
	})
	return address.ReplaceAllString(text, "(address)")
}

// Warnf leaves out the advice to store password hashes: the passwords are
// random, made at every start, and stored nowhere.
func (l *natsLog) Warnf(format string, v ...any) {
	if strings.HasPrefix(format, "Plaintext passwords detected") {
		return
	}
	l.log.Warn("nats server warned", "report", l.redact(fmt.Sprintf(format, v...)))
}

func (l *natsLog) Errorf(format string, v ...any) {
	l.log.Error("nats server reported an error", "report", l.redact(fmt.Sprintf(format, v...)))
}

// Fatalf does not end the process, as the server's own logger would: it makes
// Run return.
func (l *natsLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- errors.New(l.redact(fmt.Sprintf(format, v...))):
	default:
	}
}

func (l *natsLog) Noticef(string, ...any) {}
func (l *natsLog) Debugf(string, ...any)  {}
func (l *natsLog) Tracef(string, ...any)  {}
