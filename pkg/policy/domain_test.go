package policy_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// accessFor is the policy whose access events are kept for another period, and
// its table.
func accessFor(t testing.TB, period string) (*policy.Policy, *policy.Table) {
	t.Helper()
	pol, err := compileWith(t, map[string]string{
		"retention.yaml": strings.Replace(retentionText(t), "period: 30 days", "period: "+period, 1),
	})
	if err != nil {
		t.Fatal(err)
	}
	table, ok := pol.Table("http_access")
	if !ok {
		t.Fatal("there is no table http_access")
	}
	return pol, table
}

func TestAChangedPeriodNeverGivesAnOldKeyAnotherMeaning(t *testing.T) {
	_, month := accessFor(t, "30 days")
	_, longer := accessFor(t, "62 days")
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	if month.Domain.Name != "web/access@64d" || longer.Domain.Name != "web/access@128d" {
		t.Fatalf("the domains are called %s and %s", month.Domain.Name, longer.Domain.Name)
	}
	// Every second epoch of the one begins with an epoch of the other.
	e := longer.Domain.Epoch(at)
	if got := month.Domain.Epoch(longer.Domain.EpochStart(e)); got != e {
		t.Fatalf("epochs that begin on one day are %d and %d", e, got)
	}
	if month.Domain.Mark(e) == longer.Domain.Mark(e) {
		t.Error("rows of two domains have one mark")
	}
	if day := time.Unix(e*86400, 0).UTC(); !day.Equal(longer.Domain.EpochStart(e)) {
		t.Errorf("epoch %d begins at %v", e, longer.Domain.EpochStart(e))
	}
}

func TestEpochsFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &policy.Domain{
			Name: "a/b@c", Length: time.Duration(rapid.IntRange(6, 20_000).Draw(t, "days")) * 24 * time.Hour,
			Anchor: time.Unix(rapid.Int64Range(-1e9, 4e9).Draw(t, "anchor"), 0).UTC(),
		}
		at := instant(t)
		e := d.Epoch(at)
		switch {
		case at.Before(d.EpochStart(e)) || !at.Before(d.EpochEnd(e)):
			t.Fatalf("%v is not within epoch %d", at, e)
		case d.Epoch(d.EpochStart(e)) != e || d.Epoch(d.EpochEnd(e)) != d.Next(e):
			t.Fatalf("the edges of epoch %d are in %d and %d", e, d.Epoch(d.EpochStart(e)), d.Epoch(d.EpochEnd(e)))
		case d.Previous(d.Next(e)) != e || !d.EpochStart(d.Next(e)).Equal(d.EpochEnd(e)):
			t.Fatalf("epoch %d is not before the one after it", e)
		case d.Mark(e)-d.Step() != d.Mark(d.Previous(e)) || d.Mark(e) <= d.Mark(d.Previous(e)):
			t.Fatalf("the marks of epoch %d and the one before are not a step apart", e)
		}
	})
}

// TestAnEpochsKeyOutlivesItsTokens: under the policy it was made with, and
// under any that came after.
func TestAnEpochsKeyOutlivesItsTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, now := period(t, "old"), period(t, "new")
		bridge := old.Longest() + 48*time.Hour
		d := policy.NewDomain("web", "access", 2*bridge+time.Duration(rapid.IntRange(0, 9).Draw(t, "more"))*24*time.Hour, bridge,
			time.Unix(rapid.Int64Range(-1e9, 4e9).Draw(t, "anchor"), 0).UTC())
		o := instant(t)
		epochs := []int64{d.Epoch(o)}
		if d.Bridged(o) {
			epochs = append(epochs, d.Previous(epochs[0]))
		}
		access := &policy.Class{Name: "access", Period: old, Governs: "events"}
		for _, e := range epochs {
			same := policy.OfTable(&policy.Table{Name: "t", Class: access, Domain: d})
			check := func(what string, pol *policy.Policy, expires time.Time) {
				end, ok := pol.EpochExpiry(d.Name, e)
				if !ok || end.Before(event.DayOf(expires).End()) {
					t.Fatalf("%s: a row expires at %v, the key of its token at %v (%t)", what, expires, end, ok)
				}
			}
			check("the same policy", same, old.After(o))
			check("a class that is gone", policy.OfClasses(), old.After(o))
			shorter := old.After(o)
			if next := now.After(o); next.Before(shorter) {
				shorter = next
			}
			check("another period", withPeriod(now), shorter)
			if end, _ := same.EpochExpiry(d.Name, e); end.After(old.After(d.EpochEnd(e).Add(bridge)).Add(25 * time.Hour)) {
				t.Fatalf("the key of an epoch that ends at %v lives until %v", d.EpochEnd(e), end)
			}
		}
	})
}

func TestAShorterPeriodEndsAnEpochEarly(t *testing.T) {
	was, table := accessFor(t, "30 days")
	is, _ := accessFor(t, "7 days")
	e := table.Domain.Epoch(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
	before, _ := was.EpochExpiry(table.Domain.Name, e)
	after, ok := is.EpochExpiry(table.Domain.Name, e)
	if !ok || !after.Before(before.AddDate(0, 0, -21)) {
		t.Errorf("an epoch that would have ended at %v ends at %v", before, after)
	}
	for _, name := range []string{"", "web", "web/access", "web/lasting", "web/access@64", "web/access@064d", "Web/access@64d"} {
		if _, ok := was.EpochExpiry(name, 1); ok {
			t.Errorf("%q is a domain", name)
		}
	}
}

func TestADomainsNameFitsTheKeyring(t *testing.T) {
	files := example(t)
	files[pipelineFile] = strings.Replace(files[pipelineFile], "domain: downloads", "domain: "+strings.Repeat("d", 48), 1)
	if _, err := compileWith(t, files); err != nil {
		t.Fatalf("with the class access: %v", err)
	}
	name := "long_class_name_" + strings.Repeat("c", 8)
	files["retention.yaml"] = strings.Replace(retentionText(t), "\n  access:\n", "\n  "+name+":\n    cluster: Test\n    description: Test\n    period: 30 days\n    starts: event\n    governs: events\n\n  access:\n", 1)
	files[pipelineFile] = strings.Replace(files[pipelineFile], "class: access #", "class: "+name+" #", 1)
	if _, err := compileWith(t, files); err == nil || !strings.Contains(err.Error(), "too long together") {
		t.Errorf("a name that the keyring does not take: %v", err)
	}
}
