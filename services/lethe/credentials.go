package main

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func credentialsCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Say who may ask for what: make, list, rotate and revoke credentials",
		Long: `Make, list, rotate and revoke credentials. The text of a credential is shown
once and is kept nowhere; the server holds a hash. A change holds from the next
request on, and is on record before it is made.`,
	}
	cmd.AddCommand(createCredential(g), listCredentials(g), rotateCredential(g), revokeCredential(g))
	return cmd
}

func createCredential(g *globals) *cobra.Command {
	var q access.Request
	var role, expires string
	var networks []string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a credential, limited to what you say; its text is shown once",
		Example: `  lethe credentials create --role publisher --service shop --network 192.0.2.0/24
  lethe credentials create --role analyst --route "GET /v1/stats/{metric}" --mask country --expires 90d`,
	}
	f := cmd.Flags()
	f.StringVar(&role, "role", "", "publisher, analyst, officer or operator")
	f.StringVar(&q.Tenant, "tenant", "", "tenant (default your own)")
	f.StringSliceVar(&q.Services, "service", nil, "only this service; may be repeated")
	f.StringSliceVar(&q.Products, "product", nil, "only this product; may be repeated")
	f.StringArrayVar(&q.Routes, "route", nil, `only this route of the role, such as "GET /v1/stats/{metric}"; may be repeated`)
	f.StringSliceVar(&q.Masked, "mask", nil, "a field that comes back without its values; may be repeated")
	f.StringSliceVar(&networks, "network", nil, "only from this network, such as 192.0.2.0/24; may be repeated")
	f.StringSliceVar(&q.Purposes, "purpose", nil, "what it is for (default what the role is for); may be repeated")
	f.StringVar(&expires, "expires", "", "end: a day (2027-01-31), a time (RFC 3339), or from now (90d, 12h); default never")
	_ = cmd.MarkFlagRequired("role") // fails for an unknown flag only
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q.Role = access.Role(role)
		for _, text := range networks {
			n, err := netip.ParsePrefix(text)
			if err != nil {
				return badUsage(cmd, fault.Invalid.Errorf("--network takes a network in CIDR notation, such as 192.0.2.0/24"))
			}
			q.Networks = append(q.Networks, n)
		}
		var err error
		if q.Expires, err = parseEnd(expires, time.Now()); err != nil {
			return badUsage(cmd, err)
		}
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var made access.Issued
		if err := c.Do(cmd.Context(), http.MethodPost, "/v1/credentials", nil, q, &made); err != nil {
			return err
		}
		return printIssued(cmd, *out, made)
	}
	return cmd
}

func listCredentials(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the credentials there are and were, without secrets",
	}
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var l access.Listing
		if err := c.Do(cmd.Context(), http.MethodGet, "/v1/credentials", nil, nil, &l); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), l)
		}
		rows, now := [][]string{}, time.Now()
		for _, e := range l.Credentials {
			rows = append(rows, []string{e.ID, string(e.Role), e.Tenant, stateOf(e, now), shortTime(e.Created), shortTime(e.Expires), limitsOf(e)})
		}
		return table(cmd.OutOrStdout(), []string{"ID", "ROLE", "TENANT", "STATE", "CREATED", "EXPIRES", "LIMITS"}, rows)
	}
	return cmd
}

func rotateCredential(g *globals) *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Give a credential a new secret, which is shown once",
		Long: `Give a credential a new secret. The old one opens nothing from then on, or, with
--grace, after that time. Where the data directory holds the credential, as it
does those that 'lethe up' made, the file there is written anew.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().DurationVar(&grace, "grace", 0, "how long the old secret lives on, such as 24h")
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var made access.Issued
		path := "/v1/credentials/" + url.PathEscape(args[0]) + "/rotate"
		if err := c.Do(cmd.Context(), http.MethodPost, path, nil, access.Rotation{Grace: grace.String()}, &made); err != nil {
			return err
		}
		// Shown before anything else can fail: it cannot be had again.
		if err := printIssued(cmd, *out, made); err != nil {
			return err
		}
		return g.keepCredential(made)
	}
	return cmd
}

func revokeCredential(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "End a credential at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := g.connect("operator")
			if err != nil {
				return err
			}
			if err := c.Do(cmd.Context(), http.MethodDelete, "/v1/credentials/"+url.PathEscape(args[0]), nil, nil, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "The credential is revoked.")
			return err
		},
	}
}

// printIssued shows a credential with its text, this once.
func printIssued(cmd *cobra.Command, form string, made access.Issued) error {
	if form == "json" {
		return printJSON(cmd.OutOrStdout(), made)
	}
	rows := [][]string{{"role", string(made.Role)}, {"tenant", made.Tenant}, {"limits", limitsOf(made.Entry)}, {"expires", shortTime(made.Expires)}}
	if !made.PreviousUntil.IsZero() {
		rows = append(rows, []string{"old secret until", shortTime(made.PreviousUntil)})
	}
	rows = append(rows, []string{"credential", made.Credential})
	if err := table(cmd.OutOrStdout(), []string{"id", made.ID}, rows); err != nil {
		return err
	}
	_, err := io.WriteString(cmd.ErrOrStderr(), "The credential is shown this once. Keep it where only its user can read it.\n")
	return err
}

// keepCredential replaces a credential in the data directory by the one with
// its id, where there is one.
func (g *globals) keepCredential(made access.Issued) error {
	file := filepath.Join(g.dataDir(), "credentials", string(made.Role))
	have, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(have), "lethe_"+string(made.Role)+"_"+made.ID+"_") {
		return nil //nolint:nilerr // it is kept elsewhere
	}
	temp := file + ".new"
	if err := os.WriteFile(temp, []byte(made.Credential+"\n"), 0o600); err != nil {
		return fault.Unavailable.Errorf("the credential is rotated, and its file is not written anew: %w", err)
	}
	return os.Rename(temp, file)
}

// parseEnd reads when a credential ends. Empty is never, the zero time.
func parseEnd(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	var days int
	if n, err := fmt.Sscanf(text, "%dd", &days); err == nil && n == 1 && text == fmt.Sprintf("%dd", days) && days > 0 && days < 100_000 {
		return now.UTC().AddDate(0, 0, days).Truncate(time.Second), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.UTC().Add(d).Truncate(time.Second), nil
	}
	return time.Time{}, fault.Invalid.Errorf("--expires takes a day (2027-01-31), a time as RFC 3339 writes it, or a time from now (90d, 12h)")
}

func stateOf(e access.Entry, now time.Time) string {
	switch {
	case !e.Revoked.IsZero():
		return "revoked"
	case !e.Expires.IsZero() && !now.Before(e.Expires):
		return "expired"
	case now.Before(e.PreviousUntil):
		return "rotating"
	}
	return "live"
}

// limitsOf is a scope in one cell.
func limitsOf(e access.Entry) string {
	var out []string
	add := func(name string, items []string) {
		if len(items) > 0 {
			out = append(out, name+" "+strings.Join(items, ", "))
		}
	}
	var networks []string
	for _, n := range e.Networks {
		networks = append(networks, n.String())
	}
	add("services", e.Services)
	add("products", e.Products)
	add("routes", e.Routes)
	add("masked", e.Masked)
	add("from", networks)
	add("for", e.Purposes)
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, "; ")
}

// shortTime is a time in a table; one that never comes is a dash.
func shortTime(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.RFC3339)
}
