package warehouse

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// PasswordVariable names the environment variable of a ClickHouse server from
// which the SHA-256 of a user's password is taken, in hex.
func PasswordVariable(user string) string {
	return "LETHE_CLICKHOUSE_" + strings.ToUpper(user) + "_SHA256"
}

// UsersXML renders [Users] as a users.d file of a ClickHouse server. It takes
// away the server's own user "default" and holds no password.
func UsersXML(pol *policy.Policy) []byte {
	x := &xmlWriter{}
	x.line("<!-- Derived from schemas/ and pipelines/ by `make derive`. Not to be edited. -->")
	x.in("clickhouse", func() {
		users := Users(pol)
		x.in("profiles", func() {
			for _, u := range users {
				x.in("lethe_"+u.Name, func() { x.profile(u) })
			}
		})
		// It limits nothing and counts nothing: a count of rows read would
		// tell an analyst of other tenants' cells.
		x.in("quotas", func() { x.line("<lethe/>") })
		x.in("users", func() {
			x.line(`<default remove="remove"/>`)
			for _, u := range users {
				x.in(u.Name, func() { x.user(u) })
			}
		})
	})
	return x.b.Bytes()
}

type xmlWriter struct {
	b     bytes.Buffer
	depth int
}

func (x *xmlWriter) profile(u User) {
	x.leaf("async_insert", "0") // P18: an insert is answered when it is on disk
	x.leaf("log_queries", "0")  // P1: the text of a query is written nowhere
	names := slices.Sorted(maps.Keys(u.Settings))
	for _, n := range names {
		x.leaf(n, u.Settings[n])
	}
	if u.ReadOnly != 0 {
		x.leaf("readonly", fmt.Sprint(u.ReadOnly))
	}
	x.in("constraints", func() {
		for _, n := range []string{"async_insert", "log_queries"} {
			x.line("<" + n + "><const/></" + n + ">")
		}
		for _, n := range names {
			change := slices.Contains(u.Changeable, n)
			switch {
			case strings.HasPrefix(n, "max_"):
				// In most limits 0 stands for none.
				x.in(n, func() {
					x.leaf("min", "1")
					x.leaf("max", u.Settings[n])
					if change {
						x.line("<changeable_in_readonly/>")
					}
				})
			case !change:
				x.line("<" + n + "><const/></" + n + ">")
			}
		}
		for _, n := range u.Changeable {
			if u.Settings[n] == "" {
				x.line("<" + n + "><changeable_in_readonly/></" + n + ">")
			}
		}
	})
}

func (x *xmlWriter) user(u User) {
	x.line(fmt.Sprintf(`<password_sha256_hex from_env=%q/>`, PasswordVariable(u.Name)))
	x.leaf("profile", "lethe_"+u.Name)
	x.leaf("quota", "lethe")
	x.in("networks", func() { x.leaf("ip", "::/0") }) // the network is the container's
	x.in("grants", func() {
		// A user without any grant in this file may do everything.
		for _, g := range append([]string{"GRANT USAGE ON *.*"}, u.Grants...) {
			x.leaf("query", g)
		}
	})
	if len(u.Filters) == 0 {
		return
	}
	x.in("databases", func() {
		x.in(DefaultDatabase, func() {
			for _, t := range slices.Sorted(maps.Keys(u.Filters)) {
				x.in(strings.TrimPrefix(t, DefaultDatabase+"."), func() { x.leaf("filter", u.Filters[t]) })
			}
		})
	})
}

func (x *xmlWriter) in(name string, f func()) {
	x.line("<" + name + ">")
	x.depth++
	f()
	x.depth--
	x.line("</" + name + ">")
}

func (x *xmlWriter) leaf(name, text string) {
	var escaped bytes.Buffer
	_ = xml.EscapeText(&escaped, []byte(text)) // a bytes.Buffer takes everything
	x.line("<" + name + ">" + escaped.String() + "</" + name + ">")
}

func (x *xmlWriter) line(s string) {
	fmt.Fprintf(&x.b, "%s%s\n", strings.Repeat("  ", x.depth), s)
}
