package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// TestMetricsSayHowTheirCellsAreCut: P19.
func TestMetricsSayHowTheirCellsAreCut(t *testing.T) {
	pol := builtin(t)
	metric := func(name string) *policy.Metric {
		t.Helper()
		m, ok := pol.Metric(name)
		if !ok {
			t.Fatalf("there is no metric %s", name)
		}
		return m
	}
	if a, b := metric("requests"), metric("traffic"); a.Cube() != b.Cube() || a.Cube() != "status,path,browser,method,host,referrer_host,protocol" ||
		b.Of != "bytes" || !a.Value.Additive() || len(a.Buckets) != 0 {
		t.Errorf("requests and traffic are cut by %q and %q", a.Cube(), b.Cube())
	}
	// A month may be longer than the 30 days that rows live.
	if diff := cmp.Diff([]policy.Bucket{policy.Day, policy.Week, policy.Trailing7, policy.Trailing30}, metric("visitors").Buckets); diff != "" {
		t.Error(diff)
	}
	r := metric("requests_per_visitor")
	if r.Parts[0] != metric("requests") || r.Parts[1] != metric("visitors") || r.Table != nil || r.K != 11 || len(r.Dimensions) != 7 || r.Zone != time.UTC {
		t.Errorf("a ratio is %+v", r)
	}
	table, ok := pol.Table(policy.CellTable)
	if !ok || !table.Class.Lasting || table.Class.Name != policy.CellClass || table.Class.KeyName() != policy.CellClass ||
		table.Event != "" || table.Pipeline != nil || table.Purpose() == "" {
		t.Errorf("the table of cells is %+v", table)
	}
	if names := strings.Join(table.ColumnNames(), " "); names != "metric bucket first_day last_day cube level d1 d2 d3 d4 d5 d6 d7 d8 value k through" {
		t.Errorf("cells have the columns %s", names)
	}
}

func TestAMetricHasTheZoneTheNoiseAndTheBucketsItDeclares(t *testing.T) {
	files := example(t)
	files[pipelineFile] = strings.Replace(files[pipelineFile], "value: distinct", "value: distinct\n    zone: Europe/Berlin\n    noise: 3/2\n    buckets: [week, day]", 1)
	pol, err := compileWith(t, files)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := pol.Metric("pro_customers")
	if m.Zone.String() != "Europe/Berlin" || m.Noise != (policy.Fraction{Num: 3, Den: 2}) || !cmp.Equal(m.Buckets, []policy.Bucket{policy.Week, policy.Day}) {
		t.Errorf("zone %s, noise %v, buckets %v", m.Zone, m.Noise, m.Buckets)
	}
}

// TestASumHasAShareThatOneSubjectMayHave: P19, where nothing is said, too.
func TestASumHasAShareThatOneSubjectMayHave(t *testing.T) {
	pol := builtin(t)
	for _, m := range pol.Metrics() {
		if want := map[policy.ValueOf]int{policy.Sum: 80}[m.Value]; m.Dominance != want {
			t.Errorf("%s: one subject may have %d%%, want %d%%", m.Name, m.Dominance, want)
		}
	}
	files := example(t)
	files[pipelineFile] = strings.Replace(files[pipelineFile], "value: count", "value: sum\n    of: megabytes\n    dominance: 65%", 1)
	pol, err := compileWith(t, files)
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := pol.Metric("downloads"); m.Dominance != 65 {
		t.Errorf("one subject may have %d%%", m.Dominance)
	}
}

func TestMetricsWithoutAClassForCellsAreRefused(t *testing.T) {
	text := retentionText(t)
	at := strings.Index(text, "  "+policy.CellClass+":")
	end := at + 1 + strings.Index(text[at+1:], "\n\n")
	if at < 0 || end <= at {
		t.Fatal("the class of cells is not where it was")
	}
	_, err := compileWith(t, map[string]string{"retention.yaml": text[:at] + text[end+1:]})
	if err == nil || !strings.Contains(err.Error(), "no deletion class "+policy.CellClass) {
		t.Errorf("without a class for cells: %v", err)
	}
}
