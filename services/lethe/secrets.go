package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
)

func secretsCommand(g *globals) *cobra.Command {
	var out string
	var hosts []string
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Write certificates, passwords and credentials for running the services apart",
		Long: `Write what the services need to run as separate processes: environment files
with passwords for NATS, ClickHouse and each service, certificates for the
keyring, and one credential per role. docker-compose.yml reads them.`,
	}
	cmd.Flags().StringVar(&out, "out", "secrets", "directory to write to")
	cmd.Flags().StringSliceVar(&hosts, "host", []string{"pseudonymizer", "localhost", "127.0.0.1"}, "names and addresses under which the keyring is reached")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		pol, err := assembly.LoadPolicy(g.policy)
		if err != nil {
			return err
		}
		if err := assembly.WriteSecrets(cmd.Context(), out, pol, hosts); err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Secrets are in %s, readable by you alone. Credentials, one per role, are in %s/credentials.\n", out, out)
		return err
	}
	return cmd
}
