package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// rangeWindow is how many look-ups of a range are under way at once.
const rangeWindow = 64

// A Log looks up messages without moving any consumer. What it may do is what
// its connection may do.
type Log struct{ nc *nats.Conn }

// NewLog makes a Log over a connection.
func NewLog(nc *nats.Conn) *Log { return &Log{nc: nc} }

// StreamState is what a stream holds.
type StreamState struct {
	First, Last uint64 // sequences; First is Last+1 in an empty stream
	Messages    uint64
	Bytes       uint64
	FirstAt     time.Time // when its oldest message was taken
	LastAt      time.Time
}

// Info describes a stream.
func (l *Log) Info(ctx context.Context, stream string) (StreamState, error) {
	info, err := l.info(ctx, stream, nil)
	if err != nil {
		return StreamState{}, err
	}
	s := info.State
	return StreamState{s.First, s.Last, s.Messages, s.Bytes, s.FirstAt, s.LastAt}, nil
}

// Topics counts the messages of a stream on each topic that matches filter, in
// which * stands for one part and > for the rest.
func (l *Log) Topics(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	topics := map[string]uint64{}
	for {
		info, err := l.info(ctx, stream, map[string]any{"subjects_filter": filter, "offset": len(topics)})
		if err != nil {
			return nil, err
		}
		for t, n := range info.State.Topics {
			topics[t] = n
		}
		if len(info.State.Topics) == 0 || len(topics) >= info.Total {
			return topics, nil
		}
	}
}

type streamInfo struct {
	Total int `json:"total"`
	State struct {
		Messages uint64            `json:"messages"`
		Bytes    uint64            `json:"bytes"`
		First    uint64            `json:"first_seq"`
		Last     uint64            `json:"last_seq"`
		FirstAt  time.Time         `json:"first_ts"`
		LastAt   time.Time         `json:"last_ts"`
		Topics   map[string]uint64 `json:"subjects"`
	} `json:"state"`
}

func (l *Log) info(ctx context.Context, stream string, request any) (info streamInfo, err error) {
	err = call(ctx, l.nc, "$JS.API.STREAM.INFO."+stream, request, &info)
	return info, err
}

// ConsumerState is how far a durable consumer is.
type ConsumerState struct {
	Floor     uint64 // everything up to here is confirmed
	Delivered uint64 // the highest sequence that was delivered
	Pending   uint64 // messages that were not delivered yet
	Open      uint64 // deliveries that are not confirmed
}

// Consumer describes a durable consumer.
func (l *Log) Consumer(ctx context.Context, stream, durable string) (ConsumerState, error) {
	return consumerState(ctx, l.nc, stream, durable)
}

func consumerState(ctx context.Context, nc *nats.Conn, stream, durable string) (ConsumerState, error) {
	type place struct {
		Seq uint64 `json:"stream_seq"`
	}
	var info struct {
		Delivered place  `json:"delivered"`
		Floor     place  `json:"ack_floor"`
		Open      uint64 `json:"num_ack_pending"`
		Pending   uint64 `json:"num_pending"`
	}
	if err := call(ctx, nc, consumerInfo(stream, durable), nil, &info); err != nil {
		return ConsumerState{}, err
	}
	return ConsumerState{info.Floor.Seq, info.Delivered.Seq, info.Pending, info.Open}, nil
}

// lookup is one message asked for; exactly one field but Seq with Next is set.
type lookup struct {
	Seq  uint64 `json:"seq,omitempty"`
	Last string `json:"last_by_subj,omitempty"` // the last on a topic
	Next string `json:"next_by_subj,omitempty"` // the first on a topic at Seq or after
}

type stored struct {
	Message struct {
		Topic   string    `json:"subject"`
		Seq     uint64    `json:"seq"`
		Headers []byte    `json:"hdrs"`
		Data    []byte    `json:"data"`
		At      time.Time `json:"time"`
	} `json:"message"`
}

func (s stored) received() Received {
	m := s.Message
	r := Received{Seq: m.Seq, Topic: m.Topic, Data: m.Data, At: m.At}
	if h, err := nats.DecodeHeadersMsg(m.Headers); err == nil {
		r.ID = h.Get(headerID)
	}
	return r
}

func (l *Log) look(ctx context.Context, stream string, q lookup) (Received, error) {
	var s stored
	if err := call(ctx, l.nc, get(stream), q, &s); err != nil {
		return Received{}, err
	}
	return s.received(), nil
}

// Get returns one message, or [fault.NotFound] where there is none (any more).
func (l *Log) Get(ctx context.Context, stream string, seq uint64) (Received, error) {
	return l.look(ctx, stream, lookup{Seq: seq})
}

// Last returns the last message that a stream holds on topics that match
// filter, or [fault.NotFound].
func (l *Log) Last(ctx context.Context, stream, filter string) (Received, error) {
	return l.look(ctx, stream, lookup{Last: filter})
}

