package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// DefaultSpan is how many days a bundle covers when nobody says.
const DefaultSpan = 35

// A Log is the audit log as a bundle needs it. [audit.Log] is one.
type Log interface {
	VerifierKey() string
	Trees() []audit.Tree
	Checkpoints(year int) ([]string, error)
	Entries(ctx context.Context, year int, from, to int64) iter.Seq2[[]byte, error]
	Range(year int, size int64) ([]tlog.Hash, error)
	Consistency(year int, old, size int64) (tlog.TreeProof, error)
	Wait(ctx context.Context, seq uint64) error
	Lost() (at time.Time, b audit.Began, ok bool)
}

// A Recorder puts an entry on record and says at which sequence of the audit
// stream. [audit.Writer] is one.
type Recorder interface {
	RecordSeq(ctx context.Context, kind audit.Kind, detail any) (uint64, error)
}

// Config is what a Maker is made of. All of it is required but Now, and Gate
// and Log where there are no routes.
type Config struct {
	Policy *policy.Policy
	Audit  Log
	// Recorder returns the recorder of what somebody does, by the id of the
	// credential.
	Recorder func(by string) Recorder
	// Verify looks at what is there.
	Verify func(context.Context) (verify.Report, error)
	// Inventory returns the inventory of a digest: see [audit.LoadInventory].
	Inventory func(ctx context.Context, digest string) (audit.Inventory, error)
	// Version is Lethe's.
	Version string
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time

	Gate *access.Gate
	Log  *slog.Logger
}

// A Maker makes bundles.
type Maker struct{ c Config }

