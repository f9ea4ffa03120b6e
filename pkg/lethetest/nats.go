package lethetest

import (
	"testing"

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
