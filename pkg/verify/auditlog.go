package verify

import "github.com/lethe-pipeline/lethe/pkg/audit"

// checkLost says whether the log, or the stream that it is made of, was lost:
// that is on record in the log that goes on from there. P10.
func (l *look) checkLost(where string) {
	at, b, ok := l.c.Audit.Lost()
	if !ok {
		return
	}
	if b.Lost == audit.LostStream {
		l.since(at, record, where, "the audit stream was lost, and since %s the log goes on without it, from its last checkpoint: "+
			"what was recorded after that, and was not in the log, is not known", instant(at))
		return
	}
	l.since(at, record, where, "the log that was there is gone, and since %s another is in its place, begun anew from what the audit stream still had, "+
		"after sequence %d had been in the one before: compare it with a checkpoint that was kept elsewhere ('lethe audit verify --checkpoint')", instant(at), b.Through)
}
