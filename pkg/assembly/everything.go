package assembly

// Everything is all of Lethe in one process, in the order it starts: the
// stores, then the flow from its far end back to its mouth, so that the
// gateway opens only when what it accepts has somewhere to go. It stops in
// reverse. The door, through which all of them serve HTTP, comes last.
func Everything() []Part {
	return []Part{NATS, ClickHouse, Policy, Keyring, Loader, Cells, Pseudonymizer, Retention, Analyst, Compliance, Gateway, Console}
}
