package keyring

import "encoding/binary"

// appendFramed appends s with its length before it. A sequence of framed
// strings can be read back in one way only, so that ("ab", "c") and
// ("a", "bc") are different inputs to a hash. Without the lengths they would
// be the same token, and two people would be one.
func appendFramed[S ~string | ~[]byte](b []byte, s S) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// framed returns its arguments, each with its length before it.
func framed(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = appendFramed(b, p)
	}
	return b
}
