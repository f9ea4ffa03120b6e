package assembly

import (
	"path/filepath"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/config"
)

// ownData is what Lethe puts into its data directory, as patterns: files are
// written beside their place and renamed, which a crash may interrupt.
var ownData = []string{
	"nats", "clickhouse", "keys", "audit", "reports", "backups", "key-backups", "credentials",
	"credentials.json", "credentials.json.lock", ".credentials.json.*",
	"reads.json", "reads.json.lock", ".reads.json.*", "statement.key", "statement.key.new",
	"policy.json", ".policy-*", AddressesFile, AddressesFile + ".new", ".lethe-*",
	"lethe.yaml", // where people keep the settings
	"lost+found", // where the directory is a disk
}

// ownDir is the data directory of a Lethe of its own, and what is in it that is
// Lethe's or that its settings name. Services apart have no such directory.
func (s *Site) ownDir() (dir string, own []string) {
	if s.Config.NATS.URL != "" || s.Config.ClickHouse.Addr != "" {
		return "", nil
	}
	return s.Config.Data, append(own, append(ownData, named(s.Config)...)...)
}

// named is what the settings name in the data directory: the first part of
// each path.
func named(c config.Config) []string {
	var out []string
	dir, err := filepath.Abs(c.Data)
	if err != nil {
		return nil
	}
	for _, path := range []string{
		c.Policy, c.ReadyFile, c.TLS.Cert, c.TLS.Key, c.TLS.ClientCA, c.ClickHouse.Library,
		c.Keyring.Dir, c.Keyring.KEKFile, c.Keyring.Certificates, c.Access.File, c.Access.Reads, c.Audit.Dir,
		c.Files.Reports, c.Files.Backups, c.Files.KeyBackups,
	} {
		if path == "" {
			continue
		}
		if path, err = filepath.Abs(path); err != nil {
			continue
		}
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
			first, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
			out = append(out, first)
		}
	}
	return out
}
