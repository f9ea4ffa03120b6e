package services_test

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// These tests are what somebody could do who took a service over: they hold
// exactly what the compose file gives it, and try what it must not do. The
// control of each refusal is the service that may.

// withEvents is a site whose stores hold events.
func withEvents(t *testing.T, events int) *site {
	t.Helper()
	s := newSite(t)
	s.start(services...)
	l := newLedger()
	s.publish(l, 0, events, func() {})
	s.settled(l)
	return s
}

// takeOver stops the services, so that what is tried meets nobody, but the one
// with the keyring.
func (s *site) takeOver() {
	s.t.Helper()
	for _, name := range slices.Backward(services) {
		if name != "pseudonymizer" {
			s.processes[name].stop()
		}
	}
}

// inCompose is the name in the compose file of whoever works as a user.
func inCompose(user string) string {
	switch user {
	case "operator":
		return "apply"
	case "cells":
		return "loader"
	}
	return user
}

// natsPassword is the setting that holds a user's password.
func natsPassword(user string) string {
	if user == "cells" { // in the loader's process, which has its own
		return "LETHE_NATS_CELLS_PASSWORD"
	}
	return "LETHE_NATS_PASSWORD"
}

// connect connects to the log with what a service was given.
func (s *site) connect(user string) *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect("nats://"+s.addresses["nats:4222"],
		append(eventlog.ConnectOptions(user), nats.UserInfo(user, s.setting(inCompose(user), natsPassword(user))),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
	if err != nil {
		s.t.Fatalf("connecting to the log as %s: %v", user, err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

// A deed on the log is to publish to a topic, or to subscribe to one.
type deed struct {
	what      string
	topic     string
	body      string
	subscribe bool
	may       []string // besides the operator
}

func deeds() []deed {
	at := func(verb, stream string) string { return "$JS.API." + verb + "." + stream }
	all := []deed{
		{what: "append to the raw log", topic: "lethe.raw.default.shop.http_access.0", may: []string{"gateway"}},
		{what: "append to the clean log", topic: "lethe.clean.default.shop.http_access.2026-01-01.0", may: []string{"pseudonymizer"}},
		{what: "append cells", topic: "lethe.clean.default.shop.cell.2149-06-06.0", may: []string{"pseudonymizer", "cells"}},
		{what: "write down a publisher's lease", topic: "$KV.lethe_cells.tried", may: []string{"cells"}},
		{what: "append to quarantine", topic: "lethe.quarantine.default.shop.http_access", may: []string{"pseudonymizer"}},
		{what: "write a manifest", topic: "$KV.lethe_loader.tried", may: []string{"loader"}},
		{what: "put a key's use on record", topic: "lethe.audit.key", may: []string{"pseudonymizer", "retention", "compliance"}},
		{what: "put a removal on record", topic: "lethe.audit.removal", may: []string{"retention", "compliance"}},
		{what: "put a question on record", topic: "lethe.audit.access", may: []string{"retention", "analyst", "compliance"}},
		{what: "keep a frame for a hold", topic: "lethe.hold.h.http_access", may: []string{"compliance"}},
		{what: "write down a hold", topic: "$KV.lethe_hold.tried", may: []string{"retention", "compliance"}},
		{what: "write down an inventory", topic: "$KV.lethe_retention.tried", may: []string{"retention"}},
		{what: "write down a policy", topic: "$KV.lethe_policy.tried"},
		{what: "confirm a jump of the clock", topic: "lethe.command.clock", may: []string{"compliance"}},
		{what: "publish as a publisher", topic: "lethe.publish.default.shop.http_access"},
		{what: "ask for a redrive", topic: "lethe.command.redrive", may: []string{"compliance"}},
		{what: "ask for a rebuild", topic: "lethe.command.rebuild", may: []string{"compliance"}},

		{what: "listen to the raw log", topic: "lethe.raw.>", subscribe: true},
		{what: "listen to the clean log", topic: "lethe.clean.>", subscribe: true},
		{what: "listen to quarantine", topic: "lethe.quarantine.>", subscribe: true},
		{what: "listen to everything", topic: ">", subscribe: true},
		{what: "listen to everybody's answers", topic: "_INBOX.>", subscribe: true},
		{what: "take publishers' requests", topic: event.PublishTopics, subscribe: true, may: []string{"gateway"}},
		{what: "answer for the keyring", topic: "lethe.command.keys", subscribe: true, may: []string{"pseudonymizer"}},
		{what: "listen to the record", topic: "lethe.audit.>", subscribe: true},
		{what: "listen to holds", topic: "lethe.hold.>", subscribe: true},
		{what: "answer for retention", topic: "lethe.command.clock", subscribe: true, may: []string{"retention"}},
		{what: "answer for the loader", topic: "lethe.command.rebuild", subscribe: true, may: []string{"loader"}},

		{what: "read on in the raw log", topic: at("CONSUMER.MSG.NEXT", "LETHE_RAW.pseudonymizer"), body: `{"no_wait":true}`, may: []string{"pseudonymizer"}},
		{what: "read on in the clean log", topic: at("CONSUMER.MSG.NEXT", "LETHE_CLEAN.loader"), body: `{"no_wait":true}`, may: []string{"loader"}},
		{what: "confirm for the pseudonymizer", topic: "$JS.ACK.LETHE_RAW.pseudonymizer.1.1.1.1.0", may: []string{"pseudonymizer"}},
		{what: "confirm for the loader", topic: "$JS.ACK.LETHE_CLEAN.loader.1.1.1.1.0", may: []string{"loader"}},
		{what: "look up in the raw log", topic: at("STREAM.MSG.GET", "LETHE_RAW"), body: `{"seq":1}`, may: []string{"retention"}}, // and opens nothing
		{what: "look up in the clean log", topic: at("STREAM.MSG.GET", "LETHE_CLEAN"), body: `{"seq":1}`, may: []string{"pseudonymizer", "loader", "retention", "compliance", "cells"}},
		{what: "look up in the record", topic: at("STREAM.MSG.GET", "LETHE_AUDIT"), body: `{"seq":1}`, may: []string{"retention", "compliance"}},
		{what: "look up in holds", topic: at("STREAM.MSG.GET", "LETHE_HOLD"), body: `{"seq":1}`, may: []string{"compliance"}},
		{what: "look up in quarantine", topic: at("STREAM.MSG.GET", "LETHE_QUARANTINE"), body: `{"seq":1}`, may: []string{"pseudonymizer"}},
		{what: "look up manifests", topic: at("STREAM.MSG.GET", "KV_lethe_loader"), body: `{"seq":1}`, may: []string{"loader", "retention"}}, // how much came
		{what: "purge the raw log", topic: at("STREAM.PURGE", "LETHE_RAW"), body: `{"filter":"none"}`, may: []string{"retention"}},
		{what: "purge the clean log", topic: at("STREAM.PURGE", "LETHE_CLEAN"), body: `{"filter":"none"}`, may: []string{"retention"}},
		{what: "purge the record", topic: at("STREAM.PURGE", "LETHE_AUDIT"), body: `{"filter":"none"}`, may: []string{"compliance"}},
		{what: "purge holds", topic: at("STREAM.PURGE", "LETHE_HOLD"), body: `{"filter":"none"}`, may: []string{"retention", "compliance"}},
		{what: "delete from the record", topic: at("STREAM.MSG.DELETE", "LETHE_AUDIT"), body: `{"seq":1000000}`},
		{what: "delete from the raw log", topic: at("STREAM.MSG.DELETE", "LETHE_RAW"), body: `{"seq":1000000}`, may: []string{"retention"}},
		{what: "delete from the clean log", topic: at("STREAM.MSG.DELETE", "LETHE_CLEAN"), body: `{"seq":1000000}`, may: []string{"retention"}},
		{what: "make a stream that copies", topic: at("STREAM.CREATE", "COPY"), body: `{}`},
		{what: "list streams", topic: "$JS.API.STREAM.NAMES", may: []string{"compliance"}},
	}
	for _, stream := range []string{"LETHE_RAW", "LETHE_CLEAN", "LETHE_QUARANTINE", "LETHE_AUDIT", "LETHE_HOLD", "KV_lethe_loader", "KV_lethe_retention", "KV_lethe_hold", "KV_lethe_policy", "KV_lethe_cells"} {
		all = append(all,
			deed{what: "look directly into " + stream, topic: "$JS.API.DIRECT.GET." + stream, body: `{"seq":1}`},
			deed{what: "make a consumer of " + stream, topic: at("CONSUMER.CREATE", stream), body: `{}`},
			deed{what: "make a named consumer of " + stream, topic: at("CONSUMER.CREATE", stream+".spy"), body: `{}`},
			deed{what: "make a durable consumer of " + stream, topic: at("CONSUMER.DURABLE.CREATE", stream+".spy"), body: `{}`},
			deed{what: "copy out " + stream, topic: at("STREAM.SNAPSHOT", stream), body: `{}`},
			deed{what: "change " + stream, topic: at("STREAM.UPDATE", stream), body: `{}`},
			deed{what: "delete " + stream, topic: at("STREAM.DELETE", stream), body: `{"not":"empty"}`},
		)
	}
	return all
}

func TestTakenOverServiceTouchesNoTopicBeyondItsOwn(t *testing.T) {
	s := withEvents(t, 100)
	s.processes["pseudonymizer"].stop()
	s.takeOver()
	for _, u := range eventlog.Users() {
		nc := s.connect(u.Name)
		for _, d := range deeds() {
			may := u.Name == "operator" || slices.Contains(d.may, u.Name)
			did, err := lethetest.Permits(nc, d.topic, []byte(d.body), d.subscribe)
			if err != nil {
				t.Errorf("%s: %s: %v", u.Name, d.what, err)
			} else if did != may {
				t.Errorf("%s: %s: allowed is %t and should be %t", u.Name, d.what, did, may)
			}
		}
	}
	// Nobody is another, or nobody.
	address := "nats://" + s.addresses["nats:4222"]
	for _, u := range eventlog.Users() {
		for _, other := range eventlog.Users() {
			nc, err := nats.Connect(address, nats.UserInfo(other.Name, s.setting(inCompose(u.Name), natsPassword(u.Name))))
			if err == nil {
				nc.Close()
			}
			if (err == nil) != (u.Name == other.Name) {
				t.Errorf("with the password of %s one is %s: %t", u.Name, other.Name, err == nil)
			}
		}
	}
	if nc, err := nats.Connect(address); err == nil {
		nc.Close()
		t.Error("without a user one may connect")
	}
}
