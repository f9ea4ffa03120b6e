package main_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// TestHostileInputBreaksNothing: P1, P18. Everything that was made to break
// parsers comes in, much of it at once. Nothing answers with a 5xx or repeats
// what it was sent; good events beside bad ones are stored; and in the end all
// that was stored is counted, by the same processes as in the beginning.
func TestHostileInputBreaksNothing(t *testing.T) {
	testData(t, "hostile")
	r := up(t, func(r *running) { r.Env = append(r.Env, "LETHE_LOG_LEVEL=debug") })
	s := &siege{e: &ear{r: r}}
	attacks := append(s.parsing(t), s.naughty(t)...)
	attacks = append(attacks, s.mistaken()...)
	s.launch(t, attacks)
	s.launch(t, s.oversized(t))
	r.Settle()

	var here struct {
		PID    int `json:"pid"`
		Engine int `json:"engine_pid"`
	}
	b, err := os.ReadFile(r.Data + "/run.json")
	if err != nil {
		t.Fatal(err)
	}
	decode(t, string(b), &here)
	if here.PID != r.PID || here.Engine != r.EnginePID || syscall.Kill(r.PID, 0) != nil || syscall.Kill(r.EnginePID, 0) != nil {
		t.Error("a process is another than in the beginning")
	}
	if status, body := r.Do("", http.MethodGet, "/readyz", "", nil); status != http.StatusOK {
		t.Errorf("afterwards /readyz is %d: %s", status, body)
	}
	if most := peakMemory(t, r.PID); most > 1<<30 {
		t.Errorf("the process held %d MiB at its most", most>>20)
	}

	if strings.Contains(r.log.String()+r.out.String(), hostileMark) {
		t.Error("the log repeats what was sent")
	}

	for _, form := range []string{"table", "json", "csv"} {
		if out := r.Run("ask", "actions", "--by", "action", "-o", form); out == "" {
			t.Errorf("an answer as %s is empty", form)
		}
	}
	r.Rows("user_action", int(s.good.Load()), "service = 'good'")
	waiting := 0
	var list struct {
		Items []struct {
			Count  int    `json:"count"`
			Reason string `json:"reason"`
		} `json:"items"`
	}
	decode(t, r.Run("quarantine", "list", "-o", "json"), &list)
	for _, item := range list.Items {
		waiting += item.Count
		if strings.Contains(item.Reason, hostileMark) {
			t.Error("a reason in quarantine repeats a value")
		}
	}
	if waiting == 0 {
		t.Error("nothing is in quarantine; control characters in accounts should be")
	}
	if rows := eventRows(t, r); rows+waiting != int(s.stored.Load()) {
		t.Errorf("%d events were stored; %d are in tables and %d in quarantine", s.stored.Load(), rows, waiting)
	}
	t.Logf("%d attacks, %d events stored, %d of them good, %d in quarantine", len(attacks), s.stored.Load(), s.good.Load(), waiting)
}

// eventRows counts the rows of all tables but those that hold the second row of
// an event, and the cells that were cut of rows.
func eventRows(t *testing.T, r *running) int {
	t.Helper()
	var status struct {
		Tables []struct {
			Name string `json:"name"`
			Rows int    `json:"rows"`
		} `json:"tables"`
	}
	decode(t, r.Run("status", "-o", "json"), &status)
	rows := 0
	for _, table := range status.Tables {
		if table.Name != "activation_lasting" && table.Name != policy.CellTable {
			rows += table.Rows
		}
	}
	return rows
}

