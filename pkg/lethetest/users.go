package lethetest

import (
	"testing"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
	"github.com/lethe-pipeline/lethe/schemas"
)

// BuiltIn compiles the policy that Lethe comes with.
func BuiltIn(t testing.TB) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// Password is that of a user of [EngineUsers] and [NATSUsers].
func Password(user string) string { return "test-" + user }

// Overseer is a user of [EngineUsers] who may do everything. A running Lethe has
// none: nobody there sees every row. Tests look at what is there as this user,
// and do to it what nobody may.
const Overseer = "overseer"

// EngineUsers are the users that a policy's warehouse has in a running Lethe,
// and the [Overseer].
func EngineUsers(pol *policy.Policy) []embedded.EngineUser {
	var users []embedded.EngineUser
	for _, u := range warehouse.Users(pol) {
		users = append(users, embedded.EngineUser{
			Name: u.Name, Password: Password(u.Name),
			Grants: u.Grants, Filters: u.Filters, Settings: u.Settings, Changeable: u.Changeable, ReadOnly: u.ReadOnly,
		})
	}
	return append(users, embedded.EngineUser{Name: Overseer, Password: Password(Overseer), Grants: []string{"GRANT ALL ON *.*"}})
}

// NATSUsers are the users that the logs have in a running Lethe.
func NATSUsers() []embedded.NATSUser {
	var users []embedded.NATSUser
	for _, u := range eventlog.Users() {
		users = append(users, embedded.NATSUser{
			Name: u.Name, Password: Password(u.Name),
			Publish: u.Publish, Subscribe: u.Subscribe, AllowResponses: u.AllowResponses,
		})
	}
	return users
}
