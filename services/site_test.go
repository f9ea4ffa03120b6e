package services_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// A site is what docker-compose.yml describes, on this machine: the same
// programs with the same environment, but for addresses and paths, which are
// those of the containers there.
type site struct {
	t       testing.TB
	dir     string
	project *types.Project
	engine  *embedded.Engine
	// addresses translates what the compose file says.
	addresses map[string]string
	listen    map[string]string // by service, where it serves HTTP
	processes map[string]*process
}

// services are those with a door, in the order in which they start.
var services = []string{"pseudonymizer", "loader", "retention", "analyst", "compliance", "gateway"}

// newSite writes secrets, starts NATS and the engine, and applies the policy.
// No service runs yet.
func newSite(t testing.TB) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("not tested as separate processes: short")
	}
	s := &site{t: t, dir: t.TempDir(), addresses: map[string]string{}, listen: map[string]string{}, processes: map[string]*process{}}
	out := s.must("", "secrets", "--out", filepath.Join(s.dir, "secrets"))
	if !strings.Contains(out, "secrets") {
		t.Errorf("lethe secrets does not say where they are: %q", out)
	}
	var err error
	if s.project, err = load(t.Context(), s.dir, composeText(t)); err != nil {
		t.Fatal(err)
	}
	s.startEngine()
	// They go before the engine, which waits for whoever is connected.
	t.Cleanup(func() {
		for _, name := range slices.Backward(slices.Sorted(maps.Keys(s.processes))) {
			p := s.processes[name]
			_ = p.end(os.Kill)
			if t.Failed() {
				t.Logf("log of %s:\n%s", name, p.log.Tail(15))
			}
		}
	})
	s.startNATS()
	s.addresses["pseudonymizer:7481"] = freeAddress(t)
	s.addresses["0.0.0.0:7481"] = s.addresses["pseudonymizer:7481"]
	for _, name := range services {
		s.listen[name] = freeAddress(t)
		s.addresses[name+":7480"] = s.listen[name]
		s.processes[name] = &process{
			t: t, name: name, log: &lethetest.Buffer{},
			args: append([]string{program(t, s.project.Services[name].Command[0])}, s.project.Services[name].Command[1:]...),
			env:  s.env(name),
			well: "http://" + s.listen[name] + "/readyz",
		}
	}
	s.apply()
	return s
}

// startNATS starts the server with the committed configuration; only where it
// listens and stores is this machine's.
func (s *site) startNATS() {
	s.t.Helper()
	addr, monitor := freeAddress(s.t), freeAddress(s.t)
	host, port, _ := net.SplitHostPort(addr)
	_, monitorPort, _ := net.SplitHostPort(monitor)
	text, err := os.ReadFile(filepath.Join(root, "pipelines", "derived", "nats.conf"))
	if err != nil {
		s.t.Fatal(err)
	}
	conf := filepath.Join(s.dir, "nats.conf")
	local := strings.Replace(string(text), `store_dir: "/data"`, fmt.Sprintf("store_dir: %q", filepath.Join(s.dir, "nats")), 1)
	if err := os.WriteFile(conf, []byte(local), 0o600); err != nil || local == string(text) {
		s.t.Fatalf("the configuration of NATS names no store: %v", err)
	}
	p := &process{
		t: s.t, name: "nats", log: &lethetest.Buffer{},
		args: []string{program(s.t, "nats-server"), "--config", conf, "-a", host, "-p", port, "-m", monitorPort},
		env:  environ(s.project.Services["nats"]),
		well: "http://" + monitor + "/healthz",
	}
	s.processes["nats"] = p
	s.addresses["nats:4222"] = addr
	p.start()
	p.ready()
}

