// Command retention makes forgetting happen: it drops the partitions whose
// expiry day has passed, destroys the keys of expired frames, and purges the
// logs behind them.
//
// It reads no event and opens no frame.
package main

import "github.com/lethe-pipeline/lethe/pkg/assembly"

func main() { assembly.Main(assembly.Retention) }
