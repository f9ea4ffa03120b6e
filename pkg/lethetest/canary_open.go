package lethetest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// What a [Scanner] opens.
const (
	FormPlainBlock = "ClickHouse block, not compressed"
	FormLZ4Block   = "ClickHouse block, LZ4"
	FormZSTDBlock  = "ClickHouse block, ZSTD"
	FormGzip       = "gzip"
	FormZstd       = "zstd"
	FormLZ4        = "LZ4 frame"
	FormS2         = "S2" // or Snappy, framed: JetStream's compressed blocks
)

var blockForms = []string{FormPlainBlock, FormLZ4Block, FormZSTDBlock}

// maxOpened bounds what one frame or one file of blocks may expand to.
const maxOpened = 256 << 20

// A block of ClickHouse is a checksum of 16 bytes, then a header of the method
// and two sizes, little end first: of header and body together, and of the
// body decompressed. Then comes the body.
const (
	blockChecksum = 16
	blockHeader   = 1 + 4 + 4
)

// openBlocks opens data that is ClickHouse's compressed blocks from its first
// byte to its last. Blocks come back as one text: a value may lie across the
// edge of two.
func openBlocks(data []byte) (text []byte, blocks map[string]int, whole bool) {
	blocks = map[string]int{}
	for len(data) > 0 {
		if len(data) < blockChecksum+blockHeader {
			return nil, nil, false
		}
		method := data[blockChecksum]
		size := int64(binary.LittleEndian.Uint32(data[blockChecksum+1:]))
		plain := int64(binary.LittleEndian.Uint32(data[blockChecksum+5:]))
		if size < blockHeader || size > int64(len(data)-blockChecksum) || plain+int64(len(text)) > maxOpened {
			return nil, nil, false
		}
		body := data[blockChecksum+blockHeader : blockChecksum+size]
		form, opened, ok := openBlock(method, body, int(plain))
		if !ok {
			return nil, nil, false
		}
		text = append(text, opened...)
		blocks[form]++
		data = data[blockChecksum+size:]
	}
	return text, blocks, len(blocks) > 0
}

func openBlock(method byte, body []byte, plain int) (form string, text []byte, ok bool) {
	switch method {
	case 0x02:
		return FormPlainBlock, body, len(body) == plain
	case 0x82:
		text = make([]byte, plain)
		n, err := lz4.UncompressBlock(body, text)
		return FormLZ4Block, text, err == nil && n == plain
	case 0x90:
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxOpened))
		if err != nil {
			return "", nil, false
		}
		defer d.Close()
		text, err = d.DecodeAll(body, nil)
		return FormZSTDBlock, text, err == nil && len(text) == plain
	}
	return "", nil, false
}

// frame is something that was opened within other bytes.
type frame struct {
	form   string
	offset int
	text   []byte
}

// frameForms are forms that say by their first bytes what they are.
var frameForms = []struct {
	form, magic string
	open        func(io.Reader) (io.Reader, error)
}{
	{FormGzip, "\x1f\x8b\x08", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{FormZstd, "\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) {
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxOpened))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}},
	{FormLZ4, "\x04\x22\x4d\x18", func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }},
	{FormS2, "\xff\x06\x00\x00S2sTwO", func(r io.Reader) (io.Reader, error) { return s2.NewReader(r), nil }},
	{FormS2, "\xff\x06\x00\x00sNaPpY", func(r io.Reader) (io.Reader, error) { return s2.NewReader(r), nil }},
}

// openFrames opens what begins anywhere in data. Of a frame that ends in the
// middle, or in something else, it returns what comes out before that.
func openFrames(data []byte) []frame {
	var out []frame
	for _, f := range frameForms {
		for from := 0; ; {
			at := bytes.Index(data[from:], []byte(f.magic))
			if at < 0 {
				break
			}
			offset := from + at
			from = offset + 1
			if text := openFrame(f.open, data[offset:]); len(text) > 0 {
				out = append(out, frame{f.form, offset, text})
			}
		}
	}
	return out
}

func openFrame(open func(io.Reader) (io.Reader, error), data []byte) []byte {
	r, err := open(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	text, _ := io.ReadAll(io.LimitReader(r, maxOpened)) // what came out before an error counts
	return text
}
