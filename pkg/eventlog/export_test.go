package eventlog

var (
	CommitBatch  = commitBatch
	CommitSingly = commitSingly
)
