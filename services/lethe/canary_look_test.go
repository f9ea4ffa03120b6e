package main_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// topicsOf lists the topics of every stream of a Lethe that does not run.
func topicsOf(t *testing.T, r *running) []string {
	t.Helper()
	var out []string
	r.logAlone(t, func(t *testing.T, js jetstream.JetStream) {
		names := js.StreamNames(t.Context())
		for name := range names.Name() {
			stream, err := js.Stream(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
			if err != nil {
				t.Fatal(err)
			}
			out = slices.AppendSeq(out, maps.Keys(info.State.Subjects))
		}
		if err := names.Err(); err != nil {
			t.Fatal(err)
		}
	})
	for _, prefix := range []string{"lethe.clean.", "lethe.audit.", "lethe.hold."} {
		if !slices.ContainsFunc(out, func(topic string) bool { return strings.HasPrefix(topic, prefix) }) {
			t.Errorf("no topic below %s was found", prefix)
		}
	}
	return out
}

// logAlone runs the log of a Lethe that does not run, while f does to it
// whatever it likes.
func (r *running) logAlone(t *testing.T, f func(t *testing.T, js jetstream.JetStream)) {
	t.Helper()
	if r.cmd != nil {
		t.Fatal("the log is to run alone while Lethe runs on it")
	}
	n, err := embedded.NewNATS(embedded.NATSConfig{
		Dir: filepath.Join(r.Data, "nats"), Users: []embedded.NATSUser{lethetest.AnyNATSUser()}, Log: lethetest.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("log alone", func(t *testing.T) {
		lethetest.Start(t, "nats", n)
		nc, err := n.Connect("test", "test")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		f(t, js)
	})
}

// tokensOf reads every token out of the warehouse of a Lethe that does not run,
// and checks that there is one for every person in every service.
func tokensOf(t *testing.T, r *running, pol *policy.Policy) *lethetest.Marks {
	t.Helper()
	var marks lethetest.Marks
	columns := 0
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		for _, table := range pol.Tables() {
			for _, column := range table.Columns {
				if column.Kind != event.Token {
					continue
				}
				services := map[string]int{}
				all := map[string]bool{}
				for _, row := range rows(t, ctx, w, fmt.Sprintf(
					"SELECT DISTINCT service, hex(%s) FROM %s WHERE %[1]s != toFixedString('', %[3]d)", column.Name, w.Table(table.Name), event.TokenSize)) {
					token, err := hex.DecodeString(row[1].(string))
					if err != nil || len(token) != event.TokenSize {
						t.Fatalf("%s.%s holds what is no token", table.Name, column.Name)
					}
					services[row[0].(string)]++
					all[string(token)] = true
				}
				for token := range all {
					marks.Add("token "+table.Name+"."+column.Name, token)
				}
				if column.Bridges != "" {
					continue // empty but for the first days of an epoch
				}
				columns++
				sum := 0
				for _, service := range canaryServices {
					sum += services[service]
					if services[service] != canaryPeople {
						t.Errorf("%s.%s has %d tokens of %d people in service %s", table.Name, column.Name, services[service], canaryPeople, service)
					}
				}
				// P2: no token of one service is in another.
				if len(all) != sum {
					t.Errorf("%s.%s: %d tokens in each service are %d in all", table.Name, column.Name, sum, len(all))
				}
			}
		}
	})
	if columns < 8 {
		t.Errorf("only %d columns of tokens were found", columns)
	}
	return &marks
}

// plantedIsFound puts marks into a copy of nothing and finds them: a log line, a
// file, a name. What is compressed is pkg/lethetest's to prove.
func plantedIsFound(t *testing.T, marks *lethetest.Marks, c canary) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "server.log", `{"level":"ERROR","err":"no account `+strings.ToUpper(c.email)+`"}`)
	writeFile(t, dir, "stream.blk", "$KV.lethe."+hex.EncodeToString([]byte(c.mark)))
	writeFile(t, dir, "of-"+c.mark, "")
	if err := os.Mkdir(filepath.Join(dir, "of-"+c.ipv4), 0o700); err != nil {
		t.Fatal(err)
	}
	s := lethetest.NewScanner(marks)
	if err := s.Dir(dir); err != nil {
		t.Fatal(err)
	}
	s.Scan("an answer", []byte(`{"problem":"field user: `+c.email+`"}`))
	found := map[string]bool{}
	for _, f := range s.Findings() {
		found[f.Where] = true
	}
	if len(found) != 5 {
		t.Errorf("of 5 planted marks %d were found", len(found))
	}
}

// walkTheConsole hears every page of every role, and what the console says to
// addresses and forms that hold a person.
func walkTheConsole(t *testing.T, e *ear, c canary) {
	t.Helper()
	shown := false
	for role, pages := range consolePages {
		b := e.r.console(role)
		pages = append(slices.Clone(pages), "/console/usage?metric=activations&by=product", "/console/usage.csv?metric=activations&by=product",
			"/console/record", "/console/record?format=csv", "/console/evidence?since=all", "/console/evidence?format=html", "/console/flow.json")
		for _, person := range []string{c.email, c.ipv4, c.mark} {
			q := url.QueryEscape(person)
			pages = append(pages, "/console/"+url.PathEscape(person), "/console/usage?metric="+q, "/console/usage?metric=views&by="+q+"&from="+q,
				"/console/audit?kind="+q+"&before="+q, "/console/signin?next=%2Fconsole%2Fusage%3Fmetric%3D"+q, "/console/?done="+q, "/console/purpose?next="+q)
		}
		for _, path := range pages {
			status, text := b.get(path)
			if status >= 500 {
				t.Errorf("a page of the console as %s: status %d", role, status)
			}
			shown = shown || strings.Contains(text, keptMark)
			e.hear("a page of the console as "+role, []byte(text))
		}
		_, text := b.send("/console/purpose", "/console/purpose?next="+url.QueryEscape("/console/usage?metric="+c.mark), url.Values{"purpose": {c.email}})
		e.hear("a form of the console as "+role, []byte(text))
		_, text = b.post("/console/signin?next="+url.QueryEscape("/console/usage?metric="+c.mark), url.Values{"credential": {c.email}})
		e.hear("signing in with what is no credential", []byte(text))
	}
	if !shown {
		t.Error("no page shows what is kept; a scan of pages shows nothing then")
	}
}
