package policy_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

func retentionText(t testing.TB) string {
	t.Helper()
	text, err := pipelines.FS.ReadFile("retention.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEqualDocumentsGiveEqualDigests(t *testing.T) {
	if a, b := builtin(t).Digest(), builtin(t).Digest(); a != b || len(a) != 64 {
		t.Errorf("digests %s and %s", a, b)
	}
	more, err := compileWith(t, example(t))
	if err != nil {
		t.Fatal(err)
	}
	if more.Digest() == builtin(t).Digest() {
		t.Error("other documents have the same digest")
	}
}

func TestALaterLayerReplacesByBaseName(t *testing.T) {
	longer := strings.Replace(retentionText(t), "period: 30 days", "period: 20 days", 1)
	pol, err := compileWith(t, map[string]string{"anywhere/below/retention.yaml": longer})
	if err != nil {
		t.Fatal(err)
	}
	class, _ := pol.Class("access")
	if class.Period.Days != 20 {
		t.Errorf("the period is %s", class.Period)
	}
}

func TestOneLayerCannotHoldANameTwice(t *testing.T) {
	_, err := policy.Load(fstest.MapFS{
		"a/x.v1.json": {Data: []byte("{}")},
		"b/x.v1.json": {Data: []byte("{}")},
	})
	if err == nil || !strings.Contains(err.Error(), "b/x.v1.json: has the same name as a/x.v1.json") {
		t.Errorf("error %v", err)
	}
}

func TestADirectoryIsALayer(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"pipelines/downloads.yaml":            example(t)[pipelineFile],
		"schemas/downloads/download.v1.json":  example(t)[schemaFile],
		"pipelines/derived/catalog.json":      "{}",
		".git/config.yaml":                    "not: read",
		"README.md":                           "not read",
		"schemas/downloads/.download.v1.json": "not read",
	} {
		if err := os.MkdirAll(dir+"/"+name[:strings.LastIndexByte(name, '/')+1], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := policy.Load(schemas.FS, pipelines.FS, os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	s, ok := pol.Latest("download")
	if !ok || s.Family != "downloads" {
		t.Error("the event of the directory is not there")
	}
}

func TestALayerThatCannotBeReadIsAnError(t *testing.T) {
	if _, err := policy.Load(os.DirFS(t.TempDir() + "/nowhere")); err == nil {
		t.Error("a directory that is not there is loaded")
	}
}

func TestVersionsOfAnEventShareItsTables(t *testing.T) {
	files := example(t)
	second := strings.Replace(files[schemaFile], `"version": 1`, `"version": 2`, 1)
	second = strings.Replace(second, `"gpc": {`, `"region": {
      "type": "string",
      "description": "Where.",
      "maxLength": 8,
      "x-lethe": { "category": "user.location", "class": "quasi" }
    },
    "gpc": {`, 1)
	files["downloads/download.v2.json"] = second
	if _, err := compileWith(t, files); err == nil || !strings.Contains(err.Error(), "does not say what happens to region") {
		t.Errorf("a field of the second version is not asked for: %v", err)
	}
	files[pipelineFile] = strings.ReplaceAll(files[pipelineFile], "          gpc: drop", "          gpc: drop\n          region: keep")
	pol, err := compileWith(t, files)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := pol.Latest("download"); s.Version != 2 {
		t.Errorf("the latest version is %d", s.Version)
	}
	if s, ok := pol.Schema("download", 1); !ok || len(s.Fields) != 8 {
		t.Error("the first version is gone")
	}
}

func TestEveryRuleOfABuiltInTableHolds(t *testing.T) {
	pol := builtin(t)
	for _, table := range pol.Tables() {
		d := table.Domain
		if !table.Class.Lasting && (d.Length < 2*d.Bridge || d.Bridge < table.Class.Period.Longest()) {
			t.Errorf("table %s: epochs of %v with a bridge of %v", table.Name, d.Length, d.Bridge)
		}
		for _, col := range table.Columns {
			for _, alternative := range col.From {
				for _, f := range alternative {
					if table.Class.Lasting && f.Class != policy.Plain && f.Class != policy.Quasi {
						t.Errorf("lasting table %s has a column from %s", table.Name, f.Name)
					}
					if col.Verb == policy.Keep && f.Class != policy.Plain && f.Class != policy.Quasi {
						t.Errorf("table %s keeps %s as it came", table.Name, f.Name)
					}
				}
			}
			if col.Verb == policy.TokenOf && len(col.TokenKinds) != len(col.From) {
				t.Errorf("token %s has %d kinds for %d alternatives", col.Name, len(col.TokenKinds), len(col.From))
			}
		}
	}
	for _, m := range pol.Metrics() {
		if m.Public || m.Value == policy.Ratio {
			continue
		}
		if prev, ok := m.Table.Column(m.Subject + "_prev"); !ok || prev.Bridges != m.Subject {
			t.Errorf("the subject of metric %s has no bridge", m.Name)
		}
		if m.K < 5 {
			t.Errorf("metric %s shows %d subjects", m.Name, m.K)
		}
	}
}

// P4, P5, P6, P7, P8, P9, P10: the periods are those that are promised.
func TestPeriodsAreThoseOfThePromises(t *testing.T) {
	pol := builtin(t)
	got := map[string]string{}
	for _, c := range pol.Classes() {
		got[c.Name] = c.Governs + " " + c.Period.String() + " from " + c.Starts
		if c.Lasting {
			got[c.Name] = "lasting"
		}
	}
	want := map[string]string{
		"access":      "events 30 days from event",
		"unique":      "events 30 days from event",
		"app_log":     "events 90 days from event",
		"activation":  "events 24 months from event",
		"login":       "events 12 months from event",
		"published":   "lasting",
		"admin_audit": "events 6 years from event",
		"lasting":     "lasting",
		"report":      "reports 90 days from creation",
		"account":     "accounts 12 months from last_activity",
		"audit":       "audit 6 years from creation",
		"raw_treated": "raw 3 days from treatment",
		"raw":         "raw 30 days from collection",
		"quarantine":  "quarantine 30 days from collection",
		"backup":      "backups 30 days from creation",
		"key_backup":  "key_backups 30 days from creation",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deletion classes (-want +got):\n%s", diff)
	}
	classes := map[string]string{}
	for _, table := range pol.Tables() {
		classes[table.Name] = table.Class.Name
	}
	if diff := cmp.Diff(map[string]string{
		"http_access": "access", "user_action": "access", "page_view": "unique", "app_log": "app_log", "login": "login",
		"activation": "activation", "activation_lasting": "lasting", "admin_audit": "admin_audit", "cell": "published",
	}, classes); diff != "" {
		t.Errorf("classes of tables (-want +got):\n%s", diff)
	}
}

func TestMonthsClampToTheEndOfTheMonth(t *testing.T) {
	for _, test := range []struct {
		p          policy.Period
		from, want string
	}{
		{policy.Period{Months: 1}, "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z"},
		{policy.Period{Months: 1}, "2028-01-31T10:00:00Z", "2028-02-29T10:00:00Z"},
		{policy.Period{Months: 24}, "2024-02-29T23:59:59Z", "2026-02-28T23:59:59Z"},
		{policy.Period{Months: 12}, "2026-12-31T00:00:00Z", "2027-12-31T00:00:00Z"},
		{policy.Period{Months: 72}, "2026-08-31T00:00:00Z", "2032-08-31T00:00:00Z"},
		{policy.Period{Days: 30}, "2026-02-01T00:00:00Z", "2026-03-03T00:00:00Z"},
	} {
		from, _ := time.Parse(time.RFC3339, test.from)
		if got := test.p.After(from).Format(time.RFC3339); got != test.want {
			t.Errorf("%s after %s is %s, want %s", test.p, test.from, got, test.want)
		}
	}
}

func TestAPeriodIsNeverLongerThanItsLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, "from"), 0).UTC()
		p := policy.Period{Months: rapid.IntRange(1, 120).Draw(t, "months")}
		if got := p.After(from).Sub(from); got > p.Longest() || got < time.Duration(28*p.Months)*24*time.Hour {
			t.Fatalf("%s after %s takes %v", p, from, got)
		}
	})
}

