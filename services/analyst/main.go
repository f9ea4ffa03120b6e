// Command analyst answers questions about groups: it serves the metrics that
// the policy declares and hides every number about fewer people than the
// policy allows.
//
// It holds no key and reads neither log.
package main

import "github.com/lethe-pipeline/lethe/pkg/assembly"

func main() { assembly.Main(assembly.Analyst) }
