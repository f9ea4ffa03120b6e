// Command gateway is the front door: it accepts events from publishers, holds
// each to its schema, and answers once the raw log has it on disk.
//
// It reads the policy, may append to the raw log, and may not read it back.
// Configuration is described at [config.Config] of pkg/config.
//
// A gateway keeps no state. Run as many as the traffic needs, and stop them
// with SIGTERM: a stopping gateway refuses new events and answers the ones it
// has.
package main

import "github.com/lethe-pipeline/lethe/pkg/assembly"

func main() { assembly.Main(assembly.Gateway) }
