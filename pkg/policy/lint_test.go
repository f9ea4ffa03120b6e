package policy_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

var update = flag.Bool("update", false, "write golden files anew")

const (
	schemaFile   = "downloads/download.v1.json"
	pipelineFile = "downloads.yaml"
)

// example returns the documents of the worked example.
func example(t testing.TB) map[string]string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/example.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	return files
}

func compileWith(t testing.TB, files map[string]string) (*policy.Policy, error) {
	t.Helper()
	layer := fstest.MapFS{}
	for name, text := range files {
		layer[name] = &fstest.MapFile{Data: []byte(text)}
	}
	docs, err := policy.Load(schemas.FS, pipelines.FS, layer)
	if err != nil {
		return nil, err
	}
	return policy.Compile(docs)
}

// An edit is one mistake in the worked example.
type edit struct {
	name string
	file string
	old  string // "" adds the text as a file of its own
	new  string
	want int // problems; stated here so that -update cannot lose one
}

var mistakes = []edit{
	// The schema.
	{"field without class", schemaFile, `, "class": "plain" }
    },
    "edition"`, ` }
    },
    "edition"`, 1},
	{"field without x-lethe", schemaFile, `,
      "x-lethe": { "category": "user.content", "class": "free_text" }`, ``, 1},
	{"unknown class of field", schemaFile, `"class": "quasi"`, `"class": "secret"`, 1},
	{"identifier without a kind", schemaFile, `, "identifier": "account"`, ``, 1},
	{"unknown kind of identifier", schemaFile, `"identifier": "account"`, `"identifier": "customer"`, 1},
	{"kind of identifier on a plain field", schemaFile, `"class": "quasi"`, `"class": "quasi", "identifier": "text"`, 1},
	{"category that is none", schemaFile, `"category": "user.content"`, `"category": "User Content"`, 1},
	{"unknown keyword", schemaFile, `"minLength": 1`, `"minLenght": 1`, 1},
	{"forbidden keyword at the root", schemaFile, `"additionalProperties": false,`, `"additionalProperties": false, "oneOf": [],`, 1},
	{"additional properties allowed", schemaFile, `"additionalProperties": false`, `"additionalProperties": true`, 1},
	{"additional properties not mentioned", schemaFile, `"additionalProperties": false,`, ``, 1},
	{"nested object", schemaFile, `"type": "boolean"`, `"type": "object"`, 1},
	{"text without maxLength", schemaFile, `"maxLength": 2000,`, ``, 1},
	{"text that is too long", schemaFile, `"maxLength": 2000`, `"maxLength": 70000`, 1},
	{"maxLength below minLength", schemaFile, `"maxLength": 256`, `"maxLength": 0`, 1},
	{"integer without maximum", schemaFile, `,
      "maximum": 100000`, ``, 1},
	{"integer beyond 2^53", schemaFile, `100000,`, `9007199254740992,`, 1},
	{"maximum below minimum", schemaFile, `"minimum": 0`, `"minimum": 200000`, 1},
	{"keyword that says nothing about the type", schemaFile, `"type": "boolean",`, `"type": "boolean", "maxLength": 3,`, 1},
	{"unknown format", schemaFile, `"format": "ip"`, `"format": "hostname"`, 2},
	{"pattern that is not RE2", schemaFile, `"maxLength": 64,`, `"maxLength": 64, "pattern": "(?=a)",`, 1},
	{"enum that lists a value twice", schemaFile, `["free", "pro"]`, `["free", "pro", "free"]`, 1},
	{"enum of numbers", schemaFile, `["free", "pro"]`, `["free", "pro", 1]`, 1},
	{"const of another type", schemaFile, `"enum": ["free", "pro"]`, `"const": true`, 1},
	{"required names no property", schemaFile, `["product", "ip"]`, `["product", "ip", "region"]`, 1},
	{"description missing", schemaFile, `"description": "The product's short name.",`, ``, 1},
	{"description empty", schemaFile, `"description": "The product's short name."`, `"description": " "`, 1},
	{"name of a field that is no symbol", schemaFile, `"gpc": {`, `"Sec-GPC": {`, 4},
	{"example that does not validate", schemaFile, `"megabytes": 412`, `"megabytes": 412.5, "color": "red"`, 2},
	{"no example", schemaFile, `"examples": [
    {
      "customer": "ada@example.org",
      "ip": "192.0.2.44",
      "product": "planner",
      "edition": "pro",
      "megabytes": 412,
      "comment": "for my laptop"
    }
  ]`, `"examples": []`, 1},
	{"another dialect", schemaFile, `draft/2020-12/schema`, `draft-07/schema`, 1},
	{"event called unlike its file", schemaFile, `"event": "download"`, `"event": "fetch"`, 2},
	{"member twice in the schema", schemaFile, `"title": "Download",`, `"title": "Download", "title": "Download",`, 1},
	{"schema that is not JSON", schemaFile, `"title": "Download",`, `"title": "Download"`, 1},
	{"schema that is no object", "downloads/other.v1.json", ``, `[]`, 1},

	// The pipeline's form.
	{"unknown key", pipelineFile, `legal_basis:`, `legal_bases:`, 2},
	{"key twice", pipelineFile, `domain: downloads`, "domain: downloads\ndomain: web", 1},
	{"anchor and alias", pipelineFile, `subjects: [customers]`, `subjects: &s [customers]`, 1},
	{"tag", pipelineFile, `title: Downloads
purpose`, "title: !!str Downloads\npurpose", 1},
	{"two documents in one file", pipelineFile, `metrics:`, "---\nmetrics:", 1},
	{"pipeline that is not YAML", pipelineFile, `events:`, "\tevents:", 1},
	{"document of no kind", "other.yaml", ``, "tables: {}\n", 1},
	{"empty document", "other.yaml", ``, "# nothing\n", 1},
	{"no purpose", pipelineFile, `purpose: Count downloads and answer customers who ask about theirs.`, ``, 1},
	{"empty purpose", pipelineFile, `purpose: Count downloads and answer customers who ask about theirs.`, `purpose:`, 1},
	{"no recipients", pipelineFile, `recipients: [product managers, operators]`, ``, 1},
	{"name that is no symbol", pipelineFile, `pipeline: downloads`, `pipeline: Down loads`, 1},

	// Treatments.
	{"identifier kept as it came", pipelineFile, `customer: drop
          ip: {truncate: client_net}`, `customer: keep
          ip: {truncate: client_net}`, 1},
	{"free text kept as it came", pipelineFile, `comment: {redact: text}`, `comment: keep`, 1},
	{"identifier redacted", pipelineFile, `customer: drop
          ip: {truncate: client_net}`, `customer: {redact: text}
          ip: {truncate: client_net}`, 1},
	{"field not treated", pipelineFile, `          comment: {redact: text}
`, ``, 1},
	{"treated but not a field", pipelineFile, `comment: {redact: text}`, "comment: {redact: text}\n          region: keep", 1},
	{"field treated twice", pipelineFile, `comment: {redact: text}`, "comment: {redact: text}\n          comment: drop", 1},
	{"unknown treatment", pipelineFile, `comment: {redact: text}`, `comment: hash`, 1},
	{"unknown treatment in a mapping", pipelineFile, `comment: {redact: text}`, `comment: {hash: sha256}`, 2},
	{"two treatments in one", pipelineFile, `comment: {redact: text}`, `comment: {redact: text, coarsen: host}`, 1},
	{"drop beside another treatment", pipelineFile, `comment: {redact: text}`, `comment: [{redact: text}, drop]`, 1},
	{"truncate of no address", pipelineFile, `customer: drop
          ip: {truncate: client_net}`, `customer: {truncate: client_net}
          ip: drop`, 1},
	{"truncate that keeps too much", pipelineFile, `{truncate: client_net}`, `{truncate: client_net, ipv4: 32}`, 1},
	{"coarsen to nothing known", pipelineFile, `coarsen: user_agent_family`, `coarsen: user_agent_version`, 1},
	{"step of text", pipelineFile, `coarsen: user_agent_family`, `coarsen: step:10`, 1},
	{"hour of a number", pipelineFile, `{coarsen: step:100}`, `{coarsen: hour}`, 1},
	{"redact to nothing known", pipelineFile, `{redact: text}`, `{redact: names}`, 1},
	{"two fields in one column", pipelineFile, `as: browser`, `as: product`, 2},
	{"column that every row has", pipelineFile, `as: browser`, `as: tenant`, 2},
	{"column called like a bridge", pipelineFile, `as: browser`, `as: browser_prev`, 2},
	{"token from no field", pipelineFile, `[[customer], [ip, user_agent]]`, `[[customer], [address, user_agent]]`, 1},
	{"token from free text", pipelineFile, `[[customer], [ip, user_agent]]`, `[[customer], [ip, comment]]`, 1},
	{"token from a number", pipelineFile, `[[customer], [ip, user_agent]]`, `[[customer], [ip, megabytes]]`, 1},
	{"unless of no boolean", pipelineFile, `unless: [gpc]`, `unless: [product]`, 1},

	// Tables and classes.
	{"unknown deletion class", pipelineFile, `class: access # 30 days, see retention.yaml`, `class: forever`, 1},
	{"class that governs something else", pipelineFile, `class: access # 30 days, see retention.yaml`, `class: backup`, 1},
	{"no class", pipelineFile, `class: access # 30 days, see retention.yaml`, ``, 1},
	{"unknown time", pipelineFile, `time: day`, `time: week`, 2},
	{"lasting table with the exact time", pipelineFile, `        time: day
`, ``, 1},
	{"lasting table with a token", pipelineFile, `customer: drop
          ip: drop`, `customer: {token: downloader}
          ip: drop`, 1},
	{"lasting table with a network", pipelineFile, `customer: drop
          ip: drop`, `customer: drop
          ip: {truncate: client_net}`, 1},
	{"lasting table with free text", pipelineFile, `          comment: drop
`, `          comment: {redact: text}
`, 1},
	{"lasting table with long quasi text", pipelineFile, `user_agent: drop
          comment: drop`, `user_agent: keep
          comment: drop`, 1},
	{"event with no deletion rule", pipelineFile, `class: access # 30 days, see retention.yaml
        tokens:
          downloader:
            from: [[customer], [ip, user_agent]]
            unless: [gpc]
            subject: true
        fields:
          customer: drop
          ip: {truncate: client_net}
          product: keep
          edition: keep
          megabytes: {coarsen: step:100}
          user_agent: {coarsen: user_agent_family, as: browser}
          comment: {redact: text}
          gpc: drop`, `class: lasting
        time: day
        fields: {customer: drop, ip: drop, product: keep, edition: keep, megabytes: drop, user_agent: drop, comment: drop, gpc: drop}`, 4},
	{"token that outlives its shorter rule", pipelineFile, `      download_lasting:
        class: lasting
        time: day
        fields:
          customer: drop`, `      download_long:
        class: login
        fields:
          customer: {token: downloader}`, 1},
	{"table called like another", pipelineFile, `      download_lasting:`, `      login:`, 1},
	{"table called like Lethe's own", pipelineFile, `      download_lasting:`, `      clock:`, 1},
	{"event that no schema declares", pipelineFile, `  download:
    tables:`, `  downloaded:
    tables:`, 2},
	{"event that no pipeline treats", "extra/orphan.v1.json", ``, `{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"t","description":"d","type":"object",
"x-lethe":{"event":"orphan","version":1},"additionalProperties":false,
"properties":{"a":{"type":"boolean","description":"d","x-lethe":{"category":"system.operations","class":"plain"}}},"examples":[{"a":true}]}`, 1},
	{"event treated by two pipelines", pipelineFile, `events:
  download:`, "events:\n  login: {tables: {}}\n  download:", 2},
	{"pipeline called like another", pipelineFile, `pipeline: downloads`, `pipeline: web`, 1},
	{"field that changes between versions", "downloads/download.v2.json", ``, `{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"t","description":"d","type":"object",
"x-lethe":{"event":"download","version":2},"additionalProperties":false,
"properties":{"product":{"type":"boolean","description":"d","x-lethe":{"category":"system.operations","class":"plain"}},
"customer":{"type":"string","maxLength":9,"description":"d","x-lethe":{"category":"system.operations","class":"plain"}}},"examples":[{"product":true}]}`, 3},
	{"schema that says nothing", "extra/empty.v1.json", ``, `{}`, 8},
	{"event and version declared twice", "extra/login_again.v1.json", ``, `{"$schema":"https://json-schema.org/draft/2020-12/schema","title":"t","description":"d","type":"object",
"x-lethe":{"event":"login","version":1},"additionalProperties":false,
"properties":{"reason":{"type":"string","maxLength":9,"description":"d","x-lethe":{"category":"system.operations","class":"plain"}}},"examples":[{"reason":"x"}]}`, 2},
	{"bad period", "extra.yaml", ``, "classes:\n  a: {cluster: c, description: d, period: 30, starts: event, governs: events}\n", 1},
	{"lasting class with a period", "extra.yaml", ``, "classes:\n  a: {cluster: c, description: d, period: 30 days, lasting: true, governs: events}\n", 1},
	{"class that starts at nothing known", "extra.yaml", ``, "classes:\n  a: {cluster: c, description: d, period: 1 year, starts: birth, governs: raw}\n", 1},
	{"class of tables that starts elsewhere", "extra.yaml", ``, "classes:\n  a: {cluster: c, description: d, period: 1 year, starts: collection, governs: events}\n", 1},
	{"class that governs nothing known", "extra.yaml", ``, "classes:\n  a: {cluster: c, description: d, period: 1 year, starts: event, governs: tables}\n", 1},
	{"class that keeps no promise's number", "extra.yaml", ``, "classes:\n  a: {cluster: c, description: d, period: 1 year, starts: event, governs: events, promises: [all]}\n", 1},
	{"class kept too long", "extra.yaml", ``, "classes:\n  a: {cluster: c, description: d, period: 31 years, starts: event, governs: events}\n", 1},
	{"lasting class that governs backups", "extra.yaml", ``, "classes:\n  a: {cluster: c, description: d, lasting: true, governs: backups}\n", 1},
	{"class declared twice", "extra.yaml", ``, "classes:\n  access: {cluster: c, description: d, period: 1 year, starts: event, governs: events}\n", 1},
	{"epochs too short for the class", pipelineFile, `domain: downloads`, "domain: downloads\nepochs: {length: 63 days, anchor: 2026-11-20}", 1},
	{"epochs that are none", pipelineFile, `domain: downloads`, "domain: downloads\nepochs: {length: 3 months, anchor: tomorrow}", 2},
	{"domain with two sets of epochs", pipelineFile, `domain: downloads`, "domain: web\nepochs: {length: 70 days}", 1},

	// Metrics.
	{"metric over no table", pipelineFile, `table: download
    value: count`, `table: downloaded
    value: count`, 1},
	{"metric without subject", pipelineFile, `value: count
    subject: downloader`, `value: count`, 1},
	{"metric whose subject is no token", pipelineFile, `value: count
    subject: downloader`, `value: count
    subject: product`, 1},
	{"metric whose subject is a bridge", pipelineFile, `value: count
    subject: downloader`, `value: count
    subject: downloader_prev`, 1},
	{"public metric with a subject", pipelineFile, `value: count
    subject: downloader`, `value: count
    public: true
    subject: downloader`, 2},
	{"public metric split by what is not plain", pipelineFile, `value: count
    subject: downloader
    dimensions: [product, edition, browser]`, `value: count
    public: true
    dimensions: [product, browser]`, 1},
	{"public metric with a k", pipelineFile, `value: count
    subject: downloader
    dimensions: [product, edition, browser]`, `value: count
    public: true
    k: 20`, 1},
	{"public metric that counts people", pipelineFile, `value: distinct
    subject: downloader`, `value: distinct
    public: true`, 1},
	{"k below the floor", pipelineFile, `value: count`, "value: count\n    k: 4", 1},
	{"value that is none", pipelineFile, `value: count`, `value: average`, 1},
	{"current without a condition", pipelineFile, `value: count`, `value: current`, 1},
	{"dimension that is a token", pipelineFile, `[product]`, `[downloader]`, 1},
	{"dimension that is free text", pipelineFile, `[product]`, `[comment]`, 1},
	{"dimension that is a network", pipelineFile, `[product]`, `[client_net]`, 1},
	{"dimension that is no column", pipelineFile, `[product]`, `[region]`, 1},
	{"dimension twice", pipelineFile, `[product]`, `[product, product]`, 1},
	{"condition on no column", pipelineFile, `{edition: [pro]}`, `{region: [pro]}`, 1},
	{"condition on a token", pipelineFile, `{edition: [pro]}`, `{downloader: [x]}`, 1},
	{"condition that never holds", pipelineFile, `{edition: [pro]}`, `{edition: [gold]}`, 1},
	{"condition on a number that is none", pipelineFile, `{edition: [pro]}`, `{megabytes: [many]}`, 1},
	{"sum of no column", pipelineFile, "value: count", "value: sum", 1},
	{"sum of what is not there", pipelineFile, "value: count", "value: sum\n    of: bytes", 1},
	{"sum of what is no number", pipelineFile, "value: count", "value: sum\n    of: edition", 1},
	{"count of a column", pipelineFile, "value: count", "value: count\n    of: edition", 1},
	{"two metrics that cut one table otherwise", pipelineFile, "  pro_customers:", twoCubes, 1},
	{"an event that is counted through two tables", pipelineFile, "  pro_customers:", twoTables, 1},
	{"buckets of a count", pipelineFile, "value: count", "value: count\n    buckets: [day]", 1},
	{"bucket that there is not", pipelineFile, "value: distinct", "value: distinct\n    buckets: [day, year]", 1},
	{"bucket twice", pipelineFile, "value: distinct", "value: distinct\n    buckets: [day, day]", 1},
	{"bucket longer than rows live", pipelineFile, "value: distinct", "value: distinct\n    buckets: [month]", 1},
	{"zone that there is not", pipelineFile, "value: count", "value: count\n    zone: Europe/Nowhere", 1},
	{"zone of the machine", pipelineFile, "value: count", "value: count\n    zone: Local", 1},
	{"noise that is no fraction", pipelineFile, "value: count", "value: count\n    noise: 0.5", 1},
	{"noise of nothing", pipelineFile, "value: count", "value: count\n    noise: 0/3", 1},
	{"dominance of a count", pipelineFile, "value: count", "value: count\n    dominance: 80%", 1},
	{"dominance that is no share", pipelineFile, "value: count", "value: sum\n    of: megabytes\n    dominance: 0.8", 1},
	{"dominance that is none", pipelineFile, "value: count", "value: sum\n    of: megabytes\n    dominance: 100%", 1},
	{"subjects by the hour", pipelineFile, "dimensions: [product]", "dimensions: [product, hour]", 1},
	{"ratio of one metric", pipelineFile, "  pro_customers:", ratioOf("[downloads]"), 1},
	{"ratio of what is no metric", pipelineFile, "  pro_customers:", ratioOf("[downloads, uploads]"), 1},
	{"ratio of what is current", pipelineFile, "  pro_customers:", ratioOf("[downloads, active_machines]"), 1},
	{"ratio with a k", pipelineFile, "  pro_customers:", strings.Replace(ratioOf("[downloads, visitors]"), "of:", "k: 20\n    of:", 1), 1},
	{"metric declared twice", pipelineFile, `  pro_customers:`, `  visitors:`, 1},
}

