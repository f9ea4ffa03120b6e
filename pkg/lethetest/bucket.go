package lethetest

import (
	"context"
	"maps"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Bucket is a bucket in memory for one goroutine, to test who competes for
// its entries and what an answer that never came does. What must outlive a
// process is tested on a real one.
type Bucket struct {
	Entries map[string]eventlog.Entry
	// Lost makes the next update one that is made and not answered.
	Lost bool

	revision uint64
}

// NewBucket makes an empty bucket.
func NewBucket() *Bucket { return &Bucket{Entries: map[string]eventlog.Entry{}} }

// Clone is a bucket with the same entries.
func (b *Bucket) Clone() *Bucket {
	return &Bucket{Entries: maps.Clone(b.Entries), revision: b.revision}
}

// Get returns an entry; an error of kind fault.NotFound where there is none.
func (b *Bucket) Get(_ context.Context, name string) (eventlog.Entry, error) {
	e, ok := b.Entries[name]
	if !ok {
		return e, fault.NotFound.Errorf("no entry")
	}
	return e, nil
}

// Names returns the names of all entries, in order.
func (b *Bucket) Names(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(b.Entries)), nil
}

// Update writes an entry that has the given revision, 0 where there is none; an
// error of kind fault.Conflict where it has another.
func (b *Bucket) Update(_ context.Context, name string, value []byte, revision uint64) (uint64, error) {
	if b.Entries[name].Revision != revision {
		return 0, fault.Conflict.Errorf("another revision")
	}
	b.revision++
	b.Entries[name] = eventlog.Entry{Name: name, Value: value, Revision: b.revision}
	if b.Lost {
		b.Lost = false
		return 0, fault.Unavailable.Errorf("no answer")
	}
	return b.revision, nil
}

// Delete removes an entry.
func (b *Bucket) Delete(_ context.Context, name string) error {
	delete(b.Entries, name)
	return nil
}
