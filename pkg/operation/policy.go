package operation

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// Applied is a policy that was applied, and the documents it is compiled from.
type Applied struct {
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
	// Documents is [policy.Documents.Archive], compressed by gzip.
	Documents []byte `json:"documents"`
}

// appliedName is what the bucket lethe_policy calls the policy applied last.
const appliedName = "applied"

// Bucket keeps the policy that was applied last. [eventlog.Bucket] is one.
type Bucket interface {
	Get(ctx context.Context, name string) (eventlog.Entry, error)
	Update(ctx context.Context, name string, value []byte, revision uint64) (uint64, error)
}

// LastApplied returns the policy that was applied last and its revision, or
// [fault.NotFound] where none ever was.
func LastApplied(ctx context.Context, b Bucket) (Applied, uint64, error) {
	var a Applied
	e, err := b.Get(ctx, appliedName)
	if err != nil {
		return a, 0, err
	}
	if err := json.Unmarshal(e.Value, &a); err != nil || a.Digest == "" {
		return a, 0, fault.Corrupt.Errorf("the policy that was applied last is not readable")
	}
	return a, e.Revision, nil
}

// newApplied packs a policy.
func newApplied(pol *policy.Policy, at time.Time) (Applied, error) {
	text, err := pol.Documents().Archive()
	if err != nil {
		return Applied{}, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(text)
	if err = errors.Join(err, z.Close()); err != nil {
		return Applied{}, err
	}
	return Applied{Digest: pol.Digest(), At: at.UTC().Truncate(time.Second), Documents: b.Bytes()}, nil
}

// Policy compiles the documents again. A later Lethe may refuse what an earlier
// one took: that is [fault.Invalid].
func (a Applied) Policy() (*policy.Policy, error) {
	z, err := gzip.NewReader(bytes.NewReader(a.Documents))
	if err != nil {
		return nil, fault.Corrupt.Errorf("the documents of an applied policy are not compressed")
	}
	text, err := io.ReadAll(io.LimitReader(z, policy.MaxArchive+1))
	if err != nil {
		return nil, fault.Corrupt.Errorf("the documents of an applied policy are damaged")
	}
	docs, err := policy.ParseArchive(text)
	if err != nil {
		return nil, err
	}
	pol, err := policy.Compile(docs)
	if err == nil && pol.Digest() != a.Digest {
		err = fault.Corrupt.Errorf("the documents of an applied policy are not those it says")
	}
	return pol, err
}

// EnactConfig is what it takes to enact a policy. All of it is required but
// Confirm.
type EnactConfig struct {
	Policy *policy.Policy
	// Bucket and the stream that Recorder records on are there already.
	Bucket   Bucket
	Recorder audit.Recorder
	Now      func() time.Time
	Log      *slog.Logger
	// Confirm is asked before anything is recorded or changed, with what is
	// different; an error ends it there. Nil agrees.
	Confirm func([]policy.Change) error
	// Outlasting counts the rows of a table that came under a longer rule.
	// [warehouse.Warehouse.Outlasting] is one, as a user who sees the dates of every row.
	Outlasting func(context.Context, *policy.Table) (uint64, error)
	// Apply makes tables and streams as the policy says. It can be repeated.
	Apply func(context.Context) error
}

// Enact makes a policy the one in force:
//
//  1. what is different from the one applied last is found, and agreed to
//  2. it goes on record
//  3. tables and streams are made as the policy says
//  4. the policy is kept as the one applied last
//
// Where it stops it can be repeated, and then is on record twice. A policy that
// was applied last already is made true again (3) and not recorded. Errors:
//
//   - [fault.Conflict]: another policy was applied in the meantime, or a longer
//     rule has to wait until what the one in force cut short is gone
//   - [fault.Invalid]: the documents are too large to be kept
//   - those of Confirm, Recorder, Bucket and Apply
func Enact(ctx context.Context, c EnactConfig) error {
	last, revision, err := LastApplied(ctx, c.Bucket)
	first := errors.Is(err, fault.NotFound)
	switch {
	case err != nil && !first:
		return fmt.Errorf("reading the policy applied last: %w", err)
	case !first && last.Digest == c.Policy.Digest():
		return c.Apply(ctx)
	}
	next, err := newApplied(c.Policy, c.Now())
	if err != nil {
		return err
	}
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if len(value) > eventlog.LargestData {
		return fault.Invalid.Errorf("the policy's documents measure more than can be kept, %d bytes when compressed", len(value))
	}
	// 1
	var changes []policy.Change
	if !first {
		if changes, err = succeeds(ctx, last, c); err != nil {
			return err
		}
	}
	if c.Confirm != nil {
		if err := c.Confirm(changes); err != nil {
			return err
		}
	}
	// 2
	if err := c.Recorder.Record(ctx, audit.KindPolicy, entryOf(last.Digest, c.Policy, changes)); err != nil {
		return fmt.Errorf("recording the policy: %w", err)
	}
	// 3
	if err := c.Apply(ctx); err != nil {
		return err
	}
	// 4
	if _, err := c.Bucket.Update(ctx, appliedName, value, revision); err != nil {
		return fmt.Errorf("keeping the policy that was applied: %w", err)
	}
	for _, ch := range changes {
		if ch.Weight != policy.Note {
			c.Log.Warn("policy changed", "weight", string(ch.Weight), "where", ch.Where, "change", ch.Sentence)
		}
	}
	c.Log.Info("policy enacted", "digest", c.Policy.Digest(), "replaces", last.Digest, "changes", len(changes))
	return nil
}

// succeeds compares a policy with the one applied last. One that this Lethe
// cannot read is one change that people must be told of: nobody knows what the
// others are.
func succeeds(ctx context.Context, last Applied, c EnactConfig) ([]policy.Change, error) {
	old, err := last.Policy()
	if err != nil {
		c.Log.Error("policy applied last not readable", "digest", last.Digest, "err", err)
		return []policy.Change{{
			Weight: policy.Tell, Where: "policy",
			Sentence: "replaces one that this version of Lethe cannot read, so that what is different is not known",
		}}, nil
	}
	wait, err := waits(ctx, old, c.Policy, c.Outlasting)
	if err == nil && len(wait) > 0 {
		err = fault.Conflict.Errorf("the policy cannot be enacted yet: %s", strings.Join(wait, "; "))
	}
	return policy.Succeeds(old, c.Policy), err
}

// maxRecorded is how many changes one entry lists: an entry is one message.
const maxRecorded = 1000

func entryOf(replaces string, pol *policy.Policy, changes []policy.Change) audit.Policy {
	e := audit.Policy{Digest: pol.Digest(), Replaces: replaces}
	add := func(list *[]string, sentence string) {
		switch {
		case len(*list) < maxRecorded:
			*list = append(*list, sentence)
		case len(*list) == maxRecorded:
			*list = append(*list, fmt.Sprintf("more than %d: the two policies are named by their digests", maxRecorded))
		}
	}
	for _, t := range pol.Tables() {
		e.Kept = append(e.Kept, audit.Kept{Table: t.Name, Days: t.Class.Period.Days, Months: t.Class.Period.Months})
	}
	for _, c := range changes {
		add(&e.Changes, string(c.Weight)+": "+c.String())
		if c.Weight == policy.Tell {
			add(&e.Tell, c.String())
		}
	}
	return e
}
