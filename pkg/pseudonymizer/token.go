package pseudonymizer

import (
	"context"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

// maxTokenizers bounds what a worker keeps. A tenant's service has a handful.
const maxTokenizers = 4096

// tokens makes tokens with tokenizers that it keeps, because making one costs
// more than a hundred tokens. It is for one goroutine.
type tokens struct {
	keys  keyring.Pseudonymizer
	ctx   context.Context // of the frame at hand
	frame uint64
	made  map[treatment.TokenKey]*tokenizer
}

// tokenizer is a tokenizer and the last frame that it was found alive in.
type tokenizer struct {
	*keyring.Tokenizer
	frame uint64
}

// begin starts a frame. Every tokenizer is looked at once in a frame: its key
// may have been destroyed since.
func (t *tokens) begin(ctx context.Context) {
	t.ctx = ctx
	t.frame++
	if len(t.made) > maxTokenizers {
		clear(t.made)
	}
}

// Token implements [treatment.Tokens].
func (t *tokens) Token(key treatment.TokenKey, parts []string) (token [event.TokenSize]byte, err error) {
	m := t.made[key]
	if m == nil {
		made, err := t.keys.Tokenizer(t.ctx, keyring.TokenKey{
			Domain: key.Domain, Tenant: key.Tenant, Service: key.Service, Kind: key.Kind, Epoch: key.Epoch,
		})
		if err != nil {
			return token, err
		}
		m = &tokenizer{Tokenizer: made, frame: t.frame}
		t.made[key] = m
	}
	if m.frame != t.frame {
		if err := m.Live(); err != nil {
			delete(t.made, key)
			return token, err
		}
		m.frame = t.frame
	}
	return m.Token(parts...), nil
}

// lived says whether every key that made a token of the frame at hand is still
// there. A tokenizer whose key was destroyed makes random tokens, which would
// count one subject as many (P19).
func (t *tokens) lived() bool {
	for key, m := range t.made {
		if m.frame == t.frame && m.Live() != nil {
			delete(t.made, key)
			return false
		}
	}
	return true
}
