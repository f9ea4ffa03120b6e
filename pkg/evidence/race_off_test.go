//go:build !race

package evidence_test

const less = 1
