package treatment

import (
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// token makes the pseudonym of a row, or in a bridging column that of the epoch
// before (P2). Of the alternatives the first whose fields are all present is
// used.
func (a *application) token(t *tablePlan, p *tokenPlan, occurred time.Time, epoch int64) (_ event.Value, failed int, _ flaw, _ error) {
	if p.bridging {
		if len(p.from) == 0 || !t.Domain.Bridged(occurred) {
			return event.Value{}, -1, sound, nil
		}
		epoch = t.Domain.Previous(epoch)
	}
	for _, f := range p.unless {
		if forbids(a.value(f)) { // P13
			return event.Value{}, -1, sound, nil
		}
	}
	for i := range p.from {
		alt := &p.from[i]
		parts, failed, fl := alt.parts(a.parts, a.value)
		if fl != sound {
			return event.Value{}, failed, fl, nil
		}
		if len(parts) == 0 {
			continue
		}
		a.parts = parts
		token, err := a.tokens.Token(TokenKey{
			Domain:  t.Domain.Name,
			Epoch:   epoch,
			Tenant:  a.header.Tenant,
			Service: a.header.Service,
			Kind:    alt.kind,
		}, parts)
		switch {
		case err == nil:
			return event.TokenValue(token), -1, sound, nil
		case p.bridging && errors.Is(err, fault.NotFound):
			// The epoch before is destroyed because all of its rows are gone:
			// there is nobody left to be counted twice.
			return event.Value{}, -1, sound, nil
		}
		fl, err = keyProblem(err)
		return event.Value{}, -1, fl, err
	}
	return event.Value{}, -1, sound, nil
}

// forbids says whether the value of a Do-Not-Track or Sec-GPC field asks not
// to be followed. Schemas say boolean; what a header said is understood too.
func forbids(v event.Value) bool {
	switch v.Kind() {
	case event.Bool:
		return v.Bool()
	case event.Int:
		return v.Int() != 0
	case event.Null:
		return false
	case event.String:
		return v.Str() != "" && v.Str() != "0" && v.Str() != "false"
	}
	return true
}
