package main_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// TestPublishTakesEveryForm: JSON, NDJSON and CloudEvents files.
func TestPublishTakesEveryForm(t *testing.T) {
	t.Parallel()
	r := up(t)
	action := func(i int) string {
		return fmt.Sprintf(`{"event":"user_action","data":{"user":"u%d@example.org","action":"export"}}`, i)
	}
	cloud := func(i int) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":"c%d","source":"/services/shop","type":"lethe.user_action.v1","time":"%s","datacontenttype":"application/json","data":{"user":"u%d@example.org","action":"export"}}`,
			i, time.Now().UTC().Add(-time.Hour).Truncate(time.Hour).Format(time.RFC3339), i)
	}
	for name, c := range map[string]struct {
		text    string
		stored  int
		refused int
	}{
		"an object":              {action(1), 1, 0},
		"an object over lines":   {strings.ReplaceAll(action(2), ",", ",\n  "), 1, 0},
		"an array":               {"[" + action(3) + ",\n" + action(4) + "]", 2, 0},
		"lines":                  {action(5) + "\n" + action(6) + "\n" + strings.ReplaceAll(action(7), "user_action", "no_such") + "\n" + action(8), 3, 1},
		"a CloudEvent":           {cloud(9), 1, 0},
		"a batch of CloudEvents": {"[" + cloud(10) + "," + cloud(11) + "]", 2, 0},
	} {
		a := r.Publish(c.text)
		refused := 0
		for _, n := range a.Refused {
			refused += n
		}
		if a.Stored != c.stored || refused != c.refused || a.Read != c.stored+c.refused {
			t.Errorf("%s: %+v", name, a)
		}
	}
	var many strings.Builder
	for i := range 30_000 { // more than one request holds
		many.WriteString(action(20+i%50) + "\n")
	}
	r.Publish(many.String()).check(t, 30_000, 30_000, 0, nil)
	// A CloudEvent has an id and a time, and so is the same event again.
	r.Publish(cloud(9))
	if _, stderr, err := r.Try("publish", "--service", "shop", writeFile(t, t.TempDir(), "broken", `{"event":`)); status(t, err) != 1 || stderr == "" {
		t.Errorf("what is no JSON: status %d, %s", status(t, err), stderr)
	}
	r.Settle()
	r.Rows("user_action", 30_010)
}

// TestPublishersMaySpeakNATS: a request on a port that is asked for, under a
// password that is set, has the receipts that HTTP has.
func TestPublishersMaySpeakNATS(t *testing.T) {
	t.Parallel()
	const password = "publishers' own"
	r := up(t, func(r *running) {
		r.Args = []string{"--nats-listen", "127.0.0.1:0"}
		r.Env = []string{"LETHE_NATS_PUBLISHER_PASSWORD=" + password}
	})
	var at struct{ NATS string }
	b, err := os.ReadFile(filepath.Join(r.Data, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	decode(t, string(b), &at)
	nc, err := nats.Connect(at.NATS, append(eventlog.ConnectOptions("publisher"), nats.UserInfo("publisher", password),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...) // what it may not do is tried below
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	request := func(topic, data, key string) (answer struct {
		Receipts []struct{ ID, Status, Problem string }
		Status   int
	}) {
		t.Helper()
		m := nats.NewMsg(topic)
		m.Data = []byte(data)
		if key != "" {
			m.Header.Set("Idempotency-Key", key)
		}
		reply, err := nc.RequestMsg(m, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(reply.Data, &answer); err != nil {
			t.Fatal("the reply is not JSON")
		}
		return answer
	}
	for i := range 20 {
		data := fmt.Sprintf(`{"user":"u%d@example.org","action":"export"}`, i)
		key := fmt.Sprintf("k%d", i)
		a := request("lethe.publish.default.shop.user_action", data, key)
		if len(a.Receipts) != 1 || a.Receipts[0].Status != "stored" || a.Receipts[0].ID == "" {
			t.Fatalf("the receipt: %+v", a)
		}
		if a := request("lethe.publish.default.shop.user_action", data, key); len(a.Receipts) != 1 || a.Receipts[0].Status != "duplicate" {
			t.Errorf("the receipt of the same request again: %+v", a)
		}
	}
	whole := `{"event":"user_action","id":"w1","data":{"user":"u1@example.org","action":"export"}}`
	if a := request("lethe.publish.default.shop.user_action", whole, ""); len(a.Receipts) != 1 || a.Receipts[0].Status != "stored" {
		t.Errorf("the receipt of an event in its envelope: %+v", a)
	}
	if a := request("lethe.publish.default.shop.user_action", `{"user":"u1@example.org"}`, ""); len(a.Receipts) != 1 || a.Receipts[0].Status != "refused" {
		t.Errorf("the receipt of an event that is not as its schema says: %+v", a)
	}
	r.Settle()
	r.Rows("user_action", 21)

	// Its powers end there: no other tenant, no log, no wrong password.
	for _, topic := range []string{"lethe.publish.other.shop.user_action", "lethe.raw.default.shop.user_action.0", "$JS.API.STREAM.NAMES"} {
		if _, err := nc.Request(topic, []byte(`{}`), 200*time.Millisecond); err == nil {
			t.Errorf("a publisher was answered on %s", topic)
		}
	}
	if other, err := nats.Connect(at.NATS, nats.UserInfo("publisher", "guess")); err == nil {
		other.Close()
		t.Error("a wrong password is let in")
	}
	// The password is nowhere on disk.
	err = filepath.WalkDir(r.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), password) {
			t.Errorf("%s holds the password", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
