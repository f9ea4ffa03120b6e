package lethetest

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// The mark has a byte that JSON, URLs and HTML each write in their own way.
const testMark = "mk7canary4q<x>@example.org"

func scanned(t *testing.T, data []byte) *Scanner {
	t.Helper()
	var m Marks
	m.Add("person 1", testMark)
	s := NewScanner(&m)
	s.Scan("here", data)
	return s
}

func TestScannerFindsAMarkInEveryForm(t *testing.T) {
	around := []byte("user=" + testMark + " logged in")
	sum := sha256.Sum256([]byte(testMark))
	lowered := md5.Sum([]byte(strings.ToLower("MK7CANARY4Q<X>@EXAMPLE.ORG")))
	sha := sha1.Sum([]byte(testMark))
	asJSON, err := json.Marshal(map[string]string{"user": testMark})
	if err != nil {
		t.Fatal(err)
	}
	var asXML bytes.Buffer
	if err := xml.EscapeText(&asXML, []byte(strings.ReplaceAll(testMark, "<x>", "&"))); err != nil {
		t.Fatal(err)
	}
	var little, big []byte
	for _, u := range utf16.Encode([]rune(string(around))) {
		little = binary.LittleEndian.AppendUint16(little, u)
		big = binary.BigEndian.AppendUint16(big, u)
	}
	backwards := slices.Clone(around)
	slices.Reverse(backwards)
	escaped := ""
	for _, c := range []byte(testMark) {
		escaped += fmt.Sprintf(`\u00%02x`, c)
	}
	cases := map[string]string{
		"plain":             string(around),
		"lower case":        strings.ToLower(string(around)),
		"upper case":        strings.ToUpper(string(around)),
		"reversed":          string(backwards),
		"hex":               hex.EncodeToString(around),
		"upper hex":         strings.ToUpper(hex.EncodeToString(around)),
		"base32":            base32.StdEncoding.EncodeToString(around),
		"URL query":         url.Values{"q": {testMark}}.Encode(),
		"URL path":          (&url.URL{Path: "/users/" + testMark}).EscapedPath(),
		"JSON":              string(asJSON),
		"JSON escapes":      `{"user":"` + escaped + `"}`,
		"Go bytes":          fmt.Sprint(around),
		"JSON bytes":        strings.ReplaceAll(fmt.Sprint(around), " ", ","),
		"UTF-16LE":          string(little),
		"UTF-16BE":          string(big),
		"SHA-256 hex":       "id " + hex.EncodeToString(sum[:]),
		"SHA-256 cut short": fmt.Sprintf("id %X", sum[:16]),
		"SHA-256 base64":    base64.StdEncoding.EncodeToString(sum[:]),
		"SHA-256 bytes":     "\x00" + string(sum[:]),
		"SHA-1 hex":         fmt.Sprintf("%x", sha),
		"MD5 hex":           fmt.Sprintf("%x", lowered),
	}
	for offset := range 3 {
		padded := append(make([]byte, offset), around...)
		cases[fmt.Sprintf("base64 %d", offset)] = base64.StdEncoding.EncodeToString(padded)
		cases[fmt.Sprintf("base64url %d", offset)] = base64.RawURLEncoding.EncodeToString(padded)
	}
	for offset := range 5 {
		padded := append(make([]byte, offset), around...)
		cases[fmt.Sprintf("base32 %d", offset)] = strings.ToLower(base32.StdEncoding.EncodeToString(padded))
	}
	for name, text := range cases {
		if len(scanned(t, []byte(text)).Findings()) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestScannerFindsATokenInEveryForm(t *testing.T) {
	token := make([]byte, 20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(token)
	var m Marks
	m.Add("token", string(token))
	for name, text := range map[string]string{
		"bytes":  "a" + string(token) + "b",
		"hex":    hex.EncodeToString(token),
		"base64": base64.StdEncoding.EncodeToString(append([]byte("x"), token...)),
		"list":   fmt.Sprint(token),
	} {
		s := NewScanner(&m)
		s.Scan("here", []byte(text))
		if len(s.Findings()) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestScannerFindsNothingWhereNothingIs(t *testing.T) {
	var m Marks
	for i := range 2000 {
		m.Add("person", fmt.Sprintf("mk%dcanary%d@example.org", i, i*i))
		m.Add("address", fmt.Sprintf("198.51.%d.%d", 100+i%100, 100+i/20))
	}
	noise := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{2})
	_, _ = random.Read(noise)
	s := NewScanner(&m)
	s.Scan("noise", noise)
	s.Scan("text", []byte(strings.Repeat("mk canary @example.org 198.51.100.0/24 ", 1000)))
	for _, f := range s.Findings() {
		t.Error(f)
	}
	if s.Scanned() < 1<<20 {
		t.Errorf("scanned %d bytes", s.Scanned())
	}
}

// block writes a block as ClickHouse does. The checksum is not looked at.
func block(t *testing.T, method byte, text []byte) []byte {
	t.Helper()
	var body []byte
	switch method {
	case 0x02:
		body = text
	case 0x82:
		body = make([]byte, lz4.CompressBlockBound(len(text)))
		n, err := lz4.CompressBlock(text, body, nil)
		if err != nil || n == 0 {
			t.Fatalf("compressing: %d, %v", n, err)
		}
		body = body[:n]
	case 0x90:
		e, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		body = e.EncodeAll(text, nil)
	}
	out := append(make([]byte, 16), method)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(body)+9))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(text)))
	return append(out, body...)
}

