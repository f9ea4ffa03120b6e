package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
)

// finding is one thing the doctor looked at.
type finding struct {
	What     string `json:"what"`
	OK       bool   `json:"ok"`
	Sentence string `json:"sentence"`
}

func doctorCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what would keep Lethe from running here",
	}
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		findings := examine(cmd.Context(), g)
		sound := true
		rows := make([][]string, len(findings))
		for i, f := range findings {
			mark := "ok"
			if !f.OK {
				mark, sound = "NOT OK", false
			}
			rows[i] = []string{f.What, mark, f.Sentence}
		}
		var err error
		if *out == "json" {
			err = printJSON(cmd.OutOrStdout(), map[string]any{"ok": sound, "findings": findings})
		} else {
			err = table(cmd.OutOrStdout(), []string{"WHAT", "", ""}, rows)
		}
		if err == nil && !sound {
			return errReported
		}
		return err
	}
	return cmd
}

func examine(ctx context.Context, g *globals) []finding {
	var out []finding
	say := func(what string, err error, good string) {
		f := finding{What: what, OK: err == nil, Sentence: good}
		if err != nil {
			f.Sentence = err.Error()
		}
		out = append(out, f)
	}
	_, err := embedded.FindLibrary("")
	say("engine", err, "the ClickHouse engine is here")
	c, err := g.settings(nil)
	say("settings", err, "every setting is known")
	_, err = assembly.LoadPolicy(c.Policy)
	say("policy", err, "schemas and pipelines agree")
	data := g.dataDir()
	say("data directory", writable(data), "it can be written: "+data)
	say("disk space", roomy(data, c.Gateway.Reserve), "more than the reserve is free")
	if a, err := readAddresses(data); err == nil {
		say("running", answers(ctx, a.HTTP), "a Lethe answers at "+a.HTTP)
	}
	return out
}

func writable(dir string) error {
	for dir != "." && dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	f, err := os.CreateTemp(dir, ".lethe-doctor-*")
	if err != nil {
		return err
	}
	return os.Remove(f.Name())
}

func roomy(dir string, reserve uint64) error {
	for {
		var s syscall.Statfs_t
		err := syscall.Statfs(dir, &s)
		if os.IsNotExist(err) && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return err
		}
		if free := s.Bavail * uint64(s.Bsize); free < reserve {
			return fmt.Errorf("%d MiB are free, less than the reserve of %d MiB: events would be refused", free>>20, reserve>>20)
		}
		return nil
	}
}

func answers(ctx context.Context, server string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the Lethe that ran on this data directory does not answer; start it with 'lethe up'")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers and is not ready: see /readyz")
	}
	return nil
}
