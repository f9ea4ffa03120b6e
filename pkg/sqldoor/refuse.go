package sqldoor

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// An exception is what the engine said of a statement. It is for the one who
// sent it, and may hold parts of it.
type exception struct {
	code, text string
	status     int
}

func (e *exception) Error() string { return "the engine did not take the statement, code " + e.code }

// codes are ClickHouse's, by which its clients tell errors apart.
var codes = map[fault.Kind]struct {
	number int
	name   string
}{
	fault.Invalid:     {36, "BAD_ARGUMENTS"},
	fault.Denied:      {497, "ACCESS_DENIED"},
	fault.Exhausted:   {201, "QUOTA_EXCEEDED"},
	fault.Unavailable: {210, "NETWORK_ERROR"},
}

// unexpected says whether an error is nobody's but Lethe's.
func unexpected(err error) bool {
	var e *exception
	kind := fault.KindOf(err)
	return !errors.As(err, &e) && kind != fault.Invalid && kind != fault.Denied && kind != fault.Exhausted
}

// refuse answers with an error in the form that ClickHouse's clients read. It
// does nothing where an answer has begun.
func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	var e *exception
	if errors.As(err, &e) {
		w.Header().Set(exceptionHeader, e.code)
		w.WriteHeader(e.status)
		fmt.Fprintln(w, e.text)
		return
	}
	kind := fault.KindOf(err)
	code, ok := codes[kind]
	text := err.Error()
	if !ok {
		code, kind, text = codes[fault.Unavailable], fault.Unavailable, "the statement could not be run"
	}
	w.Header().Set(exceptionHeader, fmt.Sprint(code.number))
	w.WriteHeader(fault.Status(kind))
	fmt.Fprintf(w, "Code: %d. DB::Exception: %s. (%s)\n", code.number, text, code.name)
}

// bare takes the address out of an error of net/http: it has the values of
// parameters in it.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
