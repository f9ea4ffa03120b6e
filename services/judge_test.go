package services_test

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/config"
)

// programs are the binaries of the image: `go build ./services/...` names each
// after its folder.
func programs(t testing.TB) []string {
	t.Helper()
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("there are no programs: %v", err)
	}
	var out []string
	for _, m := range mains {
		out = append(out, filepath.Base(filepath.Dir(m)))
	}
	return out
}

// A given is what a service of Lethe's own is given beyond the image: which
// files, certificates and networks. What stands here is the least that its
// work takes.
type given struct {
	secrets  string // the file of environment variables
	mounts   []string
	networks []string
	settings []string
	writes   string // the one file or folder of secrets that it may write
}

var givens = map[string]given{
	"apply":         {"operator", nil, []string{"log", "warehouse"}, []string{"nats", "clickhouse"}, ""},
	"pseudonymizer": {"pseudonymizer", []string{"keys", "secrets/keyring"}, []string{"keyring", "log"}, []string{"nats", "keyring"}, ""},
	"loader":        {"loader", []string{"secrets/cells", "secrets/loader"}, []string{"keyring", "log", "warehouse"}, []string{"nats", "clickhouse", "keyring"}, ""},
	"retention":     {"retention", []string{"files", "secrets/retention"}, []string{"keyring", "log", "warehouse"}, []string{"nats", "clickhouse", "keyring"}, ""},
	"analyst":       {"analyst", []string{"secrets/access"}, []string{"door", "log", "warehouse"}, []string{"nats", "clickhouse"}, ""},
	"compliance":    {"compliance", []string{"audit", "files:ro", "secrets/access", "secrets/compliance"}, []string{"door", "keyring", "log", "warehouse"}, []string{"nats", "clickhouse", "keyring"}, "secrets/access"},
	"gateway":       {"gateway", []string{"secrets/access", "secrets/gateway"}, []string{"door", "keyring", "log"}, []string{"nats", "keyring"}, ""},
}

// A compose file is judged by what it says once it is read: findings are the
// sentences about what is wrong with it.
type judge struct {
	project  *types.Project
	dir      string // where secrets/ is
	programs []string
	findings []string
}

func judged(p *types.Project, dir string, programs []string) []string {
	j := &judge{project: p, dir: dir, programs: programs}
	j.services()
	for _, name := range slices.Sorted(maps.Keys(givens)) {
		if s, ok := p.Services[name]; ok {
			j.program(s)
			j.settings(s)
			j.powers(s)
			j.walls(s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		j.files(p.Services[name])
	}
	j.stores()
	return j.findings
}

func (j *judge) say(format string, args ...any) {
	j.findings = append(j.findings, fmt.Sprintf(format, args...))
}

// services: the two stores, apply, and every program but the CLI.
func (j *judge) services() {
	want := []string{"apply", "clickhouse", "nats"}
	for _, p := range j.programs {
		if p != "lethe" {
			want = append(want, p)
		}
	}
	slices.Sort(want)
	have := slices.Sorted(maps.Keys(j.project.Services))
	if diff := cmp.Diff(want, have); diff != "" {
		j.say("the services are not what they should be: %s", diff)
	}
}

// program: one image, and a command that is in it.
func (j *judge) program(s types.ServiceConfig) {
	if s.Image != "lethe" || s.Build == nil || s.Build.Context != j.dir {
		j.say("%s is not the one image of this repository", s.Name)
	}
	if len(s.Command) == 0 || !slices.Contains(j.programs, s.Command[0]) {
		j.say("%s runs a program that is not built", s.Name)
	} else if s.Name != "apply" && !slices.Equal(s.Command, []string{s.Name}) {
		j.say("%s runs %s", s.Name, s.Command[0])
	}
}

// settings: each is one that the program takes, each address is a service
// that can be reached.
func (j *judge) settings(s types.ServiceConfig) {
	env := environ(s)
	c, err := config.Load("", env, nil)
	if err != nil {
		j.say("%s does not start: %v", s.Name, err)
		return
	}
	for _, kv := range env {
		if !strings.HasPrefix(kv, "LETHE_") {
			j.say("%s is given a variable that is not a setting", s.Name)
		}
	}
	needs := func(store string, is bool) {
		if want := slices.Contains(givens[s.Name].settings, store); is != want {
			j.say("%s is told of %s: %t", s.Name, store, is)
		}
	}
	needs("nats", c.NATS.URL != "" && c.NATS.Password != "")
	needs("clickhouse", c.ClickHouse.Addr != "" && c.ClickHouse.Password != "")
	needs("keyring", c.Keyring.Addr != "" || c.Keyring.Listen != "")
	for _, addr := range []string{strings.TrimPrefix(c.NATS.URL, "nats://"), c.ClickHouse.Addr, c.Keyring.Addr} {
		if addr == "" {
			continue
		}
		host, _, err := net.SplitHostPort(addr)
		other, known := j.project.Services[host]
		if err != nil || !known {
			j.say("%s is told of an address that is no service", s.Name)
			continue
		}
		shared := slices.ContainsFunc(slices.Collect(maps.Keys(s.Networks)), func(n string) bool { _, ok := other.Networks[n]; return ok })
		if !shared {
			j.say("%s has no network in common with %s", s.Name, host)
		}
	}
}

// powers: what a service is given is its own, and nobody else's.
func (j *judge) powers(s types.ServiceConfig) {
	want := givens[s.Name]
	var env []string
	for _, f := range s.EnvFiles {
		env = append(env, j.rel(f.Path))
	}
	if !slices.Equal(env, []string{"secrets/" + want.secrets + ".env"}) {
		j.say("%s is given the passwords in %v", s.Name, env)
	}
	var mounts []string
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeVolume {
			source := v.Source
			if v.ReadOnly {
				source += ":ro"
			}
			mounts = append(mounts, source)
			continue
		}
		mounts = append(mounts, j.rel(v.Source))
		if !v.ReadOnly && j.rel(v.Source) != want.writes {
			j.say("%s may write %s", s.Name, j.rel(v.Source))
		}
	}
	slices.Sort(mounts)
	if !slices.Equal(mounts, want.mounts) {
		j.say("%s mounts %v", s.Name, mounts)
	}
	if networks := slices.Sorted(maps.Keys(s.Networks)); !slices.Equal(networks, want.networks) {
		j.say("%s is on the networks %v", s.Name, networks)
	}
	// No password is there twice, whatever its file is called.
	for _, name := range slices.Sorted(maps.Keys(givens)) {
		other, ok := j.project.Services[name]
		if !ok || name == s.Name {
			continue
		}
		for variable, value := range s.Environment {
			if !strings.HasSuffix(variable, "_PASSWORD") || value == nil {
				continue
			}
			for theirs, v := range other.Environment {
				if v != nil && *v == *value {
					j.say("%s has %s of %s", s.Name, theirs, name)
				}
			}
		}
	}
}

// walls: what keeps a service that was broken into where it is.
func (j *judge) walls(s types.ServiceConfig) {
	if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || user == "root" {
		j.say("%s runs as root", s.Name)
	}
	if !s.ReadOnly || s.Privileged || !slices.Contains(s.CapDrop, "ALL") || len(s.CapAdd) > 0 ||
		!slices.Contains(s.SecurityOpt, "no-new-privileges:true") || s.Pid != "" || s.NetworkMode != "" {
		j.say("%s is not walled in", s.Name)
	}
	onDoor := slices.Contains(givens[s.Name].networks, "door")
	if (len(s.Ports) > 0) != onDoor {
		j.say("%s opens %d ports", s.Name, len(s.Ports))
	}
	for _, p := range s.Ports {
		if p.HostIP != "127.0.0.1" {
			j.say("%s can be reached from other machines", s.Name)
		}
	}
}

// files: what is mounted or read is there.
func (j *judge) files(s types.ServiceConfig) {
	paths := []string{}
	for _, f := range s.EnvFiles {
		paths = append(paths, f.Path)
	}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind {
			paths = append(paths, v.Source)
		}
	}
	for _, p := range paths {
		file := j.rel(p)
		if !strings.HasPrefix(file, "secrets/") {
			file = filepath.Join(root, file)
		} else {
			file = filepath.Join(j.dir, file)
		}
		if _, err := os.Stat(file); err != nil {
			j.say("%s needs %s, which is not there", s.Name, j.rel(p))
		}
	}
}

