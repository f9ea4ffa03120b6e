package hold

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// A State is how far the life of a hold is.
type State string

const (
	// Active holds are copied to and keep what they have.
	Active State = "active"
	// Released holds were given up by an officer: retention is to remove the
	// copies.
	Released State = "released"
	// Ended holds have no copy left. Their record stays, without the name and
	// the reason.
	Ended State = "ended"
)

// A Hold is a legal hold: what it covers, and how far it is copied. It names
// no person.
type Hold struct {
	// ID is random: lower-case letters and digits that may stand in a topic
	// and in the name of a key.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Reason is for people. It goes on record.
	Reason string `json:"reason"`
	// By is the id of the credential that added it.
	By string `json:"by"`
	// Added is when, to the millisecond, by the later of the wall clock and
	// Lethe's. What was past its rule then is not covered.
	Added time.Time `json:"added"`
	// Deadline is the last UTC day on which the copies are kept.
	Deadline event.Day `json:"deadline"`

	// What it covers. No tables are all that expire, those of a later policy
	// included; no services are all. From and To bound occurred_at, From
	// included; zero is open.
	Tenant   string    `json:"tenant"`
	Tables   []string  `json:"tables,omitempty"`
	Services []string  `json:"services,omitempty"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`
	// Rules are the classes and periods that its tables had when it was added,
	// by table, as [policy.Class.KeyName] writes them. A table that is not
	// listed has the rule of today.
	Rules map[string]string `json:"rules,omitempty"`

	State State `json:"state"`
	// Floor is the clean sequence through which everything covered is copied. It
	// counts the frames of every tenant, so that nobody is told of it, nor of
	// the range. P14.
	Floor uint64 `json:"floor,omitzero"`
	// Upto is the end of the range that is being copied, since Began; none is
	// when it is not beyond Floor.
	Upto  uint64    `json:"upto,omitempty"`
	Began time.Time `json:"began,omitzero"`
	// Rows and Frames are what the copies hold, through the floor.
	Rows   uint64 `json:"rows"`
	Frames uint64 `json:"frames"`
}

const (
	maxYears     = 10
	minReason    = 10
	maxReason    = 500
	maxListed    = 64 // tables, services
	underwayMost = time.Hour
)

// earliest is the first instant of which the warehouse can tell.
var earliest = time.Unix(0, 0).UTC()

