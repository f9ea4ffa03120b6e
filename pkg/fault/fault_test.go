package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestAKindIsFoundThroughAnyWrapping(t *testing.T) {
	err := fmt.Errorf("loading: %w", fault.Unavailable.Errorf("asking the store: %w", context.DeadlineExceeded))
	if !errors.Is(err, fault.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("errors.Is does not see both the kind and the cause of %v", err)
	}
	if errors.Is(err, fault.Invalid) {
		t.Error("an unavailable error is also invalid")
	}
	if got := fault.KindOf(err); got != fault.Unavailable {
		t.Errorf("KindOf = %q, want %q", got, fault.Unavailable)
	}
}

func TestTheOutermostKindDecides(t *testing.T) {
	err := fault.Conflict.Errorf("renaming: %w", fault.NotFound.Errorf("no such table"))
	if got := fault.KindOf(err); got != fault.Conflict {
		t.Errorf("KindOf = %q, want %q", got, fault.Conflict)
	}
}

func TestAnErrorWithoutAKindStaysInside(t *testing.T) {
	for _, err := range []error{errors.New("secret detail"), fault.Corrupt.Errorf("secret detail")} {
		w := httptest.NewRecorder()
		fault.WriteProblem(w, err)
		if w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("answer %d %s shows an internal error", w.Code, w.Body)
		}
	}
}
