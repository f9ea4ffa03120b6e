package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// fixedKey is 00 01 … 1f, the key of every vector.
func fixedKey() []byte {
	b := make([]byte, 32)
	for n := range b {
		b[n] = byte(n)
	}
	return b
}

// TestTokensAndIDsMatchTheVectors fails when a label, the framing, the
// derivation or the length changes: tokens already stored would then match
// nobody, and an erasure would miss them.
func TestTokensAndIDsMatchTheVectors(t *testing.T) {
	k, _ := setup(t)
	keyring.SetSecret(k, "epoch/web/7", fixedKey())
	keyring.SetSecret(k, "event-id", fixedKey())
	b, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		col := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		seen[col[0]]++
		var got, want string
		switch col[0] {
		case "token":
			tk, err := k.Pseudonymizer().Tokenizer(t.Context(), keyring.TokenKey{
				Domain: "web", Tenant: col[1], Service: col[2], Kind: col[3], Epoch: 7})
			if err != nil {
				t.Fatal(err)
			}
			token := tk.Token(col[5:]...)
			got, want = hex.EncodeToString(token[:]), col[4]
		case "event-id":
			ids, err := k.Gateway().EventIDs(t.Context(), col[1], col[2], col[4:])
			if err != nil {
				t.Fatal(err)
			}
			got, want = hex.EncodeToString(ids[0][:]), col[3]
		case "message-id":
			var parts [][]byte
			for _, p := range col[3:] {
				parts = append(parts, []byte(p))
			}
			if got, err = k.Gateway().MessageID(t.Context(), col[1], parts...); err != nil {
				t.Fatal(err)
			}
			want = col[2]
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", strings.Join(col, " "), got, want)
		}
	}
	if seen["token"] != 9 || seen["event-id"] != 3 || seen["message-id"] != 3 {
		t.Errorf("vectors read: %v", seen)
	}
}

// TestFramesSealedByEarlierReleasesOpen holds sealed frames of each sort.
// Logs outlive a release, so the format may gain a version and not change one.
func TestFramesSealedByEarlierReleasesOpen(t *testing.T) {
	k, _ := setup(t)
	for _, name := range []string{"raw/acme/2026-11-21T12", "quarantine/acme/2026-11-21", "clean/access-30d/2026-12-21"} {
		keyring.SetSecret(k, name, fixedKey())
	}
	b, err := os.ReadFile("testdata/sealed.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(b)) {
		kind, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		sealed, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		switch kind {
		case "raw":
			got, err = k.Pseudonymizer().OpenRaw(t.Context(), tenant, aad, sealed)
		case "quarantine":
			got, err = k.Pseudonymizer().OpenQuarantine(t.Context(), tenant, aad, sealed)
		case "clean":
			got, err = k.Loader().OpenClean(t.Context(), tenant, class, day, aad, sealed)
		}
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s frame does not open: %v", kind, err)
		}
		seen++
	}
	if seen != 3 {
		t.Errorf("%d sealed frames read, want 3", seen)
	}
}

// TestATokenDependsOnEveryNameAndPart: equal names and parts make equal
// tokens, and a difference in any one of them an unrelated token (P2).
func TestATokenDependsOnEveryNameAndPart(t *testing.T) {
	k, _ := setup(t)
	// Few values, so that equal ones come up often; a small alphabet, so that
	// different ones join to the same text.
	name := rapid.StringMatching(`[ab]{1,2}`)
	keys := rapid.Custom(func(t *rapid.T) keyring.TokenKey {
		return keyring.TokenKey{
			Domain: name.Draw(t, "domain"), Tenant: name.Draw(t, "tenant"),
			Service: name.Draw(t, "service"), Kind: name.Draw(t, "kind"),
			Epoch: rapid.Int64Range(0, 2).Draw(t, "epoch"),
		}
	})
	values := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,2}`), 0, 3)
	token := func(rt *rapid.T, tk keyring.TokenKey, parts []string) [keyring.TokenSize]byte {
		tokenizer, err := k.Pseudonymizer().Tokenizer(t.Context(), tk)
		if err != nil {
			rt.Fatal(err)
		}
		return tokenizer.Token(parts...)
	}
	// Every input that ever made a token, by the token: two inputs with one
	// token are a collision wherever they were drawn.
	type input struct {
		key   keyring.TokenKey
		parts string
	}
	seen := map[[keyring.TokenSize]byte]input{}
	rapid.Check(t, func(rt *rapid.T) {
		tk, parts := keys.Draw(rt, "key"), values.Draw(rt, "parts")
		got := token(rt, tk, parts)
		if again := token(rt, tk, parts); again != got {
			rt.Fatal("the same value makes two tokens")
		}
		in := input{tk, strings.Join(parts, "|")}
		if len(parts) == 0 {
			in.parts = "none"
		}
		if other, ok := seen[got]; ok && other != in {
			rt.Fatalf("%v and %v make one token", other, in)
		}
		seen[got] = in
	})
}

// TestUnrelatedMeansHalfTheBits: tokens of one value under two epochs agree in
// about half of their bits, as random numbers do.
func TestUnrelatedMeansHalfTheBits(t *testing.T) {
	k, _ := setup(t)
	agree, total := 0, 0
	var last [keyring.TokenSize]byte
	for epoch := range int64(64) {
		tk := webKey
		tk.Epoch = epoch
		tokenizer, err := k.Pseudonymizer().Tokenizer(t.Context(), tk)
		if err != nil {
			t.Fatal(err)
		}
		token := tokenizer.Token("v1", "ada@example.org")
		for n := range token {
			for bit := range 8 {
				if (token[n]^last[n])>>bit&1 == 0 {
					agree++
				}
				total++
			}
		}
		last = token
	}
	// The standard deviation of 10240 fair coins is 51.
	if agree < total/2-500 || agree > total/2+500 {
		t.Errorf("%d of %d bits agree", agree, total)
	}
}

func TestATokenAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself; allocations are not counted under it")
	}
	k, _ := setup(t)
	tokenizer, err := k.Pseudonymizer().Tokenizer(t.Context(), webKey)
	if err != nil {
		t.Fatal(err)
	}
	value := strings.Clone("ada@example.org")
	tokenizer.Token("v1", value)
	if n := testing.AllocsPerRun(100, func() { tokenizer.Token("v1", value) }); n != 0 {
		t.Errorf("a token costs %v allocations, want none", n)
	}
}

func TestTwoInstallationsShareNoToken(t *testing.T) {
	a, _ := setup(t)
	b, _ := setup(t)
	ta, err := a.Pseudonymizer().Tokenizer(t.Context(), webKey)
	if err != nil {
		t.Fatal(err)
	}
	tb, err := b.Pseudonymizer().Tokenizer(t.Context(), webKey)
	if err != nil {
		t.Fatal(err)
	}
	if ta.Token("v1", "192.0.2.1") == tb.Token("v1", "192.0.2.1") {
		t.Error("two installations make the same token")
	}
}
