package operation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A PolicyFile is a file that holds the documents of the policy with which a
// Lethe on one data directory starts next, as [policy.Documents.Archive]. It
// stays when it has been enacted: that policy remains in force until another
// is applied.
type PolicyFile string

// Load reads the documents; [fault.NotFound] where no policy was ever applied.
func (f PolicyFile) Load() (policy.Documents, error) {
	file, err := os.Open(string(f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return policy.Documents{}, fault.NotFound.Errorf("no policy was applied to this data directory")
	case err != nil:
		return policy.Documents{}, fmt.Errorf("reading the policy that was applied: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, policy.MaxArchive+1))
	if err != nil {
		return policy.Documents{}, fmt.Errorf("reading the policy that was applied: %w", err)
	}
	docs, err := policy.ParseArchive(text)
	if err != nil {
		return docs, fault.Corrupt.Errorf("reading the policy that was applied: %w", err)
	}
	return docs, nil
}

// Save replaces the documents. When it returns they are on disk, whole, and
// after an error those before are.
func (f PolicyFile) Save(docs policy.Documents) error {
	text, err := docs.Archive()
	if err != nil {
		return err
	}
	dir := filepath.Dir(string(f))
	temp, err := os.CreateTemp(dir, ".policy-*")
	if err != nil {
		return fault.Unavailable.Errorf("keeping the policy: %w", err)
	}
	_, err = temp.Write(text)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), string(f))
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		_ = os.Remove(temp.Name()) // renamed, or of no use
		return fault.Unavailable.Errorf("keeping the policy: %w", err)
	}
	return nil
}

// Apply keeps a policy as the one with which this Lethe starts next. The
// services hold to the policy that they were made with; which of them obeys
// which at an instant would be no promise.
//
//  1. what is different is found; unless nobody needs to be told or told says
//     that they have been, it is [fault.Conflict], as is a longer rule that has
//     to wait
//  2. it goes on record, as asked for by the credential's id
//  3. the documents are on disk
//
// What is enacted goes on record once more, when it is ([Enact]).
func (o *Operation) Apply(ctx context.Context, pol *policy.Policy, by string, told bool) (Plan, error) {
	plan := o.plan(pol)
	if o.c.Next == "" || o.c.Recorder == nil {
		return plan, fault.Conflict.Errorf("this Lethe is told with each start where its policy is: put the documents there and start it again")
	}
	// 1
	changes := policy.Succeeds(o.c.Policy, pol)
	plan.Policy = byWeight(changes)
	if n := len(Grave(changes)); n > 0 && !told {
		return plan, fault.Conflict.Errorf("%d of the changes are such that people must be told of them first, or break something", n)
	}
	wait, err := waits(ctx, o.c.Policy, pol, o.c.Warehouse.Outlasting)
	if err != nil {
		return plan, err
	}
	if len(wait) > 0 {
		return plan, fault.Conflict.Errorf("%s", strings.Join(wait, "; "))
	}
	// 2
	if err := o.c.Recorder(by).Record(ctx, audit.KindPolicy, entryOf(o.c.Policy.Digest(), pol, changes)); err != nil {
		return plan, fmt.Errorf("recording the policy: %w", err)
	}
	// 3
	if err := o.c.Next.Save(pol.Documents()); err != nil {
		return plan, err
	}
	o.c.Log.Info("policy kept for the next start", "digest", pol.Digest(), "principal", by)
	plan.Next, err = o.next()
	return plan, err
}

// Grave are the changes that nobody makes in passing: people must be told of
// them, or something does not survive them.
func Grave(changes []policy.Change) []policy.Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c policy.Change) bool { return c.Weight == policy.Note })
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