var (
	natsVariable       = regexp.MustCompile(`password: \$(\w+)`)
	clickhouseVariable = regexp.MustCompile(`from_env="(\w+)"`)
)

// stores: they keep what they are given, and each takes its passwords from the
// variables that its file holds.
func (j *judge) stores() {
	for store, its := range map[string]struct {
		config   string
		variable *regexp.Regexp
		data     string
		network  string
	}{
		"nats":       {"pipelines/derived/nats.conf", natsVariable, "/data", "log"},
		"clickhouse": {"pipelines/derived/clickhouse-users.xml", clickhouseVariable, "/var/lib/clickhouse", "warehouse"},
	} {
		s := j.project.Services[store]
		text, err := os.ReadFile(filepath.Join(root, its.config))
		if err != nil {
			j.say("%s: %v", store, err)
		}
		var asks, has []string
		for _, m := range its.variable.FindAllStringSubmatch(string(text), -1) {
			asks = append(asks, m[1])
		}
		for variable := range s.Environment {
			if strings.HasPrefix(variable, "LETHE_") {
				has = append(has, variable)
			}
		}
		slices.Sort(asks)
		slices.Sort(has)
		if len(asks) == 0 || !slices.Equal(asks, has) {
			j.say("%s asks for %v and has %v", store, asks, has)
		}
		mounted, kept := false, false
		for _, v := range s.Volumes {
			mounted = mounted || v.ReadOnly && j.rel(v.Source) == its.config
			kept = kept || v.Type == types.VolumeTypeVolume && v.Target == its.data
		}
		if !mounted || !kept {
			j.say("%s reads the derived file: %t, keeps its data: %t", store, mounted, kept)
		}
		if networks := slices.Collect(maps.Keys(s.Networks)); !slices.Equal(networks, []string{its.network}) || len(s.Ports) > 0 {
			j.say("%s can be reached by more than its services", store)
		}
	}
	for name, n := range j.project.Networks {
		if !n.Internal && name != "door" {
			j.say("the network %s leads out", name)
		}
	}
}

// rel is a path as the file says it.
func (j *judge) rel(p string) string {
	if r, err := filepath.Rel(j.dir, p); err == nil {
		return path.Clean(filepath.ToSlash(r))
	}
	return p
}

// environ is a service's environment as its process gets it.
func environ(s types.ServiceConfig) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		if v := s.Environment[name]; v != nil {
			out = append(out, name+"="+*v)
		}
	}
	return out
}
