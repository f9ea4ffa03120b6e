package event_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestKeptRowsAreAsTheyWere(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	columns := []string{"status", "path", "score"}
	var all []event.Clean
	for i := range 10 {
		all = append(all, event.NewClean(event.Row{
			ID: event.NewID(at, [16]byte{byte(i)}), OccurredAt: at.Add(time.Duration(i) * time.Minute), ExpiresAt: at.AddDate(0, 0, 30),
			Epoch: int64(i), Identified: i%2 == 0,
			Values: []event.Value{event.IntValue(int64(i)), event.StringValue("/a/b"), {}},
		}))
	}
	body := event.CleanBody(columns, all)
	for name, keep := range map[string]func(*event.Row) bool{
		"none":  func(*event.Row) bool { return false },
		"some":  func(r *event.Row) bool { return r.OccurredAt.Minute() < 4 },
		"every": func(*event.Row) bool { return true },
	} {
		var want []event.Clean
		for _, c := range all {
			if keep(c.Row()) {
				want = append(want, c)
			}
		}
		kept, n, err := event.KeepRows(body, keep)
		if err != nil || n != len(want) {
			t.Fatalf("%s: %d rows are kept, want %d: %v", name, n, len(want), err)
		}
		gotColumns, got, err := event.ParseCleanBody(kept)
		if err != nil || !cmp.Equal(gotColumns, columns) || len(got) != n {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range got {
			if w := want[i].Row(); got[i].ID != w.ID || !got[i].OccurredAt.Equal(w.OccurredAt) || !got[i].ExpiresAt.Equal(w.ExpiresAt) ||
				got[i].Epoch != w.Epoch || got[i].Identified != w.Identified || got[i].Values[0].Int() != w.Values[0].Int() ||
				got[i].Values[1].Str() != w.Values[1].Str() || got[i].Values[2].Kind() != event.Null {
				t.Errorf("%s: row %d is not as it was", name, i)
			}
		}
		if name == "every" && !bytes.Equal(kept, body) {
			t.Error("a body of which every row is kept was written anew")
		}
	}
	if _, _, err := event.KeepRows([]byte{9, 9}, func(*event.Row) bool { return true }); !errors.Is(err, fault.Corrupt) {
		t.Errorf("a body that is none: %v", err)
	}
}
