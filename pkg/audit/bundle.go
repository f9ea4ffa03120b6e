package audit

import (
	"encoding/binary"
)

// An entry bundle is up to 256 entries, those of one tile of leaves: each as
// its length, a big-endian uint32, and its bytes. C2SP tlog-tiles
// (https://c2sp.org/tlog-tiles) frames with a uint16, and a manifest may be
// longer than that holds; everything else of the layout is as there.
const frameHead = 4

func encodeBundle(entries [][]byte) []byte {
	size := 0
	for _, e := range entries {
		size += frameHead + len(e)
	}
	out := make([]byte, 0, size)
	for _, e := range entries {
		out = binary.BigEndian.AppendUint32(out, uint32(len(e)))
		out = append(out, e...)
	}
	return out
}

// decodeBundle returns the entries of a bundle that must hold n, and nothing
// else.
func decodeBundle(data []byte, n int) (entries [][]byte, ok bool) {
	entries = make([][]byte, 0, n)
	for range n {
		if len(data) < frameHead {
			return nil, false
		}
		size := binary.BigEndian.Uint32(data)
		data = data[frameHead:]
		if uint64(size) > uint64(len(data)) {
			return nil, false
		}
		entries = append(entries, data[:size:size])
		data = data[size:]
	}
	return entries, len(data) == 0
}
