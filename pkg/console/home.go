package console

import (
	"net/http"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// homeBody is what the first page shows: what is wrong, then what there is.
type homeBody struct {
	Role      access.Role
	Publisher bool
	Operator  bool
	Sees      map[string]bool
	Troubled  []part // parts that are not ready
	Looked    asked[verify.History]
	Broken    []verify.Promise
	Kept      []verify.Promise
	Waiting   []verify.Promise // not enforced yet
	Status    asked[operation.Status]
	Empty     bool // nothing was ever stored
	Panels    []*panel
	Proof     string
}

// first are the questions of the first page.
var first = []question{
	{Metric: "activations", By: byDay},
	{Metric: "viewers", By: byDay},
}

func (o *Console) home(v *visit) {
	b := homeBody{
		Role: v.who.Role, Publisher: v.who.Role == access.Publisher, Operator: v.who.Role == access.Operator,
		Sees: map[string]bool{}, Proof: v.session.proof,
	}
	for _, p := range places {
		b.Sees[p.path] = p.may(v.who)
	}
	var parts []part
	asks := []func(){func() { parts = v.parts() }}
	if b.Sees["retention"] {
		asks = append(asks, func() { b.Looked = get[verify.History](v, "/v1/verify/history", nil) })
	}
	if b.Sees["flow"] {
		asks = append(asks, func() { b.Status = get[operation.Status](v, "/v1/status", nil) })
	}
	if b.Sees["usage"] {
		asks = append(asks, func() {
			if list, no := v.metrics(); no == nil {
				b.Panels = v.panels(list, "panel-", first, question{})
			}
		})
	}
	together(asks...)
	for _, p := range parts {
		if !p.OK {
			b.Troubled = append(b.Troubled, p)
		}
	}
	if r := b.Looked.V.Latest; r != nil {
		for _, p := range r.Promises {
			switch {
			case !p.Enforced:
				b.Waiting = append(b.Waiting, p)
			case p.Holds:
				b.Kept = append(b.Kept, p)
			default:
				b.Broken = append(b.Broken, p)
			}
		}
	}
	b.Empty = empty(b)
	v.render(http.StatusOK, "home", "Home", b)
}

// empty says whether nothing was stored, as far as the role can see.
func empty(b homeBody) bool {
	if b.Sees["flow"] && b.Status.No == nil {
		for _, t := range b.Status.V.Tables {
			if t.Rows > 0 {
				return false
			}
		}
		for _, l := range b.Status.V.Logs {
			if l.Name != "quarantine" && l.Messages > 0 {
				return false
			}
		}
		return true
	}
	shown := false
	for _, p := range b.Panels {
		shown = shown || p.says()
	}
	return b.Sees["usage"] && !shown
}
