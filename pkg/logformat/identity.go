package logformat

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Ordinals counts equal lines, so that each of them gets an id of its own: two
// requests in one second for one page are two events, and the same file read
// again is none.
//
// It holds 64 bits of each line's hash. Two different lines that share those
// (one chance in 10^5 among 10^7 lines) share a count, which changes nothing:
// their ids differ by their bytes, and come out the same every time.
type Ordinals struct {
	// Most lines appear once, and a set is half the size of a map to counts.
	once  map[uint64]struct{}
	again map[uint64]uint64
}

// NewOrdinals returns an Ordinals that has seen no line.
func NewOrdinals() *Ordinals {
	return &Ordinals{once: map[uint64]struct{}{}, again: map[uint64]uint64{}}
}

// id returns the id of the next line that has these bytes: the first 128 bits
// of a SHA-256 over the line's own SHA-256 and its ordinal.
func (o *Ordinals) id(line []byte) string {
	sum := sha256.Sum256(line)
	ordinal := o.next(binary.BigEndian.Uint64(sum[:8]))
	whole := sha256.Sum256(binary.BigEndian.AppendUint64(sum[:], ordinal))
	return hex.EncodeToString(whole[:16])
}

func (o *Ordinals) next(line uint64) uint64 {
	if _, seen := o.once[line]; !seen {
		o.once[line] = struct{}{}
		return 0
	}
	o.again[line]++
	return o.again[line]
}
