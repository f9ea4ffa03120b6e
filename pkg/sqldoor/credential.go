package sqldoor

import (
	"net/http"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

// purposeParameter says in the address what a request is for, for tools that
// send no headers of their choice. It is [access.PurposeHeader] otherwise.
const purposeParameter = "lethe_purpose"

// An authenticator reads a credential in each way in which a ClickHouse client
// sends a password. The name of the user says nothing.
type authenticator struct{ who Identifier }

// Authenticate implements [access.Authenticator]. Two credentials that are not
// the same are none. A password in an address is not looked at: addresses end
// up in logs.
func (a authenticator) Authenticate(r *http.Request) (access.Principal, error) {
	var given []string
	if _, password, ok := r.BasicAuth(); ok {
		given = append(given, password)
	} else {
		for _, h := range r.Header.Values("Authorization") {
			scheme, text, _ := strings.Cut(h, " ")
			if !strings.EqualFold(scheme, "Bearer") {
				return access.Principal{}, access.ErrNoCredential
			}
			given = append(given, strings.TrimSpace(text))
		}
	}
	given = append(given, r.Header.Values("X-ClickHouse-Key")...)
	if len(given) == 0 {
		return access.Principal{}, access.ErrNoCredential
	}
	for _, text := range given[1:] {
		if text != given[0] {
			return access.Principal{}, access.ErrBadCredential
		}
	}
	// The gate reads a purpose where every other route has it.
	for _, purpose := range r.URL.Query()[purposeParameter] {
		r.Header.Add(access.PurposeHeader, purpose)
	}
	return a.who.Identify(given[0])
}
