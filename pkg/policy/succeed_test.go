package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
			"break table download has other key epochs: tokens before and after are unrelated",
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
		{"metric that measures something else", pipelineFile, "{edition: [pro]}", "{edition: [free]}", []string{
			"break metric pro_customers measures something else",
		}},
		{"dimension gone", pipelineFile, "[month, product]", "[month, edition]", []string{
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
