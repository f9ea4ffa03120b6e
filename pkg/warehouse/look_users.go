package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A Deviation is one way in which the users of the server are not those of
// [Users].
type Deviation struct {
	User string
	// Table is the one whose rows the user may see, and should not or not all
	// of; empty for others.
	Table    string
	Sentence string
}

// engineOwn are users that a Lethe with an engine of its own has beside
// [Users]: the locked one that opens the ports, and the supervisor's.
var engineOwn = map[string][]string{
	"default": {"GRANT SYSTEM LISTEN ON *.*"},
	"probe":   {"GRANT SELECT(name, path) ON system.disks"},
}

// LookUsers compares the server's users, grants, row filters and settings with
// what the policy asks for. Users named in known are somebody else's business.
func (w *Warehouse) LookUsers(ctx context.Context, pol *policy.Policy, known ...string) ([]Deviation, error) {
	live, err := w.principals(ctx)
	if err != nil {
		return nil, err
	}
	var out []Deviation
	wanted := map[string]bool{}
	for _, u := range Users(pol) {
		wanted[u.Name] = true
		have, there := live[u.Name]
		if !there {
			out = append(out, Deviation{User: u.Name, Sentence: "user " + u.Name + " does not exist"})
			continue
		}
		out = append(out, have.deviations(u)...)
	}
	for _, name := range slices.Sorted(maps.Keys(live)) {
		own, isOwn := engineOwn[name]
		switch {
		case wanted[name] || slices.Contains(known, name):
		case isOwn:
			out = append(out, live[name].extra(own)...)
		default:
			out = append(out, Deviation{User: name, Sentence: fmt.Sprintf(
				"user %s is none of Lethe's and has %s", plainName(name), amount(len(live[name].grants), "grant"))})
		}
	}
	return out, nil
}

// principal is a user as the engine describes it, or a role: Lethe has none.
type principal struct {
	name     string
	open     bool // logs in without a password
	grants   []grant
	roles    []string
	filters  map[string][]string // by database.table
	settings map[string]string
}

// grant is one privilege on one thing. Empty is everything.
type grant struct{ access, database, table, column string }

