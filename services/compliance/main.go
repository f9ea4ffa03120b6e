// Command compliance answers the officer and the operator: the catalog, the
// record of processing, and the state of every stage of the flow.
//
// It opens no frame and reads no row.
package main

import "github.com/lethe-pipeline/lethe/pkg/assembly"

func main() { assembly.Main(assembly.Compliance) }
