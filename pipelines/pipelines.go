// Package pipelines holds what is done with what is said: one document for
// each pipeline, with its purpose, the treatment of every field, the tables
// and metrics, and retention.yaml with the deletion classes that they share.
//
// Everything under derived/ follows from these documents and from schemas/,
// and is written by "make derive"; nobody edits it.
package pipelines

import "embed"

// FS is every built-in pipeline and the deletion classes.
//
//go:embed *.yaml
var FS embed.FS
