package keyring

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Kind says what a key is for. Keys of different kinds never do each other's
// work.
type Kind string

const (
	// KindRaw is one HPKE key pair for each tenant and UTC hour. It opens raw
	// frames.
	KindRaw Kind = "raw"
	// KindQuarantine is one HPKE key pair for each tenant and UTC day.
	KindQuarantine Kind = "quarantine"
	// KindClean is one key for each deletion class and UTC expiry day.
	KindClean Kind = "clean"
	// KindEpoch is one key for each pseudonymization domain and epoch, from
	// which tokens are made.
	KindEpoch Kind = "epoch"
	// KindEventID is the one key from which event ids and message ids are
	// made. It lives as long as the keyring.
	KindEventID Kind = "event-id"
)

const (
	hourLayout = "2006-01-02T15"
	maxName    = 64
)

// An id names one key. It is what the key's file, its record and its tombstone
// are called.
type id struct {
	kind   Kind
	name   string // tenant, class or domain
	period int64  // hours or days since 1970, or the epoch's number
}

var eventIDKey = id{kind: KindEventID}

func rawID(tenant string, at time.Time) (id, error) {
	if err := checkName("tenant", tenant); err != nil {
		return id{}, err
	}
	if err := checkTime(at); err != nil {
		return id{}, err
	}
	return id{KindRaw, tenant, at.Unix() / 3600}, nil
}

func quarantineID(tenant string, at time.Time) (id, error) {
	if err := checkName("tenant", tenant); err != nil {
		return id{}, err
	}
	if err := checkTime(at); err != nil {
		return id{}, err
	}
	return id{KindQuarantine, tenant, at.Unix() / 86400}, nil
}

func cleanID(class, day string) (id, error) {
	if err := checkName("deletion class", class); err != nil {
		return id{}, err
	}
	at, err := parseDay(day)
	if err != nil {
		return id{}, err
	}
	return id{KindClean, class, at.Unix() / 86400}, nil
}

func epochID(domain string, epoch int64) (id, error) {
	if err := checkName("domain", domain); err != nil {
		return id{}, err
	}
	return id{KindEpoch, domain, epoch}, nil
}

func parseDay(day string) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}, fault.Invalid.Errorf("day is not of the form YYYY-MM-DD")
	}
	return at, checkTime(at)
}

// endOfTime is the year 10000 in Unix seconds.
const endOfTime = 253402300800

// checkTime keeps periods positive and their text four digits of year.
func checkTime(at time.Time) error {
	if at.Unix() < 0 || at.Unix() >= endOfTime {
		return fault.Invalid.Errorf("time is outside the years 1970 to 9999")
	}
	return nil
}

func checkName(what, s string) error {
	switch {
	case s == "":
		return fault.Invalid.Errorf("%s is empty", what)
	case len(s) > maxName:
		return fault.Invalid.Errorf("%s is longer than %d bytes", what, maxName)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return fault.Invalid.Errorf("%s is not printable text", what)
	}
	return nil
}

// String is the name people see: "raw/acme/2026-11-21T22".
func (i id) String() string {
	if i.kind == KindEventID {
		return string(i.kind)
	}
	return string(i.kind) + "/" + i.name + "/" + i.text()
}

// text is the period, as the kind writes it.
func (i id) text() string {
	switch i.kind {
	case KindRaw:
		return i.start().Format(hourLayout)
	case KindQuarantine, KindClean:
		return i.start().Format(time.DateOnly)
	default:
		return strconv.FormatInt(i.period, 10)
	}
}

// start is the first instant of the key's hour or day, and zero for a key that
// belongs to none.
func (i id) start() time.Time {
	switch i.kind {
	case KindRaw:
		return time.Unix(i.period*3600, 0).UTC()
	case KindQuarantine, KindClean:
		return time.Unix(i.period*86400, 0).UTC()
	default:
		return time.Time{}
	}
}

// file is the name of the key's file. Names are escaped so that they survive a
// file system that ignores case, and so that a dot separates.
func (i id) file() string {
	if i.kind == KindEventID {
		return string(i.kind)
	}
	return string(i.kind) + "." + escape(i.name) + "." + i.text()
}

func parseFile(file string) (id, bool) {
	if file == string(KindEventID) {
		return eventIDKey, true
	}
	part := strings.Split(file, ".")
	if len(part) != 3 {
		return id{}, false
	}
	name, ok := unescape(part[1])
	if !ok {
		return id{}, false
	}
	i := id{kind: Kind(part[0]), name: name}
	switch i.kind {
	case KindRaw:
		at, err := time.Parse(hourLayout, part[2])
		if err != nil {
			return id{}, false
		}
		i.period = at.Unix() / 3600
	case KindQuarantine, KindClean:
		at, err := time.Parse(time.DateOnly, part[2])
		if err != nil {
			return id{}, false
		}
		i.period = at.Unix() / 86400
	case KindEpoch:
		n, err := strconv.ParseInt(part[2], 10, 64)
		if err != nil {
			return id{}, false
		}
		i.period = n
	default:
		return id{}, false
	}
	return i, i.file() == file // exactly one spelling
}

func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02x", c)
		}
	}
	return b.String()
}

func unescape(s string) (string, bool) {
	var b strings.Builder
	for len(s) > 0 {
		if s[0] != '=' {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		if len(s) < 3 {
			return "", false
		}
		c, err := strconv.ParseUint(s[1:3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		s = s[3:]
	}
	return b.String(), true
}

// KeyInfo describes a key without its bytes.
type KeyInfo struct {
	// ID is the key's name, such as "clean/access-30d/2026-12-21".
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`

	// Tenant, Class and Domain: the one that the kind has, the others empty.
	Tenant string `json:"tenant,omitempty"`
	Class  string `json:"class,omitempty"`
	Domain string `json:"domain,omitempty"`

	// Start is when the UTC hour (raw) or day (quarantine, clean) of the key
	// begins; for a clean key it is the expiry day. Zero for the other kinds.
	Start time.Time `json:"start,omitzero"`
	// Epoch is the number of the epoch of a KindEpoch key.
	Epoch int64 `json:"epoch,omitempty"`

	// Created is zero for a key that was destroyed before it was ever made.
	Created time.Time `json:"created,omitzero"`
	// Destroyed is zero while the key lives.
	Destroyed time.Time `json:"destroyed,omitzero"`
}

// Live says whether the key can still be used.
func (k KeyInfo) Live() bool { return k.Destroyed.IsZero() }

func (i id) info() KeyInfo {
	k := KeyInfo{ID: i.String(), Kind: i.kind, Start: i.start()}
	switch i.kind {
	case KindRaw, KindQuarantine:
		k.Tenant = i.name
	case KindClean:
		k.Class = i.name
	case KindEpoch:
		k.Domain, k.Epoch = i.name, i.period
	}
	return k
}
