package retention

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// auditLog is how retention reads back what is on record.
type auditLog interface {
	Info(ctx context.Context, stream string) (eventlog.StreamState, error)
	Last(ctx context.Context, stream, filter string) (eventlog.Received, error)
	Range(ctx context.Context, stream string, first, last uint64) iter.Seq2[eventlog.Received, error]
}

// A journal is what is on record since the last manifest, and that manifest.
type journal struct {
	audit.Ledger
	// blind is why it is not known: then no rows are removed, because what is
	// removed without it could not be added up.
	blind error
}

// read reads the journal from the audit stream.
func (j *journal) read(ctx context.Context, log auditLog) error {
	j.blind = j.load(ctx, log)
	return j.blind
}

func (j *journal) load(ctx context.Context, log auditLog) error {
	last, err := log.Last(ctx, eventlog.AuditStream, eventlog.AuditTopic(string(audit.KindManifest)))
	switch {
	case errors.Is(err, fault.NotFound):
		last = eventlog.Received{}
	case err != nil:
		return err
	default:
		if err := j.take(last); err != nil {
			return err
		}
	}
	info, err := log.Info(ctx, eventlog.AuditStream)
	if err != nil {
		return err
	}
	for msg, err := range log.Range(ctx, eventlog.AuditStream, max(last.Seq+1, info.First), info.Last) {
		if err != nil {
			return err
		}
		if err := j.take(msg); err != nil {
			return err
		}
	}
	return nil
}

// take adds one message. What is no entry of retention's is passed over.
func (j *journal) take(msg eventlog.Received) error {
	switch msg.Topic {
	case eventlog.AuditTopic(string(audit.KindRemoval)), eventlog.AuditTopic(string(audit.KindRemoved)),
		eventlog.AuditTopic(string(audit.KindManifest)):
	default:
		return nil
	}
	e, err := audit.ParseEntry(msg.Data)
	if errors.Is(err, fault.Invalid) {
		return nil // the sequencer puts on record that it was refused
	}
	if err == nil {
		_, err = j.Apply(e)
	}
	return err
}

// since is the floor of the last manifest.
func (j *journal) since() uint64 {
	if m := j.Last(); m != nil {
		return m.Floor
	}
	return 0
}

// record puts an entry on record and into the journal. When it may or may not
// be on record, the journal is not known any more.
func (u *run) record(ctx context.Context, kind audit.Kind, detail any) error {
	if err := u.c.Recorder.Record(ctx, kind, detail); err != nil {
		u.journal.blind = err
		return err
	}
	text, err := json.Marshal(detail)
	if err == nil {
		_, err = u.journal.Apply(audit.Entry{At: u.now, Kind: kind, Detail: text})
	}
	if err != nil {
		u.journal.blind = err
	}
	return err
}

// settle is step 2: removals that were announced and not confirmed, because
// the process died between the two. What is gone is put on record as removed.
// What is still there is announced anew by step 3, which voids what was
// announced before.
//
// The removal of single rows is waited for: nothing could be counted while the
// engine is at it. What it does not come to the end of stays announced.
func (u *run) settle(ctx context.Context) error {
	if u.journal.blind != nil {
		return nil // said already
	}
	var errs []error
	gone := map[string][]audit.Partition{}
	var order []string
	for _, p := range u.journal.Pending() {
		left, err := u.resume(ctx, p)
		if errors.Is(err, errLost) {
			return err
		}
		if errors.Is(err, errUnderWay) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			u.journal.blind = err // it cannot be added up
			continue
		}
		if left.Rows >= p.Partition.Rows && left.Rows > 0 {
			continue
		}
		if gone[p.Removal.ID] == nil {
			order = append(order, p.Removal.ID)
		}
		gone[p.Removal.ID] = append(gone[p.Removal.ID], audit.Partition{
			Table: p.Partition.Table, Day: p.Partition.Day,
			Rows: p.Partition.Rows - left.Rows, New: p.Partition.New - min(left.New, p.Partition.New),
		})
	}
	for _, id := range order {
		if err := u.record(ctx, audit.KindRemoved, audit.Removed{Removal: id, Partitions: gone[id]}); err != nil {
			return errors.Join(append(errs, err)...)
		}
		u.entry.Partitions += len(gone[id])
		u.meter.partitions.Add(float64(len(gone[id])))
		u.reach("confirmed")
	}
	if len(u.atWork) > 0 {
		errs = append(errs, errUnderWay)
	}
	return errors.Join(errs...)
}

// resume counts what is left of an announced partition.
func (u *run) resume(ctx context.Context, p audit.Pending) (warehouse.Tally, error) {
	t := target{
		database: warehouse.DefaultDatabase, table: p.Partition.Table, day: p.Partition.Day,
		since: p.Removal.Since, floor: p.Removal.Floor,
	}
	if p.Removal.Reason != audit.ReasonShortened {
		return u.remaining(ctx, t)
	}
	t.before = p.Removal.Cutoff
	if err := u.await(ctx, t.table); err != nil {
		return warehouse.Tally{}, err
	}
	return u.remaining(ctx, t)
}
