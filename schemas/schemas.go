// Package schemas holds what may be said: one JSON Schema for each version of
// each event, in directories by family. A schema declares the fields of an
// event, their types, and what each says about a person.
//
// The package exists because go:embed cannot reach upward. What the documents
// mean is for pkg/policy.
package schemas

import "embed"

// FS is every built-in schema, as <family>/<event>.v<version>.json.
//
//go:embed */*.json
var FS embed.FS
