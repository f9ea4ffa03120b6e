// Command loader writes the warehouse: it reads the clean log and inserts each
// row exactly once, whatever is killed.
//
// It may open clean frames and nothing else. One loader runs at a time.
package main

import "github.com/lethe-pipeline/lethe/pkg/assembly"

func main() { assembly.Main(assembly.Loader) }