// New makes a Maker. A part that is missing is [fault.Invalid].
func New(c Config) (*Maker, error) {
	if c.Policy == nil || c.Audit == nil || c.Recorder == nil || c.Verify == nil || c.Inventory == nil || c.Version == "" {
		return nil, fault.Invalid.Errorf("making evidence: a part is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Maker{c}, nil
}

// Request says what a bundle is to cover.
type Request struct {
	// Since is the first day. The bundle begins with the last manifest before
	// it. Empty, and not All: [DefaultSpan] days ago.
	Since event.Day
	// All is everything on record.
	All bool
	// By is the id of the credential that asks.
	By string
}

// attempts is how often a bundle is begun, when a manifest comes between the
// log and its list of partitions.
const attempts = 3

// Bundle makes a bundle, in four steps:
//
//  1. verify
//  2. record the outcome, with the digest of the statement (P10). [fault.Unavailable]
//     where it cannot be recorded: then there is no bundle.
//  3. wait until that is in the tree
//  4. write the log from the beginning of the span, and the list of partitions
//     that the last manifest in it counted
func (m *Maker) Bundle(ctx context.Context, r Request) ([]byte, error) {
	if r.Since == "" && !r.All {
		r.Since = event.DayOf(m.c.Now().AddDate(0, 0, -DefaultSpan))
	}
	for n := 1; ; n++ {
		b, err := m.attempt(ctx, r)
		if err == nil {
			return b.encode()
		}
		// Retention puts an inventory, records its manifest, and removes the
		// inventory before. Between the last two, the last manifest in the
		// tree is that before. What is recorded next comes after the other.
		if n == attempts || !errors.Is(err, errMoved) {
			return nil, err
		}
	}
}

var errMoved = errors.New("a manifest came in between")

func (m *Maker) attempt(ctx context.Context, r Request) (*Bundle, error) {
	begins, err := m.begins(ctx, r)
	if err != nil {
		return nil, err
	}
	report, err := m.c.Verify(ctx)
	if err != nil {
		return nil, err
	}
	s := Statement{
		Made: m.c.Now().UTC().Truncate(time.Second), Version: m.c.Version, Since: r.Since, Begins: begins,
		Policy: NewPolicy(m.c.Policy), Report: report,
	}
	if r.All {
		s.Since = ""
	}
	if at, b, ok := m.c.Audit.Lost(); ok {
		s.Lost = &Lost{at, b}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	detail, err := newStated(report, text)
	if err != nil {
		return nil, err
	}
	seq, err := m.c.Recorder(r.By).RecordSeq(ctx, audit.KindVerify, detail)
	if err != nil {
		return nil, err
	}
	if err := m.wait(ctx, seq); err != nil {
		return nil, err
	}
	b := &Bundle{Format: Format, Key: m.c.Audit.VerifierKey(), Statement: text, Inventory: audit.Inventory{}}
	for _, t := range m.c.Audit.Trees() {
		if t.Year < begins.Year {
			continue
		}
		from := int64(0)
		if t.Year == begins.Year {
			from = begins.Entry
		}
		tree, err := m.tree(ctx, t, from)
		if err != nil {
			return nil, err
		}
		b.Trees = append(b.Trees, tree)
	}
	manifest, ok := lastManifest(b.Trees)
	if !ok {
		return b, nil
	}
	b.Inventory, err = m.c.Inventory(ctx, manifest.Inventory)
	switch {
	case errors.Is(err, fault.NotFound):
		return nil, fault.Unavailable.Errorf("the list of partitions that the last manifest counted is not there: %w", errMoved)
	case err != nil:
		return nil, err
	}
	b.Inventory = slices.Clone(b.Inventory)
	return b, nil
}

// sequenced is how long an entry may take into the tree. One that takes longer
// is on record all the same.
const sequenced = 30 * time.Second

func (m *Maker) wait(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, sequenced)
	defer cancel()
	return m.c.Audit.Wait(ctx, seq)
}

func newStated(report verify.Report, statement []byte) (stated, error) {
	text, err := json.Marshal(report)
	if err != nil {
		return stated{}, err
	}
	v := audit.Verify{Holds: report.Holds, Report: digest(text)}
	for _, p := range report.Promises {
		if p.Enforced && !p.Holds {
			v.Broken = append(v.Broken, p.ID)
		}
	}
	return stated{v, digest(statement)}, nil
}

// begins is where a bundle begins: with the last manifest before its first
// day, so that the manifests of the span follow from one; where there is none,
// with the first entry of the first day.
func (m *Maker) begins(ctx context.Context, r Request) (Place, error) {
	trees := m.c.Audit.Trees()
	if len(trees) == 0 {
		return Place{}, nil
	}
	if r.All {
		return Place{trees[0].Year, 0}, nil
	}
	start := r.Since.Start()
	first := Place{}
	for _, t := range slices.Backward(trees) {
		manifest, n := int64(-1), int64(0)
		inside := int64(-1)
		for data, err := range m.c.Audit.Entries(ctx, t.Year, 0, t.Size) {
			if err != nil {
				return Place{}, err
			}
			e, err := audit.ParseEntry(data)
			if err != nil {
				return Place{}, fault.Corrupt.Errorf("an entry of %d in the audit log is not readable", t.Year)
			}
			switch {
			case !e.At.Before(start) && inside < 0:
				inside = n
			case e.At.Before(start) && e.Kind == audit.KindManifest && inside < 0:
				manifest = n
			}
			n++
		}
		switch {
		case manifest >= 0:
			return Place{t.Year, manifest}, nil
		case inside >= 0:
			first = Place{t.Year, inside}
		}
	}
	if first == (Place{}) { // everything is older than the span
		last := trees[len(trees)-1]
		return Place{last.Year, last.Size}, nil
	}
	return first, nil
}

// tree copies a tree from an entry on.
func (m *Maker) tree(ctx context.Context, t audit.Tree, from int64) (Tree, error) {
	out := Tree{Year: t.Year, Checkpoint: t.Checkpoint, From: from, Range: []tlog.Hash{}, Entries: []string{}, Checkpoints: []Kept{}}
	hashes, err := m.c.Audit.Range(t.Year, from)
	if err != nil {
		return Tree{}, err
	}
	out.Range = append(out.Range, hashes...)
	for data, err := range m.c.Audit.Entries(ctx, t.Year, from, t.Size) {
		if err != nil {
			return Tree{}, err
		}
		if !utf8.Valid(data) {
			return Tree{}, fault.Corrupt.Errorf("an entry of %d in the audit log is not text", t.Year)
		}
		out.Entries = append(out.Entries, string(data))
	}
	kept, err := m.c.Audit.Checkpoints(t.Year)
	if err != nil {
		return Tree{}, err
	}
	for _, text := range kept {
		old, err := audit.ParseCheckpoint(text, m.c.Audit.VerifierKey())
		if err != nil {
			return Tree{}, fault.Corrupt.Errorf("a checkpoint that was kept of %d is not readable", t.Year)
		}
		if old.Size < 1 || old.Size > t.Size {
			continue // of a moment after this tree was looked up
		}
		proof, err := m.c.Audit.Consistency(t.Year, old.Size, t.Size)
		if err != nil {
			return Tree{}, err
		}
		out.Checkpoints = append(out.Checkpoints, Kept{text, append(tlog.TreeProof{}, proof...)})
	}
	return out, nil
}

// lastManifest is the last manifest of trees that were just copied.
func lastManifest(trees []Tree) (m audit.Manifest, ok bool) {
	for _, t := range slices.Backward(trees) {
		for _, text := range slices.Backward(t.Entries) {
			e, err := audit.ParseEntry([]byte(text))
			if err != nil || e.Kind != audit.KindManifest {
				continue
			}
			return m, json.Unmarshal(e.Detail, &m) == nil
		}
	}
	return m, false
}
