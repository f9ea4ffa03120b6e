package treatment

import (
	"errors"
	"fmt"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Apply treats the events of one raw frame: a row for every table of the event
// whose deletion rule has not passed by now. An event past every rule gives no
// rows; a lasting row is made only beside an identified one.
//
// An event that cannot be treated gives no rows and one Rejected. Field names
// that the policy does not know are dropped, and missing ones are absent, so
// that a frame can be read under every later policy while it lives.
//
// An error says that tokens could not be had; nothing of the frame is to be
// used then. It is of the kind that [Tokens] gave it.
func (t *Treatment) Apply(h event.RawHeader, raws []event.Raw, now time.Time, tokens Tokens) ([]event.Clean, []Rejected, error) {
	p := t.events[h.Event]
	if p == nil || !t.known[version{h.Event, h.Version}] {
		rejected := make([]Rejected, len(raws))
		for i := range raws {
			rejected[i] = unknownVersion.rejected(i, "")
		}
		return nil, rejected, nil
	}
	a := &application{
		plan: p, header: h, now: now, tokens: tokens,
		at:     make([]int, len(p.fields)),
		values: make([]event.Value, p.columns*len(raws)),
		rows:   make([]event.Clean, 0, len(p.tables)*len(raws)),
	}
	var rejected []Rejected
	for i, raw := range raws {
		done := len(a.rows)
		failed, fl, err := a.event(event.Open(raw))
		if err != nil {
			return nil, nil, err
		}
		if fl != sound {
			a.rows = a.rows[:done] // all of its tables or none
			rejected = append(rejected, fl.rejected(i, a.name(failed)))
		}
	}
	return a.rows, rejected, nil
}

// application is one call of Apply.
type application struct {
	*plan
	header event.RawHeader
	now    time.Time
	tokens Tokens

	names   []string // the field names that at was made for
	at      []int    // place of each planned field in the event, or -1
	present *event.Contents

	values []event.Value // what is left of the slab that rows are cut from
	parts  []string      // scratch
	agents families
	rows   []event.Clean
}

// event treats one event for all tables. It returns the planned field that was
// at fault.
func (a *application) event(c *event.Contents) (failed int, _ flaw, _ error) {
	a.bind(c)
	if a.expired(c.OccurredAt) {
		return -1, sound, nil
	}
	for _, t := range a.tables {
		occurred := c.OccurredAt
		if t.grain > 0 {
			occurred = occurred.Truncate(t.grain)
		}
		// From the coarsened time: the exact instant of expiry would give the
		// exact time away. It makes a rule shorter, never longer.
		expires := t.Class.ExpiresAt(occurred)
		if !a.now.Before(expires) {
			continue
		}
		row := event.Row{Table: t.Name, OccurredAt: occurred, ExpiresAt: expires, Identified: c.Identified}
		var epoch int64
		if t.Domain != nil && !t.Class.Lasting {
			epoch = t.Domain.Epoch(c.OccurredAt)
			row.Epoch = t.Domain.Mark(epoch)
		}
		row.Values, a.values = a.values[:len(t.columns):len(t.columns)], a.values[len(t.columns):]
		for i := range t.columns {
			v, failed, fl, err := a.column(t, &t.columns[i], c.OccurredAt, epoch)
			if err != nil || fl != sound {
				return failed, fl, err
			}
			row.Values[i] = v
		}
		id, fl, err := a.id(t, c, occurred)
		if err != nil || fl != sound {
			return -1, fl, err
		}
		row.ID = id
		a.rows = append(a.rows, event.NewClean(row))
	}
	return -1, sound, nil
}

// bind finds the planned fields in an event. The events of a frame share their
// field names, so this happens once per call.
func (a *application) bind(c *event.Contents) {
	a.present = c
	if a.names != nil && len(a.names) == len(c.Fields) && (len(c.Fields) == 0 || &a.names[0] == &c.Fields[0]) {
		return
	}
	a.names = c.Fields
	for i, want := range a.fields {
		a.at[i] = -1
		for j, name := range c.Fields {
			if name == want {
				a.at[i] = j
				break
			}
		}
	}
}

// value is the value of a planned field, null when the event lacks it.
func (a *application) value(field int) event.Value {
	if field < 0 || a.at[field] < 0 || a.at[field] >= len(a.present.Values) {
		return event.Value{}
	}
	return a.present.Values[a.at[field]]
}

func (a *application) name(field int) string {
	if field < 0 {
		return ""
	}
	return a.fields[field]
}

// expired says whether every identified row of the event is past its rule. What
// has left its identified row never comes in through a lasting table.
func (a *application) expired(occurred time.Time) bool {
	for _, t := range a.tables {
		if !t.Class.Lasting && a.now.Before(t.Class.ExpiresAt(occurred)) {
			return false
		}
	}
	return true
}

func (a *application) column(t *tablePlan, c *columnPlan, occurred time.Time, epoch int64) (_ event.Value, failed int, _ flaw, _ error) {
	if c.token != nil {
		return a.token(t, c.token, occurred, epoch)
	}
	v := a.value(c.field)
	if v.IsNull() {
		return v, -1, sound, nil
	}
	if c.To == agentFamily && v.Kind() == event.String {
		return event.StringValue(a.agents.of(v.Str())), -1, sound, nil
	}
	out, fl := c.single(v)
	return out, c.field, fl, nil
}

// id is the row's ID. The time in it is as coarse as the row's.
func (a *application) id(t *tablePlan, c *event.Contents, occurred time.Time) (event.ID, flaw, error) {
	if !t.Class.Lasting {
		if t.grain < time.Second {
			return c.ID, sound, nil
		}
		var payload [16]byte
		copy(payload[:], c.ID.Payload())
		return event.NewID(occurred, payload), sound, nil
	}
	// P7: a lasting row has an ID of its own. An event that may come again has
	// the same one each time, made with a key that dies with the identified
	// row: until then a repetition is recognized, and nobody without the key
	// can join the two rows.
	if !c.Identified || t.lastingID == nil {
		return event.NewID(occurred, event.RandomPayload()), sound, nil
	}
	token, err := a.tokens.Token(TokenKey{
		Domain:  t.lastingID.Name,
		Epoch:   t.lastingID.Epoch(c.OccurredAt),
		Tenant:  a.header.Tenant,
		Service: a.header.Service,
		Kind:    LastingID,
	}, append(a.parts[:0], Version, string(c.ID[:])))
	if err != nil {
		fl, err := keyProblem(err)
		return event.ID{}, fl, err
	}
	return event.NewID(occurred, [16]byte(token[:16])), sound, nil
}

// keyProblem tells a destroyed key, which is a fact about the event, from a
// key that cannot be had for the time being.
func keyProblem(err error) (flaw, error) {
	if errors.Is(err, fault.NotFound) {
		return keyDestroyed, nil
	}
	return sound, fmt.Errorf("making a token: %w", err)
}
