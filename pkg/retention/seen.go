package retention

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/folder"
)

// seenPrefix begins the name of the sightings of every folder in the bucket.
const seenPrefix = "seen/"

// SightingsBucket is what sightings are read from: [eventlog.Bucket] of the name
// [eventlog.RetentionBucket].
type SightingsBucket interface {
	Get(ctx context.Context, name string) (eventlog.Entry, error)
}

// Sightings returns what says since when the entries of a folder are known to
// exist, by what governs it. A folder that retention has not looked into has
// none.
func Sightings(bucket SightingsBucket) func(ctx context.Context, governs string) (folder.Sightings, error) {
	return func(ctx context.Context, governs string) (folder.Sightings, error) {
		e, err := bucket.Get(ctx, seenPrefix+governs)
		if errors.Is(err, fault.NotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		var s folder.Sightings
		if json.Unmarshal(e.Value, &s) != nil {
			return nil, fault.Corrupt.Errorf("what was seen in a folder is not readable")
		}
		return s, nil
	}
}

// see makes entries as old as they were ever seen to be, and remembers them:
// whoever touches a file does not make its life longer. Where it cannot, they
// are as old as they say. Unless entries are all there are, none is forgotten.
func (u *run) see(ctx context.Context, f Folder, entries []folder.Entry, all bool, now time.Time) error {
	was, err := Sightings(u.c.Bucket)(ctx, f.Governs)
	if err != nil && !errors.Is(err, fault.Corrupt) {
		return err
	}
	is := was.See(entries, now)
	if !all {
		maps.Copy(is, was)
	}
	if maps.Equal(was, is) {
		return nil
	}
	value, err := json.Marshal(is)
	if err == nil {
		_, err = u.c.Bucket.Put(ctx, seenPrefix+f.Governs, value)
	}
	return err
}
