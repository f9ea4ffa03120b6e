package operation_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

func TestMain(m *testing.M) { os.Exit(lethetest.Main(m)) }

// policyWith is the built-in policy whose access events are kept for a period.
func policyWith(t testing.TB, period string) *policy.Policy {
	t.Helper()
	text, err := pipelines.FS.ReadFile("retention.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := policy.Load(schemas.FS, pipelines.FS, fstest.MapFS{
		"retention.yaml": {Data: []byte(strings.Replace(string(text), "period: 30 days", "period: "+period, 1))},
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

// site has a log of its own, and counts what enacting does.
type site struct {
	t       *testing.T
	bucket  *eventlog.Bucket
	log     *eventlog.Log
	writer  *audit.Writer
	deeds   []string // in the order in which they were done
	applies error    // what making tables and streams fails with
	records error
	kept    uint64 // rows of a longer rule, in every table
}

func start(t *testing.T) *site {
	t.Helper()
	nc, err := lethetest.NATS(t).Connect("test", "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := eventlog.Apply(t.Context(), js, eventlog.Streams(nil, eventlog.Limits{})); err != nil {
		t.Fatal(err)
	}
	w := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: eventlog.AuditStream, Log: lethetest.Logger(t)})
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	return &site{
		t: t, bucket: eventlog.OpenBucket(nc, eventlog.PolicyBucket), log: eventlog.NewLog(nc),
		writer: audit.NewRecorder(w, "policy", nil),
	}
}

// Record is an audit.Recorder's.
func (s *site) Record(ctx context.Context, kind audit.Kind, detail any) error {
	if s.records != nil {
		return s.records
	}
	s.deeds = append(s.deeds, "record")
	return s.writer.Record(ctx, kind, detail)
}

func (s *site) enact(pol *policy.Policy, confirm func([]policy.Change) error) error {
	s.t.Helper()
	s.deeds = nil
	return operation.Enact(s.t.Context(), operation.EnactConfig{
		Policy: pol, Bucket: s.bucket, Recorder: s, Now: time.Now, Log: lethetest.Logger(s.t), Confirm: confirm,
		Outlasting: func(context.Context, *policy.Table) (uint64, error) { return s.kept, nil },
		Apply: func(context.Context) error {
			s.deeds = append(s.deeds, "apply")
			return s.applies
		},
	})
}

// did checks what the last enacting did, and which policy is kept after it.
func (s *site) did(what string, kept *policy.Policy, deeds ...string) {
	s.t.Helper()
	if !slices.Equal(s.deeds, deeds) {
		s.t.Errorf("%s: did %v, want %v", what, s.deeds, deeds)
	}
	last, _, err := operation.LastApplied(s.t.Context(), s.bucket)
	switch {
	case kept == nil:
		if !errors.Is(err, fault.NotFound) {
			s.t.Errorf("%s: %s is kept, %v", what, last.Digest, err)
		}
	case err != nil || last.Digest != kept.Digest():
		s.t.Errorf("%s: %s is kept, want %s; %v", what, last.Digest, kept.Digest(), err)
	default:
		if pol, err := last.Policy(); err != nil || pol.Digest() != kept.Digest() {
			s.t.Errorf("%s: what is kept does not compile to what it is: %v", what, err)
		}
	}
}

