// Command pseudonymizer turns what the world told us into what we may keep: it
// opens frames of the raw log, treats every event as the policy says, and
// appends the outcome, sealed, to the clean log.
//
// The keyring lives in this process and, where keyring.listen is set, answers
// the other services over mutual TLS, each with its own verbs. No other
// process mounts the keys.
package main

import "github.com/lethe-pipeline/lethe/pkg/assembly"

func main() { assembly.Main(assembly.Keyring, assembly.Pseudonymizer) }
