package cell

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// seeded is randomness that is the same each time.
type seeded struct{ *rand.ChaCha8 }

func newSeeded(n byte) seeded { return seeded{rand.NewChaCha8([32]byte{n})} }

// TestNoiseIsTwoSidedGeometric compares what is drawn with the probabilities,
// computed in whole numbers as far as they can be: exp(-ε) alone is a series.
func TestNoiseIsTwoSidedGeometric(t *testing.T) {
	const draws = 200_000
	for _, e := range []policy.Fraction{{Num: 1, Den: 1}, {Num: 1, Den: 2}, {Num: 3, Den: 2}, {Num: 1, Den: 7}} {
		random := newSeeded(byte(e.Den))
		seen := map[int64]int{}
		for range draws {
			seen[geometric(random, e)]++
		}
		// P(x) = (1-q)/(1+q) q^|x| with q = exp(-ε).
		q := expMinus(e)
		one := big.NewRat(1, 1)
		zero := new(big.Rat).Quo(new(big.Rat).Sub(one, q), new(big.Rat).Add(one, q))
		chi, bins := 0.0, 0
		p := new(big.Rat).Set(zero)
		for x := int64(0); ; x++ {
			want, _ := p.Float64()
			want *= draws
			if want < 50 {
				break
			}
			for _, at := range []int64{x, -x} {
				d := float64(seen[at]) - want
				chi += d * d / want
				bins++
				if x == 0 {
					break
				}
			}
			p.Mul(p, q)
		}
		// Five standard deviations of the chi-squared distribution.
		if n := float64(bins); chi > n+5*math.Sqrt(2*n) || bins < 9 {
			t.Errorf("ε = %d/%d: chi-squared is %.0f over %d bins", e.Num, e.Den, chi, bins)
		}
	}
}

// expMinus is exp(-ε) to 40 digits and more.
func expMinus(e policy.Fraction) *big.Rat {
	sum, term := big.NewRat(0, 1), big.NewRat(1, 1)
	for n := int64(1); n < 60; n++ {
		sum.Add(sum, term)
		term = new(big.Rat).Mul(term, big.NewRat(-e.Num, e.Den*n))
	}
	return sum
}

func TestEveryNumberBelowIsAsLikely(t *testing.T) {
	random := newSeeded(1)
	for _, n := range []uint64{1, 2, 3, 7, 100} {
		seen := make([]int, n)
		for range 10_000 * n {
			seen[below(random, n)]++
		}
		for x, times := range seen {
			if times < 9_400 || times > 10_600 {
				t.Errorf("%d of %d came %d times in %d", x, n, times, 10_000*n)
			}
		}
	}
}

// Noise is read from what the publisher was given, eight bytes at a time, so
// that whoever reads the code knows where it comes from.
func TestWithoutRandomnessThereIsNoNumber(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a number was made without randomness")
		}
	}()
	geometric(empty{}, policy.Fraction{Num: 1, Den: 1})
}

type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, errShape }
