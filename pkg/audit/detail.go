package audit

import (
	"bytes"
	"regexp"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// maxEntry is how many bytes an entry may measure: what a message of the audit
// stream holds.
const maxEntry = eventlog.LargestData

// details makes an empty detail of each kind.
var details = map[Kind]func() any{
	KindKey:      func() any { return new(Key) },
	KindRemoval:  func() any { return new(Removal) },
	KindRemoved:  func() any { return new(Removed) },
	KindManifest: func() any { return new(Manifest) },
	KindRun:      func() any { return new(Run) },
	KindClock:    func() any { return new(Clock) },
	KindHold:     func() any { return new(Hold) },
	KindPolicy:   func() any { return new(Policy) },
	KindVerify:   func() any { return new(Verify) },
	KindTree:     func() any { return new(Tree) },
	KindGap:      func() any { return new(Gap) },
	KindRefused:  func() any { return new(Refused) },
	KindAccess:   func() any { return new(Access) },
	KindLog:      func() any { return new(Began) },
}

var kindPattern = regexp.MustCompile(`^[a-z][a-z_]{0,31}$`)

// ParseEntry reads an entry strictly: JSON that can be read in two ways is
// none. A kind that this version does not know is an entry like another, so
// that two versions can run beside each other, and so are members that it does
// not know. [fault.Invalid] says what is wrong without a value of it.
func ParseEntry(data []byte) (Entry, error) {
	var e Entry
	if len(data) > maxEntry {
		return e, fault.Invalid.Errorf("an entry measures %d bytes and may measure %d", len(data), maxEntry)
	}
	if err := jsonv2.Unmarshal(data, &e); err != nil {
		return Entry{}, fault.Invalid.Errorf("an entry is not the JSON of one") // err may repeat what it read
	}
	switch {
	case e.ID == "" || len(e.ID) > 64:
		return Entry{}, fault.Invalid.Errorf("an entry has no id, or one of more than 64 bytes")
	case e.At.IsZero():
		return Entry{}, fault.Invalid.Errorf("an entry does not say when it was recorded")
	case !kindPattern.MatchString(string(e.Kind)):
		return Entry{}, fault.Invalid.Errorf("an entry has no kind")
	case e.By == "" || len(e.By) > 128:
		return Entry{}, fault.Invalid.Errorf("an entry does not say who, or in more than 128 bytes")
	}
	if err := checkDetail(e.Kind, e.Detail); err != nil {
		return Entry{}, err
	}
	return e, nil
}

// checkDetail says whether a detail is what its kind has.
func checkDetail(kind Kind, detail []byte) error {
	if !bytes.HasPrefix(bytes.TrimLeft(detail, " \t\r\n"), []byte("{")) {
		return fault.Invalid.Errorf("an entry of kind %s has no detail", kind)
	}
	into, known := details[kind]
	if !known {
		return nil
	}
	if err := jsonv2.Unmarshal(detail, into()); err != nil {
		return fault.Invalid.Errorf("an entry of kind %s has the detail of another", kind)
	}
	return nil
}
