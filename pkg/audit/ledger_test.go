package audit_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func entryOf(t testing.TB, kind audit.Kind, detail any) audit.Entry {
	t.Helper()
	text, err := json.Marshal(detail)
	if err != nil {
		t.Fatal(err)
	}
	return audit.Entry{ID: "x", At: time.Unix(1, 0), Kind: kind, By: "retention", Detail: text}
}

func part(table, day string, rows, fresh uint64) audit.Partition {
	return audit.Partition{Table: table, Day: event.Day(day), Rows: rows, New: fresh}
}

// book writes manifests as retention does, beside the ledger that is tested.
type book struct {
	t      testing.TB
	writer audit.Ledger // of retention
	reader audit.Ledger // of whoever checks it
	now    audit.Inventory
}

func (b *book) put(kind audit.Kind, detail any) *audit.Sum {
	b.t.Helper()
	e := entryOf(b.t, kind, detail)
	if _, err := b.writer.Apply(e); err != nil {
		b.t.Fatal(err)
	}
	sum, err := b.reader.Apply(e)
	if err != nil {
		b.t.Fatal(err)
	}
	return sum
}

// count writes the manifest of what is found.
func (b *book) count(floor uint64, found ...audit.Partition) *audit.Sum {
	b.t.Helper()
	v := audit.NewInventory(found)
	m := audit.Manifest{
		Floor: floor, Lines: b.writer.Next(b.now, found), Partitions: len(v), Rows: v.Rows(), Inventory: v.Digest(),
	}
	if last := b.writer.Last(); last != nil {
		m.Since, m.Before = last.Floor, b.now.Digest()
	}
	b.now = v
	return b.put(audit.KindManifest, m)
}

func (b *book) remove(id string, confirm bool, parts ...audit.Partition) {
	b.t.Helper()
	b.put(audit.KindRemoval, audit.Removal{ID: id, Reason: audit.ReasonExpired, Partitions: parts})
	if confirm {
		b.put(audit.KindRemoved, audit.Removed{Removal: id, Partitions: parts})
	}
}

func sentences(s *audit.Sum) string {
	var out []string
	for _, w := range s.Wrong {
		out = append(out, w.Sentence)
	}
	return strings.Join(out, "\n")
}

func (b *book) addsUp(s *audit.Sum) {
	b.t.Helper()
	if text := sentences(s); text != "" {
		b.t.Error(text)
	}
}

