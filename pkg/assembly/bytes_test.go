package assembly_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// TestNoByteOfAnExpiredRowIsLeft marks the tokens and texts of the rows of one
// expiry day, and looks for them in every file of the warehouse, what lies in
// compressed blocks included: they are there before their day has ended and
// gone within the grace, while those of a younger day stay. The frames that
// they came in, on both logs and in a copy of the logs that was made while they
// lived, open before and not after. P4, P5, P12.
func TestNoByteOfAnExpiredRowIsLeft(t *testing.T) {
	begin := event.DayOf(time.Now()).End().Add(12 * time.Hour)
	s := newSite(t, compile(t), begin)
	s.pass(begin)
	old := s.publishMarked("lantern", begin.Add(-time.Hour))
	s.settle()
	oldDay := event.DayOf(begin.AddDate(0, 0, 30))

	backup := filepath.Join(s.dir, "backup")
	s.must(os.CopyFS(backup, os.DirFS(filepath.Join(s.dir, "nats"))))
	copies := framesOf(t, backup)
	raw, clean := s.opening(copies)
	if raw == 0 || clean == 0 {
		t.Fatalf("%d raw and %d clean frames of the copy open before their time has come", raw, clean)
	}

	// The month goes by, with a run and something younger every day, and the
	// parts of a day merge.
	var young *lethetest.Marks
	for day := 1; day <= 30; day++ {
		now := begin.AddDate(0, 0, day)
		s.pass(now)
		if day == 20 {
			young = s.publishMarked("harbor", now.Add(-time.Hour))
		} else {
			s.publishMarked("meadow", now.Add(-time.Hour))
		}
		s.settle()
		s.must(s.runRetention(&fuse{}))
		if day == 5 {
			if raw, clean := s.opening(copies); raw != 0 || clean == 0 {
				t.Errorf("after 5 days %d raw frames of the copy open, and %d clean ones", raw, clean)
			}
		}
	}
	// Controls: on the last day of the old rows both are found; in the logs,
	// where they are sealed, neither is.
	s.expectMarks("clickhouse", old, true)
	s.expectMarks("clickhouse", young, true)
	s.expectMarks("nats", old, false)
	if _, clean := s.opening(copies); clean == 0 {
		t.Error("the clean frames of the copy do not open on their last day")
	}

	now := oldDay.End().Add(time.Hour)
	s.pass(now)
	s.must(s.runRetention(&fuse{}))
	s.expectMarks("clickhouse", old, false)
	s.expectMarks("clickhouse", young, true)
	s.expectMarks("nats", old, false)
	if _, clean := s.opening(copies); clean != 0 {
		t.Errorf("%d clean frames of the copy open after their day", clean)
	}
	topics, err := s.all.Topics(t.Context(), eventlog.CleanStream, event.CleanTopics)
	s.must(err)
	for topic := range topics {
		if day, err := event.CleanTopicDay(topic); err != nil || day <= oldDay {
			t.Errorf("the clean log still has frames on %s", topic)
		}
	}
}

// networks are where the people of a word come from: nobody is there twice.
var networks = map[string]string{"lantern": "192.0.2", "harbor": "198.51.100", "meadow": "203.0.113"} // RFC 5737

// publishMarked publishes events of a kind of table each whose rows expire after
// 30 days, with texts that have the word in them, and returns as marks what is
// to be found of them: the texts, and every token that was made.
func (s *site) publishMarked(word string, occurred time.Time) *lethetest.Marks {
	s.t.Helper()
	var samples []sample
	data := map[string]string{
		"http_access": `{"client_ip":"%[4]s.%[2]d","user":"%[1]s%[2]d@example.org","status":200,"path":"/%[3]s/quarterly"}`,
		"page_view":   `{"path":"/%[3]s/opening","ip":"%[4]s.%[2]d","user_id":"%[1]s%[2]d@example.org"}`,
		"user_action": `{"user":"%[1]s%[2]d@example.org","action":"%[3]s","session_id":"s-%[1]s-%[2]d"}`,
	}
	text := word + "-" + strings.ToLower(occurred.Format("Monday")) + "-among-the-willows"
	for _, name := range slices.Sorted(maps.Keys(data)) {
		for n := range 20 {
			samples = append(samples, sample{
				Event: name, Service: "shop", Occurred: occurred,
				Data: json.RawMessage(fmt.Sprintf(data[name], word, n+1, text, networks[word])),
			})
		}
	}
	for _, status := range s.publish(samples) {
		if status != gateway.Stored {
			s.t.Fatalf("a marked event was %s", status)
		}
	}
	s.settle()
	marks := &lethetest.Marks{}
	marks.Add("text of "+word, text)
	tokens := 0
	for name := range data {
		table, _ := s.pol.Table(name)
		for _, c := range table.Columns {
			if c.Kind != event.Token || c.Bridges != "" {
				continue
			}
			r, err := s.admin.Rows(s.t.Context(), fmt.Sprintf("SELECT DISTINCT %s FROM %s WHERE expiry_day = {day:Date} AND %[1]s != toFixedString('', 20)",
				c.Name, s.verify.Table(name)), map[string]any{"day": string(event.DayOf(table.Class.ExpiresAt(occurred)))})
			s.must(err)
			for _, row := range r.Rows {
				marks.Add("token "+c.Name+" of "+name, row[0].(string))
				tokens++
			}
		}
	}
	if tokens < 80 {
		s.t.Fatalf("%d tokens were made, fewer than there are people", tokens)
	}
	return marks
}

// expectMarks looks into every file below a directory of the site.
func (s *site) expectMarks(dir string, marks *lethetest.Marks, there bool) {
	s.t.Helper()
	var scan *lethetest.Scanner
	// The files of a part that was replaced go a moment after it.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		scan = lethetest.NewScanner(marks)
		s.must(scan.Dir(filepath.Join(s.dir, dir)))
		if there || len(scan.Findings()) == 0 || time.Now().After(deadline) {
			break
		}
	}
	labels := map[string]bool{}
	for _, f := range scan.Findings() {
		labels[f.Label] = true
	}
	if closed := scan.Closed(); len(closed) > 0 {
		s.t.Errorf("%d files of %s did not open, and nobody knows what is in them", len(closed), dir)
	}
	switch {
	case there && len(labels) < 6: // the text and five columns of tokens
		s.t.Errorf("of what must be in %s only %d kinds are found: the search finds nothing, or it is gone too early", dir, len(labels))
	case !there && len(labels) > 0:
		s.t.Errorf("%d marks are left in %s, such as: %s", len(scan.Findings()), dir, scan.Findings()[0])
	}
}

// framesOf reads every frame of both logs out of a copy of the directory of the
// logs, as somebody would who found it.
func framesOf(t *testing.T, dir string) (out []copied) {
	t.Helper()
	n, err := embedded.NewNATS(embedded.NATSConfig{
		Dir: dir, Users: []embedded.NATSUser{lethetest.AnyNATSUser()}, Log: lethetest.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	lethetest.Start(t, "the copy", n)
	nc, err := n.Connect("test", "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	s := &site{t: t, all: eventlog.NewLog(nc)}
	return s.copyFrames(through{})
}

// opening counts the copied frames that open.
func (s *site) opening(copies []copied) (raw, clean int) {
	s.t.Helper()
	for _, c := range copies {
		switch {
		case !s.opens(c):
		case c.stream == eventlog.RawStream:
			raw++
		default:
			clean++
		}
	}
	return raw, clean
}
