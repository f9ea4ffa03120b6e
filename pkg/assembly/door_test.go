package assembly

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestNoAnswerRepeatsAnAddress: P1.
func TestNoAnswerRepeatsAnAddress(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/stats/{metric}", func(http.ResponseWriter, *http.Request) {})
	door := withFallback(mux)
	for path, want := range map[string]int{
		"/v1/stats/actions":          http.StatusOK,
		"/ada@example.org":           http.StatusNotFound,
		"//ada@example.org":          http.StatusNotFound,
		"/v1/../ada@example.org":     http.StatusNotFound,
		"/v1/stats//ada@example.org": http.StatusNotFound,
		"/v1/./stats/ada":            http.StatusNotFound,
		"/v1/stats/ada/":             http.StatusNotFound,
		"/":                          http.StatusNotFound,
	} {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
		if w.Header().Get("Location") != "" || strings.Contains(w.Body.String(), "ada") {
			t.Errorf("%s: the answer repeats it", path)
		}
	}
	w := httptest.NewRecorder()
	door.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/v1/stats/actions", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("a method that is not taken: status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}
