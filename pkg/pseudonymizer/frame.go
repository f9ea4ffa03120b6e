package pseudonymizer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

// outcome is what becomes of one raw frame.
type outcome struct {
	seq        uint64
	event      string
	clean      []eventlog.Message
	quarantine []eventlog.Message

	// What to count once all of it is on disk. Events are the frame's.
	events, rows, quarantined, expired, lost int
}

// origin is where events come from, and what the frames made of them are
// called.
type origin struct {
	header event.RawHeader
	// prefix begins the message ids of the frames that are made of it: "17"
	// for raw frame 17, "q4" for frame 4 of quarantine.
	prefix        string
	rawSeq        uint64
	quarantineSeq uint64    // zero when they come from the raw log
	since         time.Time // when they were first set aside, if they are
	shard         int
	// unnamed says that the clean frames do not name the raw frame, because
	// they are not the last of it.
	unnamed bool
	// again tells the second and later frames set aside from one frame of
	// quarantine from the first.
	again string
}

// A worker treats frames, one at a time.
type worker struct {
	p      *Pseudonymizer
	tokens tokens
}

func newWorker(p *Pseudonymizer) *worker {
	return &worker{p: p, tokens: tokens{keys: p.cfg.Keys, made: map[treatment.TokenKey]*tokenizer{}}}
}

