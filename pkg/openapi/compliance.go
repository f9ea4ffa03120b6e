package openapi

import (
	"fmt"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/catalog"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

var compliance = table{"compliance", "What is kept, what was forgotten, and the proof (docs/evidence.md, docs/policy.md).", []route{
	{"GET /v1/verify", "verify", "Verify every promise", func(b *builder, o *Operation) {
		o.Description = "Looks at everything, which may take a while, and puts the outcome on record before it answers."
		o.answers(200, "What was found. The promises that are enforced hold, or holds is false.", asJSON[verify.Report](b, nil))
	}},
	{"GET /v1/verify/history", "getVerifyHistory", "What was found of late", func(b *builder, o *Operation) {
		o.Description = "The last report and the verifications since the process began, without looking again."
		o.answers(200, "What was found.", asJSON[verify.History](b, nil))
	}},
	{"GET /v1/evidence", "makeEvidence", "Make evidence", func(b *builder, o *Operation) {
		o.Description = "A bundle that can be checked offline, with `lethe audit verify`, or the report of one as a page to print."
		o.Parameters = append(o.Parameters,
			inQuery("since", fmt.Sprintf("The first day that it tells of, YYYY-MM-DD, or all for everything on record; without it, %d days ago.",
				evidence.DefaultSpan), &Schema{Type: "string"}),
			inQuery("format", "A bundle (json, without it), or a page (html).", &Schema{Type: "string", Enum: []string{"json", "html"}}),
		)
		content := asJSON[evidence.Bundle](b, nil)
		content["text/html"] = text(nil)
		o.answers(200, "The evidence.", content)
		b.fails(o, 422, "A parameter cannot be.")
	}},
	{"GET /v1/audit", "listAuditEntries", "The latest entries of the audit log", func(b *builder, o *Operation) {
		o.Description = "Newest first: who did or asked what, when, for which purpose."
		least, most := 1, 1000
		o.Parameters = append(o.Parameters,
			inQuery("kind", "Only entries of this kind.", as[audit.Kind](b)),
			inQuery("limit", "How many at most.", &Schema{Type: "integer", Minimum: &least, Maximum: &most, Default: 100}),
			inQuery("before", "Only entries before this one: its year and its number, such as 2026/17.", &Schema{Type: "string"}),
		)
		o.answers(200, "The entries.", asJSON[evidence.Listed](b, nil))
		b.fails(o, 422, "A parameter cannot be.")
	}},
	{"GET /v1/audit/checkpoint", "getCheckpoint", "The newest checkpoint", func(b *builder, o *Operation) {
		o.Description = "What to keep elsewhere, so that a later bundle can be compared with it."
		o.Parameters = append(o.Parameters, inQuery("format", "The signed note alone (text, without it), or with its key (json).",
			&Schema{Type: "string", Enum: []string{"text", "json"}}))
		content := asJSON[evidence.Head](b, nil)
		content["text/plain"] = text(nil)
		r := o.answers(200, "A signed note (golang.org/x/mod/sumdb/note).", content)
		r.Headers = map[string]Header{"Lethe-Verifier-Key": {"The key that the note can be checked with.", &Schema{Type: "string"}}}
		b.fails(o, 404, "Nothing is on record yet.")
		b.fails(o, 422, "A parameter cannot be.")
	}},
	{"GET /v1/catalog", "getCatalog", "The catalog", func(b *builder, o *Operation) {
		o.Description = "Every event, field, treatment, table, metric and deletion class of the policy in force."
		o.answers(200, "The catalog.", asJSON[catalog.Catalog](b, nil))
	}},
	{"GET /v1/ropa", "getRecordOfProcessing", "The record of processing", func(b *builder, o *Operation) {
		o.Description = "The record of processing activities (Art. 30 GDPR), which follows from the policy in force."
		o.Parameters = append(o.Parameters,
			inQuery("format", "Markdown (markdown, without it) or a table (csv).", &Schema{Type: "string", Enum: []string{"markdown", "csv"}}),
			inQuery("form", "The controller's form (Art. 30(1)) or the processor's (Art. 30(2)); without it both in Markdown, and the controller's as a table.",
				&Schema{Type: "string", Enum: []string{string(catalog.Controller), string(catalog.Processor)}}),
		)
		o.answers(200, "The record.", map[string]Media{"text/markdown": text(nil), "text/csv": text(nil)})
		b.fails(o, 422, "A parameter cannot be.")
	}},
}}
