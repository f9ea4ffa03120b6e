package event

import (
	"encoding/binary"
	"encoding/json"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	// MaxFrameEvents is the most events one frame holds.
	MaxFrameEvents = 500
	// MaxFrameBytes is about what a frame's body measures before compression;
	// a single event may exceed it.
	MaxFrameBytes = 64 << 10
)

// RawHeader is the clear part of a frame on the raw log.
type RawHeader struct {
	Tenant  string `json:"tenant"`
	Service string `json:"service"`
	Event   string `json:"event"`
	Version int    `json:"version"`
	Policy  string `json:"policy"` // digest it was admitted under
	Count   int    `json:"count"`
}

// CleanHeader is the clear part of a frame on the clean log.
type CleanHeader struct {
	Tenant  string `json:"tenant"`
	Service string `json:"service"`
	Table   string `json:"table"`
	Class   string `json:"class"`
	Day     Day    `json:"day"`
	Event   string `json:"event"`
	Version int    `json:"version"`
	Policy  string `json:"policy"`
	Count   int    `json:"count"`
	// RawSeq is the sequence of the one raw frame these rows came from. Net 2
	// resumes behind the highest. Zero in a frame redriven from quarantine.
	RawSeq uint64 `json:"raw_seq,omitempty"`
	// QuarantineSeq is where redriven rows waited, zero in every other frame.
	QuarantineSeq uint64 `json:"quarantine_seq,omitempty"`
}

// QuarantineHeader is the clear part of a frame in quarantine: events of one
// raw frame that cannot be treated, and why, without values.
type QuarantineHeader struct {
	Tenant  string `json:"tenant"`
	Service string `json:"service"`
	Event   string `json:"event"`
	Version int    `json:"version"`
	Policy  string `json:"policy"`
	Count   int    `json:"count"`
	Reason  string `json:"reason"`
	RawSeq  uint64 `json:"raw_seq"`
	At      int64  `json:"at"` // Unix milliseconds
}

const frameMagic = "LF1\x00"

// Header turns a RawHeader, CleanHeader or QuarantineHeader into the bytes
// that are stored and that the body is sealed with.
func Header(h any) []byte {
	b, err := json.Marshal(h)
	if err != nil {
		panic("event: a frame header must marshal: " + err.Error())
	}
	return b
}

// ParseHeader reads header bytes into a header.
func ParseHeader(b []byte, h any) error {
	if err := json.Unmarshal(b, h); err != nil {
		return fault.Corrupt.Errorf("the frame header is not readable")
	}
	return nil
}

// Pack joins header and sealed body into a message.
func Pack(header, sealed []byte) []byte {
	b := make([]byte, 0, len(frameMagic)+binary.MaxVarintLen32+len(header)+len(sealed))
	b = append(b, frameMagic...)
	b = binary.AppendUvarint(b, uint64(len(header)))
	b = append(b, header...)
	return append(b, sealed...)
}

// Unpack is the inverse of Pack. The results share msg's memory.
func Unpack(msg []byte) (header, sealed []byte, err error) {
	if len(msg) < len(frameMagic) || string(msg[:len(frameMagic)]) != frameMagic {
		return nil, nil, fault.Corrupt.Errorf("the message is not a frame")
	}
	n, w := binary.Uvarint(msg[len(frameMagic):])
	rest := msg[len(frameMagic):]
	if w <= 0 || n > uint64(len(rest)-w) {
		return nil, nil, fault.Corrupt.Errorf("the frame header is cut short")
	}
	return rest[w : w+int(n)], rest[w+int(n):], nil
}
