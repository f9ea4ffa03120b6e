package logformat_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/logformat"
)

// realLog returns a log that a real server wrote. Such logs are not part of
// the project; LETHE_TEST_DATA says where they are.
func realLog(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("LETHE_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(dir, "http", filepath.FromSlash(name)))
	if err != nil {
		t.Skipf("%s is not there (set LETHE_TEST_DATA): reading a real log was not tested", name)
	}
	return b
}

func TestARealLogIsReadWhole(t *testing.T) {
	type counts struct {
		lines, clients, users, forwarded, methods, agents int
	}
	for _, tt := range []struct {
		file, format string
		want         counts
	}{
		{"elastic-examples/apache_logs", "combined", counts{lines: 10000, clients: 1753, methods: 10000, agents: 9810}},
		{"nginx/combined-10k.log", "combined", counts{lines: 10000, clients: 9612, users: 495, methods: 10000, agents: 10000}},
		{"nginx/access-5k.jsonl", "nginx-json", counts{lines: 5000, clients: 4816, users: 245, forwarded: 4914, methods: 5000, agents: 5000}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			log := realLog(t, tt.file)
			var got counts
			clients, seen := map[string]bool{}, map[string]bool{}
			for line, problem := range logformat.Read(tt.format, bytes.NewReader(log), logformat.Options{}) {
				if problem != nil {
					t.Fatalf("line %d is refused: %s", problem.Number, problem.Reason)
				}
				var data struct {
					ClientIP    string `json:"client_ip"`
					ForwardedIP string `json:"forwarded_ip"`
					User        string `json:"user"`
					Method      string `json:"method"`
					UserAgent   string `json:"user_agent"`
				}
				if err := json.Unmarshal(line.Data, &data); err != nil {
					t.Fatalf("line %d is not JSON", line.Number)
				}
				got.lines++
				clients[data.ClientIP], seen[line.ID] = true, true
				for count, value := range map[*int]string{
					&got.users: data.User, &got.forwarded: data.ForwardedIP,
					&got.methods: data.Method, &got.agents: data.UserAgent,
				} {
					if value != "" {
						*count++
					}
				}
			}
			got.clients = len(clients)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(counts{})); diff != "" {
				t.Error(diff)
			}
			if len(seen) != got.lines {
				t.Errorf("%d lines have %d ids", got.lines, len(seen))
			}
			if n := bytes.Count(log, []byte("\n")); n != got.lines {
				t.Errorf("%d lines of %d", got.lines, n)
			}
		})
	}
}

// Log lines that are cut anywhere must be refused or read, each exactly once.
func TestALogWithBrokenLinesLosesCountOfNone(t *testing.T) {
	for _, tt := range []struct{ file, format string }{
		{"elastic-examples/apache_logs", "combined"},
		{"nginx/access-5k.jsonl", "nginx-json"},
	} {
		log := bytes.SplitAfter(realLog(t, tt.file), []byte("\n"))[:2000]
		var broken []byte
		for i, line := range log {
			if i%3 == 0 {
				line = append(bytes.Clone(line[:1+i*7%(len(line)-1)]), '\n')
			}
			broken = append(broken, line...)
		}
		var read, refused int
		for _, problem := range logformat.Read(tt.format, bytes.NewReader(broken), logformat.Options{}) {
			if problem != nil {
				refused++
			} else {
				read++
			}
		}
		if read+refused != 2000 || refused == 0 || read < 1333 {
			t.Errorf("%s: %d read and %d refused of 2000", tt.file, read, refused)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	log := bytes.Repeat([]byte(`192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /presentations/images/dashboard3.png HTTP/1.1" 200 171717 "http://example.org/presentations/" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36"`+"\n"), 1000)
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		for range logformat.Read("combined", bytes.NewReader(log), logformat.Options{}) {
		}
	}
}
