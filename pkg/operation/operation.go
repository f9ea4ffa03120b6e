package operation

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Config is what an Operation is made of. All of it is required, but for what
// applying a policy takes: without Recorder or Next it is refused.
type Config struct {
	Policy    *policy.Policy
	Gate      *access.Gate
	Log       *slog.Logger
	Streams   Streams
	Warehouse Warehouse
	// Stages asks every running stage for its numbers.
	Stages func(context.Context) ([]eventlog.StageStatus, error)
	// Command passes a request on to the service that has the powers for it
	// and returns its answer.
	Command func(ctx context.Context, name string, request any) ([]byte, error)
	// Drift says where the live streams differ from the policy; nil is nowhere.
	Drift func(context.Context) error
	// Recorder puts on record what the holder of a credential, by its id, asks
	// for.
	Recorder func(by string) audit.Recorder
	// Next takes the policy with which this Lethe starts next. It is empty
	// where Lethe is told with each start where its policy is.
	Next PolicyFile
}

// Streams is how far the logs and their readers are. [eventlog.Log] is one.
type Streams interface {
	Info(ctx context.Context, stream string) (eventlog.StreamState, error)
	Consumer(ctx context.Context, stream, durable string) (eventlog.ConsumerState, error)
}

// Warehouse is what the tables hold. [warehouse.Warehouse] is one.
type Warehouse interface {
	Rows(ctx context.Context, sql string, params map[string]any) (*warehouse.Result, error)
	Plan(ctx context.Context, pol *policy.Policy) ([]warehouse.Change, error)
	LookUsers(ctx context.Context, pol *policy.Policy, known ...string) ([]warehouse.Deviation, error)
	Cuts(ctx context.Context, t *policy.Table) ([]warehouse.Cut, error)
	Outlasting(ctx context.Context, t *policy.Table) (uint64, error)
}

// Operation answers operators and officers.
type Operation struct{ c Config }

// New makes an Operation.
func New(c Config) *Operation { return &Operation{c} }

// Status is how the flow is at an instant.
type Status struct {
	At     time.Time     `json:"at"`
	Policy string        `json:"policy"`
	Stages []StageStatus `json:"stages"`
	Logs   []LogStatus   `json:"logs"`
	Tables []TableStatus `json:"tables"`
}

// StageStatus is one stage of the flow. Lag is how many frames wait before it:
// for cells, which are cut from rows, how many came since it looked at all.
type StageStatus struct {
	eventlog.StageStatus
	Lag uint64 `json:"lag"`
}

// LogStatus is one log.
type LogStatus struct {
	Name     string `json:"name"`
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	Oldest   string `json:"oldest"` // when its first frame came, RFC 3339; empty in an empty log
}

// TableStatus is one table: all rows on disk, those behind the read barrier
// included.
type TableStatus struct {
	Name   string `json:"name"`
	Rows   uint64 `json:"rows"`
	Bytes  uint64 `json:"bytes"`
	Oldest string `json:"oldest"` // the first expiry day; empty in an empty table
}

// Status looks at every stage, log and table.
func (o *Operation) Status(ctx context.Context) (Status, error) {
	s := Status{At: time.Now().UTC().Truncate(time.Second), Policy: o.c.Policy.Digest()}
	stages, err := o.c.Stages(ctx)
	if err != nil {
		return s, err
	}
	lag := map[string]uint64{}
	for stage, reader := range map[string][2]string{
		"pseudonymizer": {eventlog.RawStream, eventlog.RawConsumer},
		"loader":        {eventlog.CleanStream, eventlog.CleanConsumer},
	} {
		c, err := o.c.Streams.Consumer(ctx, reader[0], reader[1])
		if err != nil {
			return s, err
		}
		lag[stage] = c.Pending + c.Open
	}
	var last uint64 // of the clean log
	for _, stream := range []struct{ name, stream string }{
		{"raw", eventlog.RawStream}, {"clean", eventlog.CleanStream}, {"quarantine", eventlog.QuarantineStream},
	} {
		info, err := o.c.Streams.Info(ctx, stream.stream)
		if err != nil {
			return s, err
		}
		if stream.stream == eventlog.CleanStream {
			last = info.Last
		}
		l := LogStatus{Name: stream.name, Messages: info.Messages, Bytes: info.Bytes}
		if info.Messages > 0 {
			l.Oldest = info.FirstAt.UTC().Format(time.RFC3339)
		}
		s.Logs = append(s.Logs, l)
	}
	s.Stages = []StageStatus{}
	for _, st := range stages {
		if st.Stage == "cells" {
			lag[st.Stage] = last - min(last, uint64(st.Numbers["looked_seq"]))
		}
		s.Stages = append(s.Stages, StageStatus{st, lag[st.Stage]})
	}
	s.Tables, err = o.tables(ctx)
	return s, err
}

const tablesSQL = `
SELECT t.name, sum(p.rows) AS rows, sum(p.bytes_on_disk) AS bytes, min(p.partition) AS oldest
FROM system.tables AS t LEFT JOIN
     (SELECT table, rows, bytes_on_disk, partition FROM system.parts WHERE database = {database:String} AND active) AS p
  ON p.table = t.name
WHERE t.database = {database:String} AND t.name != 'clock'
GROUP BY t.name ORDER BY t.name`

func (o *Operation) tables(ctx context.Context) ([]TableStatus, error) {
	r, err := o.c.Warehouse.Rows(ctx, tablesSQL, map[string]any{"database": warehouse.DefaultDatabase})
	if err != nil {
		return nil, err
	}
	out := []TableStatus{}
	for _, row := range r.Rows {
		t := TableStatus{}
		t.Name, _ = row[0].(string)
		t.Rows, _ = row[1].(uint64)
		t.Bytes, _ = row[2].(uint64)
		t.Oldest, _ = row[3].(string)
		out = append(out, t)
	}
	return out, nil
}

// ask passes a request on and reads the answer into answer.
func (o *Operation) ask(ctx context.Context, name string, request, answer any) error {
	b, err := o.c.Command(ctx, name, request)
	if err != nil {
		return err
	}
	return ParseReply(b, answer)
}

// A Reply is how a service answers a command: with a value, or with the kind
// and the sentence of what went wrong.
type Reply struct {
	Value json.RawMessage `json:"value,omitempty"`
	Kind  string          `json:"kind,omitempty"`
	Error string          `json:"error,omitempty"`
}

// NewReply writes the answer to a command.
func NewReply(value any, err error) []byte {
	var r Reply
	if err == nil {
		r.Value, err = json.Marshal(value)
	}
	if err != nil {
		r = Reply{Kind: string(fault.KindOf(err)), Error: err.Error()}
		if r.Kind == "" || r.Kind == string(fault.Corrupt) {
			r = Reply{Error: "internal error"} // the service logs what it was
		}
	}
	b, _ := json.Marshal(r) // strings and raw JSON always marshal
	return b
}

// ParseReply reads what NewReply wrote.
func ParseReply(b []byte, value any) error {
	var r Reply
	if err := json.Unmarshal(b, &r); err != nil {
		return fault.Unavailable.Errorf("the service gave an answer that is not readable")
	}
	switch {
	case r.Error != "" && r.Kind != "":
		return fault.Kind(r.Kind).Errorf("%s", r.Error)
	case r.Error != "":
		return fault.Unavailable.Errorf("the service failed; its log says why")
	case value == nil:
		return nil
	}
	if err := json.Unmarshal(r.Value, value); err != nil {
		return fault.Unavailable.Errorf("the service gave an answer that is not readable")
	}
	return nil
}
