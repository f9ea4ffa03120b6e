package pipelines_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/catalog"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

var update = flag.Bool("update", false, "write the derived files anew")

// derived is every file under derived/ and what it follows from.
var derived = []struct {
	file   string
	derive func(*policy.Policy) []byte
}{
	{"catalog.json", func(pol *policy.Policy) []byte { return marshal(catalog.New(pol)) }},
	{"ropa.md", func(pol *policy.Policy) []byte { return catalog.New(pol).ROPA() }},
}

func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func compiled(t *testing.T) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatalf("the documents are at fault:\n%v", err)
	}
	return pol
}

// Whoever reviews a change of policy sees in the same diff what follows from
// it, because nobody can change the one without the other.
func TestDerivedFilesFollowFromThePolicy(t *testing.T) {
	pol := compiled(t)
	for _, d := range derived {
		path := filepath.Join("derived", d.file)
		want := d.derive(pol)
		if *update {
			if err := os.MkdirAll("derived", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is not there: run make derive", path)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(got), string(want)); diff != "" {
			t.Errorf("%s is not what follows from the policy: run make derive (-file +derived):\n%s", path, diff)
		}
	}
}

// The metrics that scripts and people rely on.
func TestTheFirstMetricsAreThere(t *testing.T) {
	pol := compiled(t)
	for name, want := range map[string]struct {
		table, subject string
		value          policy.ValueOf
	}{
		"requests":        {"http_access", "visitor", policy.Count},
		"visitors":        {"http_access", "visitor", policy.Distinct},
		"activations":     {"activation", "machine", policy.Count},
		"active_machines": {"activation", "machine", policy.Current},
		"actions":         {"user_action", "account", policy.Count},
		"logins":          {"login", "account", policy.Count},
		"log_lines":       {"app_log", "", policy.Count},
		"views":           {"page_view", "viewer", policy.Count},
		"viewers":         {"page_view", "viewer", policy.Distinct},
		"admin_commands":  {"admin_audit", "actor", policy.Count},
	} {
		m, ok := pol.Metric(name)
		switch {
		case !ok:
			t.Errorf("the metric %s is not there", name)
		case m.Table.Name != want.table || m.Subject != want.subject || m.Value != want.value:
			t.Errorf("the metric %s is %s of %s by %s", name, m.Value, m.Table.Name, m.Subject)
		case m.Public != (want.subject == ""):
			t.Errorf("the metric %s is public: %v", name, m.Public)
		}
	}
}
