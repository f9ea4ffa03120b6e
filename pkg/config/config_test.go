package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lethe.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWithoutAnySettingTheDefaultsHold(t *testing.T) {
	got, err := config.Load("", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), got); diff != "" {
		t.Error(diff)
	}
}

func TestFlagsWinOverTheEnvironmentWhichWinsOverTheFile(t *testing.T) {
	file := write(t, "data: from-file\nlisten: from-file\nnats:\n  url: from-file\nloader:\n  max_wait: 2s\n")
	got, err := config.Load(file, []string{"LETHE_LISTEN=from-env", "LETHE_NATS_URL=from-env", "HOME=x"}, map[string]any{"nats.url": "from-flag"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Data, want.Listen, want.NATS.URL, want.Loader.MaxWait = "from-file", "from-env", "from-flag", 2*time.Second
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnknownKeyIsRefusedWhereverItStands(t *testing.T) {
	for name, load := range map[string]func() error{
		"file":        func() error { _, err := config.Load(write(t, "nats:\n  ulr: x\n"), nil, nil); return err },
		"environment": func() error { _, err := config.Load("", []string{"LETHE_NATS_ULR=x"}, nil); return err },
		"flag":        func() error { _, err := config.Load("", nil, map[string]any{"nats.ulr": "x"}); return err },
	} {
		err := load()
		if !errors.Is(err, fault.Invalid) || !strings.Contains(strings.ToLower(err.Error()), "ulr") {
			t.Errorf("%s: got %v, want an invalid setting named", name, err)
		}
	}
}

func TestAValueOfTheWrongTypeIsRefused(t *testing.T) {
	if _, err := config.Load("", []string{"LETHE_LOADER_MAX_ROWS=many"}, nil); !errors.Is(err, fault.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestAListIsReadFromTheFileAndFromTheEnvironment(t *testing.T) {
	want := []string{"192.0.2.0/24", "2001:db8::/32"}
	file := write(t, "trusted_proxies: [\"192.0.2.0/24\", \"2001:db8::/32\"]\nplaintext: true\n")
	for name, load := range map[string]func() (config.Config, error){
		"file": func() (config.Config, error) { return config.Load(file, nil, nil) },
		"environment": func() (config.Config, error) {
			return config.Load("", []string{"LETHE_TRUSTED_PROXIES=192.0.2.0/24,2001:db8::/32", "LETHE_PLAINTEXT=true"}, nil)
		},
	} {
		c, err := load()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, c.TrustedProxies); diff != "" || !c.Plaintext {
			t.Errorf("%s: plaintext %t, networks (-want +got):\n%s", name, c.Plaintext, diff)
		}
	}
}
