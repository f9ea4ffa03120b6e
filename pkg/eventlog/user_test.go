package eventlog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// deed is something that a user may or may not do: publish to a topic, or
// subscribe to one.
type deed struct {
	what      string
	topic     string
	body      string
	subscribe bool
	// reply says that who may do it gets an answer that is no error.
	reply bool
	may   []string // besides the operator
}

func deeds() []deed {
	everyone := []string{"gateway", "pseudonymizer", "loader", "retention", "cells", "analyst", "compliance"}
	d := []deed{
		{what: "append raw", topic: rawTopic, body: "x", reply: true, may: []string{"gateway"}},
		{what: "append clean", topic: "lethe.clean.a.b.t.2026-01-01.0", body: "x", reply: true, may: []string{"pseudonymizer"}},
		{what: "append cells", topic: "lethe.clean.a.b.cell.2149-06-06.0", body: "x", reply: true, may: []string{"pseudonymizer", "cells"}},
		{what: "append to quarantine", topic: "lethe.quarantine.a.b.c", body: "x", reply: true, may: []string{"pseudonymizer"}},
		{what: "put a publisher's lease", topic: "$KV.lethe_cells.lease", body: "x", reply: true, may: []string{"cells"}},
		{what: "put a manifest", topic: "$KV.lethe_loader.m1", body: "x", reply: true, may: []string{"loader"}},

		{what: "listen to the raw log", topic: "lethe.raw.>", subscribe: true},
		{what: "listen to the clean log", topic: "lethe.clean.>", subscribe: true},
		{what: "listen to quarantine", topic: "lethe.quarantine.>", subscribe: true},
		{what: "listen to everything", topic: ">", subscribe: true},
		{what: "listen to others' answers", topic: "_INBOX.>", subscribe: true},
		{what: "listen to the loader's answers", topic: "_INBOX.loader.>", subscribe: true, may: []string{"loader"}},
		{what: "listen to the gateway's answers", topic: "_INBOX.gateway.>", subscribe: true, may: []string{"gateway"}},
		{what: "take publishers' requests", topic: "lethe.publish.*.*.*", subscribe: true, may: []string{"gateway"}},
		{what: "answer for its status", topic: "lethe.status", subscribe: true, may: everyone},
		{what: "listen to the server's advisories", topic: "$JS.EVENT.>", subscribe: true},

		{what: "publish events as a publisher", topic: "lethe.publish.acme.web.http_access", body: "{}"},
		{what: "ask for status", topic: "lethe.status", may: []string{"compliance"}},
		{what: "read through another consumer", topic: "$JS.API.CONSUMER.MSG.NEXT.LETHE_RAW.other", body: "1"},
		{what: "make a consumer", topic: "$JS.API.CONSUMER.CREATE.LETHE_RAW", body: `{"stream_name":"LETHE_RAW","config":{"ack_policy":"none"}}`},
		{what: "make a push consumer", topic: "$JS.API.CONSUMER.CREATE.LETHE_CLEAN.p.>", body: `{}`},
		{what: "make a stream", topic: "$JS.API.STREAM.CREATE.COPY", body: `{"name":"COPY","mirror":{"name":"LETHE_RAW"}}`},
		{what: "back up a stream", topic: "$JS.API.STREAM.SNAPSHOT.LETHE_RAW", body: `{"deliver_subject":"_INBOX.x"}`},
		{what: "restore a stream", topic: "$JS.API.STREAM.RESTORE.LETHE_RAW", body: `{}`},
		{what: "delete a consumer", topic: "$JS.API.CONSUMER.DELETE.LETHE_RAW.nobody"},
		{what: "list streams", topic: "$JS.API.STREAM.NAMES", reply: true, may: []string{"compliance"}},
		{what: "pause a consumer", topic: "$JS.API.CONSUMER.PAUSE.LETHE_RAW.pseudonymizer", body: `{}`},
		{what: "step a leader down", topic: "$JS.API.STREAM.LEADER.STEPDOWN.LETHE_RAW"},
		{what: "look at the account", topic: "$JS.API.INFO"},
	}
	stream := func(what, topic, body string, reply bool, may map[string][]string) {
		for _, s := range []string{
			"LETHE_RAW", "LETHE_CLEAN", "LETHE_QUARANTINE", "LETHE_AUDIT", "LETHE_HOLD",
			"KV_lethe_loader", "KV_lethe_retention", "KV_lethe_hold", "KV_lethe_policy", "KV_lethe_cells",
		} {
			d = append(d, deed{what: what + " " + s, topic: topic + s, body: body, reply: reply, may: may[s]})
		}
	}
	stream("describe", "$JS.API.STREAM.INFO.", "", true, map[string][]string{
		"LETHE_RAW":          {"gateway", "pseudonymizer", "retention", "compliance"},
		"LETHE_CLEAN":        {"pseudonymizer", "loader", "retention", "compliance"},
		"LETHE_QUARANTINE":   {"pseudonymizer", "retention", "compliance"},
		"LETHE_AUDIT":        {"pseudonymizer", "retention", "compliance"},
		"LETHE_HOLD":         {"retention", "compliance"},
		"KV_lethe_loader":    {"loader", "compliance"},
		"KV_lethe_retention": {"retention", "compliance"},
		"KV_lethe_hold":      {"retention", "compliance"},
		"KV_lethe_policy":    {"compliance"},
		"KV_lethe_cells":     {"compliance"},
	})
	stream("look up in", "$JS.API.STREAM.MSG.GET.", `{"seq":1}`, true, map[string][]string{
		"LETHE_RAW":          {"retention"},                                                   // and opens nothing
		"LETHE_CLEAN":        {"pseudonymizer", "loader", "retention", "compliance", "cells"}, // sealed
		"LETHE_QUARANTINE":   {"pseudonymizer"},
		"LETHE_AUDIT":        {"retention", "compliance"},
		"LETHE_HOLD":         {"compliance"},
		"KV_lethe_loader":    {"loader", "retention"},
		"KV_lethe_retention": {"retention", "compliance"},
		"KV_lethe_hold":      {"retention", "compliance"},
		"KV_lethe_policy":    {"compliance"},
		"KV_lethe_cells":     {"cells", "analyst"},
	})
	stream("look up directly in", "$JS.API.DIRECT.GET.", `{"seq":1}`, false, nil)
	stream("delete from", "$JS.API.STREAM.MSG.DELETE.", `{"seq":1000000}`, false, map[string][]string{
		"LETHE_RAW":          {"retention"},
		"LETHE_CLEAN":        {"retention"},
		"LETHE_QUARANTINE":   {"retention", "pseudonymizer"},
		"KV_lethe_loader":    {"loader"},
		"KV_lethe_retention": {"retention"},
		"KV_lethe_hold":      {"compliance"},
	})
	stream("purge", "$JS.API.STREAM.PURGE.", `{"filter":"none"}`, true, map[string][]string{
		"LETHE_RAW": {"retention"}, "LETHE_CLEAN": {"retention"}, "LETHE_QUARANTINE": {"retention"},
		"LETHE_AUDIT": {"compliance"}, "LETHE_HOLD": {"retention", "compliance"},
	})
	stream("change", "$JS.API.STREAM.UPDATE.", `{}`, false, nil)
	stream("delete", "$JS.API.STREAM.DELETE.", `{"not":"empty"}`, false, nil)

	for _, c := range []struct{ stream, name string }{{"LETHE_RAW", "pseudonymizer"}, {"LETHE_CLEAN", "loader"}} {
		only := []string{c.name}
		at := c.stream + "." + c.name
		describe := append(slices.Clone(only), "retention", "compliance")
		if c.name == "loader" {
			describe = append(describe, "cells") // which counts what is loaded
		}
		d = append(d,
			deed{what: "read through " + at, topic: "$JS.API.CONSUMER.MSG.NEXT." + at, body: `{"batch":1,"no_wait":true}`, may: only},
			deed{what: "start over " + at, topic: "$JS.API.CONSUMER.RESET." + at, body: `{}`, reply: true, may: only},
			deed{what: "confirm on " + at, topic: "$JS.ACK." + at + ".1.1.1.1.0", may: only},
			deed{what: "confirm, in the other form, on " + at, topic: "$JS.ACK._.hash." + at + ".1.1.1.1.0", may: only},
			deed{what: "describe " + at, topic: "$JS.API.CONSUMER.INFO." + at, reply: true, may: describe},
		)
	}
	return d
}

