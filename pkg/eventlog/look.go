package eventlog

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A Sight is a stream that the server has, whoever made it.
type Sight struct {
	Name  string
	State StreamState
	// Listed is whether it is one of the streams that were asked about.
	Listed bool
	// Copies names the streams that it takes messages from.
	Copies []string
	// Topics are those it takes, of a stream that is not listed.
	Topics []string
	// Drift names each setting of a listed stream and its consumers that is
	// not as it should be, and each consumer that should not be there or is
	// missing, in a sentence.
	Drift []string
	// Readers are the durable consumers of a listed stream that Lethe has.
	Readers []ConsumerSight
}

// A ConsumerSight is how far a durable consumer is, and when it last confirmed
// anything; zero when it never has.
type ConsumerSight struct {
	Name string
	ConsumerState
	Confirmed time.Time
}

// Look lists every stream of the server and compares those that are listed in
// want, in that order. One that is missing comes with a sentence in Drift and
// nothing else. It needs leave to list streams, and the consumers of those in
// want.
func Look(ctx context.Context, js jetstream.JetStream, want []jetstream.StreamConfig) ([]Sight, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	live := map[string]*jetstream.StreamInfo{}
	list := js.ListStreams(ctx)
	for info := range list.Info() {
		live[info.Config.Name] = info
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("listing the streams: %w", managed(err))
	}
	var out []Sight
	for _, w := range want {
		info := live[w.Name]
		if info == nil {
			out = append(out, Sight{Name: w.Name, Listed: true, Drift: []string{fmt.Sprintf("stream %s does not exist", w.Name)}})
			continue
		}
		delete(live, w.Name)
		s := sight(info)
		s.Listed, s.Topics = true, nil
		s.Drift = differences("stream "+w.Name, info.Config, w)
		if err := s.lookConsumers(ctx, js); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	var extra []Sight
	for _, info := range live {
		extra = append(extra, sight(info))
	}
	slices.SortFunc(extra, func(a, b Sight) int { return cmp.Compare(a.Name, b.Name) })
	return append(out, extra...), nil
}

func sight(info *jetstream.StreamInfo) Sight {
	c, st := info.Config, info.State
	s := Sight{Name: c.Name, Topics: c.Subjects, State: StreamState{
		First: st.FirstSeq, Last: st.LastSeq, Messages: st.Msgs, Bytes: st.Bytes, FirstAt: st.FirstTime, LastAt: st.LastTime,
	}}
	if c.Mirror != nil {
		s.Copies = append(s.Copies, c.Mirror.Name)
	}
	for _, source := range c.Sources {
		s.Copies = append(s.Copies, source.Name)
	}
	return s
}

// lookConsumers compares the consumers of a stream with [Consumers].
func (s *Sight) lookConsumers(ctx context.Context, js jetstream.JetStream) error {
	stream, err := js.Stream(ctx, s.Name)
	if err != nil {
		return fmt.Errorf("reading stream %s: %w", s.Name, managed(err))
	}
	live := map[string]*jetstream.ConsumerInfo{}
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		live[info.Name] = info
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("listing the consumers of stream %s: %w", s.Name, managed(err))
	}
	for _, want := range Consumers(s.Name) {
		what := fmt.Sprintf("consumer %s of stream %s", want.Durable, s.Name)
		have := live[want.Durable]
		if have == nil {
			s.Drift = append(s.Drift, what+" does not exist")
			continue
		}
		delete(live, want.Durable)
		s.Drift = append(s.Drift, differences(what, have.Config, want)...)
		r := ConsumerSight{Name: want.Durable, ConsumerState: ConsumerState{
			Floor: have.AckFloor.Stream, Delivered: have.Delivered.Stream, Pending: have.NumPending, Open: uint64(have.NumAckPending),
		}}
		if have.AckFloor.Last != nil {
			r.Confirmed = have.AckFloor.Last.UTC()
		}
		s.Readers = append(s.Readers, r)
	}
	for _, name := range slices.Sorted(maps.Keys(live)) {
		s.Drift = append(s.Drift, fmt.Sprintf("consumer %s of stream %s is none of Lethe's", name, s.Name))
	}
	return nil
}
