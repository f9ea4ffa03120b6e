package assembly

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// warehouseUsers says as which user each service works in ClickHouse.
var warehouseUsers = map[string]string{
	"operator":   warehouse.UserAdmin,
	"loader":     warehouse.UserLoader,
	"retention":  warehouse.UserRetention,
	"analyst":    warehouse.UserAnalyst,
	"compliance": warehouse.UserVerify,
}

// WriteSecrets writes what services need to run as separate processes: for
// NATS, ClickHouse and each service a file of environment variables with fresh
// passwords, certificates for the keyring, and one credential per role.
//
//	DIR/nats.env  DIR/clickhouse.env  DIR/SERVICE.env
//	DIR/keyring/{ca,cert,key}.pem  DIR/SERVICE/{ca,cert,key}.pem
//	DIR/access/credentials.json  DIR/credentials/ROLE
//
// hosts are the names under which the keyring is reached. Everything is
// readable by the owner alone. A directory that holds secrets already is a
// [fault.Conflict]: replacing some of them would lock services out.
func WriteSecrets(ctx context.Context, dir string, pol *policy.Policy, hosts []string) error {
	if _, err := os.Stat(filepath.Join(dir, "nats.env")); err == nil {
		return fault.Conflict.Errorf("there are secrets in %s already", dir)
	}
	for _, sub := range []string{"", "access", "credentials"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	var callers []string
	for c := range keyCallers {
		callers = append(callers, c)
	}
	slices.Sort(callers)
	if err := keyring.WriteCertificates(dir, callers, hosts); err != nil {
		return err
	}
	store, err := access.Open(filepath.Join(dir, "access", "credentials.json"))
	if err != nil {
		return err
	}
	for _, role := range access.Roles() {
		if err := writeCredential(ctx, store, role, filepath.Join(dir, "credentials", string(role))); err != nil {
			return err
		}
	}
	files := map[string][]string{}
	for _, u := range eventlog.Users() {
		p := password()
		if u.Name == "cells" { // in the loader's process
			files["loader"] = append(files["loader"], "LETHE_NATS_CELLS_PASSWORD="+p)
		} else {
			files[u.Name] = append(files[u.Name], "LETHE_NATS_PASSWORD="+p)
		}
		files["nats"] = append(files["nats"], natsPasswordVariable(u.Name)+"="+p)
	}
	passwords := map[string]string{}
	for _, u := range warehouse.Users(pol) {
		passwords[u.Name] = password()
		sum := sha256.Sum256([]byte(passwords[u.Name]))
		files["clickhouse"] = append(files["clickhouse"], warehouse.PasswordVariable(u.Name)+"="+hex.EncodeToString(sum[:]))
	}
	for service, user := range warehouseUsers {
		files[service] = append(files[service], "LETHE_CLICKHOUSE_PASSWORD="+passwords[user])
	}
	files["loader"] = append(files["loader"], "LETHE_CLICKHOUSE_REBUILD_PASSWORD="+passwords[warehouse.UserRebuild])
	files["loader"] = append(files["loader"], "LETHE_CLICKHOUSE_CELLS_PASSWORD="+passwords[warehouse.UserCells])
	files["analyst"] = append(files["analyst"], "LETHE_CLICKHOUSE_SQL_PASSWORD="+passwords[warehouse.UserSQL], "LETHE_SQL_KEY="+password())
	files["compliance"] = append(files["compliance"], "LETHE_CLICKHOUSE_HOLD_PASSWORD="+passwords[warehouse.UserHold])
	// nats.env is written last: its presence says that the rest is there.
	names := []string{"nats"}
	for name := range files {
		if name != "nats" {
			names = append([]string{name}, names...)
		}
	}
	for _, name := range names {
		text := strings.Join(files[name], "\n") + "\n"
		if err := os.WriteFile(filepath.Join(dir, name+".env"), []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the settings of a service: %w", err)
		}
	}
	return nil
}

// password is 130 random bits. It begins with a letter, so that a NATS server
// does not take it for a number.
func password() string { return "p" + rand.Text() }
