package operation_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/operation"
)

func TestAReplyCarriesAValueOrTheKindOfWhatWentWrong(t *testing.T) {
	var got operation.RedriveAnswer
	want := operation.RedriveAnswer{Read: 3, Stored: 2, Waiting: 1}
	if err := operation.ParseReply(operation.NewReply(want, nil), &got); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, kind := range []fault.Kind{fault.Invalid, fault.Denied, fault.NotFound, fault.Conflict, fault.Exhausted, fault.Unavailable} {
		err := operation.ParseReply(operation.NewReply(want, kind.Errorf("a sentence")), &got)
		if !errors.Is(err, kind) || err.Error() != "a sentence" {
			t.Errorf("%s came back as %v", kind, err)
		}
	}
}

func TestAnUnclassifiedFailureKeepsItsTextInside(t *testing.T) {
	for _, err := range []error{errors.New("inner detail"), fault.Corrupt.Errorf("inner detail")} {
		got := operation.ParseReply(operation.NewReply(nil, err), nil)
		if got == nil || strings.Contains(got.Error(), "inner detail") {
			t.Errorf("%v came back as %v", err, got)
		}
	}
	if err := operation.ParseReply([]byte("not json"), nil); !errors.Is(err, fault.Unavailable) {
		t.Errorf("an unreadable reply is %v", err)
	}
}
