package client

import "encoding/json"

// An Account says what became of the events of a file or a program. Read is
// the sum of all the others.
type Account struct {
	Read      int            `json:"read"`
	Stored    int            `json:"stored"`
	Duplicate int            `json:"duplicate"`
	Expired   int            `json:"expired"`
	Refused   map[string]int `json:"refused"` // by reason
}

// Tally counts the events that the receipts are for.
func (a *Account) Tally(receipts []Receipt) {
	for _, r := range receipts {
		switch r.Status {
		case Stored:
			a.Read++
			a.Stored++
		case Duplicate:
			a.Read++
			a.Duplicate++
		case Expired:
			a.Read++
			a.Expired++
		case Refused:
			a.Refuse(r.Problem)
		default:
			// A server that knows another status has not said "stored".
			a.Refuse("the receipt's status is not known")
		}
	}
}

// Refuse counts an event that was not published, for a reason that names no
// value.
func (a *Account) Refuse(reason string) {
	if reason == "" {
		reason = "no reason given"
	}
	if a.Refused == nil {
		a.Refused = map[string]int{}
	}
	a.Read++
	a.Refused[reason]++
}

// MarshalJSON writes an account without refusals with an empty object, which
// readers can iterate over, and not with null.
func (a Account) MarshalJSON() ([]byte, error) {
	type plain Account
	if a.Refused == nil {
		a.Refused = map[string]int{}
	}
	return json.Marshal(plain(a))
}
