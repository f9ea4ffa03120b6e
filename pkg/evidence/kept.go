package evidence

import (
	"regexp"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// What was kept elsewhere may have been through mail and notes: a checkpoint
// and a key are found wherever they stand in a text.
var (
	checkpointPattern = regexp.MustCompile(`(?m)^\S+/[0-9]{4}\n[0-9]+\n[A-Za-z0-9+/]{43}=\nseq [0-9]+\n\n(?:— .+\n)+`)
	keyPattern        = regexp.MustCompile(`\S+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+`)
)

// ParseCheckpoints returns every signed checkpoint that a text holds, unchecked,
// for [Options]. A text without one is [fault.Invalid].
func ParseCheckpoints(text string) ([]string, error) {
	found := checkpointPattern.FindAllString(strings.ReplaceAll(text, "\r\n", "\n")+"\n", -1)
	if len(found) == 0 {
		return nil, fault.Invalid.Errorf("there is no checkpoint in it")
	}
	return found, nil
}

// ParseKey returns the verifier key that a text holds. A text without one, or
// with two, is [fault.Invalid].
func ParseKey(text string) (string, error) {
	key := ""
	for _, k := range keyPattern.FindAllString(text, -1) {
		if _, err := note.NewVerifier(k); err != nil || k == key {
			continue
		}
		if key != "" {
			return "", fault.Invalid.Errorf("there are several verifier keys in it")
		}
		key = k
	}
	if key == "" {
		return "", fault.Invalid.Errorf("there is no verifier key in it")
	}
	return key, nil
}