// twoCubes is a second metric that counts the rows of one table, by fewer
// dimensions.
const twoCubes = `  downloads_by_edition:
    title: Downloads by edition
    description: Installers that were downloaded.
    table: download
    value: count
    subject: downloader
    dimensions: [edition]

  pro_customers:`

// twoTables is a metric that counts an event once more, through the table that
// stays and names nobody.
const twoTables = `  all_downloads:
    title: All downloads
    description: Installers that were downloaded, however few took them.
    table: download_lasting
    value: count
    public: true
    dimensions: [product]

  pro_customers:`

// ratioOf is a metric that divides others, before the last one.
func ratioOf(of string) string {
	return `  share:
    title: Share
    description: One by the other.
    value: ratio
    of: ` + of + `

  pro_customers:`
}

func TestEveryMistakeIsReportedWithFileAndLine(t *testing.T) {
	var out strings.Builder
	for _, m := range mistakes {
		files := example(t)
		if m.old == "" {
			files[m.file] = m.new
		} else {
			if strings.Count(files[m.file], m.old) != 1 {
				t.Fatalf("%s: the text to replace stands %d times in %s", m.name, strings.Count(files[m.file], m.old), m.file)
			}
			files[m.file] = strings.Replace(files[m.file], m.old, m.new, 1)
		}
		_, err := compileWith(t, files)
		var problems policy.Problems
		if err != nil && !errors.As(err, &problems) {
			t.Fatalf("%s: the error is no list of problems: %v", m.name, err)
		}
		if err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: problems are not invalid", m.name)
		}
		if len(problems) != m.want {
			t.Errorf("%s: %d problems, want %d\n%v", m.name, len(problems), m.want, err)
		}
		for _, p := range problems {
			if p.File == "" || p.Line == 0 || p.Sentence == "" {
				t.Errorf("%s: a problem does not say where it is: %v", m.name, p)
			}
		}
		fmt.Fprintf(&out, "# %s\n", m.name)
		if err != nil {
			fmt.Fprintf(&out, "%v\n", err)
		}
		out.WriteString("\n")
	}
	const golden = "testdata/problems.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("the problems are not those of %s (-want +got):\n%s", golden, diff)
	}
}

