package pipelines_test

import (
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

var update = flag.Bool("update", false, "write the derived files anew")

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
	derived := assembly.Derived(compiled(t))
	for _, file := range slices.Sorted(maps.Keys(derived)) {
		path, want := filepath.Join("derived", file), derived[file]
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
	// Nothing else lies there, whose origin nobody could tell.
	entries, err := os.ReadDir("derived")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		// What openapi.json follows from, services/lethe sees: the gate's rules.
		if derived[e.Name()] == nil && e.Name() != "openapi.json" {
			t.Errorf("derived/%s follows from nothing", e.Name())
		}
	}
}

// What follows from a policy must not depend on when it is asked: a file that
// changes by itself would hide the change that matters.
func TestDerivingTwiceGivesTheSame(t *testing.T) {
	if diff := cmp.Diff(assembly.Derived(compiled(t)), assembly.Derived(compiled(t))); diff != "" {
		t.Errorf("it does not (-once +twice):\n%s", diff)
	}
}

// serverOptions is the committed configuration as a NATS server reads it.
func serverOptions(t *testing.T) *server.Options {
	t.Helper()
	for _, u := range eventlog.Users() {
		t.Setenv("LETHE_NATS_"+strings.ToUpper(u.Name)+"_PASSWORD", "pw-"+u.Name)
	}
	opts, err := server.ProcessConfigFile(filepath.Join("derived", "nats.conf"))
	if err != nil {
		t.Fatalf("a NATS server does not take the configuration: %v", err)
	}
	return opts
}

// An external server gives each service the topics that the embedded one does.
func TestNATSConfigurationGivesEachServiceItsTopicsAndNoOther(t *testing.T) {
	opts := serverOptions(t)
	have := map[string]*server.User{}
	for _, u := range opts.Users {
		have[u.Username] = u
	}
	if opts.NoAuthUser != "" || opts.Username != "" || opts.Authorization != "" || len(opts.Nkeys) > 0 {
		t.Error("there is another way in than the users")
	}
	for _, want := range eventlog.Users() {
		u := have[want.Name]
		delete(have, want.Name)
		if u == nil {
			t.Errorf("user %s is not there", want.Name)
			continue
		}
		if u.Password != "pw-"+want.Name {
			t.Errorf("the password of user %s does not come from its variable", want.Name)
		}
		if u.Permissions == nil {
			t.Errorf("user %s may do everything", want.Name)
			continue
		}
		for _, side := range []struct {
			name string
			have *server.SubjectPermission
			want []string
		}{{"publish", u.Permissions.Publish, want.Publish}, {"subscribe", u.Permissions.Subscribe, want.Subscribe}} {
			expected := &server.SubjectPermission{Allow: side.want}
			if len(side.want) == 0 {
				expected = &server.SubjectPermission{Deny: []string{">"}}
			}
			if diff := cmp.Diff(expected, side.have, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("what user %s may %s is not what it should be (-want +have):\n%s", want.Name, side.name, diff)
			}
		}
		var responses *server.ResponsePermission
		if want.AllowResponses {
			responses = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
		}
		if diff := cmp.Diff(responses, u.Permissions.Response); diff != "" {
			t.Errorf("how user %s may answer is not as it should be (-want +have):\n%s", want.Name, diff)
		}
	}
	for name := range have {
		t.Errorf("user %s is no service", name)
	}
}

// P18: an external server, too, acknowledges when the message is on disk.
func TestNATSConfigurationSyncsEveryAppend(t *testing.T) {
	opts := serverOptions(t)
	if !opts.JetStream || !opts.SyncAlways || opts.StoreDir == "" {
		t.Errorf("jetstream %t, sync always %t, store %q", opts.JetStream, opts.SyncAlways, opts.StoreDir)
	}
	if int(opts.MaxPayload) < eventlog.MaxMessage {
		t.Errorf("a message may measure %d bytes and the streams take %d", opts.MaxPayload, eventlog.MaxMessage)
	}
	if opts.HTTPHost != "127.0.0.1" {
		t.Error("the server's monitor, which names topics and addresses, can be reached from outside its container")
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
