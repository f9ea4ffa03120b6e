// Command loader writes the warehouse: it reads the clean log and inserts each
// row exactly once, whatever is killed. Beside it, numbers about groups are cut
// from what it has inserted, and published.
//
// The loader may open clean frames and nothing else; what publishes may seal
// published numbers and nothing else. One loader runs at a time.
package main

import "github.com/lethe-pipeline/lethe/pkg/assembly"

func main() { assembly.Main(assembly.Loader, assembly.Cells) }
