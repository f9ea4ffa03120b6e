package openapi

import (
	"github.com/lethe-pipeline/lethe/pkg/hold"
)

const noHold = "There is no such hold."

var holds = table{"holds", "Legal holds copy what they cover before it is forgotten (docs/holds.md).", []route{
	{"GET /v1/holds", "listHolds", "The legal holds", func(b *builder, o *Operation) {
		o.Description = "The holds of the credential's tenant, those that have ended included."
		o.answers(200, "The holds.", asJSON[hold.List](b, nil))
	}},
	{"POST /v1/holds", "addHold", "Add a legal hold", func(b *builder, o *Operation) {
		o.Description = "Puts a hold on record and into force."
		o.Body = &Body{Required: true, Content: asJSON[hold.Request](b, hold.Request{
			Name: "claim-17", Reason: "Claim 17, letter of 3 November 2026", Until: "2027-11-30", Tables: []string{"activation"},
		})}
		o.answers(201, "The hold.", asJSON[hold.Hold](b, nil))
		b.fails(o, 409, "There is a hold of this name that has not ended.")
		b.fails(o, 422, "The hold cannot be: its name, reason, deadline, or what it covers.")
	}},
	{"POST /v1/holds/{id}/release", "releaseHold", "Release a legal hold", func(b *builder, o *Operation) {
		o.Description = "Gives a hold up: its copies are removed."
		o.Parameters = append(o.Parameters, inPath("id", "The hold's id.", &Schema{Type: "string"}))
		o.answers(200, "The hold.", asJSON[hold.Hold](b, nil))
		b.fails(o, 404, noHold)
		b.fails(o, 409, "The hold has ended.")
	}},
}}
