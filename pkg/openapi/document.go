package openapi

import (
	"bytes"
	"encoding/json"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

// A Document is an OpenAPI document, as far as Lethe needs one. Members are
// written in the order of the fields.
type Document struct {
	OpenAPI    string          `json:"openapi"`
	Info       Info            `json:"info"`
	Servers    []Server        `json:"servers"`
	Tags       []Tag           `json:"tags"`
	Paths      map[string]Path `json:"paths"`
	Components Components      `json:"components"`
}

// Info is what the document is about.
type Info struct {
	Title       string  `json:"title"`
	Version     string  `json:"version"`
	Summary     string  `json:"summary"`
	Description string  `json:"description"`
	License     License `json:"license"`
}

// License is by its SPDX identifier.
type License struct {
	Name       string `json:"name"`
	Identifier string `json:"identifier"`
}

// A Server is where the paths are found. "/" is where the document is.
type Server struct {
	URL         string `json:"url"`
	Description string `json:"description"`
}

// A Tag groups operations.
type Tag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// A Path is the operations on one path, by their method in lower case.
type Path map[string]*Operation

// An Operation is one route.
type Operation struct {
	Tags        []string              `json:"tags"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	ID          string                `json:"operationId"`
	Parameters  []Parameter           `json:"parameters,omitempty"`
	Body        *Body                 `json:"requestBody,omitempty"`
	Responses   map[string]*Response  `json:"responses"`
	Security    []map[string][]string `json:"security"` // empty: anyone
	// Access is the gate's rule.
	Access access.Route `json:"x-lethe-access"`
}

// A Parameter is of a path, a query or a header. One with a Ref is nothing
// else.
type Parameter struct {
	Ref         string  `json:"$ref,omitempty"`
	Name        string  `json:"name,omitempty"`
	In          string  `json:"in,omitempty"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Style       string  `json:"style,omitempty"`
	Explode     *bool   `json:"explode,omitempty"`
	Schema      *Schema `json:"schema,omitempty"`
	Example     any     `json:"example,omitempty"`
}

// A Body is what a request holds, by media type.
type Body struct {
	Description string           `json:"description,omitempty"`
	Required    bool             `json:"required,omitempty"`
	Content     map[string]Media `json:"content"`
}

// A Response is one way of being answered. One with a Ref is nothing else.
type Response struct {
	Ref         string            `json:"$ref,omitempty"`
	Description string            `json:"description,omitempty"`
	Headers     map[string]Header `json:"headers,omitempty"`
	Content     map[string]Media  `json:"content,omitempty"`
}

// A Header is one of a response.
type Header struct {
	Description string  `json:"description"`
	Schema      *Schema `json:"schema"`
}

// Media is content of one media type.
type Media struct {
	Schema  *Schema `json:"schema,omitempty"`
	Example any     `json:"example,omitempty"`
}

// Components are what is referred to. A schema is a [Schema], or that of an
// event as its document has it.
type Components struct {
	Schemas    map[string]any            `json:"schemas"`
	Responses  map[string]*Response      `json:"responses"`
	Parameters map[string]Parameter      `json:"parameters"`
	Security   map[string]SecurityScheme `json:"securitySchemes"`
}

// A SecurityScheme is a way to show a credential.
type SecurityScheme struct {
	Type        string `json:"type"`
	Scheme      string `json:"scheme"`
	Format      string `json:"bearerFormat"`
	Description string `json:"description"`
}

// A Schema is one of JSON Schema 2020-12. The zero Schema allows everything.
type Schema struct {
	Ref           string         `json:"$ref,omitempty"`
	Description   string         `json:"description,omitempty"`
	Type          any            `json:"type,omitempty"` // a name, or several
	Format        string         `json:"format,omitempty"`
	Const         any            `json:"const,omitempty"`
	Enum          []string       `json:"enum,omitempty"`
	Minimum       *int           `json:"minimum,omitempty"`
	Maximum       *int           `json:"maximum,omitempty"`
	MaxLength     int            `json:"maxLength,omitempty"`
	MaxItems      int            `json:"maxItems,omitempty"`
	Default       any            `json:"default,omitempty"`
	Items         *Schema        `json:"items,omitempty"`
	Properties    Properties     `json:"properties,omitempty"`
	Required      []string       `json:"required,omitempty"`
	Additional    any            `json:"additionalProperties,omitempty"` // a *Schema, or false
	AnyOf         []*Schema      `json:"anyOf,omitempty"`
	OneOf         []*Schema      `json:"oneOf,omitempty"`
	Discriminator *Discriminator `json:"discriminator,omitempty"`
}

// A Discriminator is the property that tells which of several schemas holds.
type Discriminator struct {
	Property string            `json:"propertyName"`
	Mapping  map[string]string `json:"mapping"`
}

// Properties are those of an object, in their order.
type Properties []Property

// A Property is one of an object.
type Property struct {
	Name   string
	Schema *Schema
}

// MarshalJSON writes an object with its members in order.
func (p Properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, property := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(property.Name)
		if err != nil {
			return nil, err
		}
		schema, err := json.Marshal(property.Schema)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(schema)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
