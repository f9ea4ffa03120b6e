package services_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
)

// root is the repository, seen from this folder.
const root = ".."

// load reads a compose file as docker compose does. dir holds what stands
// under secrets/; every other path is the repository's.
func load(ctx context.Context, dir string, text []byte) (*types.Project, error) {
	return loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "docker-compose.yml"), Content: text}},
		Environment: types.Mapping{},
	})
}

func composeText(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// writeSecrets makes what `lethe secrets` makes, in dir/secrets.
func writeSecrets(t testing.TB, dir string) {
	t.Helper()
	pol, err := assembly.LoadPolicy("")
	if err != nil {
		t.Fatal(err)
	}
	if err := assembly.WriteSecrets(t.Context(), filepath.Join(dir, "secrets"), pol, []string{"pseudonymizer"}); err != nil {
		t.Fatal(err)
	}
}

func TestComposeGivesEachServiceWhatItsWorkTakesAndNoMore(t *testing.T) {
	dir := t.TempDir()
	writeSecrets(t, dir)
	p, err := load(t.Context(), dir, composeText(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range judged(p, dir, programs(t)) {
		t.Error(f)
	}
}

// The control: each change for the worse is found.
func TestComposeThatGivesMoreIsFound(t *testing.T) {
	dir := t.TempDir()
	writeSecrets(t, dir)
	for name, change := range map[string][2]string{
		"a misspelt setting":            {"LETHE_NATS_URL:", "LETHE_NATS_URI:"},
		"the keys' volume, once more":   {`volumes: ["./secrets/loader:/run/lethe:ro", "./secrets/cells:/run/cells:ro"]`, `volumes: ["./secrets/loader:/run/lethe:ro", "./secrets/cells:/run/cells:ro", "keys:/keys"]`},
		"another's certificate":         {"./secrets/gateway:/run/lethe:ro", "./secrets/loader:/run/lethe:ro"},
		"a certificate for the analyst": {`volumes: ["./secrets/access:/run/access:ro"]` + "\n    ports: [\"127.0.0.1:7482", `volumes: ["./secrets/access:/run/access:ro", "./secrets/loader:/run/lethe:ro"]` + "\n    ports: [\"127.0.0.1:7482"},
		"another's passwords":           {"env_file: [secrets/loader.env]", "env_file: [secrets/operator.env]"},
		"further passwords":             {"env_file: [secrets/analyst.env]", "env_file: [secrets/analyst.env, secrets/loader.env]"},
		"credentials to be written":     {"volumes: [\"./secrets/access:/run/access:ro\"]", "volumes: [\"./secrets/access:/run/access\"]"},
		"a mount that can be written":   {"./secrets/retention:/run/lethe:ro", "./secrets/retention:/run/lethe"},
		"a program that is not built":   {`command: ["loader"]`, `command: ["loaders"]`},
		"another's program":             {`command: ["analyst"]`, `command: ["lethe"]`},
		"a file that is not there":      {"pipelines/derived/nats.conf:", "pipelines/nats.conf:"},
		"a port for everybody":          {"127.0.0.1:7480:7480", "7480:7480"},
		"a store with a port":           {"networks: [log]", "networks: [log]\n    ports: [\"4222:4222\"]"},
		"a network that leads out":      {"warehouse: {internal: true}", "warehouse: {}"},
		"the gateway by the warehouse":  {"networks: [log, keyring, door]", "networks: [log, keyring, door, warehouse]"},
		"root":                          {"${COMPOSE_USER:-1000:1000}", "0:0"},
		"a capability":                  {"cap_drop: [ALL]", "cap_drop: [NET_RAW]"},
		"an address that is no service": {"clickhouse:9000", "warehouse:9000"},
		"logs that are not kept":        {"- nats:/data", "- nats:/datas"},
		"passwords that are not there":  {"env_file: [secrets/nats.env]", "env_file: [secrets/gateway.env]"},
	} {
		t.Run(name, func(t *testing.T) {
			text := string(composeText(t))
			if !strings.Contains(text, change[0]) {
				t.Fatalf("the control is out of date: %q is not in the file", change[0])
			}
			p, err := load(t.Context(), dir, []byte(strings.Replace(text, change[0], change[1], 1)))
			if err != nil {
				return // docker compose would not have it either
			}
			if len(judged(p, dir, programs(t))) == 0 {
				t.Error("it is not found")
			}
		})
	}
}

// Every file that `lethe secrets` writes is somebody's, or is for people.
func TestComposeUsesEverySecret(t *testing.T) {
	dir := t.TempDir()
	writeSecrets(t, dir)
	text := string(composeText(t))
	entries, err := os.ReadDir(filepath.Join(dir, "secrets"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("secrets/%s can be read by others", e.Name())
		}
		switch e.Name() {
		case "credentials", "ca.pem": // for people; and the public half that says the set is whole
		default:
			if !strings.Contains(text, "secrets/"+e.Name()) {
				t.Errorf("secrets/%s is nobody's", e.Name())
			}
		}
	}
}

// The image is built from what is committed: no secret comes into it, and
// every program does.
func TestImageHoldsEveryProgramAndNoSecret(t *testing.T) {
	ignored, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"secrets", "data", ".git"} {
		if !slices.Contains(strings.Fields(string(ignored)), name) {
			t.Errorf("the build is sent %s", name)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"go build -trimpath -o /out/ ./services/...", "COPY --from=build /out/ /usr/local/bin/", "\nUSER lethe\n"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the Dockerfile does not say %q", line)
		}
	}
}