var (
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,47}$`)
	idPattern   = regexp.MustCompile(`^[a-z2-7]{26}$`)
)

// Validate holds a hold to what may be added at an instant, under a policy.
// Everything else is [fault.Invalid].
func (h Hold) Validate(pol *policy.Policy, now time.Time) error {
	if !namePattern.MatchString(h.Name) {
		return fault.Invalid.Errorf("the name of a hold is 1 to 48 lower-case letters, digits and dashes, and begins with no dash")
	}
	if err := checkReason(h.Reason); err != nil {
		return err
	}
	day, err := event.ParseDay(string(h.Deadline))
	if err != nil {
		return fault.Invalid.Errorf("the deadline of a hold is a day, written YYYY-MM-DD")
	}
	if today := event.DayOf(now); day <= today || day > event.DayOf(now.UTC().AddDate(maxYears, 0, 0)) {
		return fault.Invalid.Errorf("the deadline of a hold is after today (%s, UTC) and within %d years", today, maxYears)
	}
	if !event.CheckName(h.Tenant) {
		return fault.Invalid.Errorf("a hold is of one tenant")
	}
	for _, at := range []time.Time{h.From, h.To} {
		if !at.IsZero() && (at.Before(earliest) || at.After(event.Never.Start())) {
			return fault.Invalid.Errorf("from and to lie between the years %d and %d", earliest.Year(), event.Never.Start().Year())
		}
	}
	if !h.From.IsZero() && !h.To.IsZero() && !h.From.Before(h.To) {
		return fault.Invalid.Errorf("a hold's from is before its to")
	}
	if err := h.checkScope(pol); err != nil {
		return err
	}
	return h.checkReach(pol, now)
}

// checkReach refuses a stretch of time of which nothing can be covered, so that
// nobody believes that it is.
func (h Hold) checkReach(pol *policy.Policy, now time.Time) error {
	if !h.From.IsZero() && !h.From.Before(h.Deadline.End()) {
		return fault.Invalid.Errorf("a hold's from is not after its deadline: it would cover nothing")
	}
	for _, t := range warehouse.HoldTables(pol) {
		if h.CoversTable(t.Name) && (h.To.IsZero() || t.Class.ExpiresAt(h.To.Add(-time.Millisecond)).After(now)) {
			return nil
		}
	}
	return fault.Invalid.Errorf("everything that occurred before the hold's to is past its rule already: it would cover nothing")
}

func (h Hold) checkScope(pol *policy.Policy) error {
	if len(h.Tables) > maxListed || len(h.Services) > maxListed {
		return fault.Invalid.Errorf("a hold lists at most %d tables and as many services", maxListed)
	}
	for _, name := range h.Tables {
		t, ok := pol.Table(name)
		switch {
		case !event.CheckSymbol(name) || !ok:
			return fault.Invalid.Errorf("a table of the hold is not in the policy")
		case t.Class.Lasting:
			return fault.Invalid.Errorf("table %s stays in any case: no hold covers it", name)
		}
	}
	for _, name := range h.Services {
		if !event.CheckName(name) {
			return fault.Invalid.Errorf("a service of the hold is not the name of one")
		}
	}
	return nil
}

// checkReason refuses what cannot be a reason, and what looks like personal
// data: a reason cannot be erased before the record that it stands in is.
func checkReason(reason string) error {
	if n := utf8.RuneCountInString(reason); n < minReason || n > maxReason || strings.TrimSpace(reason) != reason {
		return fault.Invalid.Errorf("the reason of a hold is %d to %d characters, without space at its ends", minReason, maxReason)
	}
	if !utf8.ValidString(reason) || strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fault.Invalid.Errorf("the reason of a hold is one line of text")
	}
	if strings.Contains(reason, "@") {
		return fault.Invalid.Errorf("the reason of a hold names no person: it holds no e-mail address")
	}
	for word := range strings.FieldsFuncSeq(reason, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("()[]<>,;/\"'", r) }) {
		if _, err := netip.ParseAddr(strings.TrimRight(word, ".:")); err == nil {
			return fault.Invalid.Errorf("the reason of a hold names no person: it holds no address")
		}
	}
	return nil
}

// Called is the name of a hold, and the id of one that has ended.
func (h Hold) Called() string { return cmp.Or(h.Name, h.ID) }

// Covers says whether a hold is of the tenant and lists the table and the
// service, or lists none. Whether it is active is not asked, and neither is
// when an event occurred.
func (h Hold) Covers(table, tenant, service string) bool {
	return h.Tenant == tenant && h.CoversTable(table) && (len(h.Services) == 0 || slices.Contains(h.Services, service))
}

// CoversTable says whether a hold lists the table, or none.
func (h Hold) CoversTable(name string) bool {
	return len(h.Tables) == 0 || slices.Contains(h.Tables, name)
}

// CoversTime says whether an event that occurred at the instant is within the
// hold's stretch of time.
func (h Hold) CoversTime(occurred time.Time) bool {
	return (h.From.IsZero() || !occurred.Before(h.From)) && (h.To.IsZero() || occurred.Before(h.To))
}

// Over says whether nothing more is to be copied: the hold was released or has
// ended, or its deadline has passed.
func (h Hold) Over(now time.Time) bool {
	return h.State != Active || !now.Before(h.Deadline.End())
}

// Due says whether retention is to remove the copies of a hold. A hold whose
// range is being copied is not due until the copier has let go of it, because
// what arrives after the removal would stay; a copier that died in it is waited
// for no longer than an hour.
func (h Hold) Due(now time.Time) bool {
	return h.State != Ended && h.Over(now) && (!h.underway() || now.Sub(h.Began) > underwayMost)
}

func (h Hold) underway() bool { return h.Upto > h.Floor }

// Key is the name of the key that the copies of frames are sealed under, as
// the keyring takes it: a class and a day.
func (h Hold) Key() (class, day string) { return KeyName(h.ID), string(h.Deadline) }

// Topics matches every topic of the hold's frames.
func (h Hold) Topics() string { return event.HoldTopic(h.ID, ">") }

// KeyName is the class under which the key of a hold is made.
func KeyName(id string) string { return keyring.HoldPrefix + id }

// KeyHold reads the hold's id from the class of a clean key. False is the key
// of a deletion class.
func KeyHold(class string) (id string, ok bool) {
	id, ok = strings.CutPrefix(class, keyring.HoldPrefix)
	return id, ok && idPattern.MatchString(id)
}
