package lethetest

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
)

// NATS starts a server without a port. Without users it has one, "test" with
// the password "test", who may do everything.
func NATS(t testing.TB, users ...embedded.NATSUser) *embedded.NATS {
	t.Helper()
	if len(users) == 0 {
		users = []embedded.NATSUser{AnyNATSUser()}
	}
	n, err := embedded.NewNATS(embedded.NATSConfig{Dir: t.TempDir(), Users: users, Log: Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	Start(t, "nats", n)
	return n
}

// AnyNATSUser is the user "test" with the password "test", who may do
// everything.
func AnyNATSUser() embedded.NATSUser {
	return embedded.NATSUser{
		Name: "test", Password: "test",
		Publish: []string{">"}, Subscribe: []string{">"},
	}
}

// Permits says whether the server lets a connection publish a request to a
// topic, or listen to one. The connection needs an error handler of its own.
func Permits(nc *nats.Conn, topic string, body []byte, listen bool) (bool, error) {
	before := nc.LastError()
	inbox := nc.NewInbox()
	var sub *nats.Subscription
	var err error
	if listen {
		sub, err = nc.SubscribeSync(topic)
	} else if sub, err = nc.SubscribeSync(inbox); err == nil {
		err = nc.PublishRequest(topic, inbox, body)
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = sub.Unsubscribe() }() // one that was refused has ended
	// The server says what it refused before it answers the flush.
	if err := nc.Flush(); err != nil {
		return false, err
	}
	if last := nc.LastError(); last != before {
		if errors.Is(last, nats.ErrPermissionViolation) {
			return false, nil
		}
		return false, last
	}
	return true, nil
}
