package assembly_test

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// course is how a simulation goes, in days from its beginning.
type course struct {
	days                      int
	shortenAt, shorter        int // when logs are kept shorter, and for how many days then; zero is never
	lengthenAt                int // when accesses are kept for longer
	holdAt, holdUntil         int // when a legal hold is added, and its deadline
	rebuildEvery, verifyEvery int // zero is never but at the end
	stopAt                    int // when retention stops for good; zero is never
}

// TestTwentyFiveMonths lives through 25 months of daily use. By default it is
// three of them, with everything that happens in 25; LETHE_TEST_LONG=1 is all.
// LETHE_TEST_SEED repeats a run.
func TestTwentyFiveMonths(t *testing.T) {
	c := course{days: 90, holdAt: 2, shortenAt: 5, shorter: 10, lengthenAt: 20, holdUntil: 40, rebuildEvery: 29, verifyEvery: 35}
	if os.Getenv("LETHE_TEST_LONG") != "" {
		c = course{days: 780, holdAt: 100, shortenAt: 200, shorter: 45, holdUntil: 300, lengthenAt: 400, rebuildEvery: 150, verifyEvery: 30}
	}
	s := simulate(t, c)
	for day := range c.days {
		if problems := s.live(day); len(problems) > 0 {
			for _, p := range problems[:min(len(problems), 20)] {
				t.Error(p)
			}
			t.Fatalf("day %d, %s: %d things are not as they should be", day, event.DayOf(s.clock()), len(problems))
		}
	}
	s.end()
}

// TestWithoutRetentionEverythingThatLooksSaysSo is the control: nobody can
// select what is past its rule, because that takes no job; but it is still
// there, and whoever looks finds it and says what is wrong. A run puts it right.
func TestWithoutRetentionEverythingThatLooksSaysSo(t *testing.T) {
	s := simulate(t, course{days: 4, stopAt: 3})
	for day := range s.days {
		if problems := s.live(day); len(problems) > 0 {
			t.Fatalf("day %d: %d things are not as they should be, such as: %s", day, len(problems), problems[0])
		}
	}
	// No job runs until all that is kept for 30 days is past its rule and its
	// grace.
	s.pass(event.DayOf(s.clock().AddDate(0, 0, 31)).End().Add(24 * time.Hour))
	for _, p := range s.checkSelectable(s.w, s.clock(), everything) {
		t.Error(p)
	}
	had, tried := s.w.ran, s.w.tried
	s.w.ran, s.w.tried = s.clock(), s.clock()
	all := append(append(s.checkStored(s.w, true), s.checkLogs(s.w)...), s.checkCopies()...)
	for _, want := range []string{
		"table http_access holds", "table page_view holds", "table user_action holds", "the clean log holds frames",
		"key clean/access-30d/", "key clean/unique-30d/", "key raw/", "a copied frame",
	} {
		if !slices.ContainsFunc(all, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("without retention no check says: %s", want)
		}
	}
	s.w.ran, s.w.tried = had, tried
	if r := s.report(); r.Holds {
		t.Error("without retention verify says that every promise holds")
	} else {
		expectFindings(t, r, map[string]string{"P4": "table http_access", "P5": "table page_view"})
	}
	s.stopAt = 0
	s.retain(s.days - 1)
	for _, p := range append(append(s.checkStored(s.w, true), s.checkLogs(s.w)...), s.checkReport()...) {
		t.Error(p)
	}
}

// expectFindings wants, of each promise, a finding at a place.
func expectFindings(t *testing.T, r verify.Report, want map[string]string) {
	t.Helper()
	for _, p := range r.Promises {
		where, ok := want[p.ID]
		if !ok {
			continue
		}
		delete(want, p.ID)
		if p.Holds || !slices.ContainsFunc(p.Findings, func(f verify.Finding) bool { return f.Where == where }) {
			t.Errorf("verify says of %s that holding is %v, and nothing of %s: %v", p.ID, p.Holds, where, p.Findings)
		}
	}
	for id := range want {
		t.Errorf("verify says nothing of %s", id)
	}
}

