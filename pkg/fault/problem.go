package fault

import (
	"encoding/json"
	"net/http"
)

// Problem is an RFC 9457 problem document, the form in which every HTTP
// surface of Lethe reports a failure.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// WriteProblem answers an HTTP request with err as application/problem+json.
// The text of a corrupt or unclassified error stays inside: the answer then
// says "internal error" and nothing else.
func WriteProblem(w http.ResponseWriter, err error) {
	k := KindOf(err)
	detail := err.Error()
	if k == "" || k == Corrupt {
		detail = "internal error"
	}
	WriteStatus(w, Status(k), detail)
}

// WriteStatus answers with a problem document of an explicit status, for the
// few cases HTTP itself names (401, 405, 413, 415).
func WriteStatus(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests || status == http.StatusInsufficientStorage {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Detail: detail,
	})
}
