// Command compliance answers the officer and the operator: which promises hold,
// what went on record, the catalog, the record of processing, and the state of
// every stage of the flow.
//
// It puts what goes on record into the audit log. It opens clean frames, and
// reads rows, for legal holds alone. It serves the console.
package main

import "github.com/lethe-pipeline/lethe/pkg/assembly"

func main() { assembly.Main(assembly.Compliance, assembly.Console) }
