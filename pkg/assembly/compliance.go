package assembly

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/verify"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// statusWait is how long stages have to say how they are.
	statusWait = 300 * time.Millisecond
	// commandWait bounds what is passed on; a redrive may take a while. It is
	// shorter than the door waits, so that the asker learns of it.
	commandWait = 90 * time.Second
)

// Compliance answers officers and operators: what is there, what was done, how
// the flow is. It puts what goes on record into the audit log. It keeps legal
// holds, for which alone it can open clean frames.
var Compliance = Part{"compliance", func(ctx context.Context, site *Site) (process.Service, error) {
	nc, err := site.Connection("compliance")
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	w, err := site.Warehouse(ctx, warehouse.UserVerify)
	if err != nil {
		return nil, err
	}
	log := site.Log.With("service", "compliance")
	record := site.recorder(nc, "compliance")
	as := func(credential string) audit.Recorder { return record.As(credential) }
	site.recordAccess(record)
	site.store.Routes(site.gate, site.mux)
	clock := retention.Clock(eventlog.OpenBucket(nc, eventlog.RetentionBucket))
	entries, sequencer, err := site.auditLog(ctx, nc, record, clock)
	if err != nil {
		return nil, err
	}
	stages := func(ctx context.Context) ([]eventlog.StageStatus, error) {
		return eventlog.GatherStatus(ctx, nc, statusWait)
	}
	holds := hold.NewStore(eventlog.OpenBucket(nc, eventlog.HoldBucket))

	operation.New(operation.Config{
		Policy:    site.Policy,
		Gate:      site.gate,
		Log:       log,
		Streams:   eventlog.NewLog(nc),
		Warehouse: w,
		Stages:    stages,
		Command: func(ctx context.Context, name string, request any) ([]byte, error) {
			return command(ctx, nc, name, request)
		},
		Drift: func(ctx context.Context) error {
			if err := eventlog.Check(ctx, js, site.streams()); err != nil {
				return err
			}
			if err := eventlog.CheckConsumers(ctx, js, eventlog.RawStream); err != nil {
				return err
			}
			return eventlog.CheckConsumers(ctx, js, eventlog.CleanStream)
		},
		Recorder: as,
		Next:     nextPolicy(site.Config),
	}).Routes(site.mux)

	dataDir, own := site.ownDir()
	verifier := verify.New(verify.Config{
		Policy:    site.Policy,
		Warehouse: w,
		EngineDir: site.engineDir(),
		Streams: func(ctx context.Context) ([]eventlog.Sight, error) {
			return eventlog.Look(ctx, js, site.streams())
		},
		Topics: eventlog.NewLog(nc).Topics,
		Keys:   func(ctx context.Context) ([]keyring.KeyInfo, error) { return liveKeys(ctx, nc) },
		Strays: func(ctx context.Context) (strays []keyring.Stray, err error) {
			return strays, ask(ctx, nc, commandStrays, nil, &strays)
		},
		Folders:    site.verifyFolders(),
		Seen:       retention.Sightings(eventlog.OpenBucket(nc, eventlog.RetentionBucket)),
		DataDir:    dataDir,
		Own:        own,
		KnownUsers: site.knownEngineUsers(),
		Stages:     stages,
		Audit:      entries,
		Inventory:  inventory(nc),
		Holds:      holds,
		Recorder:   record,
		As:         as,
		Gate:       site.gate,
		Log:        log,
		Metrics:    site.Registry,
	})
	verifier.Routes(site.mux)

	maker, err := evidence.New(evidence.Config{
		Policy:    site.Policy,
		Audit:     entries,
		Recorder:  func(by string) evidence.Recorder { return record.As(by) },
		Verify:    verifier.Verify,
		Inventory: inventory(nc),
		Version:   Version,
		Gate:      site.gate,
		Log:       log,
	})
	if err != nil {
		return nil, err
	}
	maker.Routes(site.mux)

	copier, err := site.holdKeeping(ctx, nc, holds, record, clock)
	if err != nil {
		return nil, err
	}
	return reporting(site, nc, "audit", sequencer.Numbers, together(sequencer, copier, verifier)), nil
}}

