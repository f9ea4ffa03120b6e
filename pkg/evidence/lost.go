package evidence

import (
	"fmt"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
)

// lost says what of the log itself was lost, on record in the bundle or before
// it begins.
func (c *checker) lost() {
	here := false
	details(c, audit.KindLog, func(_ int, e entry, b audit.Began) {
		if b.Lost != "" {
			here = true
			c.problem("%s", lostSentence(e.At, b))
		}
	})
	if l := c.s.Lost; l != nil && !here {
		c.not("That nothing is missing from before this bundle begins. %s", lostSentence(l.At, l.Began))
	}
}

func lostSentence(at time.Time, b audit.Began) string {
	if b.Lost == audit.LostStream {
		return fmt.Sprintf("The audit stream, which fills the log, was on record as lost on %s. The log goes on from its last checkpoint; what was recorded after that, and was not in the log yet, nobody knows.", minute(at))
	}
	s := fmt.Sprintf("The log begins anew: on %s the one before it was on record as gone, and this one was made under the key %s from what the audit stream still had", minute(at), short(fingerprint(b.Key)))
	if b.From > 1 {
		s += fmt.Sprintf(", which was what came from message %s on", number(b.From))
	}
	if b.Before != "" && b.Before != b.Key {
		s += fmt.Sprintf("; the key before was %s", short(fingerprint(b.Before)))
	}
	return s + ". A checkpoint from before, kept elsewhere, shows whether something is missing (--checkpoint)."
}

// openKept reads a checkpoint that was kept elsewhere: one of this log's key, or
// of a key that the log says the one before it had. Whoever kept it knows that
// it is genuine; the key only tells which log it is of.
func (c *checker) openKept(text string) (old head, under string, err error) {
	if old, err = c.open(text); err == nil {
		return old, "", nil
	}
	var former []string
	if c.s.Lost != nil {
		former = append(former, c.s.Lost.Before)
	}
	details(c, audit.KindLog, func(_ int, _ entry, b audit.Began) { former = append(former, b.Key, b.Before) })
	for _, key := range former {
		if cp, e := audit.ParseCheckpoint(text, key); e == nil && cp.Origin == c.r.Origin {
			return head{year: cp.Year, size: cp.Size, root: cp.Root}, fmt.Sprintf(", under the key %s, which the log had before it was begun anew", short(fingerprint(key))), nil
		}
	}
	return head{}, "", err
}
