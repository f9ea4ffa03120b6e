package cell

import (
	"encoding/binary"
	"io"
	"math/bits"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// noisy is a number with the noise that its metric asks for. What counts is
// never below zero. It is called once for each cell, when it is cut: the mean
// of several would tell the number.
func (p *Publisher) noisy(m *policy.Metric, n int64) int64 {
	if m.Noise.Num == 0 {
		return n
	}
	n += geometric(p.c.Random, m.Noise)
	if m.Value != policy.Sum {
		n = max(n, 0)
	}
	return n
}

// geometric draws from the two-sided geometric distribution: x with a
// probability in proportion to exp(-ε|x|). It is exact: whole numbers alone,
// by algorithm 2 of Canonne, Kamath and Steinke, The Discrete Gaussian for
// Differential Privacy, 2020 (arXiv:2004.00030). Floating-point numbers would
// leave marks in the lowest digits by which the noise can be taken off
// (Mironov 2012).
func geometric(random io.Reader, epsilon policy.Fraction) int64 {
	s, t := uint64(epsilon.Num), uint64(epsilon.Den)
	for {
		u := below(random, t)
		if !chance(random, u, t) { // exp(-u/t)
			continue
		}
		v := uint64(0)
		for chance(random, 1, 1) { // exp(-1)
			v++
		}
		y := int64((u + t*v) / s)
		negative := below(random, 2) == 1
		switch {
		case !negative:
			return y
		case y != 0: // else zero would come twice as often
			return -y
		}
	}
}

// chance is true with probability exp(-num/den), of a fraction that is at most
// 1: algorithm 1 of the same.
func chance(random io.Reader, num, den uint64) bool {
	k := uint64(1)
	for below(random, den*k) < num {
		k++
	}
	return k%2 == 1
}

// below is a number from 0 to n-1, each as likely as the others.
func below(random io.Reader, n uint64) uint64 {
	mask := uint64(1)<<bits.Len64(n-1) - 1
	for {
		var b [8]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			panic("cell: there is no randomness: " + err.Error()) // crypto/rand never fails
		}
		if x := binary.LittleEndian.Uint64(b[:]) & mask; x < n {
			return x
		}
	}
}
