package operation_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
	"github.com/lethe-pipeline/lethe/schemas"
)

// tables is a warehouse that holds rows of one table, and drifts nowhere.
type tables struct {
	operation.Warehouse
	name       string
	cuts       []warehouse.Cut
	outlasting uint64
}

func (w tables) Plan(context.Context, *policy.Policy) ([]warehouse.Change, error) { return nil, nil }

func (w tables) Cuts(_ context.Context, t *policy.Table) ([]warehouse.Cut, error) {
	if t.Name != w.name {
		return nil, fault.NotFound.Errorf("no table")
	}
	return w.cuts, nil
}

func (w tables) Outlasting(_ context.Context, t *policy.Table) (uint64, error) {
	if t.Name != w.name {
		return 0, fault.NotFound.Errorf("no table")
	}
	return w.outlasting, nil
}

// rewritten is the built-in policy whose classes are written otherwise.
func rewritten(t testing.TB, old, new string) *policy.Policy {
	t.Helper()
	text, err := pipelines.FS.ReadFile("retention.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatal("the text to replace is not there")
	}
	docs, err := policy.Load(schemas.FS, pipelines.FS, fstest.MapFS{
		"retention.yaml": {Data: []byte(strings.Replace(string(text), old, new, 1))},
	})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

func TestAPlanSaysWhatGoesAtOnce(t *testing.T) {
	today := time.Now().UTC()
	day := func(n int) event.Day { return event.DayOf(today.AddDate(0, 0, n)) }
	o := operation.New(operation.Config{Policy: lethetest.BuiltIn(t), Log: lethetest.Logger(t), Warehouse: tables{
		name: "http_access",
		// What occurred 20, 8 and 7 days ago. A part of the last is past a
		// rule of a week, and its key seals more.
		cuts: []warehouse.Cut{{Day: day(10), Rows: 5, All: 5}, {Day: day(22), Rows: 7, All: 7}, {Day: day(23), Rows: 1, All: 9}},
	}})
	plan, err := o.PlanFor(t.Context(), policyWith(t, "7 days"))
	if err != nil {
		t.Fatal(err)
	}
	want := []operation.Going{{Class: "access", Rows: 13, Partitions: 3, Keys: 2}}
	if diff := cmp.Diff(want, plan.Goes); diff != "" {
		t.Errorf("what goes (-want +got):\n%s", diff)
	}
	for i, c := range plan.Policy {
		if i > 0 && plan.Policy[i-1].Weight == policy.Note && c.Weight != policy.Note {
			t.Error("a note stands before what people must be told of")
		}
	}
}

func TestAPlanNamesEveryStoreThatChanges(t *testing.T) {
	o := operation.New(operation.Config{Policy: lethetest.BuiltIn(t), Log: lethetest.Logger(t), Warehouse: tables{}})
	for _, c := range []struct {
		old, new string
		want     operation.Change
	}{
		{"    starts: collection\n    governs: quarantine", "    starts: collection\n    governs: quarantine",
			operation.Change{}},
		{"    cluster: Events that could not be treated, sealed\n    description: Gone 30 days after they came.\n    period: 30 days", "    cluster: Events that could not be treated, sealed\n    description: Gone 10 days after they came.\n    period: 10 days",
			operation.Change{Where: "stream LETHE_QUARANTINE", Sentence: "max_age becomes 10 days, from 30 days"}},
		{"period: 30 days", "period: 29 days",
			operation.Change{Where: "user cells", Sentence: "has another read barrier before lethe.http_access; with the engine's next start"}},
	} {
		plan, err := o.PlanFor(t.Context(), rewritten(t, c.old, c.new))
		if err != nil {
			t.Fatal(err)
		}
		if c.want == (operation.Change{}) {
			if len(plan.Changes) != 0 || plan.Digest != plan.Running {
				t.Errorf("the same policy changes %v", plan.Changes)
			}
		} else if !slices.Contains(plan.Changes, c.want) {
			t.Errorf("%v is not among %v", c.want, plan.Changes)
		}
	}
}

// recorder is an audit.Recorder whose record may fail.
type recorder struct {
	err  error
	kind audit.Kind
	got  any
}

func (r *recorder) Record(_ context.Context, kind audit.Kind, detail any) error {
	r.kind, r.got = kind, detail
	return r.err
}

func TestAPolicyIsKeptForTheNextStartWhenItIsOnRecord(t *testing.T) {
	file := operation.PolicyFile(filepath.Join(t.TempDir(), "policy.json"))
	rec := &recorder{}
	var by []string
	c := operation.Config{
		Policy: lethetest.BuiltIn(t), Log: lethetest.Logger(t), Warehouse: tables{}, Next: file,
		Recorder: func(who string) audit.Recorder { by = append(by, who); return rec },
	}
	week, longer := policyWith(t, "7 days"), policyWith(t, "60 days")
	empty := func(what string) {
		t.Helper()
		if _, err := file.Load(); !errors.Is(err, fault.NotFound) {
			t.Errorf("%s: a policy is kept, %v", what, err)
		}
	}
	if _, err := operation.New(c).Apply(t.Context(), longer, "op", false); !errors.Is(err, fault.Conflict) {
		t.Errorf("a longer rule of which nobody was told: %v", err)
	}
	empty("untold")
	c.Warehouse = tables{name: "http_access", outlasting: 1}
	if _, err := operation.New(c).Apply(t.Context(), longer, "op", true); !errors.Is(err, fault.Conflict) {
		t.Errorf("a longer rule that has to wait: %v", err)
	}
	empty("too early")
	if rec.got != nil {
		t.Errorf("what was refused is on record: %v", rec.got)
	}
	rec.err = fault.Unavailable.Errorf("no record")
	if _, err := operation.New(c).Apply(t.Context(), week, "op", false); !errors.Is(err, fault.Unavailable) {
		t.Errorf("without a record: %v", err)
	}
	empty("not recorded")
	rec.err = nil
	plan, err := operation.New(c).Apply(t.Context(), week, "op", false)
	if err != nil || plan.Next != week.Digest() {
		t.Errorf("the next policy is %q, want %q: %v", plan.Next, week.Digest(), err)
	}
	if docs, err := file.Load(); err != nil || docs.Digest() != week.Digest() {
		t.Errorf("what is kept is another policy: %v", err)
	}
	if p, ok := rec.got.(audit.Policy); !ok || rec.kind != audit.KindPolicy || p.Digest != week.Digest() || by[len(by)-1] != "op" {
		t.Errorf("on record is %+v by %v", rec.got, by)
	}
	c.Next = ""
	if _, err := operation.New(c).Apply(t.Context(), week, "op", true); !errors.Is(err, fault.Conflict) {
		t.Errorf("a Lethe that is told where its policy is: %v", err)
	}
}
