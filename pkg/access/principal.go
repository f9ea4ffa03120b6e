package access

import (
	"log/slog"
	"slices"
	"time"
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

// Purpose is what a credential of the role is for when it was made without
// saying so.
func (r Role) Purpose() string {
	switch r {
	case Publisher:
		return "publication"
	case Analyst:
		return "usage statistics"
	case Officer:
		return "compliance"
	case Operator:
		return "operation"
	}
	return ""
}

// A Principal is whoever is asking. Nothing in it names a person: ID is the
// credential's, and safe to log.
type Principal struct {
	ID     string
	Role   Role
	Tenant string
	// Services limits the principal to some services; empty means all of
	// its tenant's.
	Services []string
	// Scope limits it further.
	Scope
	// Expires is the instant from which the credential opens nothing; zero
	// means never. What is derived from a credential, such as a session, ends
	// with it.
	Expires time.Time
	// Purpose is what this request is for. A [Gate] sets it, to one of
	// Purposes.
	Purpose string
}

// MaySend says whether the principal may send events as a service. Only
// publishers send.
func (p Principal) MaySend(service string) bool {
	return p.Role == Publisher && covers(p.Services, service)
}

// MayAsk says whether the principal may ask about a service's events.
// Publishers ask nothing.
func (p Principal) MayAsk(service string) bool {
	return p.Role != Publisher && slices.Contains(Roles(), p.Role) && covers(p.Services, service)
}

// LogValue shows a principal as its credential's id, role and tenant.
func (p Principal) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("credential", p.ID),
		slog.String("role", string(p.Role)),
		slog.String("tenant", p.Tenant),
	)
}

// covers says whether a limit lets a name through. No limit lets all through.
func covers(limit []string, name string) bool {
	return len(limit) == 0 || slices.Contains(limit, name)
}