// peakMemory is the most that a process has held, in bytes, where the system
// says so.
func peakMemory(t *testing.T, pid int) uint64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, text, _ := strings.Cut(string(b), "VmHWM:")
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseUint(fields[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// mistaken are requests that are not what they say they are.
func (s *siege) mistaken() []attack {
	body := `{"event":"user_action","service":"shop","data":{"user":"` + hostileMark + `","action":"opened"}}`
	want := func(want int) func(int, []hostileReceipt) error {
		return func(status int, receipts []hostileReceipt) error {
			if status != want || len(receipts) > 0 {
				return fmt.Errorf("status %d and %d receipts, want %d", status, len(receipts), want)
			}
			return nil
		}
	}
	var out []attack
	add := func(name string, c call, status int) {
		out = append(out, attack{c, []string{hostileMark}, want(status)})
		out[len(out)-1].name = name
	}
	for _, media := range []string{
		"text/plain", "text/html", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"application/octet-stream", "application/json; charset=utf-16", "application/json; charset=latin1", "application/" + hostileMark,
		"application/json; charset", "application/cloudevents+xml", "application/cloudevents-batch+avro", "json", "/", ";", "image/png",
		"application/vnd.api+json; ext=\"" + hostileMark + "\"",
	} {
		add("content type "+media[:min(len(media), 20)], events("", media, body), http.StatusUnsupportedMediaType)
	}
	for _, encoding := range []string{"br", "deflate", "compress", "gzip, gzip", "gzip;q=1", hostileMark, "x-snappy-framed"} {
		c := events("", "application/json", body)
		c.headers = []string{"Content-Encoding", encoding}
		add("encoding "+encoding, c, http.StatusUnsupportedMediaType)
	}
	packed := gzipped([]byte(body))
	for name, b := range map[string][]byte{
		"not gzip": []byte(body), "gzip cut short": packed[:len(packed)/2], "gzip with a broken checksum": append(bytes.Clone(packed[:len(packed)-8]), 1, 2, 3, 4, 5, 6, 7, 8),
		"gzip and something behind": append(bytes.Clone(packed), body...), "no gzip at all": nil,
	} {
		for _, encoding := range []string{"gzip", "zstd"} {
			c := events("", "application/json", string(b))
			c.headers = []string{"Content-Encoding", encoding}
			add(name+" as "+encoding, c, http.StatusBadRequest)
		}
	}
	for _, array := range []string{"application/cloudevents+json", "application/cloudevents-batch+json", "application/json", "application/x-ndjson"} {
		for name, text := range map[string]string{"nothing": "", "space": " \n\t ", "a mark of byte order": "\xef\xbb\xbf" + body, "UTF-16": "\xff\xfe{\x00}\x00", "zero bytes": strings.Repeat("\x00", 100)} {
			a := attack{events(name+" as "+array, array, text), []string{hostileMark}, func(_ int, receipts []hostileReceipt) error { return noneStored(receipts) }}
			out = append(out, a)
		}
	}
	return out
}

// oversized are requests that are too much: too long, too many, too deep, or
// small and grown by decompression.
func (s *siege) oversized(t *testing.T) []attack {
	t.Helper()
	tooMuch := func(status int, receipts []hostileReceipt) error {
		switch status {
		case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests, http.StatusBadRequest:
			return nil
		}
		return fmt.Errorf("status %d and %d receipts", status, len(receipts))
	}
	refused := func(status int, receipts []hostileReceipt) error {
		if status == http.StatusOK {
			return noneStored(receipts)
		}
		return tooMuch(status, receipts)
	}
	good := `{"event":"user_action","service":"shop","data":{"user":"somebody","action":"opened"}}`
	huge := bytes.Repeat([]byte(" "), 256<<20)
	bombs := map[string][]byte{"gzip": gzipped(huge), "zstd": zstandard(t, huge)}
	lines := []byte(strings.Repeat(good+"\n", 10_001))
	array := []byte("[" + strings.Repeat(good+",", 10_000) + good + "]")
	long := `{"event":"app_log","service":"shop","data":{"level":"info","message":"` + strings.Repeat("a", 2<<20) + `"}}`
	number := `{"event":"http_access","service":"shop","data":{"client_ip":"192.0.2.1","status":` + strings.Repeat("9", 1<<20) + `}}`
	members := `{"event":"user_action","service":"shop","data":{` + strings.TrimSuffix(strings.Repeat(`"a":1,`, 1<<17), ",") + `}}`
	var out []attack
	for i := range 8 {
		for encoding, bomb := range bombs {
			c := events(fmt.Sprintf("bomb %d of %s", i, encoding), "application/x-ndjson", "")
			c.body, c.headers = bomb, []string{"Content-Encoding", encoding}
			out = append(out, attack{c, nil, tooMuch})
			c.name, c.body = c.name+" within one", gzipped(bomb)
			c.headers = []string{"Content-Encoding", "gzip"}
			out = append(out, attack{c, nil, refused}) // one layer is taken off
		}
		out = append(out,
			attack{events("a body that is too long", "application/json", string(huge[:11<<20])), nil, tooMuch},
			attack{events("too many lines", "application/x-ndjson", string(lines)), nil, tooMuch},
			attack{events("too many elements", "application/json", string(array)), nil, tooMuch},
			attack{events("a text that is too long", "application/json", long), nil, refused},
			attack{events("a number that is too long", "application/json", number), nil, refused},
			attack{events("a name many times", "application/json", members), nil, refused},
			attack{events("an object that is too deep", "application/json", strings.Repeat(`{"a":`, 1<<20)), nil, tooMuch},
			attack{events("data that is too deep", "application/json", `{"event":"user_action","service":"shop","data":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}`), nil, refused},
		)
	}
	return out
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func zstandard(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}
