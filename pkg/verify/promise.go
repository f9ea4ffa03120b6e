package verify

import "slices"

// promises are the rows of docs/promises.md, in its order and words.
var promises = []Promise{
	{ID: "P1", Enforced: true,
		Title: "No personal value is readable anywhere after treatment; on the raw log it is sealed",
		How:   "keys of raw and quarantined frames by age, the keyring's directory, the engine's logs of statements, every stream"},
	{ID: "P2", Enforced: true,
		Title: "An identifier becomes a token that differs in every service and cannot be joined without the keyring"},
	{ID: "P3", Enforced: true,
		Title: "An IP address is kept only with its last bits masked (/24, /48), plus a token where uniques are needed",
		How:   "the columns of every table against the policy"},
	{ID: "P4", Enforced: true,
		Title: "HTTP access events and user actions are gone after 30 days",
		How:   howRows},
	{ID: "P5", Enforced: true,
		Title: "A visitor's token is gone after 30 days of non-use; no table outlives its token's rule",
		How:   howRows + "; key epochs; tables, views and files that nobody listed"},
	{ID: "P6", Enforced: true,
		Title: "Application logs are gone after 90 days; so are report and export files",
		How:   howRows + "; the folder of reports"},
	{ID: "P7", Enforced: true, Note: "Generalizing rare combinations is not enforced yet.",
		Title: "What identifies an activation is gone after 24 months; what stays is a statistic; a deactivated machine leaves the current set at once",
		How:   howRows},
	{ID: "P8", Enforced: true,
		Title: "Login IP history is gone after 12 months",
		How:   howRows},
	{ID: "P9",
		Title: "An account inactive for a year is erased"},
	{ID: "P10", Enforced: true,
		Title: "Lethe's own reads and uses of keys are recorded, tamper-evidently, for 6 years",
		How:   "the audit log's trees, their checkpoints, and the stream before them; the events of SSH and sudo by their rule"},
	{ID: "P11",
		Title: "A person can have access, export, rectification, restriction, objection and erasure"},
	{ID: "P12", Enforced: true, Note: "Backups and copies of keys are removed in time. Erasure itself is not enforced yet.",
		Title: "Erasure reaches both logs, quarantine, warehouse, files, keys and backups",
		How:   "quarantine, the folders of backups and of key backups, the engine's backups, keys that came back"},
	{ID: "P13", Enforced: true, Note: "Consent is not enforced yet.",
		Title: "Do-Not-Track and Sec-GPC are honored; consent is recorded and withdrawable"},
	{ID: "P14", Enforced: true,
		Title: "No tenant can read, write, count or affect another's data"},
	{ID: "P15", Enforced: true,
		Title: "A credential does only what it was scoped to",
		How:   "the warehouse's users, their grants, row filters and settings"},
	{ID: "P16", Enforced: true, Note: "TLS for publishers on NATS is not enforced yet; on that port alone it takes something in front.",
		Title: "TLS 1.3 on every connection that leaves the machine; encryption at rest for keys, raw log, backups",
		How:   "the keyring's directory"},
	{ID: "P17",
		Title: "Backups daily, a full one weekly; a restore is proved"},
	{ID: "P18", Enforced: true,
		Title: "An accepted event is on disk: none lost, none counted twice, whatever is killed",
		How:   "the settings of streams and tables; rows counted against the manifests; how long frames wait"},
	{ID: "P19", Enforced: true,
		Title: "No statistic describes fewer than k people, directly or by subtraction",
		How:   "the grants of who answers: published cells, and nothing else of the warehouse"},
	{ID: "P20",
		Title: "After a breach, one command says what is affected"},
	{ID: "P21", Enforced: true,
		Title: "The record of processing and the retention schedule are generated and agree with the system",
		How:   "tables, streams, consumers and users against the policy, and whatever else the stores hold"},
	{ID: "P22", Enforced: true,
		Title: "Failed logins lock, unusual reads alert"},
}

const howRows = "the dates of every row, those behind the read barrier included; parts, detached and frozen ones too; frames and keys by day"

// Promises returns every promise without findings.
func Promises() []Promise {
	out := slices.Clone(promises)
	for i := range out {
		out[i].Findings = []Finding{}
	}
	return out
}

// Promises that findings go to by their subject. A finding that concerns a
// deletion class goes to the class's own.
var (
	// unlisted is what no rule of the policy covers: no table may outlive its
	// token's rule, and the schedule must agree with the system.
	unlisted = []string{"P5", "P21"}
	drifted  = []string{"P21"}
	flow     = []string{"P18"}
	record   = []string{"P10"}
	secret   = []string{"P1", "P16"}
	scope    = []string{"P15", "P21"}
)
