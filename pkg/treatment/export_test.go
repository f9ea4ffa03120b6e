package treatment

var (
	RedactText = redactText
	RedactPath = redactPath
	HostOf     = hostOf
	Family     = family
	ForTables  = forTables
)

// OrdinaryText and the others are the fast ways; tests hold them to the slow
// ones.
var (
	OrdinaryText = ordinaryText
	OrdinaryPath = ordinaryPath
	OrdinaryHost = ordinaryHost
	SlowHost     = hostName.ToASCII
	SlowText     = func(s string) string { out, _ := scanText(s); return out }
)

// Knows makes t treat events of a version, as New does from the schemas.
func (t *Treatment) Knows(name string, v int) { t.known[version{name, v}] = true }

// Families returns every name that Family may answer.
func Families() []string {
	out := []string{agentBot, agentOther}
	for _, f := range knownAgents {
		out = append(out, f)
	}
	return out
}