func (w *Warehouse) principals(ctx context.Context) (map[string]*principal, error) {
	all := map[string]*principal{}
	each := func(sql string, f func(p *principal, row []any)) error {
		r, err := w.Rows(ctx, sql, nil)
		if err != nil {
			return err
		}
		for _, row := range r.Rows {
			name := text(row[0])
			if all[name] == nil {
				all[name] = &principal{name: name, filters: map[string][]string{}, settings: map[string]string{}}
			}
			f(all[name], row)
		}
		return nil
	}
	for _, look := range []struct {
		sql string
		f   func(p *principal, row []any)
	}{
		{"SELECT name, has(arrayMap(x -> toString(x), auth_type), 'no_password') FROM system.users", func(p *principal, row []any) {
			p.open = number(row[1]) > 0
		}},
		{`SELECT user_name, toString(access_type), ifNull(database, ''), ifNull(table, ''), ifNull(column, '')
FROM system.grants WHERE user_name IS NOT NULL AND NOT is_partial_revoke`, func(p *principal, row []any) {
			p.grants = append(p.grants, grant{text(row[1]), text(row[2]), text(row[3]), text(row[4])})
		}},
		{"SELECT user_name, granted_role_name FROM system.role_grants WHERE user_name IS NOT NULL", func(p *principal, row []any) {
			p.roles = append(p.roles, text(row[1]))
		}},
		{"SELECT arrayJoin(apply_to_list), concat(database, '.', table), ifNull(select_filter, '') FROM system.row_policies", func(p *principal, row []any) {
			p.filters[text(row[1])] = append(p.filters[text(row[1])], text(row[2]))
		}},
		// What a user's profile says; the profiles that it leans on say the
		// same of everybody.
		{`SELECT u.user_name, ifNull(e.setting_name, ''), ifNull(e.value, '') FROM system.settings_profile_elements AS e
INNER JOIN (SELECT user_name, inherit_profile FROM system.settings_profile_elements WHERE user_name IS NOT NULL) AS u
ON u.inherit_profile = e.profile_name WHERE e.setting_name IS NOT NULL AND e.value IS NOT NULL`, func(p *principal, row []any) {
			p.settings[text(row[1])] = text(row[2])
		}},
		{"SELECT user_name, ifNull(setting_name, ''), ifNull(value, '') FROM system.settings_profile_elements WHERE user_name IS NOT NULL AND setting_name IS NOT NULL AND value IS NOT NULL",
			func(p *principal, row []any) { p.settings[text(row[1])] = text(row[2]) }},
	} {
		if err := each(look.sql, look.f); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// deviations lists where a user is not as it should be.
func (p *principal) deviations(u User) []Deviation {
	out := p.extra(u.Grants)
	add := func(table, format string, args ...any) {
		out = append(out, Deviation{User: u.Name, Table: table, Sentence: fmt.Sprintf("user %s ", u.Name) + fmt.Sprintf(format, args...)})
	}
	if p.open {
		add("", "can log in without a password")
	}
	for _, want := range parseGrants(u.Grants) {
		if !slices.ContainsFunc(p.grants, func(g grant) bool { return g.covers(want) }) {
			add("", "lacks the grant %s", want)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.Filters)) {
		_, table, _ := strings.Cut(name, ".")
		switch live := p.filters[name]; {
		case len(live) == 0:
			add(table, "sees table %s without a read barrier: rows past their rule can be selected", table)
		case len(live) > 1 || !sameFilter(live[0], u.Filters[name]):
			add(table, "sees table %s through another filter than the read barrier", table)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.filters)) {
		if u.Filters[name] == "" {
			add("", "has a row filter on %s that the policy does not ask for", plainName(name))
		}
	}
	want := maps.Clone(u.Settings)
	if want == nil {
		want = map[string]string{}
	}
	if u.ReadOnly != 0 {
		want["readonly"] = fmt.Sprint(u.ReadOnly)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if p.settings[name] != want[name] {
			add("", "has the setting %s at %q and should have it at %q", name, p.settings[name], want[name])
		}
	}
	return out
}

// extra lists grants and roles beyond those of statements.
func (p *principal) extra(statements []string) []Deviation {
	var out []Deviation
	want := parseGrants(statements)
	for _, g := range p.grants {
		if g.access != "USAGE" && !slices.ContainsFunc(want, func(w grant) bool { return w.covers(g) }) {
			out = append(out, Deviation{User: p.name, Sentence: fmt.Sprintf("user %s has the grant %s beyond its own", p.name, g)})
		}
	}
	if len(p.roles) > 0 {
		out = append(out, Deviation{User: p.name, Sentence: fmt.Sprintf("user %s has %s, and Lethe gives none", p.name, amount(len(p.roles), "role"))})
	}
	return out
}

// covers says whether who has g may do what h allows.
func (g grant) covers(h grant) bool {
	within := func(mine, its string) bool { return mine == "" || mine == its }
	return (g.access == "ALL" || g.access == h.access || strings.HasPrefix(h.access, g.access+" ")) &&
		within(g.database, h.database) && within(g.table, h.table) && within(g.column, h.column)
}

func (g grant) String() string {
	on := "*.*"
	switch {
	case g.table != "":
		on = g.database + "." + g.table
	case g.database != "":
		on = g.database + ".*"
	}
	what := g.access
	if g.column != "" {
		what += "(" + g.column + ")"
	}
	return plainName(what + " ON " + on)
}

// parseGrants takes statements such as "GRANT SELECT(a, b), INSERT ON d.t"
// apart.
func parseGrants(statements []string) []grant {
	var out []grant
	for _, s := range statements {
		list, on, _ := strings.Cut(strings.TrimPrefix(s, "GRANT "), " ON ")
		var at grant
		if database, table, found := strings.Cut(on, "."); found {
			at.database, at.table = strings.Trim(database, "*`"), strings.Trim(table, "*`")
		}
		for list != "" {
			var item string
			if open, comma := strings.IndexByte(list, '('), strings.IndexByte(list, ','); comma < 0 || open >= 0 && open < comma {
				if end := strings.IndexByte(list, ')'); open >= 0 && end > open {
					item, list = list[:end+1], strings.TrimPrefix(list[end+1:], ",")
				} else {
					item, list = list, ""
				}
			} else {
				item, list = list[:comma], list[comma+1:]
			}
			list = strings.TrimSpace(list)
			g := at
			name, columns, limited := strings.Cut(strings.TrimSpace(item), "(")
			g.access = strings.TrimSpace(name)
			if !limited {
				out = append(out, g)
				continue
			}
			for column := range strings.SplitSeq(strings.TrimSuffix(columns, ")"), ",") {
				g.column = strings.TrimSpace(column)
				out = append(out, g)
			}
		}
	}
	return out
}

// sameFilter compares conditions as the engine writes them: it keeps the text,
// and may put blanks elsewhere.
func sameFilter(a, b string) bool {
	bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
	return bare(a) == bare(b)
}

// plainName keeps names that somebody else chose from saying more than a name.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), 100)])
}

func amount(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
