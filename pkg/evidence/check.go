package evidence

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Options are what a reader has from elsewhere.
type Options struct {
	// Key is the verifier key, as `lethe audit checkpoint` printed it. Empty:
	// the bundle's own is used, and the result says so.
	Key string
	// Earlier are checkpoints, as signed notes, that were kept elsewhere.
	Earlier []string
}

// A Result is what a bundle shows, in plain sentences.
type Result struct {
	// OK: the bundle is intact and shows no problem. Only where something had
	// to be gone does it show, too, that the rules were kept.
	OK  bool `json:"ok"`
	Due Due  `json:"due"`
	// Intact: the file is what its checkpoint stands for. What a file says
	// that is not intact means nothing.
	Intact bool `json:"intact"`

	Made        time.Time `json:"made"`
	Origin      string    `json:"origin"`
	Version     string    `json:"version"`
	Policy      string    `json:"policy"`      // digest
	Key         string    `json:"key"`         // that the checkpoints were checked with
	Fingerprint string    `json:"fingerprint"` // SHA-256 of that key, in hex
	From        time.Time `json:"from"`        // first entry
	To          time.Time `json:"to"`          // last entry
	Entries     int       `json:"entries"`
	// Checkpoint is the signed note of the newest tree, to be kept elsewhere.
	Checkpoint string `json:"checkpoint"`

	Proved    []string `json:"proved"`
	NotProved []string `json:"not_proved"`
	Problems  []string `json:"problems"`
}

// Due counts what had to be gone between the first entry and the last, the grace
// included, whether it was or not.
type Due struct {
	Partitions int `json:"partitions"`
	Keys       int `json:"keys"`
}

// Check reads a bundle and says what it proves. It uses nothing but its
// arguments. A bundle that cannot be read, or a key that is none, is
// [fault.Invalid]; whatever can be read has a Result.
func Check(bundle []byte, o Options) (Result, error) {
	c, err := check(bundle, o)
	if err != nil {
		return Result{}, err
	}
	return c.r, nil
}

// checker is one check. Each step adds sentences; those of the steps after
// intact rely on the entries being what the checkpoint stands for.
type checker struct {
	b *Bundle
	s *Statement
	o Options
	r Result

	heads   []head // of the trees, in order
	entries []entry
	runs    []run
	final   time.Time // Lethe's clock at the end
	chain
	expired []cell // partitions that were counted and are due
	facts   facts
}

func check(bundle []byte, o Options) (*checker, error) {
	b, s, err := parse(bundle)
	if err != nil {
		return nil, err
	}
	c := &checker{b: b, s: s, o: o}
	c.r = Result{
		Intact: true, Made: s.Made, Version: s.Version, Policy: s.Policy.Digest,
		Proved: []string{}, NotProved: []string{}, Problems: []string{},
	}
	if err := c.key(); err != nil {
		return nil, err
	}
	c.trees()
	if c.r.Intact {
		c.read()
		c.statement()
		c.inventory()
	}
	if c.r.Intact {
		c.earlier()
	}
	if c.r.Intact {
		c.lost()
		c.clock()
		c.rules()
		c.ran()
		c.manifests()
		c.partitions()
		c.keys()
		c.holds()
		c.report()
	} else {
		c.r.Proved = []string{}
		c.not("Anything: this file is not what its checkpoint stands for, so what it says was not looked at further.")
	}
	c.limits()
	c.r.OK = c.r.Intact && len(c.r.Problems) == 0
	return c, nil
}

func (c *checker) proved(format string, args ...any) {
	c.r.Proved = append(c.r.Proved, fmt.Sprintf(format, args...))
}

func (c *checker) not(format string, args ...any) {
	c.r.NotProved = append(c.r.NotProved, fmt.Sprintf(format, args...))
}

func (c *checker) problem(format string, args ...any) {
	c.r.Problems = append(c.r.Problems, fmt.Sprintf(format, args...))
}

// broken is a problem with the file itself.
func (c *checker) broken(format string, args ...any) {
	c.r.Intact = false
	c.problem(format, args...)
}

// key settles what the checkpoints are checked with.
func (c *checker) key() error {
	text := strings.TrimSpace(c.o.Key)
	if text == "" {
		text = c.b.Key
	} else if text != c.b.Key {
		c.broken("The bundle names another signing key than the one that was given.")
	}
	v, err := note.NewVerifier(text)
	switch {
	case err == nil:
	case strings.TrimSpace(c.o.Key) != "":
		return fault.Invalid.Errorf("the key is not a verifier key of the form NAME+HASH+KEY")
	default:
		return fault.Invalid.Errorf("the bundle's key is not a verifier key")
	}
	c.r.Origin, c.r.Key, c.r.Fingerprint = v.Name(), text, fingerprint(text)
	return nil
}

// limits says what no bundle can show.
func (c *checker) limits() {
	if strings.TrimSpace(c.o.Key) == "" {
		c.not("That the signing key is this Lethe's own: no key was given, so the one in the file was used. Compare its fingerprint %s with what was kept elsewhere (--key).", c.r.Fingerprint)
	}
	if len(c.o.Earlier) == 0 {
		c.not("That whoever holds the signing key did not write another history beside this one: no checkpoint from elsewhere was given. Keep the checkpoint of this bundle, and compare it with the next one (--checkpoint).")
	} else {
		c.not("That whoever holds the signing key did not write another history since the newest checkpoint that was kept elsewhere.")
	}
	c.not("That no copy exists where nobody looked. The report lists what was looked at.")
	c.not("That what was recorded is what happened: Lethe counted and recorded, and this shows that its record is whole and agrees with itself.")
}

// enough is how many examples a sentence names.
const enough = 5

// count writes "1 key" or "1,234 keys".
func count[N int | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// number writes a number with commas between thousands.
func number[N int | int64 | uint64](n N) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func dayOf(t time.Time) string { return string(event.DayOf(t)) }
