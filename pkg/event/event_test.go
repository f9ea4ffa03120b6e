package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

const secret = "ada-canary@example.org"

func contents(at time.Time, fields []string, values ...event.Value) event.Contents {
	return event.Contents{
		ID:         event.NewID(at, event.RandomPayload()),
		OccurredAt: at,
		ReceivedAt: at.Add(time.Second),
		Identified: true,
		Fields:     fields,
		Values:     values,
	}
}

func TestARawAndACleanNeverPrintWhatTheyHold(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	raw := event.NewRaw(contents(at, []string{"user"}, event.StringValue(secret)))
	clean := event.NewClean(event.Row{Table: "t", OccurredAt: at, ExpiresAt: at, Values: []event.Value{event.StringValue(secret)}})
	value := event.StringValue(secret)

	type wrapR struct{ raw event.Raw }
	type wrapC struct{ clean event.Clean }
	type Shown struct {
		Raw   event.Raw
		Clean event.Clean
		Value event.Value
	}
	things := []any{
		raw, &raw, wrapR{raw}, &wrapR{raw}, []event.Raw{raw}, map[string]event.Raw{"k": raw}, fmt.Errorf("with %v", raw),
		clean, &clean, wrapC{clean}, []event.Clean{clean}, map[string]event.Clean{"k": clean},
		value, &value, []event.Value{value}, &Shown{raw, clean, value},
	}
	for _, thing := range things {
		var out strings.Builder
		verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"}
		if _, plain := thing.(event.Value); !plain {
			// fmt asks no method about %p, and vet refuses it for a struct.
			verbs = append(verbs, "%p")
		}
		for _, verb := range verbs {
			fmt.Fprintf(&out, verb, thing)
		}
		if b, err := json.Marshal(thing); err == nil {
			out.Write(b)
		}
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "thing", thing)
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "thing", thing)
		out.Write(log.Bytes())
		for _, form := range []string{secret, fmt.Sprintf("%x", secret)} {
			if strings.Contains(out.String(), form) {
				t.Errorf("printing a %T shows what it holds", thing)
			}
		}
	}
}

func TestAPlainStructWouldHaveShownIt(t *testing.T) {
	// The control: the search above finds a value that nothing hides.
	if !strings.Contains(fmt.Sprintf("%+v", struct{ s string }{secret}), secret) {
		t.Error("the search cannot find a planted value")
	}
}

func genValue() *rapid.Generator[event.Value] {
	return rapid.Custom(func(t *rapid.T) event.Value {
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 1:
			return event.StringValue(rapid.String().Draw(t, "s"))
		case 2:
			return event.IntValue(rapid.Int64().Draw(t, "n"))
		case 3:
			return event.FloatValue(rapid.Float64().Draw(t, "f"))
		case 4:
			return event.BoolValue(rapid.Bool().Draw(t, "b"))
		case 5:
			return event.TimeValue(time.UnixMilli(rapid.Int64Range(-1e13, 1e13).Draw(t, "t")))
		case 6:
			var tok [event.TokenSize]byte
			copy(tok[:], rapid.SliceOfN(rapid.Byte(), event.TokenSize, event.TokenSize).Draw(t, "tok"))
			return event.TokenValue(tok)
		}
		return event.Value{}
	})
}

var exact = cmp.Comparer(func(a, b event.Value) bool {
	return a.Kind() == b.Kind() && a.Int() == b.Int() && a.Str() == b.Str()
})

func TestBodiesComeBackAsTheyWentIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}`), 0, 6, rapid.ID[string]).Draw(t, "fields")
		n := rapid.IntRange(0, 20).Draw(t, "n")
		var raws []event.Raw
		var rows []event.Clean
		for range n {
			at := time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "at")).UTC()
			values := make([]event.Value, len(fields))
			for i := range values {
				values[i] = genValue().Draw(t, "v")
			}
			raws = append(raws, event.NewRaw(contents(at, fields, values...)))
			rows = append(rows, event.NewClean(event.Row{
				ID: event.NewID(at, event.RandomPayload()), OccurredAt: at, ExpiresAt: at.AddDate(0, 1, 0),
				Epoch: rapid.Int64().Draw(t, "epoch"), Identified: rapid.Bool().Draw(t, "ident"), Values: values,
			}))
		}
		got, err := event.ParseRawBody(event.RawBody(raws))
		if err != nil {
			t.Fatal(err)
		}
		for i := range raws {
			want, have := *event.Open(raws[i]), *event.Open(got[i])
			if diff := cmp.Diff(want, have, exact); diff != "" {
				t.Fatal(diff)
			}
		}
		_, have, err := event.ParseCleanBody(event.CleanBody(fields, rows))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != n || len(have) != n {
			t.Fatalf("%d raw and %d clean of %d came back", len(got), len(have), n)
		}
		for i := range rows {
			if diff := cmp.Diff(*rows[i].Row(), have[i], exact); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestABodyAndItsTextsShareNoMemoryWithWhatComesNext(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	body := func(text string) []byte {
		return event.RawBody([]event.Raw{event.NewRaw(contents(at, []string{"a"}, event.StringValue(text)))})
	}
	for _, text := range []string{"x", strings.Repeat("forget ", 100)} { // plain and compressed
		first := body(text)
		before := bytes.Clone(first)
		body(strings.Repeat("y", len(text)))
		if !bytes.Equal(first, before) {
			t.Error("a body changed when another was made")
		}
		raws, err := event.ParseRawBody(first)
		if err != nil {
			t.Fatal(err)
		}
		clear(first)
		if got := event.Open(raws[0]).Values[0].Str(); got != text {
			t.Error("a text changed when the body that it was read from did")
		}
	}
}

func TestABodyThatClaimsMoreThanItHoldsTakesNoMemory(t *testing.T) {
	// 10,000 fields without a name, and 10,000 events in as many bytes.
	body := append([]byte{0, 0x90, 0x4e}, make([]byte, 10_000)...)
	body = append(append(body, 0x90, 0x4e), make([]byte, 10_000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := event.ParseRawBody(body); !errors.Is(err, fault.Corrupt) {
		t.Errorf("a raw body that claims too much: %v", err)
	}
	if _, _, err := event.ParseCleanBody(body); !errors.Is(err, fault.Corrupt) {
		t.Errorf("a clean body that claims too much: %v", err)
	}
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; taken > 4<<20 {
		t.Errorf("a body of %d bytes took %d bytes to read", len(body), taken)
	}
}

func TestADamagedFrameIsCorruptAndNeverPanics(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	body := event.RawBody([]event.Raw{event.NewRaw(contents(at, []string{"a"}, event.StringValue("x")))})
	msg := event.Pack(event.Header(event.RawHeader{Tenant: "t"}), body)
	for cut := range msg {
		if _, sealed, err := event.Unpack(msg[:cut]); err == nil {
			if _, err := event.ParseRawBody(sealed); err == nil {
				t.Errorf("a frame cut at %d of %d still parses", cut, len(msg))
			}
		}
	}
}

func FuzzParseBody(f *testing.F) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	f.Add(event.RawBody([]event.Raw{event.NewRaw(contents(at, []string{"a", "b"}, event.StringValue("x"), event.IntValue(1)))}))
	f.Add([]byte{0, 1, 1, 'a', 255, 255, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = event.ParseRawBody(b)
		_, _, _ = event.ParseCleanBody(b)
		_, _, _ = event.Unpack(b)
	})
}

func TestIDsOfOneMomentSortTogetherAndTimesAreClamped(t *testing.T) {
	early := event.NewID(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), [16]byte{255})
	late := event.NewID(time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC), [16]byte{0})
	if bytes.Compare(early[:], late[:]) >= 0 {
		t.Error("an earlier event sorts behind a later one")
	}
	if got := event.NewID(time.Unix(0, 0), [16]byte{}).Time(); !got.Equal(event.MinTime) {
		t.Errorf("1970 became %v, want %v", got.UTC(), event.MinTime)
	}
	if got := event.NewID(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), [16]byte{}).Time(); !got.Equal(event.MaxTime) {
		t.Errorf("2200 became %v, want %v", got.UTC(), event.MaxTime)
	}
}

func TestATopicHasNoRoomForAPerson(t *testing.T) {
	for _, bad := range []string{"", "ada@example.org", "a.b", "A", "*", ">", strings.Repeat("a", 49), "192.0.2.1"} {
		if event.CheckName(bad) || event.CheckSymbol(bad) {
			t.Errorf("%q can be a name in a topic", bad)
		}
	}
	tenant, service, name, err := event.ParsePublishTopic("lethe.publish.acme.web-1.http_access")
	if err != nil || tenant != "acme" || service != "web-1" || name != "http_access" {
		t.Errorf("got %q %q %q, %v", tenant, service, name, err)
	}
	for _, bad := range []string{"lethe.publish.a.b", "lethe.publish.a.b.c.d", "other.a.b.c", "lethe.publish..b.c"} {
		if _, _, _, err := event.ParsePublishTopic(bad); err == nil {
			t.Errorf("topic %q is accepted", bad)
		}
	}
}

func TestDaysAreUTCAndStrict(t *testing.T) {
	east := time.FixedZone("east", 3*3600)
	if got := event.DayOf(time.Date(2026, 3, 1, 1, 0, 0, 0, east)); got != "2026-02-28" {
		t.Errorf("got %s", got)
	}
	for _, bad := range []string{"2026-2-1", "2026-02-30", "", "20260201"} {
		if _, err := event.ParseDay(bad); err == nil {
			t.Errorf("%q is a day", bad)
		}
	}
	if got := event.Day("2026-12-31").End(); !got.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v", got)
	}
}

// BenchmarkBody compares the body codec with the same bytes under zstd: the
// reason for S2 in codec.go.
func BenchmarkBody(b *testing.B) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	fields := []string{"bytes", "client_ip", "method", "path", "protocol", "referrer", "status", "user_agent"}
	var raws []event.Raw
	for i := range event.MaxFrameEvents {
		raws = append(raws, event.NewRaw(contents(at.Add(time.Duration(i)*time.Second), fields,
			event.IntValue(int64(i*7919%200000)), event.StringValue(fmt.Sprintf("198.51.%d.%d", i%100, i%251)), event.StringValue("GET"),
			event.StringValue(fmt.Sprintf("/presentations/%d/images/part-%d.png", i%17, i%91)), event.StringValue("HTTP/1.1"),
			event.StringValue("https://www.example.org/presentations/"), event.IntValue(200),
			event.StringValue("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36"),
		)))
	}
	b.Run("encode", func(b *testing.B) {
		m := lethetest.NewMeter(b)
		m.Start()
		for b.Loop() {
			_ = event.RawBody(raws)
		}
		m.Report(b.N * event.MaxFrameEvents)
		b.ReportMetric(float64(len(event.RawBody(raws)))/event.MaxFrameEvents, "B/event")
	})
	body := event.RawBody(raws)
	b.Run("decode", func(b *testing.B) {
		m := lethetest.NewMeter(b)
		m.Start()
		for b.Loop() {
			_, _ = event.ParseRawBody(body)
		}
		m.Report(b.N * event.MaxFrameEvents)
	})
	plain := event.ExpandForBenchmark(body)
	b.Run("zstd", func(b *testing.B) {
		enc, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		var out []byte
		for b.Loop() {
			out = enc.EncodeAll(plain, out[:0])
		}
		b.ReportMetric(float64(len(out))/event.MaxFrameEvents, "B/event")
	})
	b.Run("s2", func(b *testing.B) {
		var out []byte
		for b.Loop() {
			out = event.CompressForBenchmark(plain)
		}
		b.ReportMetric(float64(len(out))/event.MaxFrameEvents, "B/event")
	})
}
