package policy

import (
	"math"
	"strconv"
	"strings"
)

// A number is a JSON number taken apart without rounding:
// ±digits × 10^exponent, with no zero at either end of digits; zero has none.
// It exists because JSON Schema compares numbers by value (6.0 is an integer,
// 1e2 is at most 100) and a float64 does not hold every one of them.
type number struct {
	negative bool
	digits   string
	exponent int
	text     string
}

// maxExponent is far beyond every bound a schema can state, so a larger one
// can be cut to it without changing any answer.
const maxExponent = 1 << 30

// parseNumber reads a number in the grammar of RFC 8259, section 6.
func parseNumber(b string) (number, bool) {
	n := number{text: b}
	i := 0
	if i < len(b) && b[i] == '-' {
		n.negative = true
		i++
	}
	start := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	whole := b[start:i]
	if len(whole) == 0 || len(whole) > 1 && whole[0] == '0' {
		return number{}, false
	}
	var fraction string
	if i < len(b) && b[i] == '.' {
		start = i + 1
		i++
		for i < len(b) && isDigit(b[i]) {
			i++
		}
		if fraction = b[start:i]; len(fraction) == 0 {
			return number{}, false
		}
	}
	exponent := 0
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		negative := false
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			negative = b[i] == '-'
			i++
		}
		if i == len(b) {
			return number{}, false
		}
		for ; i < len(b) && isDigit(b[i]); i++ {
			exponent = min(exponent*10+int(b[i]-'0'), maxExponent)
		}
		if !isDigit(b[i-1]) {
			return number{}, false
		}
		if negative {
			exponent = -exponent
		}
	}
	if i != len(b) {
		return number{}, false
	}
	n.digits = whole
	if len(fraction) > 0 {
		n.digits = whole + fraction
		exponent -= len(fraction)
	}
	n.digits = strings.TrimLeft(n.digits, "0")
	trimmed := strings.TrimRight(n.digits, "0")
	n.exponent = exponent + len(n.digits) - len(trimmed)
	n.digits = trimmed
	if len(n.digits) == 0 {
		n.exponent, n.negative = 0, false
	}
	return n, true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isWhole says whether the number has no fraction: 6.0 and 1e2 have none.
func (n number) isWhole() bool { return n.exponent >= 0 }

// whole returns a number without fraction, when an int64 holds it.
func (n number) whole() (int64, bool) {
	if n.exponent < 0 || len(n.digits)+n.exponent > 18 {
		return 0, false
	}
	var v int64
	for i := range len(n.digits) {
		v = v*10 + int64(n.digits[i]-'0')
	}
	for range n.exponent {
		v *= 10
	}
	if n.negative {
		v = -v
	}
	return v, true
}

// float returns the nearest float64, when there is a finite one.
func (n number) float() (float64, bool) {
	f, err := strconv.ParseFloat(n.text, 64)
	return f, err == nil && !math.IsInf(f, 0)
}

func (n number) sign() int {
	switch {
	case len(n.digits) == 0:
		return 0
	case n.negative:
		return -1
	}
	return 1
}

// compare orders two numbers by value, exactly.
func (n number) compare(m number) int {
	s := n.sign()
	if t := m.sign(); s != t || s == 0 {
		return s - t
	}
	// The same sign. The place of the first digit decides, then the digits.
	if a, b := len(n.digits)+n.exponent, len(m.digits)+m.exponent; a != b {
		if a < b {
			return -s
		}
		return s
	}
	return s * strings.Compare(n.digits, m.digits)
}
