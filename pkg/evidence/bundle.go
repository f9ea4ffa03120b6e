package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// Format names the shape of a bundle.
const Format = "lethe-evidence/1"

// A Bundle is evidence in one file. Equal bundles have equal bytes.
type Bundle struct {
	Format string `json:"format"`
	// Key is the verifier key of the checkpoints, in the form of
	// golang.org/x/mod/sumdb/note: name+hash+key.
	Key string `json:"key"`
	// Statement is a [Statement]. Its SHA-256 is on record.
	Statement json.RawMessage `json:"statement"`
	// Inventory lists what the last manifest on record counted.
	Inventory audit.Inventory `json:"inventory"`
	Trees     []Tree          `json:"trees"`
}

// A Tree is one calendar year of the audit log, or the end of one.
type Tree struct {
	Year int `json:"year"`
	// Checkpoint is the signed note of the whole tree.
	Checkpoint string `json:"checkpoint"`
	// From is the index of the first entry here, and Range the compact range
	// of those before it, the largest subtree first.
	From  int64       `json:"from"`
	Range []tlog.Hash `json:"range"`
	// Entries are the entries from From to the end, each as its exact bytes.
	Entries []string `json:"entries"`
	// Checkpoints are those kept of earlier days.
	Checkpoints []Kept `json:"checkpoints"`
}

// Kept is an earlier checkpoint of a tree, with the proof that what it stands
// for is the beginning of the tree.
type Kept struct {
	Checkpoint string         `json:"checkpoint"`
	Proof      tlog.TreeProof `json:"proof"`
}

// A Statement is what Lethe says in a bundle, and put on record before it
// wrote the bundle.
type Statement struct {
	Made    time.Time `json:"made"` // by the wall clock
	Version string    `json:"version"`
	// Since is the first day that was asked for; empty for everything.
	Since event.Day `json:"since,omitempty"`
	// Begins is the first entry of the bundle.
	Begins Place `json:"begins"`
	// Lost is what of the audit log was lost, as far as is on record, in this
	// bundle or before it begins.
	Lost   *Lost         `json:"lost,omitempty"`
	Policy Policy        `json:"policy"`
	Report verify.Report `json:"report"`
}

// Lost is when a log or its stream was last found lost, and what of it.
type Lost struct {
	At time.Time `json:"at"`
	audit.Began
}

// A Place is an entry of the log. The year 0 is the beginning of a log that
// held nothing yet.
type Place struct {
	Year  int   `json:"year"`
	Entry int64 `json:"entry"`
}

// Policy is the deletion rules in words.
type Policy struct {
	Digest  string  `json:"digest"`
	Classes []Class `json:"classes"`
	Tables  []Table `json:"tables"`
	// Domains are those that the tokens of tables are made in: absent in
	// bundles of earlier versions.
	Domains []Domain `json:"domains,omitempty"`
}

// A Domain is a pseudonymization domain: a key makes its tokens for one epoch.
type Domain struct {
	Name   string    `json:"name"`
	Class  string    `json:"class"`
	Anchor time.Time `json:"anchor"` // an instant at which an epoch begins
	Days   int       `json:"days"`   // that an epoch lasts
	// Bridge is for how many days after it ends an epoch's key still makes
	// tokens.
	Bridge int `json:"bridge"`
}

// A Class is a deletion class (ISO/IEC 27555).
type Class struct {
	Name     string   `json:"name"`
	Cluster  string   `json:"cluster"`
	Governs  string   `json:"governs"`
	Period   string   `json:"period"` // "30 days", or "lasting"
	Days     int      `json:"days,omitempty"`
	Months   int      `json:"months,omitempty"`
	Starts   string   `json:"starts,omitempty"`
	End      string   `json:"end"` // what happens then
	Promises []string `json:"promises,omitempty"`
}

// A Table is a table of rows that expire by one rule.
type Table struct {
	Name    string `json:"name"`
	Event   string `json:"event"`
	Class   string `json:"class"`
	Purpose string `json:"purpose"`
}

const (
	lasting = "lasting"
	aDay    = 24 * time.Hour
)

