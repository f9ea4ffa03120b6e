package openapi

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
)

// vocabulary is what the source of Lethe says about types, by the package's
// path within the module and the type's name.
type vocabulary map[string]typeWords

// typeWords are the comments on a type and its fields, and the constants that
// there are of it.
type typeWords struct {
	Text   string            `json:"text,omitempty"`
	Fields map[string]string `json:"fields,omitempty"`
	Values []string          `json:"values,omitempty"`
}

//go:embed words.json
var wordsFile []byte

var words = func() vocabulary {
	var v vocabulary
	if err := json.Unmarshal(wordsFile, &v); err != nil {
		panic("openapi: words.json is not readable; run make derive")
	}
	return v
}()

const module = "github.com/lethe-pipeline/lethe/"

func wordsName(t reflect.Type) string {
	return strings.TrimPrefix(t.PkgPath(), module) + "." + t.Name()
}

// of is the comment on a field of a type, or on the type, in the terms of JSON.
func (v vocabulary) of(t reflect.Type, field string) string {
	text := v[wordsName(t)].Text
	if field != "" {
		text = v[wordsName(t)].Fields[field]
	}
	return goName.ReplaceAllStringFunc(text, func(word string) string {
		if word == "nil" {
			return "null"
		}
		if f, ok := t.FieldByName(word); ok {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				return "`" + name + "`"
			}
		}
		return word
	})
}

// goName finds what may be a field's name, and nil.
var goName = regexp.MustCompile(`\b([A-Z]\w*|nil)\b`)

// values are the constants of a named type.
func (v vocabulary) values(t reflect.Type) []string { return v[wordsName(t)].Values }