func TestManifestsAddUpFromDayToDay(t *testing.T) {
	b := &book{t: t}
	first := b.count(10, part("a", "2026-05-01", 5, 5), part("a", "2026-05-02", 7, 7))
	b.addsUp(first)
	if !first.Begins {
		t.Error("the first manifest continues another")
	}
	// Rows come, a partition goes, and with it rows that came since.
	b.remove("r1", true, part("a", "2026-05-01", 6, 1))
	second := b.count(20, part("a", "2026-05-02", 9, 2), part("b", "2026-05-09", 1, 1))
	b.addsUp(second)
	want := []audit.Line{
		{Table: "a", Day: "2026-05-01", Opening: 5, In: 1, Removed: 6},
		{Table: "a", Day: "2026-05-02", Opening: 7, In: 2, Found: 9},
		{Table: "b", Day: "2026-05-09", In: 1, Found: 1},
	}
	if diff := cmp.Diff(want, second.Manifest.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	third := b.count(20, part("a", "2026-05-02", 9, 0), part("b", "2026-05-09", 1, 0))
	b.addsUp(third)
	if len(third.Manifest.Lines) != 0 {
		t.Errorf("nothing changed, and there are lines %v", third.Manifest.Lines)
	}
	if v, whole := b.reader.Inventory(); !whole || v.Digest() != third.Manifest.Inventory {
		t.Errorf("the inventory is %v, whole: %v", v, whole)
	}
}

func TestWhatNobodyAnnouncedOrConfirmedIsFound(t *testing.T) {
	day := func(rows, fresh uint64) audit.Partition { return part("a", "2026-05-01", rows, fresh) }
	for _, c := range []struct {
		name string
		do   func(b *book) *audit.Sum
		want string
	}{
		{"rows vanish", func(b *book) *audit.Sum { return b.count(20, day(4, 0)) },
			"Table a, expiry day 2026-05-01: 5 rows were there, 0 came in and 0 were removed on record; that leaves 5, and 4 are there."},
		{"rows appear", func(b *book) *audit.Sum { return b.count(20, day(6, 0)) }, "that leaves 5, and 6 are there."},
		{"a partition moves", func(b *book) *audit.Sum { return b.count(20, part("a", "2027-05-01", 5, 0)) },
			"expiry day 2027-05-01: 0 rows were there, 0 came in and 0 were removed on record; that leaves 0, and 5 are there."},
		{"a removal is not confirmed", func(b *book) *audit.Sum {
			b.remove("r", false, day(5, 0))
			return b.count(20)
		}, "that leaves 5, and 0 are there."},
		{"a removal is confirmed twice", func(b *book) *audit.Sum {
			b.remove("r", true, day(5, 0))
			b.put(audit.KindRemoved, audit.Removed{Removal: "r", Partitions: []audit.Partition{day(5, 0)}})
			return b.count(20)
		}, ""},
		{"an announcement is voided by the next and confirmed", func(b *book) *audit.Sum {
			b.remove("r1", false, day(5, 0))
			b.remove("r2", true, day(5, 0))
			b.put(audit.KindRemoved, audit.Removed{Removal: "r1", Partitions: []audit.Partition{day(5, 0)}})
			return b.count(20)
		}, ""},
		{"more is confirmed than was announced", func(b *book) *audit.Sum {
			b.remove("r", false, day(2, 0))
			b.put(audit.KindRemoved, audit.Removed{Removal: "r", Partitions: []audit.Partition{day(5, 0)}})
			return b.count(20)
		}, "5 rows were there, 0 came in and 2 were removed on record; that leaves 3, and 0 are there."},
		{"part of a removal is confirmed", func(b *book) *audit.Sum {
			b.remove("r", false, day(5, 0))
			b.put(audit.KindRemoved, audit.Removed{Removal: "r", Partitions: []audit.Partition{day(3, 0)}})
			return b.count(20, day(2, 0))
		}, ""},
		{"files are removed", func(b *book) *audit.Sum {
			b.put(audit.KindRemoval, audit.Removal{ID: "f", Reason: audit.ReasonFiles, Partitions: []audit.Partition{part("reports", "2026-01-01", 3, 0)}})
			b.put(audit.KindRemoved, audit.Removed{Removal: "f", Partitions: []audit.Partition{part("reports", "2026-01-01", 3, 0)}})
			return b.count(20, day(5, 0))
		}, ""},
		{"the inventory was lost", func(b *book) *audit.Sum {
			v := audit.NewInventory([]audit.Partition{day(9, 9)})
			return b.put(audit.KindManifest, audit.Manifest{Floor: 20, Partitions: 1, Rows: 9, Inventory: v.Digest(),
				Lines: []audit.Line{{Table: "a", Day: "2026-05-01", In: 9, Found: 9}}})
		}, ""},
		{"a line opens with something else", func(b *book) *audit.Sum {
			v := audit.NewInventory([]audit.Partition{day(8, 0)})
			return b.put(audit.KindManifest, audit.Manifest{Since: 10, Floor: 20, Partitions: 1, Rows: 8, Inventory: v.Digest(), Before: b.now.Digest(),
				Lines: []audit.Line{{Table: "a", Day: "2026-05-01", Opening: 7, In: 1, Found: 8}}})
		}, "the manifest opens with 7 rows, and the one before it found 5."},
		{"a manifest is left out", func(b *book) *audit.Sum {
			m := audit.Manifest{Since: 15, Floor: 20, Partitions: 1, Rows: 5, Inventory: b.now.Digest(), Before: "another"}
			return b.put(audit.KindManifest, m)
		}, "The manifest continues another one than the manifest before it."},
		{"a line is left out", func(b *book) *audit.Sum {
			m := audit.Manifest{Since: 10, Floor: 20, Partitions: 1, Rows: 6, Inventory: "x", Before: b.now.Digest()}
			return b.put(audit.KindManifest, m)
		}, "its lines come to 5 rows in 1"},
		{"a removal is left out", func(b *book) *audit.Sum {
			b.remove("r", true, day(5, 0))
			m := audit.Manifest{Since: 10, Floor: 20, Partitions: 1, Rows: 5, Inventory: b.now.Digest(), Before: b.now.Digest()}
			return b.put(audit.KindManifest, m)
		}, "5 rows were removed on record, and the manifest does not say so."},
		{"a removal is invented", func(b *book) *audit.Sum {
			m := audit.Manifest{Since: 10, Floor: 20, Inventory: audit.Inventory{}.Digest(), Before: b.now.Digest(),
				Lines: []audit.Line{{Table: "a", Day: "2026-05-01", Opening: 5, Removed: 5}}}
			return b.put(audit.KindManifest, m)
		}, "the manifest counts 5 rows as removed, and 0 were removed on record."},
		{"it ends before it begins", func(b *book) *audit.Sum {
			m := audit.Manifest{Since: 10, Floor: 9, Partitions: 1, Rows: 5, Inventory: b.now.Digest(), Before: b.now.Digest()}
			return b.put(audit.KindManifest, m)
		}, "The manifest ends at sequence 9, before it begins at 10."},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &book{t: t}
			b.addsUp(b.count(10, day(5, 5)))
			got := sentences(c.do(b))
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}

// Between two manifests a whole day goes at most by one reason that the ledger
// tells apart, and a manifest that has lost the loader's word says so.
func TestALedgerKnowsWhatWasDroppedAndWhoSaidWhatCameIn(t *testing.T) {
	b := &book{t: t}
	b.count(3, part("app_log", "2026-05-01", 4, 4), part("app_log", "2026-05-02", 4, 4))
	b.remove("a", false, part("app_log", "2026-05-01", 4, 0))
	if b.reader.Dropped("app_log", "2026-05-01") {
		t.Error("what was announced is said to be dropped")
	}
	b.remove("b", true, part("app_log", "2026-05-01", 4, 0))
	b.put(audit.KindRemoval, audit.Removal{ID: "c", Reason: audit.ReasonShortened, Partitions: []audit.Partition{part("app_log", "2026-05-02", 4, 0)}})
	b.put(audit.KindRemoved, audit.Removed{Removal: "c", Partitions: []audit.Partition{part("app_log", "2026-05-02", 4, 0)}})
	if !b.reader.Dropped("app_log", "2026-05-01") || b.reader.Dropped("app_log", "2026-05-02") {
		t.Error("the day that ended was not dropped, or the other was")
	}
	if s := b.count(4); sentences(s) != "" || b.reader.Dropped("app_log", "2026-05-01") {
		t.Errorf("after the next manifest: %q", sentences(s))
	}

	v := audit.Inventory{}.Digest()
	b.put(audit.KindManifest, audit.Manifest{Since: 4, Floor: 5, Inventory: v, Before: v, Arrived: v})
	s := b.put(audit.KindManifest, audit.Manifest{Since: 5, Floor: 6, Inventory: v, Before: v})
	if !strings.Contains(sentences(s), "although the one before it had the loader's word for that") {
		t.Errorf("a manifest that lost the loader's word: %q", sentences(s))
	}
}

func TestALedgerBeginsAnywhere(t *testing.T) {
	b := &book{t: t}
	b.count(10, part("a", "2026-05-01", 5, 5), part("a", "2026-05-02", 5, 5))
	b.remove("r1", true, part("a", "2026-05-01", 5, 0))
	b.reader = audit.Ledger{} // it sees only what follows
	b.addsUp(b.count(20, part("a", "2026-05-02", 5, 0)))
	b.remove("r2", true, part("a", "2026-05-02", 5, 0))
	b.addsUp(b.count(30))

	whole := audit.Ledger{}
	whole.Start(audit.NewInventory([]audit.Partition{part("a", "2026-05-02", 4, 0)}))
	m := audit.Manifest{Since: 20, Floor: 30, Inventory: audit.Inventory{}.Digest(), Before: "x", Lines: []audit.Line{{Table: "a", Day: "2026-05-02", Opening: 5, Removed: 5}}}
	sum, err := whole.Apply(entryOf(t, audit.KindManifest, m))
	if err != nil || !strings.Contains(sentences(sum), "found 4") || !strings.Contains(sentences(sum), "0 were removed") {
		t.Errorf("a ledger that began with another inventory says %q (%v)", sentences(sum), err)
	}
}

func TestADetailThatCannotBeReadIsCorrupt(t *testing.T) {
	for _, kind := range []audit.Kind{audit.KindRemoval, audit.KindRemoved, audit.KindManifest} {
		var l audit.Ledger
		if _, err := l.Apply(audit.Entry{Kind: kind, Detail: []byte(`[1]`)}); !errors.Is(err, fault.Corrupt) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestInventoriesAreNamedByWhatTheyHold(t *testing.T) {
	one := audit.NewInventory([]audit.Partition{part("b", "2026-05-01", 2, 9), part("a", "2026-05-02", 1, 0), part("a", "2026-05-01", 0, 0)})
	other := audit.NewInventory([]audit.Partition{part("a", "2026-05-02", 1, 7), part("b", "2026-05-01", 2, 0)})
	if one.Digest() != other.Digest() || one.Rows() != 3 || len(one) != 2 {
		t.Errorf("order, empty partitions or New make a difference: %v and %v", one, other)
	}
	if one.Digest() == (audit.Inventory{}).Digest() {
		t.Error("it is named like an empty one")
	}
	b, err := one.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := audit.DecodeInventory(one.Digest(), b); err != nil || !cmp.Equal(one, back) {
		t.Errorf("it came back as %v, %v", back, err)
	}
	for name, bad := range map[string][]byte{"empty": nil, "cut": b[:len(b)-9], "text": []byte("[]")} {
		if _, err := audit.DecodeInventory(one.Digest(), bad); !errors.Is(err, fault.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := audit.DecodeInventory("another", b); !errors.Is(err, fault.Corrupt) {
		t.Errorf("under another name: %v", err)
	}
	if digest, ok := audit.InventoryDigest(audit.InventoryName("abc")); !ok || digest != "abc" {
		t.Errorf("the name holds %q", digest)
	}
	if _, ok := audit.InventoryDigest("lease"); ok {
		t.Error("a lease is taken for an inventory")
	}
}

// TestWhateverHappensOnRecordAddsUpAndNothingElseDoes draws histories, and at
// the end changes one number that is on record.
func TestWhateverHappensOnRecordAddsUpAndNothingElseDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := &book{t: t}
		there, fresh := map[string]uint64{}, map[string]uint64{}
		floor := uint64(1)
		var last *audit.Sum
		write := func() {
			var found []audit.Partition
			for day, n := range there {
				found = append(found, part("a", day, n, fresh[day]))
			}
			last = b.count(floor, found...)
			if text := sentences(last); text != "" {
				rt.Fatal(text)
			}
			clear(fresh)
		}
		days := rapid.SampledFrom([]string{"2026-05-01", "2026-05-02", "2026-05-03", "2026-05-04"})
		for i := range rapid.IntRange(1, 30).Draw(rt, "steps") {
			day := days.Draw(rt, "day")
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0, 1:
				n := rapid.Uint64Range(1, 9).Draw(rt, "rows")
				there[day] += n
				fresh[day] += n
				floor++
			case 2:
				again := rapid.IntRange(0, 2).Draw(rt, "unconfirmed")
				for j := range again {
					b.remove(fmt.Sprint("void", i, j), false, part("a", day, there[day], fresh[day]))
				}
				if there[day] > 0 {
					b.remove(fmt.Sprint("r", i), true, part("a", day, there[day], fresh[day]))
				}
				delete(there, day)
				delete(fresh, day)
			case 3:
				write()
			}
		}
		write()
		for _, l := range last.Manifest.Lines {
			l.Found++
			l2 := l
			l2.Found, l2.In = l.Found-1, l.In+1
			if l.AddsUp() || l2.AddsUp() {
				rt.Fatalf("a changed line adds up: %+v", l)
			}
		}
		// The control: one row that nobody put on record.
		day := days.Draw(rt, "day")
		there[day]++
		var found []audit.Partition
		for d, n := range there {
			found = append(found, part("a", d, n, fresh[d]))
		}
		if sum := b.count(floor, found...); len(sum.Wrong) == 0 {
			rt.Fatal("a row that nobody put on record adds up")
		}
	})
}
