package assembly_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// recorder puts entries on record as a user of the logs does.
func (s *site) recorder(user string, stops *[]func()) *audit.Writer {
	s.t.Helper()
	nc := s.connect(user, stops)
	w := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: eventlog.AuditStream, Linger: -1, Log: s.log})
	*stops = append(*stops, func() { _ = w.Close(context.WithoutCancel(s.t.Context())) })
	return audit.NewRecorder(w, user, s.clock)
}

// recordKeys puts the making and the destruction of keys on record, before the
// deed.
func recordKeys(r audit.Recorder) func(context.Context, keyring.Use) error {
	return func(ctx context.Context, u keyring.Use) error {
		return r.Record(ctx, audit.KindKey, audit.Key{Verb: u.Verb, Key: u.Key, Power: string(u.Power), Caller: u.Caller})
	}
}

// openAudit opens the trees, and makes them the first time.
func (s *site) openAudit() {
	s.t.Helper()
	c := audit.Config{Dir: filepath.Join(s.dir, "audit"), Origin: "lethe.example.org/audit", Log: s.log, Now: s.clock}
	if _, err := os.Stat(c.Dir); err != nil {
		s.must(audit.Create(s.t.Context(), c))
	}
	var err error
	s.audit, err = audit.Open(s.t.Context(), c)
	s.must(err)
	s.stores = append(s.stores, func() { _ = s.audit.Close() })
}

func (s *site) startSequencer() {
	s.t.Helper()
	nc := s.connect("compliance", &s.flow)
	reader, err := eventlog.OpenReader(s.t.Context(), nc, eventlog.ReaderConfig{
		Stream: eventlog.AuditStream, Durable: eventlog.AuditConsumer, Log: s.log,
	})
	s.must(err)
	q, err := audit.NewSequencer(audit.SequencerConfig{Reader: reader, Log: s.audit, Stream: eventlog.NewLog(nc), Logger: s.log})
	s.must(err)
	s.flow = append(s.flow, s.run("sequencer", q))
}

// chain is how far the trees were read, and what they add up to.
type chain struct {
	ledger    audit.Ledger
	read      map[int]int64 // entries, by year
	manifests int
}

// checkChain reads what came into the trees since the last time: yesterday's
// rows, and what came in, without what was removed, are today's. After a whole
// run that is also what the engine says is there.
func (s *site) checkChain(c *chain, ran bool) (problems []string) {
	s.t.Helper()
	ctx := s.t.Context()
	info, err := s.all.Info(ctx, eventlog.AuditStream)
	s.must(err)
	s.must(s.audit.Wait(ctx, info.Last))
	for _, tree := range s.audit.Trees() {
		for data, err := range s.audit.Entries(ctx, tree.Year, c.read[tree.Year], tree.Size) {
			s.must(err)
			e, err := audit.ParseEntry(data)
			s.must(err)
			sum, err := c.ledger.Apply(e)
			s.must(err)
			if sum == nil {
				continue
			}
			c.manifests++
			if sum.Begins && c.manifests > 1 {
				problems = append(problems, "a manifest continues none")
			}
			for _, w := range sum.Wrong {
				problems = append(problems, w.Sentence)
			}
		}
		c.read[tree.Year] = tree.Size
	}
	if ran {
		problems = append(problems, s.checkInventory(c)...)
	}
	return problems
}

// checkInventory holds what the manifests add up to against the parts on disk.
func (s *site) checkInventory(c *chain) (problems []string) {
	s.t.Helper()
	inventory, whole := c.ledger.Inventory()
	if !whole {
		return []string{"the manifests do not say what is there"}
	}
	said := map[cell]uint64{}
	for _, p := range inventory {
		said[cell{table: p.Table, day: p.Day}] = p.Rows
	}
	found := map[cell]uint64{}
	for _, p := range s.parts() {
		if p.active {
			found[cell{table: p.table, day: event.Day(p.partition)}] += p.rows
		}
	}
	for _, p := range differences("the manifests have", said, found) {
		problems = append(problems, fmt.Sprintf("%s by the engine", p))
	}
	return problems
}