// simulation is a course under way.
type simulation struct {
	*site
	course
	f     *traffic
	w     *world
	begin time.Time
	began time.Time // by the wall clock

	off                    int // days that retention is still off
	runs, crashes, skipped int
	steps                  int // that the last whole run took
	rebuildDue, verifyDue  bool
	rebuilt, verified      int

	spent map[string]time.Duration // by the wall clock
	lap   time.Time

	look    *rand.Rand // what is looked at is chosen apart from what happens
	through through
	copies  []copied // one of each key, while it opens
	ended   map[keyring.Kind]int
	chain   chain
	held    *held
	cells   map[string]string // every cell that was ever seen
	// checkpoints are what an auditor kept of every bundle, and missed the days
	// without a whole run.
	checkpoints []string
	missed      []time.Time
	files       []file
	// filesGone counts the files that were removed.
	filesGone int
}

func simulate(t *testing.T, c course) *simulation {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("LETHE_TEST_SEED"); v != "" {
		var err error
		if seed, err = strconv.ParseUint(v, 10, 64); err != nil {
			t.Fatal("LETHE_TEST_SEED is a number")
		}
	}
	t.Logf("LETHE_TEST_SEED=%d", seed)
	// From the end of this day on, so that the wall clock is never ahead.
	begin := event.DayOf(time.Now()).End()
	s := &simulation{
		course: c, begin: begin, began: time.Now(), spent: map[string]time.Duration{},
		f: &traffic{r: rand.New(rand.NewPCG(seed, 0))}, look: rand.New(rand.NewPCG(seed, 1)),
		through: through{}, ended: map[keyring.Kind]int{}, cells: map[string]string{},
		site: newSite(t, compile(t), begin),
	}
	s.w, s.chain = newWorld(s.pol), chain{read: map[int]int64{}}
	return s
}

// live is one day: the policy may change, events come, people look, retention
// runs. It returns what is not as it should be at the end of the day.
func (s *simulation) live(day int) (problems []string) {
	s.t.Helper()
	now := s.begin.AddDate(0, 0, day).Add(s.f.between(s.begin, s.begin.Add(20*time.Hour)).Sub(s.begin) + 2*time.Hour)
	wide := day%5 == 0
	if day > 0 && (day == s.shortenAt || day == s.lengthenAt) {
		s.changePolicy(day)
		wide = true
	}
	s.lap = time.Now()
	s.pass(now)
	samples := s.f.day(now, s.pol)
	s.must(s.w.add(samples, s.publish(samples), now))
	s.took("publish")
	s.settle()
	s.took("settle")
	if day%3 == 0 || wide {
		problems = append(problems, s.checkCells()...)
		s.took("publish cells")
	}
	s.makeFiles(day)
	s.holdToday(day, s.w.today[cell{table: heldTable, service: heldService}])
	s.took("hold")
	upto := event.DayOf(now.AddDate(0, 0, 2))
	if wide {
		upto = everything
	}
	problems = append(problems, s.checkSelectable(s.w, now, upto)...)
	s.took("check what is selectable")
	s.takeCopies()
	s.took("copy frames")
	if s.chooseRun(day) {
		s.retain(day)
	}
	if !s.w.ran.Equal(now) {
		s.missed = append(s.missed, now)
	}
	s.took("run retention")
	problems = append(problems, s.checkStored(s.w, wide)...)
	s.took("check parts")
	problems = append(problems, s.checkLogs(s.w)...)
	problems = append(problems, s.checkCopies()...)
	problems = append(problems, s.checkHold()...)
	problems = append(problems, s.checkFiles()...)
	s.took("check logs, keys and the hold")
	problems = append(problems, s.checkChain(&s.chain, s.w.ran.Equal(now))...)
	s.took("check the chain")
	s.rebuildDue = s.rebuildDue || s.rebuildEvery > 0 && day%s.rebuildEvery == s.rebuildEvery-1
	s.verifyDue = s.verifyDue || s.verifyEvery > 0 && day%s.verifyEvery == s.verifyEvery-1
	if s.w.ran.Equal(now) {
		problems = append(problems, s.lookCloser()...)
	}
	s.w.forget()
	return problems
}

