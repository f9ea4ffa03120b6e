package audit_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// P10: whoever changes a file of the log while it runs is found by looking.
func TestEveryFileThatIsChangedUnderARunningLogIsFound(t *testing.T) {
	cfg := created(t)
	l := open(t, cfg)
	appended(t, l, made(1, 40, today))
	older, err := os.ReadFile(filepath.Join(cfg.Dir, "2026", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	appended(t, l, made(41, 300, today))
	if err := l.Check(t.Context()); err != nil {
		t.Fatalf("control: a log that nobody touched: %v", err)
	}
	tried := 0
	err = filepath.WalkDir(filepath.Join(cfg.Dir, "2026"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		changes := map[string][]byte{"cut short": data[:len(data)/2], "changed": append([]byte{data[0] ^ 1}, data[1:]...)}
		if d.Name() == "checkpoint" {
			changes["put back"] = older
		}
		for what, change := range changes {
			tried++
			if err := os.WriteFile(path, change, 0o600); err != nil {
				return err
			}
			if err := l.Check(t.Context()); !errors.Is(err, fault.Corrupt) {
				t.Errorf("%s %s: %v", d.Name(), what, err)
			}
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		// A checkpoint of a day that was kept is one more witness, and its
		// loss is no damage to the tree.
		if err := l.Check(t.Context()); !errors.Is(err, fault.Corrupt) && filepath.Base(filepath.Dir(path)) != "checkpoints" {
			t.Errorf("%s removed: %v", d.Name(), err)
		}
		return os.WriteFile(path, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if tried < 8 {
		t.Errorf("only %d changes were tried", tried)
	}
	if err := l.Check(t.Context()); err != nil {
		t.Errorf("when everything is as it was: %v", err)
	}
}

func TestALogThatIsAppendedToWhileItIsCheckedIsWell(t *testing.T) {
	cfg := created(t)
	l := open(t, cfg)
	appended(t, l, made(1, 10, today))
	done := make(chan error, 1)
	go func() {
		var err error
		for seq := uint64(11); seq < 300 && err == nil; seq += 7 {
			err = l.Append(t.Context(), made(seq, seq+6, today))
		}
		done <- err
	}()
	for {
		if err := l.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}
