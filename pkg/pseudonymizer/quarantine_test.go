package pseudonymizer_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/pseudonymizer"
	"github.com/lethe-pipeline/lethe/schemas"
)

// ignorant is the built-in policy before it knew of web events.
func (s *site) ignorant() *policy.Policy {
	s.t.Helper()
	copied := func(from fs.FS) fs.FS {
		to := fstest.MapFS{}
		s.must(fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasPrefix(path, "web") {
				return err
			}
			data, err := fs.ReadFile(from, path)
			to[path] = &fstest.MapFile{Data: data}
			return err
		}))
		return to
	}
	docs, err := policy.Load(copied(schemas.FS), copied(pipelines.FS))
	s.must(err)
	pol, err := policy.Compile(docs)
	s.must(err)
	return pol
}

// quarantined has 6 sound events and 2 unsound ones waiting in 2 frames,
// because the policy did not know them.
func quarantined(t *testing.T) *site {
	t.Helper()
	s := start(t)
	for range 2 {
		s.publish(append(s.visits(3), s.visit("somewhere", noon)))
	}
	cfg := s.config()
	cfg.Policy = s.ignorant()
	s.flow(cfg)
	if w := s.check(8); len(w.waiting) != 2 {
		t.Fatalf("%d frames wait, want 2", len(w.waiting))
	}
	return s
}

// redrive is one redrive by a process of its own.
func (s *site) redrive(edit func(*pseudonymizer.Config)) (pseudonymizer.Redriven, error) {
	s.t.Helper()
	cfg := s.config()
	if edit != nil {
		edit(&cfg)
	}
	p, err := pseudonymizer.New(cfg)
	s.must(err)
	return p.Redrive(s.t.Context())
}

func TestARedriveStoresWhatThePolicyHasLearned(t *testing.T) {
	s := quarantined(t)
	s.now = noon.Add(time.Hour)
	r, err := s.redrive(nil)
	s.must(err)
	if want := (pseudonymizer.Redriven{Read: 8, Stored: 6, Waiting: 2}); r != want {
		t.Errorf("the redrive says %+v, want %+v", r, want)
	}
	w := s.check(2)
	for _, f := range w.waiting {
		if f.Count != 1 || f.Reason != "field client_ip is not an IP address" || !f.At.Equal(noon) {
			t.Errorf("what waits is %+v", f)
		}
	}
	for _, h := range w.headers {
		if h.RawSeq != 0 || h.QuarantineSeq == 0 {
			t.Errorf("a redriven frame has the header %+v", h)
		}
	}
	r, err = s.redrive(nil)
	s.must(err)
	if want := (pseudonymizer.Redriven{Read: 2, Waiting: 2}); r != want {
		t.Errorf("the next redrive says %+v, want %+v", r, want)
	}
	if after := s.check(2); len(after.waiting) != 2 || after.waiting[0].Seq != w.waiting[0].Seq {
		t.Error("a redrive that stores nothing writes quarantine anew")
	}
	// What was redriven says nothing of how far the raw log is treated.
	s.publish(s.visits(2))
	s.flow(s.config())
	s.check(2)
}

func TestARedriveThatDiesLosesNothingAndStoresNothingTwice(t *testing.T) {
	for name, wrap := range map[string]func(*pseudonymizer.Config, *once){
		"rest":   func(c *pseudonymizer.Config, o *once) { c.Quarantine = faultyAside{c.Quarantine, o} },
		"append": func(c *pseudonymizer.Config, o *once) { c.Clean = faultyClean{c.Clean, o} },
		"delete": func(c *pseudonymizer.Config, o *once) { c.Frames = faultyDelete{c.Frames, o} },
	} {
		for _, landed := range []bool{false, true} {
			for _, err := range []error{errDied, errFault} {
				t.Run(name+map[bool]string{false: " lost ", true: " landed "}[landed]+map[bool]string{true: "and died", false: "and went on"}[err == errDied], func(t *testing.T) {
					s := quarantined(t)
					o := &once{landed: landed, err: err}
					_, got := s.redrive(func(c *pseudonymizer.Config) { wrap(c, o) })
					if want := err == errDied; errors.Is(got, errDied) != want {
						t.Fatalf("the redrive ended with %v", got)
					}
					_, got = s.redrive(nil)
					s.must(got)
					s.check(2)
				})
			}
		}
	}
}

// A frame that was split stays split, whatever policy the next redrive has.
func TestARedriveThatDiedIsFinishedUnderAnotherPolicy(t *testing.T) {
	s := quarantined(t)
	_, err := s.redrive(func(c *pseudonymizer.Config) { c.Clean = faultyClean{c.Clean, &once{err: errDied}} })
	if !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	_, err = s.redrive(func(c *pseudonymizer.Config) { c.Policy = s.ignorant() })
	s.must(err)
	r, err := s.redrive(nil)
	s.must(err)
	if r.Stored != 6 || r.Waiting != 2 {
		t.Errorf("the last redrive says %+v", r)
	}
	s.check(2)
}

func TestWhatWaitedTooLongIsGone(t *testing.T) {
	s := quarantined(t)
	s.now = noon.AddDate(0, 0, 5)
	r, err := s.redrive(nil) // sets the unsound ones aside again
	s.must(err)
	if r.Waiting != 2 {
		t.Fatalf("the redrive says %+v", r)
	}
	s.must(s.keys.Retention().DestroyQuarantine(t.Context(), "acme", string(event.DayOf(noon))))
	r, err = s.redrive(nil)
	s.must(err)
	if want := (pseudonymizer.Redriven{Read: 2, Expired: 2}); r != want {
		t.Errorf("the redrive says %+v, want %+v: being set aside again lengthened the wait", r, want)
	}
	if w := s.world(); len(w.waiting) != 0 {
		t.Errorf("%d frames that nobody can open still wait", len(w.waiting))
	}
}

func TestAnEventThatExpiredInQuarantineIsNotStored(t *testing.T) {
	s := quarantined(t)
	s.now = noon.AddDate(0, 0, 31)
	r, err := s.redrive(nil)
	s.must(err)
	if w := s.world(); r.Stored != 0 || r.Expired+r.Waiting != 8 || len(w.rows) != 0 {
		t.Errorf("the redrive says %+v and %d rows are stored", r, len(w.rows))
	}
}

func TestABodyThatIsNotReadableStaysInQuarantine(t *testing.T) {
	s := start(t)
	s.publishBody(event.RawHeader{Tenant: "acme", Service: "shop", Event: "http_access", Version: 1, Count: 4}, []byte("no body"))
	s.flow(s.config())
	r, err := s.redrive(nil)
	s.must(err)
	if w := s.world(); r.Waiting != 4 || len(w.waiting) != 1 {
		t.Errorf("the redrive says %+v and %d frames wait", r, len(w.waiting))
	}
}
