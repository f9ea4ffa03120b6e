package keyring_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

func TestWhatIsSealedOpensForItsOwnTenantAndHeaderOnly(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		ctx := t.Context()
		quarantined, err := p.pseudonymizer.SealQuarantine(ctx, tenant, noon, aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		clean, err := p.pseudonymizer.SealClean(ctx, tenant, class, day, aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := p.gateway.SealRaw(ctx, tenant, noon, aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range []struct {
			name   string
			sealed []byte
			open   func(tenant string, aad, sealed []byte) ([]byte, error)
		}{
			{"OpenRaw", raw, func(tn string, a, s []byte) ([]byte, error) {
				return p.pseudonymizer.OpenRaw(ctx, tn, a, s)
			}},
			{"OpenQuarantine", quarantined, func(tn string, a, s []byte) ([]byte, error) {
				return p.pseudonymizer.OpenQuarantine(ctx, tn, a, s)
			}},
			{"OpenClean", clean, func(tn string, a, s []byte) ([]byte, error) {
				return p.loader.OpenClean(ctx, tn, class, day, a, s)
			}},
			{"rights OpenRaw", raw, func(tn string, a, s []byte) ([]byte, error) {
				return p.rights.OpenRaw(ctx, tn, a, s)
			}},
			{"rights OpenQuarantine", quarantined, func(tn string, a, s []byte) ([]byte, error) {
				return p.rights.OpenQuarantine(ctx, tn, a, s)
			}},
			{"rights OpenClean", clean, func(tn string, a, s []byte) ([]byte, error) {
				return p.rights.OpenClean(ctx, tn, class, day, a, s)
			}},
		} {
			got, err := way.open(tenant, aad, way.sealed)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s does not open what was sealed: %v", way.name, err)
			}
			if bytes.Contains(way.sealed, plain[:8]) {
				t.Errorf("%s: the sealed frame shows what is in it", way.name)
			}
			if _, err := way.open("other", aad, way.sealed); !errors.Is(err, fault.Corrupt) {
				t.Errorf("%s for another tenant: %v, want corrupt", way.name, err)
			}
			if _, err := way.open(tenant, []byte("headed"), way.sealed); !errors.Is(err, fault.Corrupt) {
				t.Errorf("%s under another header: %v, want corrupt", way.name, err)
			}
			if _, err := way.open(tenant, aad, nil); !errors.Is(err, fault.Corrupt) {
				t.Errorf("%s of nothing: %v, want corrupt", way.name, err)
			}
		}
	})
}

// TestAFrameChangedAnywhereIsCorrupt changes each byte in turn, and cuts the
// frame at each length.
func TestAFrameChangedAnywhereIsCorrupt(t *testing.T) {
	k, _ := setup(t)
	ctx, ps := t.Context(), k.Pseudonymizer()
	raw, err := k.Gateway().SealRaw(ctx, tenant, noon, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	clean, err := ps.SealClean(ctx, tenant, class, day, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, way := range map[string]struct {
		sealed []byte
		open   func([]byte) ([]byte, error)
	}{
		"raw":   {raw, func(s []byte) ([]byte, error) { return ps.OpenRaw(ctx, tenant, aad, s) }},
		"clean": {clean, func(s []byte) ([]byte, error) { return k.Loader().OpenClean(ctx, tenant, class, day, aad, s) }},
	} {
		for n := range way.sealed {
			changed := bytes.Clone(way.sealed)
			changed[n] ^= 1
			if _, err := way.open(changed); !errors.Is(err, fault.Corrupt) {
				t.Errorf("%s frame with byte %d changed: %v, want corrupt", name, n, err)
			}
			if _, err := way.open(way.sealed[:n]); !errors.Is(err, fault.Corrupt) {
				t.Errorf("%s frame cut to %d bytes: %v, want corrupt", name, n, err)
			}
		}
	}
}

func TestTheSameFrameNeverSealsTwiceAlike(t *testing.T) {
	k, _ := setup(t)
	seen := map[string]bool{}
	for range 100 {
		sealed, err := k.Gateway().SealRaw(t.Context(), tenant, noon, aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		if nonce := string(sealed[38:50]); seen[nonce] {
			t.Fatal("a nonce came twice")
		} else {
			seen[nonce] = true
		}
	}
}

func TestManyCleanFramesOpenTogether(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		var aads, sealed, want [][]byte
		for n := range 20 {
			// Two messages' worth for the remote loader.
			body := bytes.Repeat([]byte{byte(n)}, 512<<10)
			a := []byte{byte(n)}
			s, err := p.pseudonymizer.SealClean(t.Context(), tenant, class, day, a, body)
			if err != nil {
				t.Fatal(err)
			}
			aads, sealed, want = append(aads, a), append(sealed, s), append(want, body)
		}
		got, err := p.loader.OpenCleanMany(t.Context(), tenant, class, day, aads, sealed)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Error("the frames do not open to what was sealed, in order")
		}
		aads[0], aads[1] = aads[1], aads[0]
		if _, err := p.loader.OpenCleanMany(t.Context(), tenant, class, day, aads, sealed); !errors.Is(err, fault.Corrupt) {
			t.Errorf("frames under each other's headers: %v, want corrupt", err)
		}
		if _, err := p.loader.OpenCleanMany(t.Context(), tenant, class, day, aads[1:], sealed); !errors.Is(err, fault.Invalid) {
			t.Errorf("fewer headers than frames: %v, want invalid", err)
		}
	})
}

