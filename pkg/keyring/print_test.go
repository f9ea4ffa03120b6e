package keyring_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// renderings prints v in nine wrappings with twelve verbs, and through
// encoding/json and both slog handlers.
func renderings(v any) string {
	type exported struct{ V any }
	type unexported struct{ v any }
	type deep struct{ Inner unexported }
	wrapped := []any{
		v, &v, exported{v}, unexported{v}, &exported{v}, &unexported{v},
		[]any{v}, map[string]any{"v": v}, deep{unexported{v}},
	}
	var out bytes.Buffer
	for _, w := range wrapped {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t", "%+s", "%+d"} {
			fmt.Fprintf(&out, verb+"\n", w)
		}
		if b, err := json.Marshal(w); err == nil {
			out.Write(b)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", w)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", w)
	}
	return out.String()
}

// shows says whether text shows any eight bytes of a secret in a row, in any
// form that fmt or an encoder writes bytes in.
func shows(text string, secret []byte) bool {
	for n := 0; n+8 <= len(secret); n++ {
		part := secret[n : n+8]
		decimal := strings.Trim(fmt.Sprint(part), "[]")
		goSyntax := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}")
		forms := []string{string(part), decimal, strings.ReplaceAll(decimal, " ", ","), goSyntax,
			fmt.Sprintf("%x", part), fmt.Sprintf("%X", part), strings.Trim(fmt.Sprintf("%x", fmt.Sprint(part)), "[]")}
		for _, f := range forms {
			if strings.Contains(text, f) {
				return true
			}
		}
	}
	for _, s := range spellings(secret) {
		if bytes.Contains([]byte(text), s) {
			return true
		}
	}
	return false
}

func TestNothingThatHoldsAKeyPrintsIt(t *testing.T) {
	s := setupSite(t)
	k := s.keyring
	names := []string{"raw/acme/2026-11-21T12", "quarantine/acme/2026-11-21", "clean/access-30d/2026-12-21", "epoch/web/7", "event-id"}
	for _, name := range names {
		keyring.SetSecret(k, name, fixedKey())
	}
	sealEach(t, powers{k.Gateway(), k.Pseudonymizer(), k.Loader(), k.Retention(), k.Rights()})
	tokenizer, err := k.Pseudonymizer().Tokenizer(t.Context(), webKey)
	if err != nil {
		t.Fatal(err)
	}
	tokenizer.Token("v1", "ada@example.org")
	remote := s.dial(t, "the-gateway")
	gateway := remote.Gateway()
	if _, err := gateway.SealRaw(t.Context(), tenant, noon, aad, plain); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"hidden key": keyring.Hidden(fixedKey()),
		"Keyring":    k, "Keyring value": *k, "Gateway": k.Gateway(), "Pseudonymizer": k.Pseudonymizer(),
		"Loader": k.Loader(), "Retention": k.Retention(), "Rights": k.Rights(),
		"Tokenizer": tokenizer, "Tokenizer value": *tokenizer,
		"Remote": remote, "remote Gateway": gateway, "remote Loader": remote.Loader(),
		"remote Retention": remote.Retention(), "remote Rights": remote.Rights(),
	} {
		text := renderings(v)
		if shows(text, fixedKey()) {
			t.Errorf("printing a %s shows a key", name)
		}
		if strings.Contains(text, "ada@") {
			t.Errorf("printing a %s shows what it was used for", name)
		}
		// What is not there cannot leak: below the wrapping there is the
		// constant, or an address, and no structure.
		for _, word := range []string{"secret", "aead", "hmac", "ring", "Transport", "Certificate"} {
			if strings.Contains(strings.ReplaceAll(strings.ReplaceAll(text, "keyring.", ""), "string", ""), word+":") {
				t.Errorf("printing a %s shows a field named %s", name, word)
			}
		}
	}
	// The control: bytes that are not hidden are found, also behind methods.
	for name, v := range map[string]any{
		"bytes": fixedKey(), "field": struct{ b []byte }{fixedKey()}, "methods": &methodsOnly{fixedKey()},
	} {
		if !shows(renderings(v), fixedKey()) {
			t.Errorf("control %s: bytes that print are not found", name)
		}
	}
}

// methodsOnly hides by methods alone, which does not hold.
type methodsOnly struct{ secret []byte }

func (m *methodsOnly) String() string       { return "hidden" }
func (m *methodsOnly) LogValue() slog.Value { return slog.StringValue("hidden") }

func TestNoErrorShowsAKeyOrAValue(t *testing.T) {
	k, _ := setup(t)
	p := powers{k.Gateway(), k.Pseudonymizer(), k.Loader(), k.Retention(), k.Rights()}
	s := sealEach(t, p)
	secret := keyring.SecretOf(k, "clean/access-30d/2026-12-21")
	destroyEach(t, p.retention)
	for name, err := range uses(t, p, s) {
		if err == nil || shows(err.Error(), secret) || strings.Contains(err.Error(), "ada@") {
			t.Errorf("%s: the error shows a key or a value", name)
		}
	}
}
