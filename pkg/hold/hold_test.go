package hold_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func valid() hold.Hold {
	return hold.Hold{
		ID: hold.NewID(), Name: "case-2026-17", Reason: "Regulator's request, file 2026/17", By: "abc", Added: noon,
		Deadline: "2027-06-30", Tenant: "acme", State: hold.Active,
	}
}

func TestHoldIsHeldToItsRules(t *testing.T) {
	pol := lethetest.BuiltIn(t)
	for what, c := range map[string]struct {
		change func(*hold.Hold)
		ok     bool
	}{
		"as it should be":          {func(*hold.Hold) {}, true},
		"tables and services":      {func(h *hold.Hold) { h.Tables, h.Services = []string{"http_access", "login"}, []string{"shop"} }, true},
		"a stretch of time":        {func(h *hold.Hold) { h.From, h.To = noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0) }, true},
		"tomorrow":                 {func(h *hold.Hold) { h.Deadline = "2026-11-22" }, true},
		"ten years":                {func(h *hold.Hold) { h.Deadline = "2036-11-21" }, true},
		"a version in the reason":  {func(h *hold.Hold) { h.Reason = "Defect of release 1.2.3, file 7" }, true},
		"no name":                  {func(h *hold.Hold) { h.Name = "" }, false},
		"a name with capitals":     {func(h *hold.Hold) { h.Name = "Case" }, false},
		"a name with a dash first": {func(h *hold.Hold) { h.Name = "-case" }, false},
		"a long name":              {func(h *hold.Hold) { h.Name = strings.Repeat("a", 49) }, false},
		"a short reason":           {func(h *hold.Hold) { h.Reason = "because" }, false},
		"a long reason":            {func(h *hold.Hold) { h.Reason = strings.Repeat("a", 501) }, false},
		"a reason of spaces":       {func(h *hold.Hold) { h.Reason = strings.Repeat(" ", 20) }, false},
		"a reason of two lines":    {func(h *hold.Hold) { h.Reason = "a regulator\nasked for it" }, false},
		"an e-mail address":        {func(h *hold.Hold) { h.Reason = "Complaint of jo@example.org" }, false},
		"an IP address":            {func(h *hold.Hold) { h.Reason = "Attack from 192.0.2.7, see file." }, false},
		"an IPv6 address":          {func(h *hold.Hold) { h.Reason = "Attack from (2001:db8::7): see file" }, false},
		"today":                    {func(h *hold.Hold) { h.Deadline = "2026-11-21" }, false},
		"no deadline":              {func(h *hold.Hold) { h.Deadline = "" }, false},
		"never":                    {func(h *hold.Hold) { h.Deadline = event.Never }, false},
		"no tenant":                {func(h *hold.Hold) { h.Tenant = "" }, false},
		"no such table":            {func(h *hold.Hold) { h.Tables = []string{"nothing"} }, false},
		"a lasting table":          {func(h *hold.Hold) { h.Tables = []string{"activation_lasting"} }, false},
		"no such service":          {func(h *hold.Hold) { h.Services = []string{"a b"} }, false},
		"many services":            {func(h *hold.Hold) { h.Services = strings.Split(strings.Repeat("a,", 65), ",") }, false},
		"from after to":            {func(h *hold.Hold) { h.From, h.To = noon, noon }, false},
		"before 1970":              {func(h *hold.Hold) { h.From = time.Unix(-1, 0) }, false},
		"to within the rule":       {func(h *hold.Hold) { h.Tables, h.To = []string{"login"}, noon.AddDate(-1, 0, 1) }, true},
		"to past every rule":       {func(h *hold.Hold) { h.To = noon.AddDate(-6, 0, 0) }, false},
		"to past the table's rule": {func(h *hold.Hold) { h.Tables, h.To = []string{"login"}, noon.AddDate(-1, 0, 0) }, false},
		"from the last day":        {func(h *hold.Hold) { h.From = h.Deadline.End().Add(-1) }, true},
		"from after the deadline":  {func(h *hold.Hold) { h.From = h.Deadline.End() }, false},
		"after the last day":       {func(h *hold.Hold) { h.To = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }, false},
	} {
		h := valid()
		c.change(&h)
		err := h.Validate(pol, noon)
		if c.ok && err != nil || !c.ok && !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestHoldCoversItsTenantTablesServicesAndTimes(t *testing.T) {
	all := valid()
	some := valid()
	some.Tables, some.Services = []string{"http_access", "login"}, []string{"shop"}
	some.From, some.To = noon, noon.Add(time.Hour)
	for _, c := range []struct {
		table, tenant, service string
		all, some              bool
	}{
		{"http_access", "acme", "shop", true, true},
		{"login", "acme", "shop", true, true},
		{"app_log", "acme", "shop", true, false},
		{"login", "acme", "blog", true, false},
		{"login", "other", "shop", false, false},
	} {
		if got := all.Covers(c.table, c.tenant, c.service); got != c.all {
			t.Errorf("all of a tenant, %+v: %v", c, got)
		}
		if got := some.Covers(c.table, c.tenant, c.service); got != c.some {
			t.Errorf("some of a tenant, %+v: %v", c, got)
		}
	}
	for at, want := range map[time.Time]bool{
		noon: true, noon.Add(-time.Millisecond): false, noon.Add(time.Hour - time.Millisecond): true, noon.Add(time.Hour): false,
	} {
		if some.CoversTime(at) != want || !all.CoversTime(at) {
			t.Errorf("%v is covered: %v", at, !want)
		}
	}
}

func TestHoldIsDueWhenItIsOverAndNothingIsBeingCopied(t *testing.T) {
	last := time.Date(2027, 6, 30, 23, 59, 59, 0, time.UTC)
	underway := func(h *hold.Hold) { h.Floor, h.Upto, h.Began = 5, 9, last }
	for what, c := range map[string]struct {
		change    func(*hold.Hold)
		at        time.Time
		over, due bool
	}{
		"active":                           {func(*hold.Hold) {}, last, false, false},
		"active, past its deadline":        {func(*hold.Hold) {}, last.Add(time.Second), true, true},
		"active, being copied":             {underway, last, false, false},
		"past its deadline, being copied":  {underway, last.Add(time.Minute), true, false},
		"past its deadline, a copier died": {underway, last.Add(2 * time.Hour), true, true},
		"released":                         {func(h *hold.Hold) { h.State = hold.Released }, noon, true, true},
		"released, being copied":           {func(h *hold.Hold) { underway(h); h.State = hold.Released }, last, true, false},
		"ended":                            {func(h *hold.Hold) { h.State = hold.Ended }, last.Add(time.Second), true, false},
	} {
		h := valid()
		c.change(&h)
		if h.Over(c.at) != c.over || h.Due(c.at) != c.due {
			t.Errorf("%s: over %v, due %v", what, h.Over(c.at), h.Due(c.at))
		}
	}
}

func TestKeyOfAHoldIsToldFromThoseOfDeletionClasses(t *testing.T) {
	h := valid()
	class, day := h.Key()
	if id, ok := hold.KeyHold(class); !ok || id != h.ID || day != "2027-06-30" {
		t.Errorf("key %s of %s is of hold %q, %v", class, day, id, ok)
	}
	pol := lethetest.BuiltIn(t)
	for _, c := range pol.Classes() {
		if _, ok := hold.KeyHold(c.KeyName()); ok {
			t.Errorf("class %s is taken for a hold", c.Name)
		}
	}
	// Whatever the policy becomes, a hold's key ends on its own day.
	if got := pol.KeyExpiry(class, "2027-06-30"); got != "2027-06-30" {
		t.Errorf("the key expires on %s", got)
	}
	if topic := event.HoldTopic(h.ID, "login"); !strings.HasPrefix(topic, strings.TrimSuffix(h.Topics(), ">")) {
		t.Errorf("topic %s is not among %s", topic, h.Topics())
	}
}
