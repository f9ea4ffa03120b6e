package embedded

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// An EngineUser is somebody who may log in to ClickHouse.
type EngineUser struct {
	Name, Password string
	// Grants are whole statements, such as "GRANT SELECT ON lethe.cells". The
	// user may do nothing else: tables of the database system need a grant
	// like any other.
	Grants []string
	// Filters are conditions that a row must meet for this user to see it, by
	// "database.table". Users without a filter on a table see all of it.
	Filters map[string]string
	// Settings hold for every query of the user and cannot be changed by one,
	// but a setting whose name begins with max_ can be lowered. Mind that the
	// Go driver asks for a max_execution_time of the context's deadline and
	// five seconds more.
	Settings map[string]string
	// Changeable settings may be chosen by a query, ReadOnly or not: those of
	// Settings as far as that says, others as they like.
	Changeable []string
	// ReadOnly 0 allows writing, as far as the grants do; 1 allows reading
	// and no settings in queries but those of Changeable; 2 allows reading.
	// The Go driver sends settings, and so needs 0 or 2.
	ReadOnly int
	// Networks may log in as this user, as addresses or CIDR prefixes. None
	// means the loopback addresses.
	Networks []string
}

// userSettings hold for every user.
var userSettings = []setting{
	// P18: an insert is answered when it is on disk; batches are made by us.
	{"async_insert", "0"},
	{"fsync_metadata", "1"},
	// The engine in the library is laxer here than a server.
	{"allow_introspection_functions", "0"},
	{"implicit_select", "0"},
	// P1: the text of a query is written nowhere.
	{"log_queries", "0"},
}

var (
	engineName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	tableName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$`)
)

// UsersXML renders the users.xml of an engine or of a ClickHouse server: these
// users and, locked, the user "default". The engine logs in as it to run its
// start-up statements, from this machine and without a password, and so could
// anybody; a quota of exactly these statements leaves nothing for others. Of
// passwords it writes the SHA-256 alone.
//
// It panics on a user without a name, without a password, or with the name of
// another or of "default", and on names that are not identifiers: all of these
// are written by programs.
func UsersXML(users []EngineUser) []byte {
	x := newXML()

	x.open("profiles")
	profile(x, "default", userSettings, nil)
	profile(x, "boot", nil, nil)
	for _, u := range users {
		profile(x, "profile_"+u.Name, nil, &u)
	}
	x.close("profiles")

	x.open("quotas")
	x.leaf("default", "")
	x.open("boot", "interval")
	x.leaf("duration", "2147483647") // seconds; it must fit into 32 bits
	x.leaf("queries", fmt.Sprint(len(startStatements)))
	x.close("interval", "boot")
	x.close("quotas")

	x.open("users")
	x.open("default")
	x.leaf("no_password", "")
	x.leaf("profile", "boot")
	x.leaf("quota", "boot")
	networks(x, []string{"127.0.0.1"})
	grants(x, []string{"GRANT SYSTEM LISTEN ON *.*"})
	x.close("default")
	seen := map[string]bool{"default": true}
	for _, u := range users {
		if !engineName.MatchString(u.Name) || u.Password == "" || seen[u.Name] {
			panic(fmt.Sprintf("embedded: engine user %q lacks a name of its own or a password", u.Name))
		}
		seen[u.Name] = true
		user(x, u)
	}
	x.close("users")
	return x.bytes()
}

func profile(x *xmlText, name string, settings []setting, u *EngineUser) {
	x.open(name)
	defer x.close(name)
	if name != "default" {
		x.leaf("profile", "default")
	}
	x.leaves(settings)
	if u == nil {
		return
	}
	names := slices.Sorted(maps.Keys(u.Settings))
	for _, s := range names {
		if !engineName.MatchString(s) {
			panic(fmt.Sprintf("embedded: %q is not the name of a setting", s))
		}
		x.leaf(s, u.Settings[s])
	}
	if u.ReadOnly != 0 {
		x.leaf("readonly", fmt.Sprint(u.ReadOnly))
	}
	x.open("constraints")
	for _, s := range userSettings {
		if _, own := u.Settings[s.name]; !own {
			constant(x, s.name)
		}
	}
	for _, s := range names {
		// In limits 0 stands for none: there is nothing below it.
		if strings.HasPrefix(s, "max_") && u.Settings[s] != "0" {
			x.open(s)
			x.leaf("min", "1")
			x.leaf("max", u.Settings[s])
			if slices.Contains(u.Changeable, s) {
				x.leaf("changeable_in_readonly", "")
			}
			x.close(s)
			continue
		}
		if !slices.Contains(u.Changeable, s) {
			constant(x, s)
		}
	}
	for _, s := range u.Changeable {
		if u.Settings[s] != "" {
			continue
		}
		if !engineName.MatchString(s) {
			panic(fmt.Sprintf("embedded: %q is not the name of a setting", s))
		}
		x.open(s)
		x.leaf("changeable_in_readonly", "")
		x.close(s)
	}
	x.close("constraints")
}

func constant(x *xmlText, name string) {
	x.open(name)
	x.leaf("const", "")
	x.close(name)
}

func user(x *xmlText, u EngineUser) {
	x.open(u.Name)
	defer x.close(u.Name)
	sum := sha256.Sum256([]byte(u.Password))
	x.leaf("password_sha256_hex", hex.EncodeToString(sum[:]))
	x.leaf("profile", "profile_"+u.Name)
	x.leaf("quota", "default")
	if len(u.Networks) == 0 {
		networks(x, []string{"127.0.0.1", "::1"})
	} else {
		networks(x, u.Networks)
	}
	// A user without any grant in this file may do everything.
	grants(x, append([]string{"GRANT USAGE ON *.*"}, u.Grants...))
	if len(u.Filters) == 0 {
		return
	}
	filters(x, u.Filters)
}

func filters(x *xmlText, by map[string]string) {
	x.open("databases")
	defer x.close("databases")
	inside := "" // the database whose element is open; there may be one of each
	for _, t := range slices.Sorted(maps.Keys(by)) {
		if !tableName.MatchString(t) {
			panic(fmt.Sprintf("embedded: %q is not a database and a table", t))
		}
		database, table, _ := strings.Cut(t, ".")
		if database != inside {
			if inside != "" {
				x.close(inside)
			}
			x.open(database)
			inside = database
		}
		x.open(table)
		x.leaf("filter", by[t])
		x.close(table)
	}
	x.close(inside)
}

func networks(x *xmlText, ips []string) {
	x.open("networks")
	for _, ip := range ips {
		x.leaf("ip", ip)
	}
	x.close("networks")
}

func grants(x *xmlText, statements []string) {
	x.open("grants")
	for _, s := range statements {
		x.leaf("query", s)
	}
	x.close("grants")
}

// ProbeUser is the engine user that asks how the engine is.
const ProbeUser = "probe"

// NewProbe makes the credential for EngineConfig.Probe, with a random
// password, and the user it belongs to, who may see where the disks are.
func NewProbe() (Credentials, EngineUser) {
	c := Credentials{User: ProbeUser, Password: rand.Text()}
	return c, EngineUser{
		Name: c.User, Password: c.Password, ReadOnly: 1,
		Grants: []string{"GRANT SELECT(name, path) ON system.disks"},
	}
}
