package verify_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// P21: what was found of late is there without looking again.
func TestTheHistoryIsWhatWasFoundAndLooksAtNothing(t *testing.T) {
	r, keys := &record{}, []keyring.KeyInfo(nil)
	c := keysOnly(t, r, &keys)
	c.Gate = access.NewGate(someone(access.Operator), c.Log)
	mux := http.NewServeMux()
	v := verify.New(c)
	v.Routes(mux)
	history := func() (h verify.History) {
		t.Helper()
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/verify/history", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("status %d", w.Code)
		}
		must(t, json.Unmarshal(w.Body.Bytes(), &h))
		return h
	}
	if h := history(); h.Latest != nil || h.Past == nil || len(h.Past) != 0 {
		t.Errorf("before the first look: %+v", h)
	}
	_, err := v.Verify(t.Context())
	must(t, err)
	keys = late
	if h := history(); len(h.Past) != 1 || !h.Past[0].Holds || !h.Latest.Holds {
		t.Error("asking for the history looked again")
	}
	_, err = v.Verify(t.Context())
	must(t, err)
	h := history()
	if len(h.Past) != 2 || h.Past[1].Holds || h.Past[1].Overdue != 1 || h.Past[1].Late["access"] == 0 || h.Latest.Holds {
		t.Errorf("after the second look: %+v", h.Past)
	}
	if len(r.said) != 0 {
		t.Error("asking for the history put a verification on record")
	}
}
