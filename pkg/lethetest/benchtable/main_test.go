package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sample = `goos: linux
pkg: github.com/lethe-pipeline/lethe/pkg/gateway
BenchmarkAdmit/log-2   	     109	  10967326 ns/op	     10234 cpu-ns/event	     47641 events/s	 2166838 B/op	    6932 allocs/op
    level=INFO msg="a log line"
PASS
ok  	github.com/lethe-pipeline/lethe/pkg/gateway	9.497s
pkg: github.com/lethe-pipeline/lethe/pkg/keyring
BenchmarkToken-2   	 1000000	       190.0 ns/op	       0 B/op	       0 allocs/op
BenchmarkIdle-2   	       1	10881400541 ns/op	        38.04 MiB
ok  	github.com/lethe-pipeline/lethe/pkg/keyring	4.934s
`

const table = `
PER EVENT          events/s  CPU µs  engine's CPU µs  further
gateway Admit/log     47641   10.23                -

PER OPERATION    µs  MB/s  allocations
keyring Token  0.19     -            0

FURTHER
keyring Idle  38.04 MiB
`

func TestATableEndsTheOutput(t *testing.T) {
	var out strings.Builder
	ok, err := run(strings.NewReader(sample), &out)
	if err != nil || !ok {
		t.Errorf("a run that passed: %v, %v", ok, err)
	}
	if diff := cmp.Diff(sample+table, out.String()); diff != "" {
		t.Errorf("not the output and then its table (-want +got):\n%s", diff)
	}
}

func TestARunThatFailedFails(t *testing.T) {
	for _, more := range []string{"FAIL\n", "FAIL\tpkg/x [build failed]\n", "--- FAIL: BenchmarkX\n", "panic: broken\n"} {
		if ok, err := run(strings.NewReader(sample+more), &strings.Builder{}); ok || err != nil {
			t.Errorf("a run that ends with %q passed: %v, %v", more, ok, err)
		}
	}
	if ok, _ := run(strings.NewReader(""), &strings.Builder{}); ok {
		t.Error("a run of nothing passed")
	}
}
