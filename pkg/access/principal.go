package access

import (
	"log/slog"
	"slices"
)

// A Role is what a principal is to Lethe.
type Role string

const (
	// Publisher sends events and reads nothing.
	Publisher Role = "publisher"
	// Analyst asks for numbers about groups.
	Analyst Role = "analyst"
	// Officer verifies, answers people's requests, reads the record.
	Officer Role = "officer"
	// Operator runs the system.
	Operator Role = "operator"
)

// Roles returns every role there is.
func Roles() []Role { return []Role{Publisher, Analyst, Officer, Operator} }

// A Principal is whoever is asking. Nothing in it names a person: ID is the
// credential's, and safe to log.
type Principal struct {
	ID     string
	Role   Role
	Tenant string
	// Services limits the principal to some services; empty means all of
	// its tenant's.
	Services []string
}

// MaySend says whether the principal may send events as a service. Only
// publishers send.
func (p Principal) MaySend(service string) bool {
	return p.Role == Publisher && p.covers(service)
}

// MayAsk says whether the principal may ask about a service's events.
// Publishers ask nothing.
func (p Principal) MayAsk(service string) bool {
	return p.Role != Publisher && slices.Contains(Roles(), p.Role) && p.covers(service)
}

func (p Principal) covers(service string) bool {
	return len(p.Services) == 0 || slices.Contains(p.Services, service)
}

// LogValue shows a principal as its credential's id, role and tenant.
func (p Principal) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("credential", p.ID),
		slog.String("role", string(p.Role)),
		slog.String("tenant", p.Tenant),
	)
}

// nameOK holds tenants and services to what may stand in a topic: lower-case
// letters, digits, _ and -, at most 48, a letter or digit first (the rule of
// event.CheckName, which this package may not import).
func nameOK(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case i > 0 && (c == '_' || c == '-'):
		default:
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 48
}