// frame opens and treats one raw frame (T2). An error is unavailable, and the
// frame is to be tried again, or corrupt: it is not what a gateway sealed.
func (w *worker) frame(ctx context.Context, r eventlog.Received) (*outcome, error) {
	header, sealed, err := event.Unpack(r.Data)
	if err != nil {
		return nil, err
	}
	var h event.RawHeader
	if err := event.ParseHeader(header, &h); err != nil {
		return nil, err
	}
	shard, ok := shardOf(r.Topic, h)
	if !ok {
		// P14: the log's permissions speak of topics, the keys of headers.
		return nil, fault.Corrupt.Errorf("the frame's header is not that of its topic")
	}
	o := &outcome{seq: r.Seq, event: h.Event, events: h.Count}
	plain, err := w.p.cfg.Keys.OpenRaw(ctx, h.Tenant, header, sealed)
	if errors.Is(err, keyring.ErrDestroyed) {
		w.p.cfg.Log.Error("raw frame lost", "seq", r.Seq, "tenant", h.Tenant, "service", h.Service, "event", h.Event, "events", h.Count)
		o.lost = h.Count
		return o, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	from := origin{header: h, prefix: strconv.FormatUint(r.Seq, 10), rawSeq: r.Seq, since: w.p.cfg.Now(), shard: shard}
	raws, err := event.ParseRawBody(plain)
	if err != nil || len(raws) != h.Count {
		o.quarantined = h.Count
		return o, w.setAside(ctx, o, from, unreadable, plain, h.Count)
	}
	if _, err := w.treat(ctx, o, from, raws); err != nil {
		return nil, err
	}
	return o, nil
}

// unreadable is the reason for a body that does not parse.
var unreadable = treatment.Rejected{Code: "body", Reason: "the frame's body is not readable"}

// shardOf reads the shard from a raw topic, if the topic is the header's.
func shardOf(topic string, h event.RawHeader) (shard int, ok bool) {
	shard, err := strconv.Atoi(topic[strings.LastIndexByte(topic, '.')+1:])
	return shard, err == nil && topic == event.RawTopic(h.Tenant, h.Service, h.Event, shard)
}

// treat turns events into sealed frames: clean ones, and for the events that
// cannot be treated, which it returns, one to be set aside for each reason.
func (w *worker) treat(ctx context.Context, o *outcome, from origin, raws []event.Raw) ([]treatment.Rejected, error) {
	w.tokens.begin(ctx)
	now := w.p.cfg.Now()
	rows, rejected, err := w.p.treat.Apply(from.header, raws, now, &w.tokens)
	for err == nil && !w.tokens.lived() {
		w.tokens.begin(ctx)
		rows, rejected, err = w.p.treat.Apply(from.header, raws, now, &w.tokens)
	}
	if err != nil {
		return nil, err
	}
	o.expired += w.expired(from.header.Event, len(rows), raws, rejected, now)
	groups := groupRows(rows)
	for i, g := range groups {
		// A clean frame that names a raw frame says that all of it is there,
		// so only the frames of its last batch do.
		from.unnamed = from.quarantineSeq > 0 || i+maxBatch < len(groups)
		if err := w.seal(ctx, o, from, g, ""); err != nil {
			return nil, err
		}
	}
	for _, group := range byCode(rejected) {
		if err := w.setAside(ctx, o, from, group[0], event.RawBody(pick(raws, group)), len(group)); err != nil {
			return nil, err
		}
		o.quarantined += len(group)
	}
	return rejected, nil
}

// expired counts the events that were past every rule.
func (w *worker) expired(name string, rows int, raws []event.Raw, rejected []treatment.Rejected, now time.Time) (n int) {
	if rows == len(w.p.cfg.Policy.TablesOf(name))*(len(raws)-len(rejected)) {
		return 0 // a row for each: the common case
	}
	for i, raw := range raws {
		if len(rejected) > 0 && rejected[0].Index == i {
			rejected = rejected[1:]
			continue
		}
		if w.p.cfg.Policy.Expired(name, raw.OccurredAt(), now) {
			n++
		}
	}
	return n
}

// rowGroup is the rows of one raw frame for one table and expiry day.
type rowGroup struct {
	table string
	day   event.Day
	rows  []event.Clean
}

// groupRows keeps the order in which tables and days come.
func groupRows(rows []event.Clean) []*rowGroup {
	type name struct {
		table string
		day   event.Day
	}
	var groups []*rowGroup
	index := map[name]*rowGroup{}
	days := map[int64]event.Day{} // formatting a day costs more than a row
	for _, c := range rows {
		r := c.Row()
		number := r.ExpiresAt.Unix() / 86400
		day, ok := days[number]
		if !ok {
			day = c.ExpiryDay()
			days[number] = day
		}
		g := index[name{r.Table, day}]
		if g == nil {
			g = &rowGroup{table: r.Table, day: day}
			index[name{r.Table, day}] = g
			groups = append(groups, g)
		}
		g.rows = append(g.rows, c)
	}
	return groups
}

// seal makes the clean frame of a group, or two of half the rows where one
// would be too large for a message.
func (w *worker) seal(ctx context.Context, o *outcome, from origin, g *rowGroup, part string) error {
	table, ok := w.p.cfg.Policy.Table(g.table)
	if !ok {
		return fault.Corrupt.Errorf("a row is of a table that the policy does not have")
	}
	rawSeq := from.rawSeq
	if from.unnamed {
		rawSeq = 0
	}
	h := event.Header(event.CleanHeader{
		Tenant: from.header.Tenant, Service: from.header.Service,
		Table: g.table, Class: table.Class.KeyName(), Day: g.day,
		Event: from.header.Event, Version: from.header.Version,
		Policy: w.p.cfg.Policy.Digest(), Count: len(g.rows),
		RawSeq: rawSeq, QuarantineSeq: from.quarantineSeq,
	})
	body := event.CleanBody(table.ColumnNames(), g.rows)
	sealed, err := w.p.cfg.Keys.SealClean(ctx, from.header.Tenant, table.Class.KeyName(), string(g.day), h, body)
	if errors.Is(err, keyring.ErrDestroyed) {
		return nil // the day is over, whatever the clock of this process says
	}
	if err != nil {
		return fmt.Errorf("sealing rows of %s: %w", g.table, err)
	}
	data := event.Pack(h, sealed)
	if len(data) > eventlog.LargestData {
		if len(g.rows) < 2 {
			return fault.Corrupt.Errorf("a row of %s is larger than a message may be", g.table)
		}
		half := len(g.rows) / 2
		if err := w.seal(ctx, o, from, &rowGroup{g.table, g.day, g.rows[:half]}, part+"/a"); err != nil {
			return err
		}
		return w.seal(ctx, o, from, &rowGroup{g.table, g.day, g.rows[half:]}, part+"/b")
	}
	o.rows += len(g.rows)
	o.clean = append(o.clean, eventlog.Message{
		Topic: event.CleanTopic(from.header.Tenant, from.header.Service, g.table, g.day, from.shard),
		ID:    from.prefix + "/" + g.table + "/" + string(g.day) + part,
		Data:  data,
	})
	return nil
}

// setAside makes a quarantine frame of a body of raw events. It is sealed under
// the key of the day on which they were first set aside, so that a second time
// does not lengthen how long they wait at most.
func (w *worker) setAside(ctx context.Context, o *outcome, from origin, why treatment.Rejected, body []byte, count int) error {
	h := event.Header(event.QuarantineHeader{
		Tenant: from.header.Tenant, Service: from.header.Service,
		Event: from.header.Event, Version: from.header.Version, Policy: from.header.Policy,
		Count: count, Reason: why.Reason, RawSeq: from.rawSeq, At: from.since.UnixMilli(),
	})
	sealed, err := w.p.cfg.Keys.SealQuarantine(ctx, from.header.Tenant, from.since, h, body)
	if err != nil {
		return fmt.Errorf("sealing for quarantine: %w", err)
	}
	o.quarantine = append(o.quarantine, eventlog.Message{
		Topic: event.QuarantineTopic(from.header.Tenant, from.header.Service, from.header.Event),
		ID:    asidePrefix + from.prefix + "/" + why.Code + from.again,
		Data:  event.Pack(h, sealed),
	})
	return nil
}

// asidePrefix begins the message ids of quarantine frames.
const asidePrefix = "aside/"

// byCode groups rejected events by why, in the order of the first of each.
func byCode(rejected []treatment.Rejected) [][]treatment.Rejected {
	var groups [][]treatment.Rejected
	index := map[string]int{}
	for _, r := range rejected {
		i, ok := index[r.Code]
		if !ok {
			i = len(groups)
			index[r.Code] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

func pick(raws []event.Raw, rejected []treatment.Rejected) []event.Raw {
	out := make([]event.Raw, len(rejected))
	for i, r := range rejected {
		out[i] = raws[r.Index]
	}
	return out
}
