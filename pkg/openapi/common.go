package openapi

import (
	"reflect"
	"strconv"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

const (
	credential  = "credential"
	problemType = "application/problem+json"
	jsonMedia   = "application/json"
	responseRef = "#/components/responses/"
)

const about = "Publishers send events, analysts ask for numbers about groups, officers verify, operators run it; what each may do " +
	"is said by their credentials. Every failure is a problem document (RFC 9457) that names fields and never values. " +
	"Times are RFC 3339 in UTC, days YYYY-MM-DD. Members may be added to answers, and are not renamed. " +
	"`x-lethe-access` is the gate's rule for an operation: the roles it opens to, whose requests go on record first, which limits " +
	"of a credential its answer keeps to."

// commonParameters may come with every request that takes a credential.
var commonParameters = map[string]Parameter{
	"Purpose": {
		Name: access.PurposeHeader, In: "header", Schema: &Schema{Type: "string"}, Example: access.Analyst.Purpose(),
		Description: "What the request is for: one of the credential's purposes. Needed where it has several.",
	},
	"Tenant": {
		Name: access.TenantHeader, In: "header", Schema: &Schema{Type: "string"}, Example: "default",
		Description: "The tenant that the sender believes to be. It chooses nothing; another than the credential's is refused.",
	},
}

var retryAfter = map[string]Header{"Retry-After": {"After how many seconds to try again.", &Schema{Type: "integer"}}}

// commonResponses are the failures that any operation may end with.
var commonResponses = map[string]Response{
	"Problem": {Description: "Any other failure. 422: what was asked cannot be. 500: the fault is Lethe's, and its log says more."},
	"Unauthorized": {Description: "There is no credential, or none that opens anything.", Headers: map[string]Header{
		"WWW-Authenticate": {"The challenge of RFC 6750.", &Schema{Type: "string"}},
	}},
	"Forbidden":   {Description: "The credential does not open this: by its role, tenant, network, purpose, routes or limits."},
	"TooMany":     {Description: "The credential or the network is locked after failed attempts, or a limit is reached.", Headers: retryAfter},
	"Unavailable": {Description: "Try again: too many requests are being served, or something that is needed does not answer, such as the audit log without which nothing is served.", Headers: retryAfter},
}

// typeNames are names of types in the document, where another than that of the
// package and the type reads better.
var typeNames = map[string]string{
	"fault.Problem":            "Problem",
	"gateway.Answer":           "Receipts",
	"gateway.Receipt":          "Receipt",
	"stats.Answer":             "Answer",
	"stats.Row":                "Row",
	"stats.Number":             "Number",
	"stats.Listed":             "Metric",
	"stats.ListedDimension":    "Dimension",
	"openapi.metrics":          "Metrics",
	"verify.Report":            "Verification",
	"verify.Promise":           "Promise",
	"verify.Finding":           "Finding",
	"verify.Rule":              "Rule",
	"verify.Look":              "Look",
	"process.Report":           "Readiness",
	"access.Request":           "CredentialRequest",
	"access.Rotation":          "CredentialRotation",
	"access.Issued":            "IssuedCredential",
	"access.Entry":             "Credential",
	"access.Listing":           "Credentials",
	"access.Rules":             "AccessRules",
	"access.Route":             "AccessRule",
	"hold.List":                "Holds",
	"evidence.Listed":          "AuditEntries",
	"evidence.ListedEntry":     "AuditEntry",
	"evidence.Head":            "Checkpoint",
	"evidence.Bundle":          "Evidence",
	"operation.Status":         "Status",
	"operation.StageStatus":    "StageStatus",
	"operation.LogStatus":      "LogStatus",
	"operation.TableStatus":    "TableStatus",
	"operation.Plan":           "Plan",
	"operation.PolicyChange":   "PolicyChange",
	"operation.Going":          "Going",
	"operation.Change":         "Change",
	"operation.QuarantineList": "Quarantine",
	"operation.QuarantineItem": "QuarantineItem",
	"operation.RedriveAnswer":  "Redrive",
	"operation.RebuildState":   "Rebuild",
	"operation.KeyList":        "Keys",
	"operation.KeyInfo":        "Key",
}

// as is the schema of a type.
func as[T any](b *builder) *Schema { return b.of(reflect.TypeFor[T]()) }

// answers adds an answer.
func (o *Operation) answers(status int, description string, content map[string]Media) *Response {
	r := &Response{Description: description, Content: content}
	o.Responses[strconv.Itoa(status)] = r
	return r
}

// fails adds a failure beyond those that every operation may end with.
func (b *builder) fails(o *Operation, status int, description string) {
	o.answers(status, description, map[string]Media{problemType: b.doc.Components.Responses["Problem"].Content[problemType]})
}

// asJSON is content of one type, with an example that is one, or nil.
func asJSON[T any](b *builder, example any) map[string]Media {
	return map[string]Media{jsonMedia: {Schema: as[T](b), Example: example}}
}

// text is content that is text of its own form.
func text(example any) Media { return Media{Schema: &Schema{Type: "string"}, Example: example} }

// inPath is a parameter of the path.
func inPath(name, description string, s *Schema) Parameter {
	return Parameter{Name: name, In: "path", Description: description, Required: true, Schema: s}
}

// inQuery is a parameter of the query.
func inQuery(name, description string, s *Schema) Parameter {
	return Parameter{Name: name, In: "query", Description: description, Schema: s}
}
