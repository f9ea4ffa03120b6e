package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// outside are LETHE_ variables that are not settings of a service.
var outside = []string{
	"LETHE_SERVER", "LETHE_CREDENTIAL", "LETHE_PURPOSE", // the CLI's
	"LETHE_ENGINE_LIB", // the engine's library
	"LETHE_CRASH_AT",   // builds with crash points
}

// Load reads the settings from file (may be empty), the environment, and the
// given overrides, which are flags that were set: key → value.
//
// Errors are invalid: a key or a LETHE_ variable that does not exist, a value
// of the wrong type, a file that is not there.
func Load(file string, environ []string, overrides map[string]any) (Config, error) {
	v := viper.New()
	keys := map[string]bool{}
	defaults(v, keys, "", reflect.ValueOf(Default()))

	if file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml")
		if err := v.ReadInConfig(); err != nil {
			return Config{}, fault.Invalid.Errorf("reading the configuration file: %w", err)
		}
	}
	if err := environment(v, keys, environ); err != nil {
		return Config{}, err
	}
	for key, value := range overrides {
		if !keys[key] {
			return Config{}, fault.Invalid.Errorf("there is no setting %q", key)
		}
		v.Set(key, value)
	}
	var c Config
	if err := v.UnmarshalExact(&c); err != nil {
		return Config{}, fault.Invalid.Errorf("reading the configuration: %w", err)
	}
	return c, nil
}

// defaults registers every key with its default: viper does not see an
// environment variable of a key it was not told of.
func defaults(v *viper.Viper, keys map[string]bool, prefix string, s reflect.Value) {
	for i := range s.NumField() {
		key := prefix + s.Type().Field(i).Tag.Get("mapstructure")
		if f := s.Field(i); f.Kind() == reflect.Struct {
			defaults(v, keys, key+".", f)
		} else {
			v.SetDefault(key, f.Interface())
			keys[key] = true
		}
	}
}

// environment sets keys from LETHE_ variables and refuses those that name no
// key, which viper would ignore in silence.
func environment(v *viper.Viper, keys map[string]bool, environ []string) error {
	names := make(map[string]string, len(keys))
	for key := range keys {
		names["LETHE_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = key
	}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "LETHE_") || strings.HasPrefix(name, "LETHE_TEST_") || slices.Contains(outside, name) {
			continue
		}
		key, ok := names[name]
		if !ok {
			return fault.Invalid.Errorf("the environment variable %s names no setting", name)
		}
		v.Set(key, value)
	}
	return nil
}

// Environ is os.Environ, here so that only this package and main touch it.
func Environ() []string { return os.Environ() }

// Keys lists every setting with its default, for documentation and tests.
func Keys() []string {
	keys := map[string]bool{}
	v := viper.New()
	defaults(v, keys, "", reflect.ValueOf(Default()))
	out := make([]string, 0, len(keys))
	for key := range keys {
		out = append(out, fmt.Sprintf("%s=%v", key, v.Get(key)))
	}
	slices.Sort(out)
	return out
}