// lookCloser is what takes too long for every day. It is for days on which
// retention ran: in between, what is past its rule is half gone.
func (s *simulation) lookCloser() (problems []string) {
	s.t.Helper()
	if s.rebuildDue {
		problems = append(problems, s.checkRebuild()...)
		s.rebuildDue = false
		s.rebuilt++
		s.took("rebuild")
	}
	if s.verifyDue {
		problems = append(problems, s.checkReport()...)
		problems = append(problems, s.checkEvidence(len(s.checkpoints)%2 == 1)...)
		s.verifyDue = false
		s.verified++
		s.took("verify")
	}
	return problems
}

// took notes what the time since the last call went to.
func (s *simulation) took(what string) {
	s.spent[what] += time.Since(s.lap)
	s.lap = time.Now()
}

// chooseRun says whether retention runs today: it is off on about 3 days of
// 100, and then sometimes for days.
func (s *simulation) chooseRun(day int) bool {
	if s.stopAt > 0 && day >= s.stopAt {
		return false
	}
	if s.off == 0 && (s.f.r.IntN(60) == 0 || day == s.days/3) {
		s.off = cmp.Or(s.f.r.IntN(2), 2+s.f.r.IntN(4))
	}
	if s.off > 0 && day < s.days-1 {
		s.off--
		s.skipped++
		return false
	}
	return true
}

// end is the last word: every check at its widest, and that there was
// something to check.
func (s *simulation) end() {
	s.t.Helper()
	s.rebuildDue, s.verifyDue = true, true
	problems := append(s.checkSelectable(s.w, s.clock(), everything), s.lookCloser()...)
	for _, p := range problems {
		s.t.Error(p)
	}
	for _, t := range s.pol.Tables() {
		lives := t.Class.Lasting || t.Class.Period.Longest() > time.Duration(s.days-3)*24*time.Hour
		if n := s.w.expired[t.Name]; n == 0 && !lives {
			s.t.Errorf("no row of %s expired: nothing was shown of it", t.Name)
		}
	}
	if s.holdAt > 0 && (!s.held.kept || !s.held.ended) {
		s.t.Error("the hold did not outlive what it covers, or did not end")
	}
	if len(s.cells) < 3*s.days {
		s.t.Errorf("%d cells in %d days", len(s.cells), s.days)
	}
	if s.chain.manifests < s.days/2 {
		s.t.Errorf("%d manifests in %d days", s.chain.manifests, s.days)
	}
	for _, kind := range []keyring.Kind{keyring.KindRaw, keyring.KindClean, keyring.KindQuarantine} {
		if s.ended[kind] == 0 {
			s.t.Errorf("no copied frame of a %s key ended: nothing was shown of them", kind)
		}
	}
	if s.w.late == 0 || s.w.lasting == 0 || s.rebuilt == 0 || s.verified == 0 || s.crashes == 0 || s.skipped == 0 || s.filesGone == 0 {
		s.t.Error("nothing came late, no row lasted, no run crashed or was left out, no file was removed, nothing was rebuilt or nothing verified")
	}
	s.t.Logf("%d days, %d rows of which %d came late, %d runs of which %d crashed, %d days without one, %d rebuilds, %d verifications, %v a day",
		s.days, s.w.rows, s.w.late, s.runs, s.crashes, s.skipped, s.rebuilt, s.verified,
		(time.Since(s.began) / time.Duration(s.days)).Round(time.Millisecond))
	for _, what := range slices.Sorted(maps.Keys(s.spent)) {
		s.t.Logf("%v a day: %s", (s.spent[what] / time.Duration(s.days)).Round(100*time.Microsecond), what)
	}
	s.t.Logf("rows past their rule: %v; copied frames that open no longer: %v; files removed: %d", s.w.expired, s.ended, s.filesGone)
}