// recorded are the details of all entries on record.
func (s *site) recorded() (out []audit.Policy) {
	s.t.Helper()
	for r, err := range s.log.Range(s.t.Context(), eventlog.AuditStream, 1, 100) {
		if errors.Is(err, fault.NotFound) {
			break
		}
		if err != nil {
			s.t.Fatal(err)
		}
		e, err := audit.ParseEntry(r.Data)
		if err != nil || e.Kind != audit.KindPolicy {
			s.t.Fatalf("an entry of kind %s: %v", e.Kind, err)
		}
		var p audit.Policy
		if err := json.Unmarshal(e.Detail, &p); err != nil {
			s.t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestAPolicyGoesOnRecordBeforeItIsEnacted(t *testing.T) {
	s := start(t)
	month, longer := policyWith(t, "30 days"), policyWith(t, "60 days")
	if err := s.enact(month, nil); err != nil {
		t.Fatal(err)
	}
	s.did("the first policy", month, "record", "apply")
	if err := s.enact(month, nil); err != nil {
		t.Fatal(err)
	}
	s.did("the same policy", month, "apply")
	if err := s.enact(longer, nil); err != nil {
		t.Fatal(err)
	}
	s.did("another policy", longer, "record", "apply")
	got := s.recorded()
	if len(got) != 2 {
		t.Fatalf("%d entries are on record, want 2", len(got))
	}
	var kept []audit.Kept
	for _, t := range month.Tables() {
		kept = append(kept, audit.Kept{Table: t.Name, Days: t.Class.Period.Days, Months: t.Class.Period.Months})
	}
	if diff := cmp.Diff(audit.Policy{Digest: month.Digest(), Kept: kept}, got[0]); diff != "" {
		t.Errorf("the first entry (-want +got):\n%s", diff)
	}
	want := []string{"class access keeps data longer: 60 days, not 30 days; this applies to later events only"}
	if got[1].Digest != longer.Digest() || got[1].Replaces != month.Digest() || !slices.Equal(got[1].Tell, want) || len(got[1].Changes) < 2 {
		t.Errorf("the second entry is %+v", got[1])
	}
}

// TestWhatCannotBeRecordedIsNotEnacted, and what was not enacted is not kept as
// if it were.
func TestWhatCannotBeRecordedIsNotEnacted(t *testing.T) {
	s := start(t)
	month, week := policyWith(t, "30 days"), policyWith(t, "7 days")
	if err := s.enact(month, nil); err != nil {
		t.Fatal(err)
	}
	s.records = fault.Unavailable.Errorf("no record")
	if err := s.enact(week, nil); !errors.Is(err, fault.Unavailable) {
		t.Errorf("without a record: %v", err)
	}
	s.did("without a record", month)
	s.records, s.applies = nil, fault.Unavailable.Errorf("no tables")
	if err := s.enact(week, nil); !errors.Is(err, fault.Unavailable) {
		t.Errorf("without tables: %v", err)
	}
	s.did("without tables", month, "record", "apply")
	s.applies = nil
	if err := s.enact(week, nil); err != nil {
		t.Error(err)
	}
	s.did("again", week, "record", "apply")
}

func TestNobodyIsAskedAfterTheFact(t *testing.T) {
	s := start(t)
	month, longer := policyWith(t, "30 days"), policyWith(t, "60 days")
	if err := s.enact(month, func(changes []policy.Change) error {
		if len(changes) > 0 {
			t.Errorf("the first policy changes %v", changes)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	no := errors.New("no")
	err := s.enact(longer, func(changes []policy.Change) error {
		if len(operation.Grave(changes)) != 1 || len(s.deeds) > 0 {
			t.Errorf("asked about %v after %v", changes, s.deeds)
		}
		return no
	})
	if !errors.Is(err, no) {
		t.Errorf("what was not agreed to: %v", err)
	}
	s.did("not agreed to", month)
}

// TestALongerRuleWaitsForWhatTheShorterOneCut: P4. The control is a shorter
// rule, which brings nothing back.
func TestALongerRuleWaitsForWhatTheShorterOneCut(t *testing.T) {
	s := start(t)
	week := policyWith(t, "7 days")
	if err := s.enact(week, nil); err != nil {
		t.Fatal(err)
	}
	s.kept = 3
	if err := s.enact(policyWith(t, "8 days"), nil); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "http_access holds 3 rows") {
		t.Errorf("a longer rule while there are rows of a longer one: %v", err)
	}
	s.did("too early", week)
	shorter := policyWith(t, "6 days")
	if err := s.enact(shorter, nil); err != nil {
		t.Error(err)
	}
	s.did("shorter still", shorter, "record", "apply")
	s.kept = 0
	month := policyWith(t, "30 days")
	if err := s.enact(month, nil); err != nil {
		t.Error(err)
	}
	s.did("when they are gone", month, "record", "apply")
}

// TestAPolicyThatCannotBeReadIsReplacedAndTold: one that a later Lethe refuses
// must not keep it from starting.
func TestAPolicyThatCannotBeReadIsReplacedAndTold(t *testing.T) {
	s := start(t)
	value, err := json.Marshal(operation.Applied{Digest: "of old", At: time.Now(), Documents: []byte("damaged")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.bucket.Update(t.Context(), "applied", value, 0); err != nil {
		t.Fatal(err)
	}
	month := policyWith(t, "30 days")
	if err := s.enact(month, nil); err != nil {
		t.Fatal(err)
	}
	s.did("after one that is not readable", month, "record", "apply")
	if got := s.recorded(); len(got) != 1 || len(got[0].Tell) != 1 || got[0].Replaces != "of old" {
		t.Errorf("on record is %+v", got)
	}
}

func TestTwoWhoEnactAtOnceDoNotBothSucceed(t *testing.T) {
	s := start(t)
	month, week := policyWith(t, "30 days"), policyWith(t, "7 days")
	if err := s.enact(month, nil); err != nil {
		t.Fatal(err)
	}
	err := s.enact(week, func([]policy.Change) error {
		return s.enact(policyWith(t, "6 days"), nil) // another, from start to end
	})
	if !errors.Is(err, fault.Conflict) {
		t.Errorf("the slower one: %v", err)
	}
}

func TestThePolicyOfTheNextStartIsKeptWhole(t *testing.T) {
	dir := t.TempDir()
	file := operation.PolicyFile(filepath.Join(dir, "policy.json"))
	if _, err := file.Load(); !errors.Is(err, fault.NotFound) {
		t.Errorf("before any was applied: %v", err)
	}
	for _, period := range []string{"7 days", "60 days"} {
		pol := policyWith(t, period)
		if err := file.Save(pol.Documents()); err != nil {
			t.Fatal(err)
		}
		if docs, err := file.Load(); err != nil || docs.Digest() != pol.Digest() {
			t.Errorf("what was kept is another: %v", err)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("%d files are left, want 1: %v", len(names), err)
	}
	text, err := os.ReadFile(string(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(string(file), text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Load(); !errors.Is(err, fault.Corrupt) {
		t.Errorf("half a file: %v", err)
	}
	if err := operation.PolicyFile(filepath.Join(dir, "none", "policy.json")).Save(policyWith(t, "7 days").Documents()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("without a directory: %v", err)
	}
}
