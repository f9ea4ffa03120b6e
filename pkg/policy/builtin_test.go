package policy_test

import (
	"testing"
	"testing/fstest"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

// builtin compiles the embedded documents.
func builtin(t testing.TB) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// everyKeyword is a schema that uses each keyword and each format once.
const everyKeyword = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:lethe:event:every_keyword:v1",
  "title": "Every keyword",
  "description": "Uses each keyword and each format.",
  "type": "object",
  "x-lethe": { "event": "every_keyword", "version": 1 },
  "properties": {
    "a_time": { "type": "string", "description": "t", "format": "date-time", "x-lethe": { "category": "system.operations", "class": "plain" } },
    "a_mail": { "type": "string", "description": "t", "format": "email", "x-lethe": { "category": "user.contact.email", "class": "identifier", "identifier": "email" } },
    "a_four": { "type": "string", "description": "t", "format": "ipv4", "x-lethe": { "category": "user.device.ip_address", "class": "identifier", "identifier": "ip" } },
    "a_six": { "type": "string", "description": "t", "format": "ipv6", "x-lethe": { "category": "user.device.ip_address", "class": "identifier", "identifier": "ip" } },
    "an_ip": { "type": "string", "description": "t", "format": "ip", "x-lethe": { "category": "user.device.ip_address", "class": "identifier", "identifier": "ip" } },
    "a_link": { "type": "string", "description": "t", "format": "uri", "maxLength": 40, "x-lethe": { "category": "user.behavior", "class": "free_text" } },
    "a_uuid": { "type": "string", "description": "t", "format": "uuid", "x-lethe": { "category": "user.unique_id", "class": "identifier", "identifier": "text" } },
    "a_text": { "type": "string", "description": "t", "minLength": 2, "maxLength": 4, "x-lethe": { "category": "user.content", "class": "free_text" } },
    "a_code": { "type": "string", "description": "t", "pattern": "^[a-c]+$|é", "maxLength": 5, "x-lethe": { "category": "system.operations", "class": "plain" } },
    "a_word": { "type": "string", "description": "t", "const": "yes", "x-lethe": { "category": "system.operations", "class": "plain" } },
    "a_choice": { "type": "string", "description": "t", "enum": ["a", "b", "ç"], "x-lethe": { "category": "system.operations", "class": "plain" } },
    "a_count": { "type": "integer", "description": "t", "minimum": -3, "maximum": 120, "x-lethe": { "category": "system.operations", "class": "plain" } },
    "a_big": { "type": "integer", "description": "t", "minimum": -9007199254740991, "maximum": 9007199254740991, "x-lethe": { "category": "system.operations", "class": "plain" } },
    "a_seven": { "type": "integer", "description": "t", "const": 7, "minimum": 0, "maximum": 10, "x-lethe": { "category": "system.operations", "class": "plain" } },
    "a_measure": { "type": "number", "description": "t", "minimum": -0.5, "maximum": 1e3, "x-lethe": { "category": "system.operations", "class": "plain" } },
    "a_flag": { "type": "boolean", "description": "t", "x-lethe": { "category": "system.operations", "class": "plain" } },
    "a_truth": { "type": "boolean", "description": "t", "const": true, "x-lethe": { "category": "system.operations", "class": "plain" } }
  },
  "required": ["a_count", "a_text"],
  "additionalProperties": false,
  "examples": [ { "a_count": 1, "a_text": "ab" } ]
}`

const everyPipeline = `
pipeline: every
title: Every keyword
purpose: Test.
legal_basis: Test.
domain: every
subjects: [users]
recipients: [testers]
events:
  every_keyword:
    tables:
      every_keyword:
        class: access
        fields:
          a_time: keep
          a_mail: drop
          a_four: drop
          a_six: drop
          an_ip: drop
          a_link: drop
          a_uuid: drop
          a_text: drop
          a_code: keep
          a_word: keep
          a_choice: keep
          a_count: keep
          a_big: keep
          a_seven: keep
          a_measure: keep
          a_flag: keep
          a_truth: keep
`

// extended is the built-in policy with the every_keyword event.
func extended(t testing.TB) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(schemas.FS, pipelines.FS, fstest.MapFS{
		"test/every_keyword.v1.json": {Data: []byte(everyKeyword)},
		"every.yaml":                 {Data: []byte(everyPipeline)},
	})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}
