package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// Catalog is a policy as people and other software read it (P21). Its JSON is a
// public shape: members are added, not renamed.
type Catalog struct {
	Policy    string     `json:"policy"` // digest
	Parties   *Parties   `json:"parties,omitempty"`
	Pipelines []Pipeline `json:"pipelines"`
	Events    []Event    `json:"events"`
	Tables    []Table    `json:"tables"`
	Metrics   []Metric   `json:"metrics"`
	Classes   []Class    `json:"deletion_classes"`
}

// Parties are the people who answer for the processing (GDPR Art. 30(1)(a) and
// (2)(a)): names with contact details, one line each.
type Parties struct {
	Controller     string   `json:"controller,omitempty"`
	Representative string   `json:"representative,omitempty"`
	Officer        string   `json:"data_protection_officer,omitempty"`
	Processor      string   `json:"processor,omitempty"`
	Controllers    []string `json:"controllers,omitempty"` // on whose behalf a processor acts
}

// Pipeline is one processing activity.
type Pipeline struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Purpose     string   `json:"purpose"`
	LegalBasis  string   `json:"legal_basis"`
	Description string   `json:"description,omitempty"`
	Domain      string   `json:"pseudonymization_domain"`
	Subjects    []string `json:"subjects"`
	Recipients  []string `json:"recipients"`
	Transfers   string   `json:"transfers,omitempty"`
	Events      []string `json:"events"`
	Tables      []string `json:"tables"`
	// Categories are the Fideslang categories of data that are collected,
	// those of plain fields left out.
	Categories []string `json:"categories"`
}

