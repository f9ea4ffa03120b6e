package hold

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// KeeperConfig is what a Keeper is made of. Known, Now and Wake may be nil.
type KeeperConfig struct {
	Policy *policy.Policy
	Store  *Store
	Gate   *access.Gate
	Logger *slog.Logger
	// As records what a credential does.
	As func(credential string) audit.Recorder
	// Clock is Lethe's; the later of it and Now is what today is.
	Clock func(context.Context) (time.Time, error)
	Now   func() time.Time
	// Known says whether there is a service of the tenant; nil takes every
	// name. It is asked of the services that a request lists.
	Known func(ctx context.Context, tenant, service string) (bool, error)
	// Wake is called when there is something to copy: [Copier.Wake].
	Wake func()
}

// A Keeper takes what officers decide about holds: it puts it on record, and
// then does it.
type Keeper struct{ c KeeperConfig }

// NewKeeper makes a Keeper.
func NewKeeper(c KeeperConfig) (*Keeper, error) {
	if c.Policy == nil || c.Store == nil || c.Gate == nil || c.Logger == nil || c.As == nil || c.Clock == nil {
		return nil, fault.Invalid.Errorf("making a keeper of legal holds: a part is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	return &Keeper{c}, nil
}

// A Request asks for a hold.
type Request struct {
	Name string `json:"name"`
	// Reason goes on record for years and must name no person.
	Reason string    `json:"reason"`
	Until  event.Day `json:"until"` // the last day on which copies are kept
	// No tables are all that expire, no services are all. From and To bound
	// when events occurred, From included; absent is open.
	Tables   []string  `json:"tables,omitempty"`
	Services []string  `json:"services,omitempty"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
}

// Add puts a hold on record and then into force, for the tenant of the officer
// who asks. It is copied from then on.
func (k *Keeper) Add(ctx context.Context, by access.Principal, r Request) (Hold, error) {
	at, err := k.c.Clock(ctx)
	if err != nil {
		return Hold{}, err
	}
	if now := k.c.Now(); now.After(at) {
		at = now
	}
	h := Hold{
		ID: NewID(), Name: r.Name, Reason: r.Reason, By: by.ID, Deadline: r.Until,
		Tenant: by.Tenant, Tables: r.Tables, Services: r.Services, State: Active,
		// Rows tell milliseconds.
		Added: at.UTC().Truncate(time.Millisecond),
		From:  r.From.UTC().Truncate(time.Millisecond), To: r.To.UTC().Truncate(time.Millisecond),
		Rules: map[string]string{},
	}
	for _, t := range warehouse.HoldTables(k.c.Policy) {
		if h.CoversTable(t.Name) {
			h.Rules[t.Name] = t.Class.KeyName()
		}
	}
	if len(h.Services) == 0 {
		h.Services = slices.Clone(by.Services)
	}
	if !within(h, by) {
		return Hold{}, fault.Denied.Errorf("the credential is not for every service of the hold")
	}
	if err := h.Validate(k.c.Policy, at); err != nil {
		return Hold{}, err
	}
	if err := k.known(ctx, by.Tenant, r.Services); err != nil {
		return Hold{}, err
	}
	if err := k.c.Store.free(ctx, h); err != nil {
		return Hold{}, err
	}
	// Decided and recorded are one act, before the deed.
	if err := k.c.As(by.ID).Record(ctx, audit.KindHold, audit.Hold{
		Verb: "add", ID: h.ID, Name: h.Name, Reason: h.Reason, Deadline: h.Deadline,
		Tables: h.Tables, Services: h.Services, From: h.From, To: h.To,
	}); err != nil {
		return Hold{}, err
	}
	if err := k.c.Store.Add(ctx, h); err != nil {
		return Hold{}, err
	}
	k.c.Logger.InfoContext(ctx, "hold added", "hold", h.ID, "deadline", string(h.Deadline), "principal", by)
	k.c.Wake()
	return h, nil
}

// known refuses services that nobody knows: a hold on a name that was mistyped
// would cover nothing, and look as if it did.
func (k *Keeper) known(ctx context.Context, tenant string, services []string) error {
	if k.c.Known == nil {
		return nil
	}
	for _, s := range services {
		known, err := k.c.Known(ctx, tenant, s)
		if err != nil {
			return err
		}
		if !known {
			return fault.Invalid.Errorf("a service of the hold is not known: there is no event of it on the logs, and no credential is for it")
		}
	}
	return nil
}

// Release puts the release of a hold on record and then lets go of it: its
// copies are removed by the next run of retention. A hold that was released
// already stays so.
func (k *Keeper) Release(ctx context.Context, by access.Principal, id string) (Hold, error) {
	h, err := k.c.Store.Get(ctx, id)
	switch {
	case err != nil:
		return Hold{}, err
	case !within(h, by):
		return Hold{}, errNoHold
	case h.State == Ended:
		return Hold{}, errEnded
	case h.State == Released:
		return h, nil
	}
	if err := k.c.As(by.ID).Record(ctx, audit.KindHold, audit.Hold{Verb: "release", ID: h.ID, Deadline: h.Deadline, Rows: h.Rows, Frames: h.Frames}); err != nil {
		return Hold{}, err
	}
	if h, err = k.c.Store.Release(ctx, id); err != nil {
		return Hold{}, err
	}
	k.c.Logger.InfoContext(ctx, "hold released", "hold", h.ID, "principal", by)
	k.c.Wake() // a copier that was at work lets go of it
	return h, nil
}

// within says whether a hold is the principal's business: of its tenant (P14)
// and of no service that the principal is not for (P15).
func within(h Hold, by access.Principal) bool {
	return h.Tenant == by.Tenant && (len(by.Services) == 0 || len(h.Services) > 0) &&
		!slices.ContainsFunc(h.Services, func(s string) bool { return !by.MayAsk(s) })
}

// List returns the holds that are the principal's business, in the order they
// were added.
func (k *Keeper) List(ctx context.Context, by access.Principal) ([]Hold, error) {
	all, err := k.c.Store.List(ctx)
	own := []Hold{}
	for _, h := range all {
		if within(h, by) {
			own = append(own, h)
		}
	}
	return own, err
}
