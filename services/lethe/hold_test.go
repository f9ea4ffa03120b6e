package main_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// holdsOf is what `hold list -o json` prints, as far as it is looked at.
type holdsOf struct {
	Holds []heldCase `json:"holds"`
}

type heldCase struct {
	ID, Name, State string
	Deadline        string
	Rows, Frames    uint64
}

func TestOfficerAddsListsAndReleasesAHold(t *testing.T) {
	t.Parallel()
	const events = 20
	r := up(t)
	r.Publish(requestsOf(events, 0)).check(t, events, events, 0, nil)
	r.Settle()

	until := time.Now().UTC().AddDate(1, 0, 0).Format(time.DateOnly)
	var added heldCase
	decode(t, r.Run("hold", "add", "case-17", "--reason", "A claim, file 2026/17", "--until", until, "--table", "http_access,login", "--service", "shop", "-o", "json"), &added)
	if added.Name != "case-17" || added.State != "active" || added.Deadline != until || added.ID == "" {
		t.Fatalf("added: %+v", added)
	}
	list := func() heldCase {
		t.Helper()
		var l holdsOf
		decode(t, r.Run("hold", "list", "-o", "json", "--as", "operator"), &l)
		if len(l.Holds) != 1 {
			t.Fatalf("%d holds", len(l.Holds))
		}
		return l.Holds[0]
	}
	for deadline := time.Now().Add(time.Minute); list().Rows < events; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute the hold keeps %d of %d rows", list().Rows, events)
		}
	}
	if h := list(); h.Rows != events || h.Frames == 0 {
		t.Errorf("the hold keeps %d rows in %d frames", h.Rows, h.Frames)
	}
	// What is held changes no answer.
	r.Shows(events, "requests")
	if text := r.Run("hold", "list"); !strings.Contains(text, "case-17") || !strings.Contains(text, "http_access,login") || !strings.Contains(text, "shop") || !strings.Contains(text, "any time") {
		t.Errorf("the list is %s", text)
	}

	for what, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no reason":               {[]string{"hold", "add", "case-18", "--until", until}, 2, "reason"},
		"a day that is not":       {[]string{"hold", "add", "case-18", "--until", until, "--reason", "A claim, file 18", "--from", "yesterday"}, 2, "--from"},
		"a person in the reason":  {[]string{"hold", "add", "case-18", "--until", until, "--reason", "Claim of jo@example.org"}, 1, "names no person"},
		"a service that is not":   {[]string{"hold", "add", "case-18", "--until", until, "--reason", "A claim, file 18", "--service", "shopp"}, 1, "a service of the hold is not known"},
		"a table that is not":     {[]string{"hold", "add", "case-18", "--until", until, "--reason", "A claim, file 18", "--table", "access"}, 1, "is not in the policy"},
		"all of it long past":     {[]string{"hold", "add", "case-18", "--until", until, "--reason", "A claim, file 18", "--to", "2001-01-01"}, 1, "would cover nothing"},
		"the name of another":     {[]string{"hold", "add", "case-17", "--until", until, "--reason", "A claim, file 17"}, 1, "there is a hold of this name"},
		"an operator who adds":    {[]string{"hold", "add", "case-18", "--until", until, "--reason", "A claim, file 18", "--as", "operator"}, 1, "not for the role"},
		"an analyst who looks":    {[]string{"hold", "list", "--as", "analyst"}, 1, "not for the role"},
		"a hold that is not":      {[]string{"hold", "release", "case-18"}, 1, "no hold of that name"},
		"a hold without a name":   {[]string{"hold", "release"}, 2, ""},
		"an operator who lets go": {[]string{"hold", "release", "case-17", "--as", "operator"}, 1, "not for the role"},
	} {
		_, stderr, err := r.Try(c.args...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: %v, %s", what, err, stderr)
		}
	}

	var released heldCase
	decode(t, r.Run("hold", "release", "case-17", "-o", "json"), &released)
	if released.ID != added.ID || released.State != "released" {
		t.Errorf("released: %+v", released)
	}
}
