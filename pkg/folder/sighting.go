package folder

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

// Sightings is since when the entries of a folder are known to exist, in Unix
// seconds by the digest of their name and size. As JSON an entry takes about
// 30 bytes.
type Sightings map[string]int64

// maxSightings bounds what is remembered of one folder.
const maxSightings = 10_000

// See makes each entry as old as it was ever seen to be, and returns what is to
// be remembered of them at an instant: of more than 10,000 the oldest. What is
// gone is forgotten.
func (s Sightings) See(entries []Entry, now time.Time) Sightings {
	s.Age(entries)
	if len(entries) > maxSightings {
		entries = slices.Clone(entries)
		slices.SortFunc(entries, func(a, b Entry) int { return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.Name, b.Name)) })
		entries = entries[:maxSightings]
	}
	out := Sightings{}
	for _, e := range entries {
		switch {
		case e.Made.IsZero(): // it is half removed
		case e.Made.After(now):
			// One from the future is as old as the day it is seen.
			out[e.digest()] = now.Unix()
		default:
			out[e.digest()] = e.Made.Unix()
		}
	}
	return out
}

// Age makes each entry as old as it was ever seen to be.
func (s Sightings) Age(entries []Entry) {
	for i := range entries {
		e := &entries[i]
		at, seen := s[e.digest()]
		// To the second: an entry that nobody touched is as old as it says.
		if seen && at < e.Made.Unix() {
			e.Made = time.Unix(at, 0).UTC()
		}
	}
}

// digest names an entry without saying its name.
func (e Entry) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "lethe-folder-entry/1\n%d\n%s", e.Bytes, e.Name))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