// Event is one version of one event.
type Event struct {
	Name        string  `json:"name"`
	Version     int     `json:"version"`
	Family      string  `json:"family,omitempty"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Fields      []Field `json:"fields"`
}

// Field is what may be said, and what becomes of it.
type Field struct {
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Type        string      `json:"type"`
	Format      string      `json:"format,omitempty"`
	Required    bool        `json:"required"`
	Values      []string    `json:"values,omitempty"`
	Category    string      `json:"category"`
	Class       string      `json:"class"`
	Identifier  string      `json:"identifier,omitempty"`
	Treatments  []Treatment `json:"treatments"`
}

// Treatment is what becomes of a field in one table.
type Treatment struct {
	Table     string `json:"table"`
	Treatment string `json:"treatment"` // "drop", "keep", "token visitor", …
	Period    string `json:"period"`    // "30 days", or "lasting"
}

// Table is a table of treated rows that expire by one rule.
type Table struct {
	Name     string   `json:"name"`
	Event    string   `json:"event"`
	Pipeline string   `json:"pipeline"`
	Class    string   `json:"deletion_class"`
	Period   string   `json:"period"`
	Time     string   `json:"time"` // exact, hour, day
	Domain   string   `json:"domain,omitempty"`
	Epoch    string   `json:"key_epoch,omitempty"` // "64 days"
	Columns  []Column `json:"columns"`
}

// Column is one treated column.
type Column struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Type        string   `json:"type"`
	Treatment   string   `json:"treatment"`
	From        []string `json:"from"`
}

// Metric is a number that analysts may ask for.
type Metric struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Table       string   `json:"table,omitempty"`
	Value       string   `json:"value"`
	Of          []string `json:"of,omitempty"`
	Subject     string   `json:"subject,omitempty"`
	K           int      `json:"k,omitempty"`
	Public      bool     `json:"public,omitempty"`
	Where       []string `json:"where,omitempty"`
	Dimensions  []string `json:"dimensions"`
	Buckets     []string `json:"buckets,omitempty"`
	Zone        string   `json:"zone"`
	Noise       string   `json:"noise,omitempty"` // ε
}

// Class is a deletion class (ISO/IEC 27555): a deletion rule and what it rules.
type Class struct {
	Name        string   `json:"name"`
	Cluster     string   `json:"cluster"`
	Description string   `json:"description"`
	Governs     string   `json:"governs"`
	Period      string   `json:"period"`
	Starts      string   `json:"starts,omitempty"`
	Tables      []string `json:"tables,omitempty"`
	Promises    []string `json:"promises,omitempty"`
}

// lasting stands where a period does not.
const lasting = "lasting"

// New reads a policy.
func New(pol *policy.Policy) Catalog {
	c := Catalog{
		Policy:    pol.Digest(),
		Pipelines: []Pipeline{}, Events: []Event{}, Tables: []Table{}, Metrics: []Metric{}, Classes: []Class{},
	}
	for _, p := range pol.Pipelines() {
		c.Pipelines = append(c.Pipelines, newPipeline(pol, p))
	}
	for _, s := range pol.Schemas() {
		c.Events = append(c.Events, newEvent(pol, s))
	}
	for _, t := range pol.Tables() {
		if t.Name != policy.CellTable {
			c.Tables = append(c.Tables, newTable(t))
		}
	}
	for _, m := range pol.Metrics() {
		c.Metrics = append(c.Metrics, newMetric(m))
	}
	for _, class := range pol.Classes() {
		c.Classes = append(c.Classes, newClass(pol, class))
	}
	return c
}

func newPipeline(pol *policy.Policy, p *policy.Pipeline) Pipeline {
	out := Pipeline{
		Name: p.Name, Title: p.Title, Purpose: p.Purpose, LegalBasis: p.LegalBasis,
		Description: p.Description, Domain: p.Domain, Transfers: p.Transfers,
		Subjects: slices.Clone(p.Subjects), Recipients: slices.Clone(p.Recipients),
		Events: []string{}, Tables: []string{}, Categories: []string{},
	}
	for _, t := range pol.Tables() {
		if t.Pipeline != p {
			continue
		}
		out.Tables = append(out.Tables, t.Name)
		out.Events = append(out.Events, t.Event)
	}
	for _, s := range pol.Schemas() {
		if !slices.Contains(out.Events, s.Event) {
			continue
		}
		for _, f := range s.Fields {
			if f.Class != policy.Plain {
				out.Categories = append(out.Categories, f.Category)
			}
		}
	}
	out.Events = sortedSet(out.Events)
	out.Categories = sortedSet(out.Categories)
	return out
}

func sortedSet(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func newEvent(pol *policy.Policy, s *policy.Schema) Event {
	out := Event{Name: s.Event, Version: s.Version, Family: s.Family, Title: s.Title, Description: s.Description}
	for _, f := range s.Fields {
		field := Field{
			Name: f.Name, Description: f.Description, Type: f.Kind.String(), Format: s.Format(f.Name),
			Required: f.Required, Values: f.Enum, Category: f.Category, Class: string(f.Class), Identifier: f.Identifier,
			Treatments: []Treatment{},
		}
		for _, t := range pol.TablesOf(s.Event) {
			field.Treatments = append(field.Treatments, Treatment{
				Table: t.Name, Treatment: fieldTreatment(t, f.Name), Period: period(t.Class),
			})
		}
		out.Fields = append(out.Fields, field)
	}
	return out
}

// fieldTreatment says what a table keeps of a field.
func fieldTreatment(t *policy.Table, name string) string {
	var kept []string
	for _, col := range t.Columns {
		if col.Bridges == "" && slices.Contains(sources(col), name) {
			kept = append(kept, treatment(col))
		}
	}
	if len(kept) == 0 {
		return string(policy.Drop)
	}
	return strings.Join(kept, ", ")
}

// sources names the fields that a column is made from, each once.
func sources(col policy.Column) []string {
	var names []string
	for _, alternative := range col.From {
		for _, f := range alternative {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// treatment writes a column's treatment as a pipeline document does.
func treatment(col policy.Column) string {
	switch col.Verb {
	case policy.TokenOf:
		return "token " + col.Name
	case policy.Truncate:
		return fmt.Sprintf("truncate to /%d, IPv6 /%d", col.IPv4Bits, col.IPv6Bits)
	case policy.Coarsen:
		return "coarsen to " + strings.ReplaceAll(col.To, "_", " ")
	case policy.Redact:
		return "redact " + col.To
	}
	return string(col.Verb)
}

func newTable(t *policy.Table) Table {
	out := Table{
		Name: t.Name, Event: t.Event, Pipeline: t.Pipeline.Name, Class: t.Class.Name, Period: period(t.Class),
		Time: map[time.Duration]string{0: "exact", time.Hour: "hour", 24 * time.Hour: "day"}[t.TimeTo],
	}
	if !t.Class.Lasting {
		out.Domain = t.Domain.Name
		out.Epoch = fmt.Sprintf("%d days", t.Domain.Length/(24*time.Hour))
	}
	for _, col := range t.Columns {
		out.Columns = append(out.Columns, Column{
			Name: col.Name, Description: col.Description, Type: col.Kind.String(), Treatment: treatment(col), From: sources(col),
		})
	}
	return out
}

func newMetric(m *policy.Metric) Metric {
	out := Metric{
		Name: m.Name, Title: m.Title, Description: m.Description,
		Value: string(m.Value), Subject: m.Subject, K: m.K, Public: m.Public, Dimensions: []string{}, Zone: m.Zone.String(),
	}
	switch m.Value {
	case policy.Ratio:
		out.Of = []string{m.Parts[0].Name, m.Parts[1].Name}
	case policy.Sum:
		out.Of = []string{m.Of}
		fallthrough
	default:
		out.Table = m.Table.Name
	}
	for _, b := range m.Buckets {
		out.Buckets = append(out.Buckets, string(b))
	}
	if m.Noise.Num > 0 {
		out.Noise = fmt.Sprintf("%d/%d", m.Noise.Num, m.Noise.Den)
	}
	for _, w := range m.Where {
		out.Where = append(out.Where, w.Column+" in "+strings.Join(w.In, ", "))
	}
	for _, d := range m.Dimensions {
		out.Dimensions = append(out.Dimensions, d.Name)
	}
	return out
}

func newClass(pol *policy.Policy, class *policy.Class) Class {
	out := Class{
		Name: class.Name, Cluster: class.Cluster, Description: class.Description, Governs: class.Governs,
		Period: period(class), Starts: class.Starts, Promises: slices.Clone(class.Promises),
	}
	for _, t := range pol.Tables() {
		if t.Class == class {
			out.Tables = append(out.Tables, t.Name)
		}
	}
	return out
}

func period(c *policy.Class) string {
	if c.Lasting {
		return lasting
	}
	return c.Period.String()
}
