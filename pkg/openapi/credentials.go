package openapi

import (
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

const noCredential = "There is no such credential among those that this one sees."

var credentials = table{"credentials", "Who may ask for what (docs/access.md).", []route{
	{"GET /v1/credentials", "listCredentials", "The credentials", func(b *builder, o *Operation) {
		o.Description = "Those that are and were, oldest first, without secrets: of its tenant, those that see no more than this one."
		o.answers(200, "The credentials.", asJSON[access.Listing](b, nil))
	}},
	{"POST /v1/credentials", "createCredential", "Make a credential", func(b *builder, o *Operation) {
		o.Description = "What is left out is what this credential says itself. None is made that may do more."
		o.Body = &Body{Required: true, Content: asJSON[access.Request](b, access.Request{
			Role: access.Analyst, Services: []string{"shop"}, Expires: time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC),
			Scope: access.Scope{Routes: []string{"GET /v1/stats/{metric}"}, Purposes: []string{"monthly report"}},
		})}
		o.answers(201, "The credential with its text, which is shown this once.", asJSON[access.Issued](b, nil))
		b.fails(o, 422, "The credential cannot be: its role, tenant, limits or end.")
	}},
	{"POST /v1/credentials/{id}/rotate", "rotateCredential", "Give a credential another secret", func(b *builder, o *Operation) {
		o.Description = "The secret before opens nothing from then on, or after grace."
		o.Parameters = append(o.Parameters, inPath("id", "The credential's id, the part of its text that is public.", &Schema{Type: "string"}))
		o.Body = &Body{Content: asJSON[access.Rotation](b, access.Rotation{Grace: "24h"})}
		o.answers(200, "The credential with its text, which is shown this once.", asJSON[access.Issued](b, nil))
		b.fails(o, 404, noCredential)
		b.fails(o, 409, "The credential is revoked or expired.")
		b.fails(o, 422, "The grace is no duration, or is too long.")
	}},
	{"DELETE /v1/credentials/{id}", "revokeCredential", "Revoke a credential", func(b *builder, o *Operation) {
		o.Description = "It opens nothing from then on, in every process that shares the file. Twice is once."
		o.Parameters = append(o.Parameters, inPath("id", "The credential's id.", &Schema{Type: "string"}))
		o.answers(204, "It is revoked.", nil)
		b.fails(o, 404, noCredential)
		b.fails(o, 409, "It is the last one of its tenant that can make others.")
	}},
	{"GET /v1/access", "listAccessRules", "Who may use which route", func(b *builder, o *Operation) {
		o.Description = "The gate's rules: what is not among them does not answer."
		o.answers(200, "The rules.", asJSON[access.Rules](b, nil))
	}},
}}