// auditLog opens the audit log of this Lethe, making it if there is none, and
// what fills it. A log that is made where there was one is found by the stream,
// which remembers it, and goes on record.
func (s *Site) auditLog(ctx context.Context, nc *nats.Conn, record *audit.Writer, clock readClock) (*audit.Log, *audit.Sequencer, error) {
	log := s.Log.With("service", "audit")
	c := audit.Config{
		Dir:    auditDir(s.Config),
		Origin: s.Config.Audit.Origin,
		Log:    log,
		Now:    (&steadyClock{read: clock}).now,
		Kept:   s.keptYear,
	}
	entries, err := audit.Open(ctx, c)
	if errors.Is(err, fault.NotFound) {
		if err = audit.Create(ctx, c); err == nil {
			entries, err = audit.Open(ctx, c)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	s.onClose(func() { _ = entries.Close() })
	reader, err := eventlog.OpenReader(ctx, nc, eventlog.ReaderConfig{Stream: eventlog.AuditStream, Durable: eventlog.AuditConsumer, Log: log})
	if err != nil {
		return nil, nil, err
	}
	s.onClose(func() { _ = reader.Close() })
	sequencer, err := audit.NewSequencer(audit.SequencerConfig{
		Reader: reader, Log: entries, Stream: eventlog.NewLog(nc), Recorder: record.As("audit"), Logger: log, Metrics: s.Registry,
	})
	return entries, sequencer, err
}

// keptYear says whether the audit log of a year is within its rule. P10.
func (s *Site) keptYear(year int, now time.Time) bool {
	end := time.Date(year+1, time.January, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range s.Policy.Classes() {
		if c.Governs == "audit" {
			return c.Period.After(end).After(now)
		}
	}
	return true
}

// holdKeeping serves legal holds, and returns what copies what they cover.
func (s *Site) holdKeeping(ctx context.Context, nc *nats.Conn, holds *hold.Store, record *audit.Writer, clock readClock) (process.Service, error) {
	w, err := s.Warehouse(ctx, warehouse.UserHold)
	if err != nil {
		return nil, err
	}
	keys, err := power(s, (*keyring.Keyring).Hold, (*keyring.Remote).Hold)
	if err != nil {
		return nil, err
	}
	log := s.Log.With("service", "hold")
	frames := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: eventlog.HoldStream, Log: log})
	s.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = frames.Close(ctx) // what was not appended is copied again
	})
	copier, err := hold.NewCopier(hold.CopierConfig{
		Policy:    s.Policy,
		Bucket:    eventlog.OpenBucket(nc, eventlog.HoldBucket),
		Log:       eventlog.NewLog(nc),
		Appender:  frames,
		Keys:      keys,
		Warehouse: clocked{w, clock},
		Recorder:  record.As("hold"),
		Logger:    log,
		Metrics:   s.Registry,
	})
	if err != nil {
		return nil, err
	}
	keeper, err := hold.NewKeeper(hold.KeeperConfig{
		Policy: s.Policy, Store: holds, Gate: s.gate, Logger: log,
		As:    func(credential string) audit.Recorder { return record.As(credential) },
		Clock: clock,
		Known: s.knownService(nc),
		Wake:  copier.Wake,
	})
	if err != nil {
		return nil, err
	}
	keeper.Routes(s.mux)
	return copier, nil
}

// inventory finds the list of partitions that a manifest counted.
func inventory(nc *nats.Conn) func(context.Context, string) (audit.Inventory, error) {
	bucket := eventlog.OpenBucket(nc, eventlog.RetentionBucket)
	return func(ctx context.Context, digest string) (audit.Inventory, error) {
		return audit.LoadInventory(ctx, bucket, digest)
	}
}

func (s *Site) verifyFolders() []verify.Folder {
	var out []verify.Folder
	for _, f := range s.folders() {
		out = append(out, verify.Folder{Name: f.name, Dir: f.dir, Governs: f.governs})
	}
	return out
}

// knownEngineUsers are those that the embedded engine has besides the policy's.
func (s *Site) knownEngineUsers() []string {
	if s.Config.ClickHouse.Addr != "" {
		return nil
	}
	return []string{embedded.ProbeUser}
}

// engineDir is where the engine's files can be looked at.
func (s *Site) engineDir() string {
	if s.Config.Files.Engine != "" || s.Config.ClickHouse.Addr != "" {
		return s.Config.Files.Engine
	}
	return filepath.Join(s.Config.Data, "clickhouse")
}

// together runs services as one: ready when all are, and ended when one is.
func together(services ...process.Service) process.Service {
	return process.Func(func(ctx context.Context, ready func()) error {
		group, ctx := errgroup.WithContext(ctx)
		var left atomic.Int64
		left.Store(int64(len(services)))
		for _, s := range services {
			group.Go(func() error {
				err := s.Run(ctx, func() {
					if left.Add(-1) == 0 {
						ready()
					}
				})
				if err == nil && ctx.Err() == nil {
					return errors.New("a part of the service ended by itself")
				}
				return err
			})
		}
		return group.Wait()
	})
}

// command asks the service that listens for it.
func command(ctx context.Context, nc *nats.Conn, name string, request any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	msg, err := nc.RequestWithContext(ctx, eventlog.CommandTopic(name), body)
	if err != nil {
		return nil, fault.Unavailable.Errorf("the service that does this does not answer: %w", err)
	}
	return msg.Data, nil
}

// A served command can be stopped: it takes no more requests, and answers those
// it has as long as the context lets it.
type served func() (stop func(context.Context) error, err error)

// maxReply leaves a message room for its headers.
const maxReply = 900 << 10

// onCommand answers a command with what do returns.
func onCommand[Q, A any](site *Site, nc *nats.Conn, name string, do func(context.Context, Q) (A, error)) served {
	log := site.Log.With("command", name)
	return func() (func(context.Context) error, error) {
		return eventlog.Serve(nc, eventlog.CommandTopic(name), "lethe", log, func(ctx context.Context, r eventlog.Request) []byte {
			var q Q
			if err := json.Unmarshal(r.Data, &q); err != nil {
				return operation.NewReply(nil, fault.Invalid.Errorf("the request is not readable"))
			}
			a, err := do(ctx, q)
			if err != nil {
				log.Warn("command failed", "err", err)
			}
			reply := operation.NewReply(a, err)
			if len(reply) > maxReply {
				reply = operation.NewReply(nil, fault.Exhausted.Errorf("the answer is too long"))
			}
			return reply
		})
	}
}

// withCommands serves commands while a service runs. They stop first, so that
// none finds the service gone.
func withCommands(service process.Service, commands ...served) process.Service {
	return process.Func(func(ctx context.Context, ready func()) error {
		var stops []func(context.Context) error
		stop := sync.OnceFunc(func() {
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			for _, s := range stops {
				_ = s(grace) // what is left unanswered is asked again
			}
		})
		for _, c := range commands {
			s, err := c()
			if err != nil {
				stop()
				return err
			}
			stops = append(stops, s)
		}
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		context.AfterFunc(ctx, func() { stop(); cancel() })
		err := service.Run(own, ready)
		stop()
		return err
	})
}
