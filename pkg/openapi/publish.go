package openapi

import (
	"encoding/json"
	"fmt"
	"path"

	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

var publishing = table{"publishing", "Events come in (docs/publishing.md).", []route{
	{"POST /v1/events", "publishEvents", "Publish events", publishEvents},
}}

func publishEvents(b *builder, o *Operation) {
	o.Description = "Stores events and answers when they are on disk, with one receipt for each, in their order. A bad event does not hold up the good ones " +
		"beside it. After a lost connection or a 5xx the same request may be sent again, and stores nothing twice if it has an " +
		"Idempotency-Key or an id on every event.\n\nA CloudEvent in binary mode has its attributes in the headers ce-*, and its data as the body."
	header := func(name, description string, s *Schema) Parameter {
		return Parameter{Name: name, In: "header", Description: description, Schema: s}
	}
	name := &Schema{Type: "string", MaxLength: 48}
	o.Parameters = append(o.Parameters,
		inQuery("service", "The service that sends, where an event does not name it.", name),
		header("Idempotency-Key", "Makes a request one that may be sent again. At most 255 bytes.", &Schema{Type: "string", MaxLength: 255}),
		header("Content-Encoding", "How the body is compressed.", &Schema{Type: "string", Enum: []string{"identity", "gzip", "zstd"}}),
		header("ce-specversion", "CloudEvents in binary mode: 1.0.", &Schema{Type: "string", Const: "1.0"}),
		header("ce-type", "CloudEvents in binary mode: the event's name.", &Schema{Type: "string"}),
		header("ce-source", "CloudEvents in binary mode: a plain name is the service, a URI never is.", &Schema{Type: "string"}),
		header("ce-id", "CloudEvents in binary mode: with ce-source, the event's id.", &Schema{Type: "string"}),
		header("ce-time", "CloudEvents in binary mode: when the event occurred.", &Schema{Type: "string", Format: "date-time"}),
	)
	e := b.events()
	some := func(s *Schema) *Schema { return &Schema{Type: "array", Items: s, MaxItems: gateway.MaxEvents} }
	o.Body = &Body{
		Description: fmt.Sprintf("At most %d events and %d MiB, %d MiB decompressed; an event measures at most %d MiB.",
			gateway.MaxEvents, gateway.MaxBody>>20, gateway.MaxDecoded>>20, gateway.MaxEvent>>20),
		Required: true,
		Content: map[string]Media{
			jsonMedia: {
				Schema:  &Schema{AnyOf: []*Schema{e.event, some(e.event), e.cloud, some(e.cloud), e.data}},
				Example: []any{e.example},
			},
			"application/x-ndjson": {
				Schema:  &Schema{Type: "string", Description: "One event a line, each on its own: one that is no JSON is refused, and the others are not."},
				Example: e.line + "\n" + e.line + "\n",
			},
			"application/cloudevents+json":       {Schema: e.cloud, Example: e.cloudExample},
			"application/cloudevents-batch+json": {Schema: some(e.cloud), Example: []any{e.cloudExample}},
		},
	}
	o.answers(200, "What became of each event.", asJSON[gateway.Answer](b, gateway.Answer{Receipts: []gateway.Receipt{
		{Index: 0, ID: "36hZsZx6iNqBVKZ3bCPHVSgFb2U", Status: gateway.Stored},
		{Index: 1, Status: gateway.Refused, Problem: "status is missing"},
	}}))
	b.fails(o, 400, "The request cannot be read.")
	b.fails(o, 408, "The body took too long to arrive.")
	b.fails(o, 413, "The body is too large, or holds too many events.")
	b.fails(o, 415, "The media type or the encoding is none of those that are taken.")
	b.fails(o, 507, "There is no room for events.")
}

// eventSchemas are what a publisher may send under a policy.
type eventSchemas struct {
	event, cloud, data    *Schema
	example, cloudExample map[string]any
	line                  string
}

// events makes a component of each version of each event's data, and of each
// event.
func (b *builder) events() eventSchemas {
	out := eventSchemas{
		event: &Schema{Ref: schemaRef + "Event"}, cloud: &Schema{Ref: schemaRef + "CloudEvent"}, data: &Schema{Ref: schemaRef + "Data"},
	}
	all := &Schema{
		Description:   "An event, in Lethe's own form.",
		Discriminator: &Discriminator{Property: "event", Mapping: map[string]string{}},
	}
	var data []*Schema
	documents := documentsOf(b.policy)
	versions := map[string][]*Schema{}
	for _, s := range b.policy.Schemas() {
		name := fmt.Sprintf("%s.v%d", s.Event, s.Version)
		b.components[name] = eventData(documents[path.Base(s.File)])
		ref := &Schema{Ref: schemaRef + name}
		data = append(data, ref)
		if versions[s.Event] == nil {
			all.OneOf = append(all.OneOf, &Schema{Ref: schemaRef + s.Event})
			all.Discriminator.Mapping[s.Event] = schemaRef + s.Event
		}
		versions[s.Event] = append(versions[s.Event], ref)
		b.components[s.Event] = envelope(s, versions[s.Event])
		if out.example == nil && len(s.Examples) > 0 {
			example := json.RawMessage(s.Examples[0])
			out.example = map[string]any{"event": s.Event, "id": "req-8f1c", "occurred_at": "2026-11-21T10:00:00Z", "service": "shop", "data": example}
			out.cloudExample = map[string]any{
				"specversion": "1.0", "type": s.Event, "source": "shop", "id": "req-8f1c", "time": "2026-11-21T10:00:00Z", "data": example,
			}
			line, err := json.Marshal(out.example)
			if err != nil {
				panic("openapi: an example of a schema is not JSON: " + err.Error())
			}
			out.line = string(line)
		}
	}
	b.components["Event"], b.components["Data"], b.components["CloudEvent"] = all, one(data), cloudEvent()
	return out
}

// envelope is an event with data of one of its versions.
func envelope(s *policy.Schema, data []*Schema) *Schema {
	least := 1
	return &Schema{
		Type: "object", Description: s.Title + ".", Required: []string{"event", "data"}, Additional: false,
		Properties: Properties{
			{"event", &Schema{Const: s.Event, Description: "The name of the schema."}},
			{"version", &Schema{Type: "integer", Minimum: &least, Description: "The version of the schema; without it, the newest."}},
			{"service", &Schema{Type: "string", MaxLength: 48, Description: "Where it happened, if the request does not say it for all."}},
			{"id", &Schema{Type: "string", MaxLength: 256, Description: "The publisher's own id. With occurred_at, the event is the same event for as long as it lives."}},
			{"occurred_at", &Schema{Type: "string", Format: "date-time", Description: "Decides how long the event lives; without it, the moment of receipt. More than 5 minutes ahead is refused."}},
			{"data", one(data)},
		},
	}
}

// one is a schema that one of several holds with.
func one(of []*Schema) *Schema {
	if len(of) == 1 {
		return of[0]
	}
	return &Schema{AnyOf: of}
}

// cloudEvent is an event as CloudEvents 1.0.2 writes it, in structured mode.
func cloudEvent() *Schema {
	return &Schema{
		Type: "object", Description: "A CloudEvent (CloudEvents 1.0.2, structured mode). Other attributes are allowed and ignored.",
		Required: []string{"specversion", "type", "source", "id"},
		Properties: Properties{
			{"specversion", &Schema{Const: "1.0"}},
			{"type", &Schema{Type: "string", Description: "The event's name, http_access, or with its version: http_access.v1, lethe.http_access.v1."}},
			{"source", &Schema{Type: "string", Description: "A plain name is the service; a URI never is."}},
			{"id", &Schema{Type: "string", Description: "With source, the publisher's own id."}},
			{"time", &Schema{Type: "string", Format: "date-time", Description: "When it occurred."}},
			{"datacontenttype", &Schema{Type: "string", Description: "JSON, if it is there."}},
			{"data", &Schema{Ref: schemaRef + "Data"}},
			{"data_base64", &Schema{Type: "string", Description: "The data in base64, in place of data."}},
		},
	}
}

// eventData is an event's schema as its document has it, but for what would
// make it a resource of its own.
func eventData(document string) json.RawMessage {
	var members map[string]json.RawMessage
	err := json.Unmarshal([]byte(document), &members)
	delete(members, "$schema")
	delete(members, "$id")
	if err == nil {
		document, err := json.Marshal(members)
		if err == nil {
			return document
		}
	}
	panic("openapi: a compiled schema must be JSON")
}

// documentsOf is the text of every document of a policy, by its name, which no
// two have.
func documentsOf(pol *policy.Policy) map[string]string {
	text, err := pol.Documents().Archive()
	var archive struct {
		Documents map[string]string `json:"documents"`
	}
	if err == nil {
		err = json.Unmarshal(text, &archive)
	}
	if err != nil {
		panic("openapi: a compiled policy must have an archive: " + err.Error())
	}
	out := map[string]string{}
	for file, text := range archive.Documents {
		out[path.Base(file)] = text
	}
	return out
}
