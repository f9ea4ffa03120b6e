package policy

import (
	"fmt"
	"hash/fnv"
	"math"
	"regexp"
	"strconv"
	"time"
)

// Domain is a pseudonymization domain (EDPB Guidelines 01/2025): those who must
// not be able to attribute a token. Tokens of two domains, two services, two
// kinds or two epochs are unrelated.
//
// A domain's keys change with each epoch, and the length of an epoch follows
// the class's period. So that a changed period never gives an old key another
// meaning, the name carries the length, and an epoch's number is its first day.
type Domain struct {
	Name   string // "<pipeline domain>/<class>@64d"
	Length time.Duration
	Anchor time.Time
	// Bridge is how long after an epoch begins a row also carries the token
	// of the epoch before, so that a distinct count over any stretch no
	// longer than the rule's period counts nobody twice. An epoch lasts at
	// least twice the period, so no stretch meets two edges.
	Bridge time.Duration
}

const day = 24 * time.Hour

// slack is what an epoch has beyond the period on either side: clocks, time
// zones and the grace of removal.
const slack = 48 * time.Hour

// forGood is the length of the one epoch of a lasting class. Nothing in a
// lasting table is a token; it keeps the arithmetic total.
const forGood time.Duration = math.MaxInt64

// name sets the domain's name from its two parts and its length.
func (d *Domain) name(pipeline, class string) {
	d.Name = pipeline + "/" + class
	if d.Length != forGood {
		d.Name += fmt.Sprintf("@%dd", d.Length/day)
	}
}

// Epoch is the number of the key epoch in which an event occurred: the days
// from 1970-01-01 to the UTC day on which the epoch began.
func (d *Domain) Epoch(at time.Time) int64 {
	since := at.Sub(d.Anchor)
	n := since / d.Length
	if since < 0 && since%d.Length != 0 {
		n--
	}
	return dayNumber(d.Anchor.Add(n * d.Length))
}

// EpochStart is the first instant of an epoch.
func (d *Domain) EpochStart(epoch int64) time.Time {
	ofDay := d.Anchor.Unix() - dayNumber(d.Anchor)*secondsPerDay
	return time.Unix(epoch*secondsPerDay+ofDay, int64(d.Anchor.Nanosecond())).UTC()
}

// EpochEnd is the first instant after an epoch.
func (d *Domain) EpochEnd(epoch int64) time.Time { return d.EpochStart(epoch).Add(d.Length) }

// Next is the epoch after one, Previous the one before.
func (d *Domain) Next(epoch int64) int64 { return epoch + int64(d.Length/day) }

// Previous is the epoch before one.
func (d *Domain) Previous(epoch int64) int64 { return epoch - int64(d.Length/day) }

// Bridged says whether an event carries the token of the epoch before too.
func (d *Domain) Bridged(at time.Time) bool {
	return at.Sub(d.EpochStart(d.Epoch(at))) < d.Bridge
}

// markBits leaves an epoch's number room for a million years.
const markBits = 32

// Mark is what a row carries to say which keys its tokens were made with: the
// epoch in the upper bits, so that marks are in the order of epochs, and a
// checksum of the domain's name in the lower. Rows of a table whose domain or
// epochs changed have other marks even where two epochs begin on one day, so
// nobody is taken for two people of the same epoch (P19).
func (d *Domain) Mark(epoch int64) int64 {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(d.Name)) // a hash takes everything
	return epoch<<markBits | int64(sum.Sum32())
}

// Step is how far the mark of an epoch is from that of the epoch before.
func (d *Domain) Step() int64 { return int64(d.Length/day) << markBits }

var domainPattern = regexp.MustCompile(`^([a-z][a-z0-9_]{0,47})/([a-z][a-z0-9_]{0,47})@([1-9][0-9]{0,5})d$`)

// EpochExpiry is the instant from which no row that may still be selected bears
// a token of a domain's epoch: its key can be destroyed. The domain is named as
// it was when the key was made, which may have been under an earlier policy.
// False means that the name is no domain's: nothing is known of its keys.
//
// The last row that bears such a token occurs a bridge after the epoch ends,
// and expires a period later, at the end of that UTC day. Of a domain that this
// policy does not have, the bridge is at most half the length, and the period
// at most that without the slack; a class that the policy has and whose period
// is shorter ends it earlier, because the shorter period hides the row.
func (p *Policy) EpochExpiry(domain string, epoch int64) (time.Time, bool) {
	name, last, end, ok := epochBounds(domain, epoch)
	if !ok {
		return time.Time{}, false
	}
	for _, t := range p.tables {
		if t.Domain.Name == domain {
			return dayAfter(t.Class.Period.After(t.Domain.EpochEnd(epoch).Add(t.Domain.Bridge))), true
		}
	}
	if class, ok := p.Class(name); ok && !class.Lasting {
		if shorter := class.Period.After(last); shorter.Before(end) {
			end = shorter
		}
	}
	return dayAfter(end), true
}

// EpochLimit is the latest that [Policy.EpochExpiry] can be of a domain's epoch
// by any policy, for whoever has the domain's name alone.
func EpochLimit(domain string, epoch int64) (time.Time, bool) {
	_, _, end, ok := epochBounds(domain, epoch)
	return dayAfter(end), ok
}

// epochBounds reads a domain's name: its class, the last instant at which a row
// that bears a token of the epoch can occur, and when that can expire.
func epochBounds(domain string, epoch int64) (class string, last, end time.Time, ok bool) {
	m := domainPattern.FindStringSubmatch(domain)
	if m == nil {
		return "", last, end, false
	}
	days, _ := strconv.Atoi(m[3])
	length := time.Duration(days) * day
	// An epoch began at any time of its first day.
	last = time.Unix(epoch*secondsPerDay, 0).UTC().Add(day + length + length/2)
	return m[2], last, last.Add(length/2 - slack), true
}

const secondsPerDay = int64(day / time.Second)

// dayNumber is the number of days from 1970-01-01 to a UTC day.
func dayNumber(t time.Time) int64 {
	n := t.Unix() / secondsPerDay
	if t.Unix()%secondsPerDay < 0 {
		n--
	}
	return n
}

// dayAfter is the first instant after the UTC day of an instant.
func dayAfter(t time.Time) time.Time { return time.Unix((dayNumber(t)+1)*secondsPerDay, 0).UTC() }