func TestTheLoaderNeverMakesAKey(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		sealed, err := p.pseudonymizer.SealClean(t.Context(), tenant, class, day, aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.loader.OpenClean(t.Context(), tenant, class, "2026-12-22", aad, sealed)
		if !errors.Is(err, fault.NotFound) || errors.Is(err, keyring.ErrDestroyed) {
			t.Errorf("opening for a day without a key: %v, want not found", err)
		}
		infos, err := p.retention.List(t.Context())
		if err != nil || len(infos) != 1 {
			t.Errorf("%d keys are listed, want 1 (%v)", len(infos), err)
		}
	})
}

func TestEventIDsAreStableAndSayNothing(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		ids := func(tenant, service string, clientIDs ...string) [][16]byte {
			t.Helper()
			got, err := p.gateway.EventIDs(t.Context(), tenant, service, clientIDs)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		a := ids(tenant, "web", "one", "two", "one")
		if a[0] != a[2] || a[0] == a[1] {
			t.Error("equal ids must make equal event ids, and different ones different")
		}
		if ids("other", "web", "one")[0] == a[0] || ids(tenant, "api", "one")[0] == a[0] {
			t.Error("another tenant's or service's id makes the same event id")
		}
		if _, err := p.gateway.EventIDs(t.Context(), tenant, "web", []string{""}); !errors.Is(err, fault.Invalid) {
			t.Errorf("an empty id: %v, want invalid", err)
		}
	})
}

func TestMessageIDsAreStableAndFramed(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		seen := map[string]string{}
		for name, parts := range map[string][][]byte{
			"ab c": {[]byte("ab"), []byte("c")}, "a bc": {[]byte("a"), []byte("bc")},
			"abc": {[]byte("abc")}, "abc and nothing": {[]byte("abc"), nil}, "nothing": {},
		} {
			got, err := p.gateway.MessageID(t.Context(), tenant, parts...)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 32 {
				t.Errorf("a message id has %d characters, want 32", len(got))
			}
			if other, twice := seen[got]; twice {
				t.Errorf("%q and %q are one message id", name, other)
			}
			seen[got] = name
			if again, _ := p.gateway.MessageID(t.Context(), tenant, parts...); again != got {
				t.Errorf("%q: a message id is not stable", name)
			}
			if other, _ := p.gateway.MessageID(t.Context(), "other", parts...); other == got {
				t.Errorf("%q: two tenants have one message id", name)
			}
		}
	})
}

