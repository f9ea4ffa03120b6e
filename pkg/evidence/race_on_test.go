//go:build race

package evidence_test

// less divides the rounds of tests that prove nothing about races.
const less = 20