func packed(write func(*bytes.Buffer, []byte)) []byte {
	var b bytes.Buffer
	text := strings.Repeat("mk7can 4q<x ary @exam ple.org ", 50) + testMark
	write(&b, []byte(text))
	return b.Bytes()
}

func TestScannerOpensWhatIsCompressed(t *testing.T) {
	text := []byte(strings.Repeat("mk7can 4q<x ary @exam ple.org ", 50) + testMark + strings.Repeat(" ", 50))
	half := len(text) - 60
	gz := packed(func(b *bytes.Buffer, text []byte) {
		w := gzip.NewWriter(b)
		_, _ = w.Write(text)
		_ = w.Close()
	})
	zs := packed(func(b *bytes.Buffer, text []byte) {
		w, _ := zstd.NewWriter(b)
		_, _ = w.Write(text)
		_ = w.Close()
	})
	cases := []struct {
		name, form string
		data       []byte
	}{
		{"LZ4 block", FormLZ4Block, block(t, 0x82, text)},
		{"ZSTD block", FormZSTDBlock, block(t, 0x90, text)},
		{"plain block", FormPlainBlock, block(t, 0x02, text)},
		{"across two blocks", FormLZ4Block, append(block(t, 0x82, text[:half]), block(t, 0x90, text[half:])...)},
		{"gzip", FormGzip, gz},
		{"gzip in the middle", FormGzip, append([]byte("some bytes before "), gz...)},
		{"gzip that is cut short", FormGzip, gz[:len(gz)-8]},
		{"zstd", FormZstd, zs},
		{"gzip of a ZSTD block", FormGzip, func() []byte {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(block(t, 0x90, text))
			_ = w.Close()
			return b.Bytes()
		}()},
		{"LZ4 frame", FormLZ4, packed(func(b *bytes.Buffer, text []byte) {
			w := lz4.NewWriter(b)
			_, _ = w.Write(text)
			_ = w.Close()
		})},
		{"S2 body of a log's block", FormS2, packed(func(b *bytes.Buffer, text []byte) {
			b.WriteString("cmp\x01\x80\x10")
			w := s2.NewWriter(b)
			_, _ = w.Write(text)
			_ = w.Close()
			b.WriteString("checksum")
		})},
		{"Snappy frame", FormS2, packed(func(b *bytes.Buffer, text []byte) {
			w := s2.NewWriter(b, s2.WriterSnappyCompat())
			_, _ = w.Write(text)
			_ = w.Close()
		})},
	}
	for _, c := range cases {
		s := scanned(t, c.data)
		if s.Opened()[c.form] == 0 {
			t.Errorf("%s: not opened as %s but as %v", c.name, c.form, s.Opened())
		}
		if !slices.ContainsFunc(s.Findings(), func(f Finding) bool { return strings.Contains(f.Where, " > ") }) {
			t.Errorf("%s: the mark was not found in what was opened", c.name)
		}
	}
}

func TestScannerLooksAtEveryFileAndItsName(t *testing.T) {
	root := t.TempDir()
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("request failed", "user", testMark)
	text := []byte(strings.Repeat("rows ", 100) + testMark)
	for name, data := range map[string][]byte{
		"plain.txt":           []byte("user " + testMark),
		"log/server.log":      logged.Bytes(),
		"store/part/data.bin": block(t, 0x82, text),
		"store/part/data.idx": block(t, 0x90, text),
		"sound.txt":           []byte("nothing is here"),
		"empty.bin":           nil,
		"names/user-" + strings.NewReplacer("<", "%3C", ">", "%3E").Replace(testMark): []byte("a"),
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var m Marks
	m.Add("person 1", testMark)
	s := NewScanner(&m)
	if err := s.Dir(root); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range s.Findings() {
		file, _, _ := strings.Cut(f.Where, " ")
		found[filepath.ToSlash(filepath.Dir(file))+filepath.Ext(file)] = true
		if strings.Contains(f.Label+f.Form, testMark) {
			t.Error("a finding repeats the mark")
		}
	}
	want := []string{"..txt", "log.log", "names.org", "store/part.bin", "store/part.idx"}
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		t.Errorf("found in %q, want %q", got, want)
	}
	if len(s.Closed()) > 0 {
		t.Errorf("not opened: %q", s.Closed())
	}
}

func TestScannerSaysWhatDidNotOpen(t *testing.T) {
	root := t.TempDir()
	whole := block(t, 0x82, []byte(strings.Repeat("rows ", 100)))
	if err := os.WriteFile(filepath.Join(root, "data.bin"), whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	s := NewScanner(new(Marks))
	if err := s.Dir(root); err != nil {
		t.Fatal(err)
	}
	if want := []string{"data.bin"}; !slices.Equal(s.Closed(), want) {
		t.Errorf("Closed = %q, want %q", s.Closed(), want)
	}
}

func TestMarksThatOccurByChanceAreRefused(t *testing.T) {
	defer func() {
		if r := recover(); r == nil {
			t.Error("a short mark was taken")
		} else if strings.Contains(fmt.Sprint(r), "192.0.2.1") {
			t.Error("the refusal repeats the mark")
		}
	}()
	new(Marks).Add("address", "192.0.2.1")
}