func TestRightsFindsTheTokensThatTheFlowMade(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		key := keyring.TokenKey{Domain: "web", Tenant: tenant, Service: "shop", Kind: "email", Epoch: 7}
		unused, destroyed := key, key
		unused.Epoch, destroyed.Epoch = 8, 6
		tk, err := p.pseudonymizer.Tokenizer(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.pseudonymizer.Tokenizer(t.Context(), destroyed); err != nil {
			t.Fatal(err)
		}
		if err := p.retention.DestroyEpoch(t.Context(), "web", 6); err != nil {
			t.Fatal(err)
		}
		got, err := p.rights.Tokens(t.Context(), []keyring.TokenKey{unused, key, destroyed}, "v1", "ada@example.org")
		if err != nil {
			t.Fatal(err)
		}
		want := map[keyring.TokenKey][keyring.TokenSize]byte{key: tk.Token("v1", "ada@example.org")}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("tokens (-want +got):\n%s", diff)
		}
		infos, err := p.retention.List(t.Context())
		if err != nil || len(infos) != 2 {
			t.Errorf("a look-up made a key: %d are listed, want 2 (%v)", len(infos), err)
		}
	})
}

func TestRightsSealsAnewWhatTheLoaderOpens(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		clean, err := p.rights.SealClean(t.Context(), tenant, class, day, aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.loader.OpenClean(t.Context(), tenant, class, day, aad, clean); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("opening what rights sealed: %v", err)
		}
		waiting, err := p.rights.SealQuarantine(t.Context(), tenant, noon, aad, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.pseudonymizer.OpenQuarantine(t.Context(), tenant, aad, waiting); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("redriving what rights sealed: %v", err)
		}
	})
}

func TestListDescribesEveryKeyWithoutBytes(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		ctx := t.Context()
		for _, err := range []error{
			second(p.pseudonymizer.SealClean(ctx, tenant, class, day, aad, plain)),
			second(p.pseudonymizer.SealQuarantine(ctx, tenant, noon, aad, plain)),
			second(p.pseudonymizer.Tokenizer(ctx, keyring.TokenKey{Domain: "web", Tenant: tenant, Service: "s", Kind: "ip", Epoch: -3})),
			second(p.gateway.MessageID(ctx, tenant)),
			p.retention.DestroyQuarantine(ctx, tenant, "2026-11-21"),
			p.retention.DestroyClean(ctx, "never-made", day),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := p.retention.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		expiry := time.Date(2026, 12, 21, 0, 0, 0, 0, time.UTC)
		today := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
		want := []keyring.KeyInfo{
			{ID: "clean/access-30d/2026-12-21", Kind: keyring.KindClean, Class: class, Start: expiry, Created: noon},
			{ID: "clean/never-made/2026-12-21", Kind: keyring.KindClean, Class: "never-made", Start: expiry, Destroyed: noon},
			{ID: "epoch/web/-3", Kind: keyring.KindEpoch, Domain: "web", Epoch: -3, Created: noon},
			{ID: "event-id", Kind: keyring.KindEventID, Created: noon},
			{ID: "quarantine/acme/2026-11-21", Kind: keyring.KindQuarantine, Tenant: tenant, Start: today, Created: noon, Destroyed: noon},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
}

func TestNamesThatCannotNameAreInvalid(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		ctx := t.Context()
		long := string(bytes.Repeat([]byte("a"), 65))
		for name, err := range map[string]error{
			"empty tenant":     second(p.gateway.SealRaw(ctx, "", noon, aad, plain)),
			"long tenant":      second(p.gateway.SealRaw(ctx, long, noon, aad, plain)),
			"control":          second(p.gateway.EventIDs(ctx, "a\x00b", "s", nil)),
			"not UTF-8":        second(p.gateway.MessageID(ctx, "a\xff")),
			"before 1970":      second(p.gateway.SealRaw(ctx, tenant, time.Unix(-1, 0), aad, plain)),
			"after 9999":       second(p.gateway.SealRaw(ctx, tenant, time.Unix(253402300800, 0), aad, plain)),
			"not a day":        p.retention.DestroyClean(ctx, class, "2026-02-30"),
			"a day with hours": p.retention.DestroyQuarantine(ctx, tenant, "2026-02-03T04"),
			"no class":         second(p.loader.OpenClean(ctx, tenant, "", day, aad, nil)),
			"no field kind":    second(p.rights.Tokens(ctx, []keyring.TokenKey{{Domain: "d", Tenant: "t", Service: "s"}}, "x")),
		} {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("%s: %v, want invalid", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