func TestATableThatKeepsDaysHasNoHours(t *testing.T) {
	files := example(t)
	text := strings.Replace(files[pipelineFile], "class: access #", "class: access\n        time: day #", 1)
	files[pipelineFile] = text
	if _, err := compileWith(t, files); err != nil {
		t.Fatal(err)
	}
	files[pipelineFile] = strings.Replace(text, "[product, edition, browser]", "[hour, product]", 1)
	if _, err := compileWith(t, files); err == nil || !strings.Contains(err.Error(), "keeps only the day") {
		t.Errorf("hours of a table that keeps days: %v", err)
	}
}

func TestTheSubjectOfAMetricHasABridge(t *testing.T) {
	files := example(t)
	files[pipelineFile] = strings.Replace(files[pipelineFile], "            subject: true\n", "", 1)
	pol, err := compileWith(t, files)
	if err != nil {
		t.Fatal(err)
	}
	table, _ := pol.Table("download")
	if col, ok := table.Column("downloader_prev"); !ok || col.Bridges != "downloader" || col.Verb != policy.TokenOf {
		t.Error("a token that a metric counts by has no column for the epoch before")
	}
}

// The control: what the mistakes are made in has none.
func TestWorkedExampleCompiles(t *testing.T) {
	pol, err := compileWith(t, example(t))
	if err != nil {
		t.Fatal(err)
	}
	table, ok := pol.Table("download")
	if !ok {
		t.Fatal("the example has no table")
	}
	want := []string{"downloader", "downloader_prev", "client_net", "product", "edition", "megabytes", "browser", "comment"}
	if diff := cmp.Diff(want, table.ColumnNames()); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestTheManualQuotesTheWorkedExample(t *testing.T) {
	manual, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range example(t) {
		if !strings.Contains(string(manual), "\n"+text+"```") {
			t.Errorf("docs/policy.md does not quote %s as it stands in testdata/example.txtar", name)
		}
	}
}
