package assembly

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/catalog"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Derived is everything that follows from a policy, by file name. It is
// committed under pipelines/derived/, so that whoever reviews a change of
// policy sees in the same diff the table and the sentence that change.
func Derived(pol *policy.Policy) map[string][]byte {
	return map[string][]byte{
		"streams.json":         eventlog.StreamsJSON(pol),
		"warehouse.sql":        []byte(warehouse.DDL(pol)),
		"access.json":          accessJSON(pol),
		"nats.conf":            natsConf(),
		"clickhouse-users.xml": warehouse.UsersXML(pol),
		"catalog.json":         marshal(catalog.New(pol)),
		"ropa.md":              catalog.New(pol).ROPA(),
	}
}

func marshal(v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic("assembly: a derived document must marshal: " + err.Error())
	}
	return []byte(b.String())
}

// accessJSON says who may touch which topic and which table.
func accessJSON(pol *policy.Policy) []byte {
	type topics struct {
		User      string   `json:"user"`
		Publish   []string `json:"publish"`
		Subscribe []string `json:"subscribe"`
	}
	type grants struct {
		User    string            `json:"user"`
		Grants  []string          `json:"grants"`
		Filters map[string]string `json:"filters,omitempty"`
	}
	var out struct {
		Log       []topics          `json:"log"`
		Warehouse []grants          `json:"warehouse"`
		Keyring   map[string]string `json:"keyring"`
	}
	for _, u := range eventlog.Users() {
		out.Log = append(out.Log, topics{u.Name, u.Publish, u.Subscribe})
	}
	for _, u := range warehouse.Users(pol) {
		out.Warehouse = append(out.Warehouse, grants{u.Name, u.Grants, u.Filters})
	}
	out.Keyring = map[string]string{"pseudonymizer": "pseudonymizer (in its own process)"}
	for caller, power := range keyCallers {
		out.Keyring[caller] = string(power)
	}
	return marshal(out)
}

// natsPasswordVariable names the environment variable from which an external
// server takes a user's password.
func natsPasswordVariable(user string) string {
	return "LETHE_NATS_" + strings.ToUpper(user) + "_PASSWORD"
}

// natsConf is the configuration of an external NATS server.
func natsConf() []byte {
	var b strings.Builder
	b.WriteString(`# Derived by ` + "`make derive`" + `. Not to be edited.
server_name: lethe
listen: "0.0.0.0:4222"
max_payload: 1MB

# Whether it is well, for whoever watches the container from inside.
http: "127.0.0.1:8222"

# P18: an append is acknowledged when it is on disk.
jetstream {
  store_dir: "/data"
  sync_interval: always
}

authorization {
  users = [
`)
	for _, u := range eventlog.Users() {
		fmt.Fprintf(&b, "    {user: %q, password: $%s, permissions: {\n", u.Name, natsPasswordVariable(u.Name))
		fmt.Fprintf(&b, "      publish: %s\n", only(u.Publish))
		fmt.Fprintf(&b, "      subscribe: %s\n", only(u.Subscribe))
		if u.AllowResponses {
			b.WriteString("      allow_responses: {max: 1, expires: \"1m\"}\n")
		}
		b.WriteString("    }}\n")
	}
	b.WriteString("  ]\n}\n")
	return []byte(b.String())
}

// only allows these topics and no other. An empty allow list would be no list
// to the server, and for a user that may not answer either, leave to do
// everything.
func only(topics []string) string {
	if len(topics) == 0 {
		return `{deny: [">"]}`
	}
	quoted := make([]string, len(topics))
	for i, t := range topics {
		quoted[i] = fmt.Sprintf("%q", t)
	}
	return "{allow: [" + strings.Join(quoted, ", ") + "]}"
}
