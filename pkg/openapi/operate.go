package openapi

import (
	"github.com/lethe-pipeline/lethe/pkg/operation"
)

var operating = table{"operation", "How the flow is, and what changes it (docs/operations.md).", []route{
	{"GET /v1/status", "getStatus", "How the flow is", func(b *builder, o *Operation) {
		o.Description = "Every stage with its numbers, rates and lag, every log, every table."
		o.answers(200, "The state of the flow.", asJSON[operation.Status](b, nil))
	}},
	{"GET /v1/plan", "getPlan", "What differs from the policy in force", func(b *builder, o *Operation) {
		o.Description = "What it takes to make the running system what its policy says. It is drift, and should be nothing."
		o.answers(200, "The plan.", asJSON[operation.Plan](b, nil))
	}},
	{"POST /v1/plan", "planPolicy", "What another policy would change", func(b *builder, o *Operation) {
		o.Description = "Changes nothing."
		o.Body = policyBody()
		o.answers(200, "The plan.", asJSON[operation.Plan](b, nil))
		badPolicy(b, o)
	}},
	{"POST /v1/apply", "applyPolicy", "Apply a policy", func(b *builder, o *Operation) {
		o.Description = "Puts a policy on record and keeps it as the one with which this Lethe starts next."
		o.Parameters = append(o.Parameters, inQuery(operation.ToldParameter,
			"Whether people have been told of what they must be told of.", &Schema{Type: "boolean", Default: false}))
		o.Body = policyBody()
		o.answers(200, "What it changes.", asJSON[operation.Plan](b, nil))
		badPolicy(b, o)
		b.fails(o, 409, "People must be told first, it has to wait, or this Lethe is told with each start where its policy is.")
	}},
	{"GET /v1/quarantine", "listQuarantine", "What waits in quarantine", func(b *builder, o *Operation) {
		o.Description = "Frames of events that could not be treated, oldest first, with the reasons. It opens none."
		o.answers(200, "What waits.", asJSON[operation.QuarantineList](b, nil))
	}},
	{"POST /v1/quarantine/redrive", "redriveQuarantine", "Treat again what waits in quarantine", func(b *builder, o *Operation) {
		o.Description = "Under the policy in force."
		o.answers(200, "What became of the events.", asJSON[operation.RedriveAnswer](b, nil))
	}},
	{"GET /v1/keys", "listKeys", "The keys", func(b *builder, o *Operation) {
		o.Description = "Which keys live and which were destroyed. It holds none."
		o.answers(200, "The keys, those that live first.", asJSON[operation.KeyList](b, nil))
	}},
	{"POST /v1/clock/confirm", "confirmClock", "Accept a jump of the clock", func(b *builder, o *Operation) {
		o.Description = "Lethe's clock follows a jump ahead of the machine's only when somebody says that it is right."
		o.answers(200, "The jump is accepted.", map[string]Media{jsonMedia: {Schema: &Schema{Type: "null"}}})
		b.fails(o, 409, "No jump is held back.")
	}},
	{"POST /v1/clock/reject", "rejectClock", "Undo what somebody set Lethe's clock to", func(b *builder, o *Operation) {
		o.Description = "Lethe's clock, where somebody set it ahead by hand, goes back to where retention had moved it."
		o.answers(200, "The clock is Lethe's own again.", map[string]Media{jsonMedia: {Schema: &Schema{Type: "null"}}})
		b.fails(o, 409, "Nobody has set it by hand.")
	}},
	{"POST /v1/retention/run", "runRetention", "Remove what has expired", func(b *builder, o *Operation) {
		o.Description = "At once, instead of with the next run. It answers when the run has ended."
		o.answers(200, "The run has ended.", map[string]Media{jsonMedia: {Schema: &Schema{Type: "null"}}})
		b.fails(o, 409, "Another process is in a run.")
	}},
	{"GET /v1/rebuild", "getRebuild", "How far the latest rebuild is", func(b *builder, o *Operation) {
		o.Description = "Phase is none where there never was one."
		o.answers(200, "How far it is.", asJSON[operation.RebuildState](b, nil))
	}},
	{"POST /v1/rebuild", "startRebuild", "Rebuild the warehouse", func(b *builder, o *Operation) {
		o.Description = "From the clean log, beside the tables, which are switched at the end. One that is under way is the one that is asked for."
		o.answers(200, "How far it is.", asJSON[operation.RebuildState](b, nil))
	}},
}}

// policyBody is a policy's documents (policy.Documents.Archive).
func policyBody() *Body {
	return &Body{Required: true, Content: map[string]Media{jsonMedia: {
		Schema: &Schema{
			Type: "object", Additional: false, Required: []string{"format", "documents"},
			Properties: Properties{
				{"format", &Schema{Const: "lethe-policy-1"}},
				{"documents", &Schema{
					Type: "object", Additional: &Schema{Type: "string"},
					Description: "The text of every schema and pipeline, by its path.",
				}},
			},
		},
		Example: map[string]any{"format": "lethe-policy-1", "documents": map[string]string{"retention.yaml": "classes: …"}},
	}}}
}

func badPolicy(b *builder, o *Operation) {
	b.fails(o, 413, "The documents are too large.")
	b.fails(o, 422, "The documents are no policy; the problem lists every fault with its file and line.")
}