func TestNoStretchOfAPeriodMeetsTwoEpochEdges(t *testing.T) {
	pol := builtin(t)
	rapid.Check(t, func(t *rapid.T) {
		table := rapid.SampledFrom(pol.Tables()).Draw(t, "table")
		if table.Class.Lasting {
			return
		}
		d := table.Domain
		at := time.Unix(rapid.Int64Range(-2_000_000_000, 6_000_000_000).Draw(t, "at"), 0).UTC()
		e := d.Epoch(at)
		if at.Before(d.EpochStart(e)) || !at.Before(d.EpochEnd(e)) {
			t.Fatalf("%s is not within its epoch", at)
		}
		end := table.Class.ExpiresAt(at)
		if last := d.Epoch(end); last > d.Next(e) {
			t.Fatalf("a row of epoch %d expires in epoch %d", e, last)
		}
		// Whoever is counted over a stretch that ends in another epoch is
		// counted once: every row of the later one carries the bridge.
		if d.Epoch(end) == d.Next(e) && !d.Bridged(end) {
			t.Fatalf("a stretch from %s ends unbridged at %s", at, end)
		}
	})
}

func TestAnEventExpiresWithItsLastRule(t *testing.T) {
	pol := builtin(t)
	occurred := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	end := time.Date(2028, 1, 31, 12, 0, 0, 0, time.UTC)
	if pol.Expired("activation", occurred, end.Add(-time.Millisecond)) {
		t.Error("an activation is expired before its 24 months are over")
	}
	if !pol.Expired("activation", occurred, end) {
		t.Error("an activation is not expired after 24 months, though a lasting table stays")
	}
}

func TestEpochsCanBeSetByAPipeline(t *testing.T) {
	files := example(t)
	files[pipelineFile] = strings.Replace(files[pipelineFile], "domain: downloads", "domain: downloads\nepochs: {length: 64 days, anchor: 2026-11-20}", 1)
	pol, err := compileWith(t, files)
	if err != nil {
		t.Fatal(err)
	}
	table, _ := pol.Table("download")
	if table.Domain.Length != 64*24*time.Hour || table.Domain.Anchor.Format(time.DateOnly) != "2026-11-20" {
		t.Errorf("epochs of %v from %v", table.Domain.Length, table.Domain.Anchor)
	}
	if e := table.Domain.Epoch(time.Date(2026, 11, 19, 23, 59, 59, 0, time.UTC)); e != table.Domain.Previous(table.Domain.Epoch(table.Domain.Anchor)) {
		t.Errorf("the day before the anchor is in epoch %d", e)
	}
}
