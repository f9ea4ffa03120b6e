package assembly_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// report is what an officer is told now.
func (s *site) report() verify.Report {
	s.t.Helper()
	var stops []func()
	defer unwind(&stops)
	r, err := s.verifier(&stops).Verify(s.t.Context())
	s.must(err)
	return r
}

// verifier looks at everything there is to look at.
func (s *site) verifier(stops *[]func()) *verify.Verifier {
	s.t.Helper()
	nc := s.connect("compliance", stops)
	js, err := jetstream.New(nc)
	s.must(err)
	info, err := s.all.Info(s.t.Context(), eventlog.AuditStream)
	s.must(err)
	s.must(s.audit.Wait(s.t.Context(), info.Last))
	c := verify.Config{
		Policy: s.pol, Warehouse: s.verify, KnownUsers: []string{embedded.ProbeUser, readerUser, lethetest.Overseer}, EngineDir: filepath.Join(s.dir, "clickhouse"),
		Streams: func(ctx context.Context) ([]eventlog.Sight, error) {
			return eventlog.Look(ctx, js, eventlog.Streams(s.pol, eventlog.Limits{}))
		},
		Topics: eventlog.NewLog(nc).Topics, Keys: s.keys.Retention().List, Strays: s.keys.Strays,
		Stages: func(context.Context) ([]eventlog.StageStatus, error) {
			if s.retained == nil {
				return nil, nil
			}
			return []eventlog.StageStatus{{Stage: "retention", Numbers: s.retained.Numbers()}}, nil
		},
		Audit:     s.audit,
		Inventory: inventory(nc),
		Holds:     hold.NewStore(eventlog.OpenBucket(nc, eventlog.HoldBucket)),
		Log:       s.log, Metrics: prometheus.NewRegistry(), Now: s.clock, Pause: 300 * time.Millisecond,
	}
	for _, f := range folders {
		c.Folders = append(c.Folders, verify.Folder{Name: f.name, Dir: filepath.Join(s.dir, f.name), Governs: f.governs})
	}
	return verify.New(c)
}

func inventory(nc *nats.Conn) func(context.Context, string) (audit.Inventory, error) {
	bucket := eventlog.OpenBucket(nc, eventlog.RetentionBucket)
	return func(ctx context.Context, digest string) (audit.Inventory, error) {
		return audit.LoadInventory(ctx, bucket, digest)
	}
}

// checkEvidence makes a bundle, and reads it as an auditor does: with nothing
// but the key and the checkpoints of the bundles before.
func (s *simulation) checkEvidence(all bool) (problems []string) {
	s.t.Helper()
	var stops []func()
	defer unwind(&stops)
	recorder := s.recorder("compliance", &stops)
	m, err := evidence.New(evidence.Config{
		Policy: s.pol, Audit: s.audit, Recorder: func(by string) evidence.Recorder { return recorder.As(by) },
		Verify: s.verifier(&stops).Verify, Inventory: inventory(s.connect("compliance", &stops)), Version: "test", Now: s.clock,
	})
	s.must(err)
	bundle, err := m.Bundle(s.t.Context(), evidence.Request{All: all, By: "officer"})
	s.must(err)
	r, err := evidence.Check(bundle, evidence.Options{Key: s.audit.VerifierKey(), Earlier: s.checkpoints})
	s.must(err)
	s.checkpoints = append(s.checkpoints, r.Checkpoint)
	if !r.Intact {
		problems = append(problems, fmt.Sprintf("the evidence is not intact: %q", r.Problems))
	}
	// What was not done in time is in it, and nothing else. What the record
	// ends before is not known to be missing.
	missed := 0
	last, _ := s.audit.Last(audit.KindRun)
	for _, day := range s.missed {
		if !day.Before(r.From) && day.Before(last.At) {
			missed++
		}
	}
	// A run that died after its own entry is on record: the evidence may name
	// fewer days than were missed, and never more.
	named := 0
	for _, p := range r.Problems {
		if n := 0; strings.HasPrefix(p, "On ") {
			_, _ = fmt.Sscanf(p, "On %d of ", &n) // 0 is no such sentence
			named = max(named, n)
		}
	}
	if missed == 0 && !r.OK || named > missed {
		problems = append(problems, fmt.Sprintf("retention missed %d days, and the evidence says: %q", missed, r.Problems))
	}
	return problems
}

// checkReport is what an officer is told after a whole run: that every promise
// holds.
func (s *site) checkReport() (problems []string) {
	s.t.Helper()
	r := s.report()
	for _, p := range r.Promises {
		for _, f := range p.Findings {
			if p.Enforced {
				problems = append(problems, fmt.Sprintf("verify says of %s, %s: %s", p.ID, f.Where, f.Sentence))
			}
		}
	}
	if r.Holds != (len(problems) == 0) {
		problems = append(problems, fmt.Sprintf("verify says that holding is %v, with %d findings", r.Holds, len(problems)))
	}
	return problems
}
