package verify_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// TestTheListOfPromisesIsThatOfTheDocs: P1 to P22 are one list on the page and
// in a report, with the same words, and the page says of each what the report
// does: what nothing enforces, and of what a part is not.
func TestTheListOfPromisesIsThatOfTheDocs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "promises.md"))
	must(t, err)
	type row struct {
		ID, Title       string
		Enforced, Whole bool
	}
	var docs, code []row
	for line := range strings.SplitSeq(string(page), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "P") {
			continue
		}
		kept := strings.TrimSpace(cells[3])
		docs = append(docs, row{
			strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]),
			kept != "**not enforced yet**", !strings.Contains(kept, "not enforced yet"),
		})
	}
	for _, p := range verify.Promises() {
		code = append(code, row{p.ID, p.Title, p.Enforced, p.Enforced && p.Note == ""})
	}
	if diff := cmp.Diff(docs, code); diff != "" {
		t.Errorf("docs/promises.md (-) and the report (+):\n%s", diff)
	}
}

// TestEveryAlertIsOfAMetricThatExists: P21. An alert over a metric that nobody
// has is one that never comes.
func TestEveryAlertIsOfAMetricThatExists(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "alerts.yml"))
	must(t, err)
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	d := yaml.NewDecoder(bytes.NewReader(page))
	d.KnownFields(true)
	must(t, d.Decode(&file))

	exist := map[string]bool{}
	registry := prometheus.NewRegistry()
	verify.New(verify.Config{Log: lethetest.Logger(t), Metrics: registry})
	retention.New(retention.Config{Logger: lethetest.Logger(t), Metrics: registry})
	described := make(chan *prometheus.Desc)
	go func() { registry.Describe(described); close(described) }()
	named := regexp.MustCompile(`fqName: "([a-z_]+)"`)
	for desc := range described {
		exist[named.FindStringSubmatch(desc.String())[1]] = true
	}
	// Those of services whose parts are more work to make, as their code has
	// them.
	for _, dir := range []string{"pseudonymizer", "audit", "access", "hold", "cell"} {
		sources, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		must(t, err)
		for _, source := range sources {
			code, err := os.ReadFile(source)
			must(t, err)
			for _, m := range regexp.MustCompile(`Name: +"(lethe_[a-z_]+)"`).FindAllSubmatch(code, -1) {
				exist[string(m[1])] = true
			}
		}
	}

	used := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("an alert of group %s has no name, severity or summary", g.Name)
			}
			all := regexp.MustCompile(`lethe_[a-z_]+`).FindAllString(r.Expr, -1)
			if len(all) == 0 {
				t.Errorf("alert %s is of no metric", r.Alert)
			}
			for _, m := range all {
				used[m] = true
				if !exist[m] {
					t.Errorf("alert %s is of %s, which no service has", r.Alert, m)
				}
			}
		}
	}
	for m := range exist {
		if strings.HasPrefix(m, "lethe_verify_") && !used[m] && m != "lethe_verify_findings" {
			t.Errorf("no alert is of %s", m)
		}
	}
}