// startEngine starts an engine with the committed users, whose passwords are
// those of `lethe secrets`.
func (s *site) startEngine() {
	s.t.Helper()
	dir := filepath.Join(s.dir, "clickhouse")
	s.engine = lethetest.NewEngine(s.t, dir)
	text, err := os.ReadFile(filepath.Join(root, "pipelines", "derived", "clickhouse-users.xml"))
	if err != nil {
		s.t.Fatal(err)
	}
	users := string(text)
	// The engine's environment is its own, and it starts as the user that a
	// server does without.
	for name, v := range s.project.Services["clickhouse"].Environment {
		users = strings.ReplaceAll(users, ` from_env="`+name+`"/>`, ">"+*v+"</password_sha256_hex>")
	}
	users = strings.ReplaceAll(users, `<default remove="remove"/>`, "")
	for file, content := range map[string]string{
		"users.d/lethe.xml":  users,
		"config.d/lethe.xml": s.project.Configs["clickhouse"].Content,
	} {
		file = filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			s.t.Fatal(err)
		}
	}
	lethetest.Start(s.t, "engine", s.engine)
	conn, err := s.engine.Dial(s.t.Context(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	s.addresses["clickhouse:9000"] = conn.RemoteAddr().String()
}

// env is the environment of a service, with this machine's addresses and
// paths.
func (s *site) env(name string) []string {
	s.t.Helper()
	service := s.project.Services[name]
	out := environ(service)
	for i, kv := range out {
		key, value, _ := strings.Cut(kv, "=")
		for there, here := range s.addresses {
			value = strings.ReplaceAll(value, there, here)
		}
		value = strings.ReplaceAll(value, "0.0.0.0:7480", s.listen[name])
		for _, v := range service.Volumes {
			source := v.Source
			if v.Type == types.VolumeTypeVolume {
				source = filepath.Join(s.dir, "volumes", source)
			}
			if rest, ok := strings.CutPrefix(value, v.Target); ok {
				value = source + rest
			}
		}
		out[i] = key + "=" + value
	}
	return out
}

// start starts services in the given order and waits until all are ready.
func (s *site) start(names ...string) {
	s.t.Helper()
	for _, name := range names {
		s.processes[name].start()
	}
	for _, name := range names {
		s.processes[name].ready()
	}
}

func (s *site) apply() {
	s.t.Helper()
	cmd := exec.Command(program(s.t, "lethe"), "apply")
	cmd.Env = s.env("apply")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("lethe apply: %v\n%s", err, out)
	}
}

func (s *site) credential(role string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "secrets", "credentials", role))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// must runs the CLI against a service, as the role that it serves.
func (s *site) must(service string, args ...string) string {
	s.t.Helper()
	stdout, stderr, err := s.try(service, args...)
	if err != nil {
		s.t.Fatalf("lethe %s: %v\n%s", args[0], err, stderr)
	}
	return stdout
}

func (s *site) try(service string, args ...string) (stdout, stderr string, err error) {
	s.t.Helper()
	role := map[string]string{"gateway": "publisher", "analyst": "analyst", "compliance": "operator"}[service]
	return s.tryAs(role, service, args...)
}

// tryAs runs the CLI against a service with the credential of a role; with no
// service it is told of none.
func (s *site) tryAs(role, service string, args ...string) (stdout, stderr string, err error) {
	s.t.Helper()
	cmd := exec.Command(program(s.t, "lethe"), args...)
	if service != "" {
		cmd.Env = []string{"LETHE_SERVER=http://" + s.listen[service], "LETHE_CREDENTIAL=" + s.credential(role)}
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// settle waits until nothing is on its way between the gateway and the
// warehouse.
func (s *site) settle() {
	s.t.Helper()
	last, still := "", 0
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		out, stderr, err := s.try("compliance", "status", "-o", "json")
		if err != nil {
			last, still = stderr, 0
			continue
		}
		var status struct {
			Stages []struct {
				Stage string `json:"stage"`
				Lag   uint64 `json:"lag"`
			} `json:"stages"`
		}
		s.decode(out, &status)
		seen, waiting := 0, false
		for _, st := range status.Stages {
			if st.Stage == "pseudonymizer" || st.Stage == "loader" {
				seen++
				waiting = waiting || st.Lag > 0
			}
		}
		// One look reads the two logs one after the other; a frame may pass
		// between.
		if last = out; seen < 2 || waiting {
			still = 0
		} else if still++; still == 2 {
			return
		}
	}
	s.t.Fatalf("the flow did not settle: %s", last)
}

func (s *site) decode(text string, into any) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		s.t.Fatalf("the output is not the JSON that was expected: %v", err)
	}
}

// setting is what a service's environment says.
func (s *site) setting(service, name string) string {
	v := s.project.Services[service].Environment[name]
	if v == nil {
		return ""
	}
	return *v
}

// warehouse connects as a user with the password that a service was given.
func (s *site) warehouse(user, service, variable string) *warehouse.Warehouse {
	s.t.Helper()
	w, err := s.tryWarehouse(user, s.setting(service, variable))
	if err != nil {
		s.t.Fatal(err)
	}
	return w
}

func (s *site) tryWarehouse(user, password string) (*warehouse.Warehouse, error) {
	w, err := warehouse.Open(s.t.Context(), warehouse.Config{
		Addr: []string{s.addresses["clickhouse:9000"]}, User: user, Password: password, Log: lethetest.Logger(s.t),
	})
	if err == nil {
		s.t.Cleanup(func() { _ = w.Close() })
	}
	return w, err
}

func (s *site) rows(w *warehouse.Warehouse, sql string) [][]any {
	s.t.Helper()
	r, err := w.Rows(s.t.Context(), sql, nil)
	if err != nil {
		s.t.Fatalf("%v\n%s", err, sql)
	}
	return r.Rows
}
