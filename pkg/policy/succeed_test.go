package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

func TestAPolicySucceedsItselfWithoutAWord(t *testing.T) {
	if changes := policy.Succeeds(builtin(t), builtin(t)); len(changes) != 0 {
		t.Errorf("equal policies differ: %v", changes)
	}
}

func TestChangesSayWhatPeopleMustBeTold(t *testing.T) {
	for _, test := range []struct {
		name, file, old, new string
		want                 []string
	}{
		{"longer retention", pipelineFile, "class: access #", "class: login #", []string{
			"tell table download keeps data longer: 12 months, not 30 days; this applies to later events only",
			"note table download has the deletion class login, not access",
			"note table download has other key epochs: a subject seen before and after counts twice until what came before has expired",
		}},
		{"another domain", pipelineFile, "domain: downloads", "domain: shop", []string{
			"break pipeline downloads has another pseudonymization domain: tokens before and after are unrelated",
			"break table download has other key epochs: tokens before and after are unrelated",
			"break table download_lasting has other key epochs: tokens before and after are unrelated",
		}},
		{"another purpose", pipelineFile, "Count downloads and answer customers who ask about theirs.", "Sell more.", []string{
			"tell pipeline downloads has another purpose",
		}},
		{"another recipient", pipelineFile, "[product managers, operators]", "[advertisers, operators]", []string{
			"tell pipeline downloads has another recipient: advertisers",
		}},
		{"weaker treatment", pipelineFile, "user_agent: {coarsen: user_agent_family, as: browser}", "user_agent: {redact: path, as: browser}", []string{
			"tell table download, column browser is treated in another way: redact path, not coarsen user_agent_family",
		}},
		{"stronger treatment", pipelineFile, "          gpc: drop\n\n      download_lasting", "          gpc: keep\n\n      download_lasting", []string{
			"note table download has a column gpc: keep of gpc",
		}},
		{"less of an address", pipelineFile, "{truncate: client_net}", "{truncate: client_net, ipv4: 16}", []string{
			"note table download, column client_net keeps less of an address: /16 and /48, not /24 and /48",
		}},
		{"choice not honored", pipelineFile, "            unless: [gpc]\n", "", []string{
			"tell table download, column downloader is filled although gpc is true",
		}},
		{"fewer sources", pipelineFile, "[[customer], [ip, user_agent]]", "[[customer]]", []string{
			"tell table download, column downloader is made from customer, not from customer, else ip with user_agent",
		}},
		{"more exact time", pipelineFile, "time: day", "time: hour", []string{
			"tell table download_lasting keeps a more exact time",
		}},
		{"smaller k", pipelineFile, "value: count", "k: 5\n    value: count", []string{
			"tell metric downloads shows numbers about 5 subjects, not 11",
		}},
		{"other noise", pipelineFile, "value: count", "value: count\n    noise: 1/2", []string{
			"note metric downloads has other noise in the cells to come",
		}},
		{"another order of dimensions", pipelineFile, "[product, edition, browser]", "[browser, product, edition]", []string{
			"note metric downloads is cut otherwise from here on: by browser, product, edition, not product, edition, browser",
		}},
		{"another zone", pipelineFile, "value: count", "value: count\n    zone: Europe/Berlin", []string{
			"break metric downloads measures something else",
		}},
		{"metric that measures something else", pipelineFile, "{edition: [pro]}", "{edition: [free]}", []string{
			"break metric pro_customers measures something else",
		}},
		{"dimension gone", pipelineFile, "[product]", "[edition]", []string{
			"note metric pro_customers has the dimension edition",
			"break metric pro_customers lacks the dimension product",
		}},
		{"field required", schemaFile, `["product", "ip"]`, `["product", "ip", "customer"]`, []string{
			"break event download v1 field customer is required: make another version",
		}},
		{"value refused", schemaFile, `["free", "pro"]`, `["pro"]`, []string{
			"break event download v1 field edition takes fewer values: make another version",
		}},
		{"field classed otherwise", schemaFile, `"enum": ["free", "pro"],
      "x-lethe": { "category": "system.operations", "class": "plain" }`, `"enum": ["free", "pro"],
      "x-lethe": { "category": "system.operations", "class": "quasi" }`, []string{
			"tell event download v1 field edition is classed quasi, not plain",
		}},
	} {
		old, err := compileWith(t, example(t))
		if err != nil {
			t.Fatal(err)
		}
		files := example(t)
		if strings.Count(files[test.file], test.old) != 1 {
			t.Fatalf("%s: the text to replace is not there once", test.name)
		}
		files[test.file] = strings.Replace(files[test.file], test.old, test.new, 1)
		new, err := compileWith(t, files)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var got []string
		for _, c := range policy.Succeeds(old, new) {
			got = append(got, string(c.Weight)+" "+c.String())
		}
		if diff := cmp.Diff(test.want, got, cmp.Transformer("set", func(s []string) map[string]bool {
			m := map[string]bool{}
			for _, v := range s {
				m[v] = true
			}
			return m
		})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestWhatIsAddedAndWhatIsGoneIsTold(t *testing.T) {
	bare := builtin(t)
	more, err := compileWith(t, example(t))
	if err != nil {
		t.Fatal(err)
	}
	count := func(changes []policy.Change) map[policy.Weight]int {
		n := map[policy.Weight]int{}
		for _, c := range changes {
			n[c.Weight]++
		}
		return n
	}
	// A pipeline and two tables are told; two metrics and an event are noted.
	if diff := cmp.Diff(map[policy.Weight]int{policy.Tell: 3, policy.Note: 3}, count(policy.Succeeds(bare, more))); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[policy.Weight]int{policy.Note: 1, policy.Break: 5}, count(policy.Succeeds(more, bare))); diff != "" {
		t.Errorf("gone (-want +got):\n%s", diff)
	}
}

func TestALongerRuleSaysWhatItAppliesTo(t *testing.T) {
	for governs, want := range map[string]string{
		"events": "keeps data longer: 24 months, not 30 days; this applies to later events only",
		"raw":    "keeps data longer: 24 months, not 30 days; this applies to what is there too",
	} {
		of := func(p policy.Period) *policy.Policy {
			return policy.OfClasses(&policy.Class{Name: "c", Governs: governs, Starts: "event", Period: p})
		}
		changes := policy.Succeeds(of(policy.Period{Days: 30}), of(policy.Period{Months: 24}))
		if len(changes) != 1 || changes[0].Weight != policy.Tell || changes[0].Sentence != want {
			t.Errorf("%s: %v", governs, changes)
		}
	}
}

// TestWhatIsLongerAtSomeTimeOfTheYearIsLonger goes through the days of five
// years.
func TestWhatIsLongerAtSomeTimeOfTheYearIsLonger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := period(t, "old"), period(t, "new")
		if rapid.Bool().Draw(t, "alike") && a.Months > 0 {
			b = policy.Period{Days: a.Months*365/12 + rapid.IntRange(-4, 4).Draw(t, "off")}
			b.Days = max(b.Days, 1)
		}
		longer := false
		for at := time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2028 && !longer; at = at.AddDate(0, 0, 1) {
			longer = b.After(at).After(a.After(at))
		}
		of := func(p policy.Period) *policy.Policy {
			return policy.OfClasses(&policy.Class{Name: "c", Governs: "events", Starts: "event", Period: p})
		}
		told := false
		for _, c := range policy.Succeeds(of(a), of(b)) {
			told = told || c.Weight == policy.Tell
		}
		if longer && !told {
			t.Fatalf("%s instead of %s is not told", b, a)
		}
		if a != b && len(policy.Succeeds(of(a), of(b))) == 0 {
			t.Fatalf("%s instead of %s is no change", b, a)
		}
	})
}

func TestAPeriodThatChangesIsTold(t *testing.T) {
	for _, test := range []struct {
		period string
		weight policy.Weight
	}{{"31 days", policy.Tell}, {"29 days", policy.Note}} {
		retention := retentionText(t)
		files := map[string]string{"retention.yaml": strings.Replace(retention, "period: 30 days", "period: "+test.period, 1)}
		pol, err := compileWith(t, files)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, c := range policy.Succeeds(builtin(t), pol) {
			found = found || c.Where == "class access" && c.Weight == test.weight
		}
		if !found {
			t.Errorf("a period of %s is not told as %s", test.period, test.weight)
		}
	}
}
