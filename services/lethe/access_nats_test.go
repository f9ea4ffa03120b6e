package main_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// natsMatrix tries everybody who may log in to NATS, and who may not, and for
// the one who may, every topic that Lethe has: what should become of each is
// what the permissions say. It returns how many cases that were. P14, P15.
func natsMatrix(t *testing.T, r *running, at doors) int {
	t.Helper()
	cases := natsLogins(t, r, at)
	who := assembly.NATSPublisher()
	nc, err := logIn(at, who.Name, natsPassword)
	if err != nil {
		t.Fatalf("the publisher cannot log in: %v", err)
	}
	defer nc.Close()
	before := r.stored()
	for name, c := range map[string]struct {
		topics, allowed, wider []string
		listen                 bool
	}{
		"publish to": {written(natsTopics(t)), who.Publish, []string{event.PublishTopics}, false},
		"listen to":  {append(natsTopics(t), written(natsTopics(t))...), who.Subscribe, []string{"_INBOX.>"}, true},
	} {
		got := map[string]bool{}
		for _, topic := range c.topics {
			cases++
			if got[topic], err = lethetest.Permits(nc, topic, []byte(`{}`), c.listen); err != nil {
				t.Errorf("%s %s: %v", name, topic, err)
			}
		}
		for _, topic := range differing(got, c.allowed) {
			t.Errorf("%s %s: allowed is %t and should be %t", name, topic, got[topic], !got[topic])
		}
		// The control: other permissions than these are found out.
		if len(differing(got, c.wider)) == 0 || len(differing(got, nil)) == 0 {
			t.Errorf("%s: wider permissions, or none, are not found out", name)
		}
	}
	// What is its own is answered, and of what is not, nobody heard.
	for topic, answered := range map[string]bool{
		"lethe.publish.default.shop.user_action": true, "lethe.publish.other.shop.user_action": false,
	} {
		cases++
		if _, err := nc.Request(topic, []byte(`{}`), 500*time.Millisecond); (err == nil) != answered {
			t.Errorf("a request to %s is answered: %v", topic, err)
		}
	}
	if after := r.stored(); !maps.Equal(before, after) {
		t.Errorf("something was stored: %v, and before %v", after, before)
	}
	return cases + natsRotated(t, r)
}

// differing are the topics of which something else became than permissions say.
func differing(got map[string]bool, allowed []string) (out []string) {
	for topic, did := range got {
		if did != slices.ContainsFunc(allowed, func(permission string) bool { return covers(permission, topic) }) {
			out = append(out, topic)
		}
	}
	return out
}

// natsLogins tries every user with every password that somebody may have.
func natsLogins(t *testing.T, r *running, at doors) (cases int) {
	t.Helper()
	publisher := assembly.NATSPublisher().Name
	users := []string{"", publisher, "nobody", "test", "default"}
	for _, u := range eventlog.Users() {
		users = append(users, u.Name)
	}
	passwords := []string{"", "guess", natsPassword, natsPassword + " "}
	for _, role := range access.Roles() {
		users, passwords = append(users, string(role)), append(passwords, r.Credential(string(role)))
	}
	slices.Sort(users)
	for _, user := range slices.Compact(users) {
		for i, password := range passwords {
			cases++
			nc, err := logIn(at, user, password)
			if err == nil {
				nc.Close()
			}
			if let := user == publisher && password == natsPassword; (err == nil) != let {
				t.Errorf("logging in as %q with password %d: let in is %t and should be %t", user, i, err == nil, let)
			}
		}
	}
	return cases
}

// natsRotated gives publishers another password: the one before opens nothing.
func natsRotated(t *testing.T, r *running) (cases int) {
	t.Helper()
	const next = "publishers' next"
	r.Stop()
	for i, kv := range r.Env {
		r.Env[i] = strings.Replace(kv, natsPassword, next, 1)
	}
	r.Start()
	at := r.doors()
	for password, let := range map[string]bool{natsPassword: false, next: true} {
		cases++
		nc, err := logIn(at, assembly.NATSPublisher().Name, password)
		if err == nil {
			nc.Close()
		}
		if (err == nil) != let {
			t.Errorf("after the password was changed, let in is %t and should be %t", err == nil, let)
		}
	}
	return cases
}

// logIn connects to NATS. What the server refuses later is for the caller to
// see.
func logIn(at doors, user, password string) (*nats.Conn, error) {
	options := append(eventlog.ConnectOptions(user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if user != "" || password != "" {
		options = append(options, nats.UserInfo(user, password))
	}
	return nats.Connect(at.NATS, options...)
}

// natsTopics are those that anybody of Lethe touches, those of publishers of
// this and other tenants, and what the server's API has for every stream.
func natsTopics(t testing.TB) []string {
	t.Helper()
	out := []string{
		">", "*", "lethe.>", "_INBOX.>", "_INBOX.*.*", "$JS.>", "$JS.API.>", "$KV.>", "$SYS.>", "$JS.API.INFO", "$SYS.REQ.SERVER.PING",
		"lethe.publish.>", "lethe.publish.*.*.*", "lethe.publish.default.>", "lethe.publish.default.shop", "lethe.publish.default.shop.user_action.more",
		"_INBOX.publisher.one", "_INBOX.publisher.>", "_INBOX.publisher",
	}
	for _, tenant := range []string{assembly.DefaultTenant, "other", "default2", "Default"} {
		for _, service := range []string{"shop", "web"} {
			for _, s := range policyOf(t, "").Schemas() {
				out = append(out, "lethe.publish."+tenant+"."+service+"."+s.Event)
			}
		}
	}
	for _, u := range eventlog.Users() {
		out = append(append(out, u.Publish...), u.Subscribe...)
	}
	for _, s := range eventlog.Streams(policyOf(t, ""), eventlog.Limits{}) {
		out = append(out, s.Subjects...)
		for _, verb := range []string{
			"STREAM.INFO", "STREAM.MSG.GET", "STREAM.MSG.DELETE", "STREAM.PURGE", "STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.SNAPSHOT",
			"CONSUMER.CREATE", "CONSUMER.DURABLE.CREATE", "CONSUMER.LIST", "CONSUMER.NAMES", "DIRECT.GET",
		} {
			out = append(out, "$JS.API."+verb+"."+s.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// written are topics that can be published to, one for each.
func written(topics []string) []string {
	out := make([]string, len(topics))
	for i, topic := range topics {
		out[i] = strings.NewReplacer("*", "tried", ">", "tried.it").Replace(topic)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// covers says whether a permission is for all of a topic, which may have
// wildcards of its own.
func covers(permission, topic string) bool {
	pattern := strings.NewReplacer(`\*`, `[^.>]+`, ">", ".+").Replace(regexp.QuoteMeta(permission))
	return regexp.MustCompile("^" + pattern + "$").MatchString(topic)
}

// stored is how many frames each log of events has.
func (r *running) stored() map[string]uint64 {
	r.t.Helper()
	var status struct {
		Logs []struct {
			Name     string
			Messages uint64
		}
	}
	if err := json.Unmarshal([]byte(r.Run("status", "-o", "json")), &status); err != nil || len(status.Logs) == 0 {
		r.t.Fatalf("the status names no logs: %v", err)
	}
	out := map[string]uint64{}
	for _, l := range status.Logs {
		out[l.Name] = l.Messages
	}
	return out
}