func TestEachServiceTouchesOnlyItsTopics(t *testing.T) {
	s := open(t, eventlog.Limits{})
	// Something to find.
	for _, topic := range []string{rawTopic, "lethe.clean.a.b.t.2026-01-01.0", "lethe.quarantine.a.b.c", "lethe.audit.key", "lethe.hold.h.t",
		"$KV.lethe_loader.m0", "$KV.lethe_retention.m0", "$KV.lethe_hold.m0", "$KV.lethe_policy.m0", "$KV.lethe_cells.m0"} {
		if _, err := s.js("operator").Publish(t.Context(), topic, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range deeds() {
		for _, u := range eventlog.Users() {
			may := u.Name == "operator" || slices.Contains(d.may, u.Name)
			did, err := s.try(u.Name, d)
			if err != nil {
				t.Errorf("%s: %s: %v", u.Name, d.what, err)
			} else if did != may {
				t.Errorf("%s: %s: allowed is %t and should be %t", u.Name, d.what, did, may)
			}
		}
	}
}

// try does a deed and says whether the server let the user do it.
func (s *site) try(user string, d deed) (allowed bool, err error) {
	nc := s.connect(user, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	defer nc.Close()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return false, err
	}
	if d.subscribe {
		_, err = nc.SubscribeSync(d.topic)
	} else {
		err = nc.PublishRequest(d.topic, inbox, []byte(d.body))
	}
	if err != nil {
		return false, err
	}
	// The server says what it refused before it answers the flush.
	if err := nc.Flush(); err != nil {
		return false, err
	}
	if last := nc.LastError(); last != nil {
		if !errors.Is(last, nats.ErrPermissionViolation) {
			return false, last
		}
		return false, nil
	}
	if !d.reply {
		return true, nil
	}
	msg, err := sub.NextMsg(5 * time.Second)
	if err != nil {
		return true, fmt.Errorf("no answer: %w", err)
	}
	var answer struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &answer); err != nil || answer.Error != nil {
		return true, fmt.Errorf("the answer is an error: %+v %w", answer.Error, err)
	}
	return true, nil
}

// The server answers a publish on the reply topic it bears, with rights of its
// own. What it answers must not read as a command. (The empty answers of its
// protocol do; see the package comment.)
func TestAnAcknowledgmentIsNoCommandToTheServersAPI(t *testing.T) {
	s := open(t, eventlog.Limits{})
	if _, err := s.js("operator").Publish(t.Context(), "lethe.clean.a.b.t.2026-01-01.0", []byte("x")); err != nil {
		t.Fatal(err)
	}
	nc := s.connect("gateway")
	for _, api := range []string{"DELETE", "PURGE", "MSG.DELETE"} {
		if err := nc.PublishRequest(rawTopic, "$JS.API.STREAM."+api+".LETHE_CLEAN", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	// A request of the same connection, answered by the same queue.
	if _, err := eventlog.NewLog(nc).Info(t.Context(), eventlog.RawStream); err != nil {
		t.Fatal(err)
	}
	info, err := s.log().Info(t.Context(), eventlog.CleanStream)
	if err != nil || info.Messages != 1 {
		t.Fatalf("the clean log has %d messages, err %v", info.Messages, err)
	}
}

func TestAPublisherMayRequestItsOwnServicesOnly(t *testing.T) {
	one := eventlog.Publisher("one", "acme", []string{"web"})
	all := eventlog.Publisher("all", "acme", nil)
	s := open(t, eventlog.Limits{}, one, all)
	for _, d := range []deed{
		{what: "its own service", topic: "lethe.publish.acme.web.http_access", may: []string{"one", "all"}},
		{what: "another service", topic: "lethe.publish.acme.shop.http_access", may: []string{"all"}},
		{what: "another tenant", topic: "lethe.publish.umbrella.web.http_access"},
		{what: "the raw log", topic: rawTopic},
		{what: "the log's API", topic: "$JS.API.STREAM.INFO.LETHE_RAW"},
		{what: "others' requests", topic: "lethe.publish.>", subscribe: true},
		{what: "others' answers", topic: "_INBOX.gateway.>", subscribe: true},
	} {
		for _, u := range []string{"one", "all"} {
			did, err := s.try(u, d)
			if err != nil {
				t.Errorf("%s: %s: %v", u, d.what, err)
			} else if did != slices.Contains(d.may, u) {
				t.Errorf("%s: %s: allowed is %t", u, d.what, did)
			}
		}
	}
}

func TestNoServiceHasAWildcardInTheServersAPI(t *testing.T) {
	for _, u := range eventlog.Users() {
		if u.Name == "operator" {
			continue
		}
		for _, topic := range u.Publish {
			if strings.HasPrefix(topic, "$JS.API.") && strings.ContainsAny(topic, "*>") {
				t.Errorf("%s may publish to %s", u.Name, topic)
			}
		}
	}
}
