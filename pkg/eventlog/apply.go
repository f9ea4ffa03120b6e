package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Apply makes the streams and their consumers, or changes them to what streams
// say. It needs the operator's permissions.
func Apply(ctx context.Context, js jetstream.JetStream, streams []jetstream.StreamConfig) error {
	for _, want := range streams {
		s, err := js.CreateOrUpdateStream(ctx, want)
		if err != nil {
			return fmt.Errorf("applying stream %s: %w", want.Name, managed(err))
		}
		for _, c := range Consumers(want.Name) {
			if _, err := s.CreateOrUpdateConsumer(ctx, c); err != nil {
				return fmt.Errorf("applying consumer %s of stream %s: %w", c.Durable, want.Name, managed(err))
			}
		}
	}
	return nil
}

// Check reads back every stream and answers [fault.Conflict] naming each
// setting that is not as streams say: a stream that acknowledges before the
// disk has the message, forgets IDs early, drops old messages to make room, or
// is copied elsewhere breaks a promise without any error. It needs leave to
// ask about these streams and nothing more.
func Check(ctx context.Context, js jetstream.JetStream, streams []jetstream.StreamConfig) error {
	var drift []string
	for _, want := range streams {
		s, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			drift = append(drift, fmt.Sprintf("stream %s does not exist", want.Name))
			continue
		}
		if err != nil {
			return fmt.Errorf("reading stream %s: %w", want.Name, managed(err))
		}
		drift = append(drift, differences("stream "+want.Name, s.CachedInfo().Config, want)...)
	}
	return drifted(drift)
}

// CheckConsumers is [Check] for the consumers of a stream.
func CheckConsumers(ctx context.Context, js jetstream.JetStream, stream string) error {
	var drift []string
	for _, want := range Consumers(stream) {
		what := fmt.Sprintf("consumer %s of stream %s", want.Durable, stream)
		c, err := js.Consumer(ctx, stream, want.Durable)
		if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
			drift = append(drift, what+" does not exist")
			continue
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", what, managed(err))
		}
		drift = append(drift, differences(what, c.CachedInfo().Config, want)...)
	}
	return drifted(drift)
}

func drifted(drift []string) error {
	if len(drift) == 0 {
		return nil
	}
	return fault.Conflict.Errorf("%s", strings.Join(drift, "; "))
}

// differences names each setting in which have is not want. It compares what
// is sent over the wire, so that a setting that a later library adds is
// compared too.
func differences(what string, have, want any) []string {
	h, w := Settings(have), Settings(want)
	names := slices.Collect(maps.Keys(h))
	for n := range w {
		if _, ok := h[n]; !ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	var out []string
	for _, n := range names {
		if !reflect.DeepEqual(h[n], w[n]) {
			out = append(out, fmt.Sprintf("%s: %s is %s and should be %s", what, n, shown(n, h[n]), shown(n, w[n])))
		}
	}
	return out
}

// Settings is the configuration of a stream or a consumer by the names that it
// has on the wire, without what is not set and what the server adds.
func Settings(config any) map[string]any {
	b, err := json.Marshal(config)
	if err != nil {
		panic("eventlog: a configuration must marshal: " + err.Error())
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		panic("eventlog: a configuration is an object: " + err.Error())
	}
	if m, ok := all["metadata"].(map[string]any); ok {
		// The server marks streams with the level they need.
		maps.DeleteFunc(m, func(name string, _ any) bool { return strings.HasPrefix(name, "_nats.") })
	}
	maps.DeleteFunc(all, func(_ string, v any) bool {
		switch v := v.(type) {
		case nil:
			return true
		case map[string]any:
			return len(v) == 0
		case []any:
			return len(v) == 0
		default:
			return reflect.ValueOf(v).IsZero()
		}
	})
	return all
}

// spans are the settings that are lengths of time, in nanoseconds.
var spans = []string{"max_age", "duplicate_window", "ack_wait", "inactive_threshold", "subject_delete_marker_ttl"}

func shown(name string, v any) string {
	if v == nil {
		return "not set"
	}
	if n, ok := v.(float64); ok && slices.Contains(spans, name) {
		return time.Duration(n).String()
	}
	b, _ := json.Marshal(v) // it came from JSON
	return string(b)
}
