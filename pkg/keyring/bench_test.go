package keyring_test

import (
	"bytes"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// frameBody is as large as a full frame.
var frameBody = bytes.Repeat([]byte("0123456789abcdef"), 4<<10)

func BenchmarkToken(b *testing.B) {
	k, _ := setup(b)
	t, err := k.Pseudonymizer().Tokenizer(b.Context(), webKey)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		t.Token("v1", "ada@example.org")
	}
}

func BenchmarkTokenizer(b *testing.B) {
	k, _ := setup(b)
	for b.Loop() {
		if _, err := k.Pseudonymizer().Tokenizer(b.Context(), webKey); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEventIDs(b *testing.B) {
	k, _ := setup(b)
	ids := make([]string, 100)
	for n := range ids {
		ids[n] = "0f8fad5b-d9cb-469f-a165-70867728950e"
	}
	for b.Loop() {
		if _, err := k.Gateway().EventIDs(b.Context(), tenant, "web", ids); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealRaw(b *testing.B) {
	k, _ := setup(b)
	b.Run("local", func(b *testing.B) { sealRaw(b, k.Gateway()) })
	b.Run("remote", func(b *testing.B) { sealRaw(b, setupSite(b).dial(b, "the-gateway").Gateway()) })
}

func sealRaw(b *testing.B, g keyring.Gateway) {
	b.SetBytes(int64(len(frameBody)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.SealRaw(b.Context(), tenant, noon, aad, frameBody); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenRaw(b *testing.B) {
	k, _ := setup(b)
	sealed, err := k.Gateway().SealRaw(b.Context(), tenant, noon, aad, frameBody)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(frameBody)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Pseudonymizer().OpenRaw(b.Context(), tenant, aad, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenClean(b *testing.B) {
	s := setupSite(b)
	const frames = 64
	var aads, sealed [][]byte
	for range frames {
		f, err := s.keyring.Pseudonymizer().SealClean(b.Context(), tenant, class, day, aad, frameBody)
		if err != nil {
			b.Fatal(err)
		}
		aads, sealed = append(aads, aad), append(sealed, f)
	}
	for name, l := range map[string]keyring.Loader{"local": s.keyring.Loader(), "remote": s.dial(b, "the-loader").Loader()} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(frames * len(frameBody)))
			for b.Loop() {
				if _, err := l.OpenCleanMany(b.Context(), tenant, class, day, aads, sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
