package retention_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

type memoryLog struct{ *world }

func (l memoryLog) Info(_ context.Context, stream string) (eventlog.StreamState, error) {
	defer l.enter()()
	all := l.streams[stream]
	s := eventlog.StreamState{First: l.last[stream] + 1, Last: l.last[stream], Messages: uint64(len(all))}
	if len(all) > 0 {
		s.First, s.FirstAt = all[0].Seq, all[0].At
	}
	return s, l.fail("info")
}

// matches says whether a topic matches a filter with * and >.
func matches(filter, topic string) bool {
	f, t := strings.Split(filter, "."), strings.Split(topic, ".")
	for i, part := range f {
		if part == ">" {
			return len(t) > i
		}
		if i >= len(t) || part != "*" && part != t[i] {
			return false
		}
	}
	return len(f) == len(t)
}

func (l memoryLog) Last(_ context.Context, stream, filter string) (eventlog.Received, error) {
	defer l.enter()()
	if err := l.fail("last"); err != nil {
		return eventlog.Received{}, err
	}
	for _, m := range slices.Backward(l.streams[stream]) {
		if matches(filter, m.Topic) {
			return m, nil
		}
	}
	return eventlog.Received{}, fault.NotFound.Errorf("no message")
}

func (l memoryLog) Next(_ context.Context, stream string, seq uint64) (eventlog.Received, error) {
	defer l.enter()()
	for _, m := range l.streams[stream] {
		if m.Seq >= seq {
			return m, nil
		}
	}
	return eventlog.Received{}, fault.NotFound.Errorf("no message")
}

func (l memoryLog) Range(_ context.Context, stream string, first, last uint64) iter.Seq2[eventlog.Received, error] {
	return func(yield func(eventlog.Received, error) bool) {
		leave := l.enter()
		err, all := l.fail("range"), slices.Clone(l.streams[stream])
		leave()
		if err != nil {
			yield(eventlog.Received{}, err)
			return
		}
		for _, m := range all {
			if m.Seq >= first && m.Seq <= last && !yield(m, nil) {
				return
			}
		}
	}
}

func (l memoryLog) Topics(_ context.Context, stream, filter string) (map[string]uint64, error) {
	defer l.enter()()
	out := map[string]uint64{}
	for _, m := range l.streams[stream] {
		if matches(filter, m.Topic) {
			out[m.Topic]++
		}
	}
	return out, l.fail("topics")
}

func (l memoryLog) Purge(_ context.Context, stream, filter string, below uint64) (uint64, error) {
	defer l.enter()()
	if err := l.fail("purge"); err != nil {
		return 0, err
	}
	before := len(l.streams[stream])
	l.streams[stream] = slices.DeleteFunc(l.streams[stream], func(m eventlog.Received) bool {
		return (filter == "" || matches(filter, m.Topic)) && (below == 0 || m.Seq < below)
	})
	return uint64(before - len(l.streams[stream])), nil
}

func (l memoryLog) Consumer(_ context.Context, _, durable string) (eventlog.ConsumerState, error) {
	defer l.enter()()
	return eventlog.ConsumerState{Floor: l.floors[durable]}, l.fail("consumer")
}

func TestTopicsMatchAsTheServerMatchesThem(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a.>", "a.b.c", true}, {"a.>", "a", false}, {"a.*.c", "a.b.c", true}, {"a.*", "a.b.c", false}, {"a.b", "a.b", true},
	} {
		if matches(c.filter, c.topic) != c.want {
			t.Errorf("%s matches %s: %v", c.filter, c.topic, !c.want)
		}
	}
}