// ends says what happens at the end of a class, by what it governs.
var ends = map[string]string{
	"events":      "The partition is dropped and the key of the class and day is destroyed, within 24 hours after the end of the expiry day.",
	"raw":         "The key of the hour is destroyed; the frames that it sealed can be opened by nobody.",
	"quarantine":  "The key of the day is destroyed; the frames that it sealed can be opened by nobody.",
	"reports":     "The file is removed.",
	"backups":     "The backup is removed.",
	"key_backups": "The copy is removed, so that a destroyed key is destroyed everywhere.",
	"audit":       "The tree of a calendar year is removed whole, when the period has passed since the year ended.",
	"accounts":    "The account is erased and its data anonymized.",
}

// NewPolicy puts a policy's deletion rules in words.
func NewPolicy(pol *policy.Policy) Policy {
	p := Policy{Digest: pol.Digest(), Classes: []Class{}, Tables: []Table{}}
	for _, c := range pol.Classes() {
		class := Class{
			Name: c.Name, Cluster: c.Cluster, Governs: c.Governs, Period: c.Period.String(),
			Days: c.Period.Days, Months: c.Period.Months, Starts: c.Starts, End: ends[c.Governs], Promises: c.Promises,
		}
		if c.Lasting {
			class.Period, class.Days, class.Months = lasting, 0, 0
			class.End = "Nothing: the rows say nothing about a person and stay."
		}
		p.Classes = append(p.Classes, class)
	}
	for _, t := range pol.Tables() {
		p.Tables = append(p.Tables, Table{Name: t.Name, Event: t.Event, Class: t.Class.Name, Purpose: t.Purpose()})
		d := t.Domain
		if t.Class.Lasting || slices.ContainsFunc(p.Domains, func(o Domain) bool { return o.Name == d.Name }) {
			continue
		}
		p.Domains = append(p.Domains, Domain{
			Name: d.Name, Class: t.Class.Name, Anchor: d.Anchor, Days: int(d.Length / aDay), Bridge: int(d.Bridge / aDay),
		})
	}
	return p
}

// encode writes a bundle: one entry to a line, so that two can be compared.
func (b *Bundle) encode() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(b); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// largestIndex is far beyond any log, and keeps sums of indexes in an int64.
const largestIndex = 1 << 40

// parse reads a bundle strictly: what this package does not know, nothing
// vouches for.
func parse(data []byte) (*Bundle, *Statement, error) {
	var b Bundle
	if err := jsonv2.Unmarshal(data, &b, jsonv2.RejectUnknownMembers(true)); err != nil || b.Format != Format {
		// The decoder's own error may repeat what it read.
		var probe struct {
			Format string `json:"format"`
		}
		if jsonv2.Unmarshal(data, &probe) != nil || probe.Format != Format {
			return nil, nil, fault.Invalid.Errorf("this is not a bundle of evidence of the format %s", Format)
		}
		return nil, nil, fault.Invalid.Errorf("the bundle holds something that the format %s does not", Format)
	}
	var s Statement
	if err := jsonv2.Unmarshal(b.Statement, &s); err != nil {
		return nil, nil, fault.Invalid.Errorf("the bundle's statement is not what the format %s says", Format)
	}
	if len(b.Trees) == 0 {
		return nil, nil, fault.Invalid.Errorf("the bundle holds nothing of the audit log")
	}
	for _, t := range b.Trees {
		if t.Year < 1970 || t.Year > 9999 || t.From < 0 || t.From > largestIndex {
			return nil, nil, fault.Invalid.Errorf("the bundle names a year or an entry that cannot be")
		}
	}
	return &b, &s, nil
}

// digest is the SHA-256, in hex, of a JSON text without the white space between
// its tokens, so that a bundle survives a tool that sets it out anew.
func digest(text []byte) string {
	var compact bytes.Buffer
	if json.Compact(&compact, text) != nil {
		return ""
	}
	sum := sha256.Sum256(compact.Bytes())
	return hex.EncodeToString(sum[:])
}

// stated is the detail of the KindVerify entry that a bundle's statement is on
// record with.
type stated struct {
	audit.Verify
	// Statement is the SHA-256, in hex, of the statement.
	Statement string `json:"statement"`
}