// Next returns the first message at seq or after, or [fault.NotFound].
func (l *Log) Next(ctx context.Context, stream string, seq uint64) (Received, error) {
	return l.look(ctx, stream, lookup{Seq: max(seq, 1), Next: ">"})
}

// Range returns the messages with sequences from first to last, both included,
// in order, leaving out what was deleted. It ends with the first error.
func (l *Log) Range(ctx context.Context, stream string, first, last uint64) iter.Seq2[Received, error] {
	return func(yield func(Received, error) bool) {
		for seq := max(first, 1); seq <= last; {
			end := min(last, seq+rangeWindow-1)
			got, err := l.window(ctx, stream, seq, end)
			for _, r := range got {
				if !yield(r, nil) {
					return
				}
			}
			if err != nil {
				yield(Received{}, err)
				return
			}
			seq = end + 1
			if len(got) > 0 || seq > last {
				continue
			}
			// Nothing here: the hole may be long.
			next, err := l.Next(ctx, stream, seq)
			if errors.Is(err, fault.NotFound) {
				return
			}
			if err != nil {
				yield(Received{}, err)
				return
			}
			seq = next.Seq
		}
	}
}

// window looks up a few messages at once.
func (l *Log) window(ctx context.Context, stream string, first, last uint64) ([]Received, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	inbox := l.nc.NewInbox()
	sub, err := l.nc.SubscribeSync(inbox + ".*")
	if err != nil {
		return nil, unreachable(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only on a closed connection
	n := int(last - first + 1)
	for i := range n {
		q, err := json.Marshal(lookup{Seq: first + uint64(i)})
		if err != nil {
			return nil, err
		}
		if err := l.nc.PublishRequest(get(stream), inbox+"."+strconv.Itoa(i), q); err != nil {
			return nil, unreachable(err)
		}
	}
	found := make([]*Received, n)
	for range n {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, unreachable(err)
		}
		i, err := strconv.Atoi(msg.Subject[len(inbox)+1:])
		if err != nil || i < 0 || i >= n {
			return nil, fault.Corrupt.Errorf("an answer belongs to no question")
		}
		if msg.Header.Get("Status") == "503" {
			return nil, unreachable(nats.ErrNoResponders)
		}
		var s stored
		if err := parse(msg.Data, &s); errors.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		r := s.received()
		found[i] = &r
	}
	out := make([]Received, 0, n)
	for _, r := range found {
		if r != nil {
			out = append(out, *r)
		}
	}
	return out, nil
}

// LastRawSeq is the raw sequence that the last clean frame of the log came
// from, and zero where there is none. Frames redriven from quarantine name
// none and are passed over. Net 2 resumes behind it.
func (l *Log) LastRawSeq(ctx context.Context) (uint64, error) {
	last, err := l.Last(ctx, CleanStream, event.CleanTopics)
	if errors.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	info, err := l.Info(ctx, CleanStream)
	if err != nil {
		return 0, err
	}
	for end := last.Seq; end >= info.First && end > 0; {
		begin := max(info.First, 1)
		if end-begin >= rangeWindow {
			begin = end - rangeWindow + 1
		}
		got, err := l.window(ctx, CleanStream, begin, end)
		if err != nil {
			return 0, err
		}
		for i := len(got) - 1; i >= 0; i-- {
			var h event.CleanHeader
			header, _, err := event.Unpack(got[i].Data)
			if err == nil {
				err = event.ParseHeader(header, &h)
			}
			if err != nil {
				return 0, err
			}
			if h.RawSeq > 0 {
				return h.RawSeq, nil
			}
		}
		end = begin - 1
	}
	return 0, nil
}

// Delete removes one message and overwrites its bytes, as far as the server
// can: it writes the block anew, and what the file system freed is not wiped.
// [fault.NotFound] where there is no such message.
func (l *Log) Delete(ctx context.Context, stream string, seq uint64) error {
	err := call(ctx, l.nc, remove(stream), lookup{Seq: seq}, nil)
	if err == nil || errors.Is(err, fault.NotFound) {
		return err
	}
	// The server says only that deleting failed, whatever the reason.
	if _, gone := l.Get(ctx, stream, seq); errors.Is(gone, fault.NotFound) {
		return gone
	}
	return err
}

// Purge removes the messages on topics that match filter, up to but not
// including sequence below; zero is all. It returns how many. Their bytes stay
// in the files until the server compacts them.
func (l *Log) Purge(ctx context.Context, stream, filter string, below uint64) (uint64, error) {
	var answer struct {
		Purged uint64 `json:"purged"`
	}
	request := struct {
		Filter string `json:"filter,omitempty"`
		Seq    uint64 `json:"seq,omitempty"`
	}{filter, below}
	err := call(ctx, l.nc, purge(stream), request, &answer)
	return answer.Purged, err
}
