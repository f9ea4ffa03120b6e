package eventlog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// maxBatch is the server's bound of an atomic batch.
const maxBatch = 1000

// answer is what the server says to a publish. It is on disk then.
type answer struct {
	Error     *refusal `json:"error"`
	Stream    string   `json:"stream"`
	Seq       uint64   `json:"seq"`
	Duplicate bool     `json:"duplicate"`
	Batch     string   `json:"batch"`
	Count     int      `json:"count"`
}

// errNothingStored marks an error after which it is certain that none of the
// messages were stored. Every other error leaves that open.
var errNothingStored = errors.New("nothing was stored")

// refused joins a refusal's error with the certainty that comes with it.
func refused(err error) error { return errors.Join(err, errNothingStored) }

// readAnswer reads the reply to a publish.
func readAnswer(msg *nats.Msg, stream string) (answer, error) {
	if len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
		return answer{}, refused(unreachable(nats.ErrNoResponders))
	}
	var a answer
	if err := json.Unmarshal(msg.Data, &a); err != nil {
		return a, fault.Unavailable.Errorf("the log gave an answer that is not readable")
	}
	if a.Error != nil {
		return a, refused(a.Error.err())
	}
	if a.Stream != stream || a.Seq == 0 {
		// Another stream took the topic: what is acknowledged is not where
		// anybody will look for it.
		return a, fault.Corrupt.Errorf("the acknowledgment is not of stream %s", stream)
	}
	return a, nil
}

// commitBatch appends messages as one atomic batch, in the protocol of
// nats-server's ADR-50: every message names the batch and its place, and the
// last one commits. On success the batch holds the sequences that end with the
// one returned, without a gap.
func commitBatch(ctx context.Context, nc *nats.Conn, stream string, msgs []Message) (last uint64, err error) {
	batch := rand.Text()
	for i, m := range msgs[:len(msgs)-1] {
		if err := nc.PublishMsg(m.batched(batch, i+1, false)); err != nil {
			// Not committed: the server abandons it.
			return 0, refused(unreachable(err))
		}
	}
	reply, err := nc.RequestMsgWithContext(ctx, msgs[len(msgs)-1].batched(batch, len(msgs), true))
	if errors.Is(err, nats.ErrNoResponders) {
		return 0, refused(unreachable(err))
	}
	if err != nil {
		return 0, unreachable(cause(ctx, err))
	}
	a, err := readAnswer(reply, stream)
	if err != nil {
		return 0, err
	}
	if a.Batch != batch || a.Count != len(msgs) || a.Seq < uint64(len(msgs)) {
		return 0, fault.Corrupt.Errorf("the acknowledgment of a batch counts %d messages of %d", a.Count, len(msgs))
	}
	return a.Seq, nil
}

// commitSingly publishes each message by itself, without waiting for one
// before sending the next, and calls settle once for each that the server
// answered. Those it has not called settle for when ctx ends are open: stored
// or not.
func commitSingly(ctx context.Context, nc *nats.Conn, stream string, msgs []Message, settle func(i int, a Ack, err error)) (err error) {
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox + ".*")
	if err != nil {
		return unreachable(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only on a closed connection

	sent := 0
	for i, m := range msgs {
		if err := nc.PublishMsg(m.wire(inbox + "." + strconv.Itoa(i))); err != nil {
			settle(i, Ack{}, refused(unreachable(err)))
			continue
		}
		sent++
	}
	for range sent {
		reply, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return unreachable(cause(ctx, err))
		}
		i, err := strconv.Atoi(reply.Subject[len(inbox)+1:])
		if err != nil || i < 0 || i >= len(msgs) {
			return fault.Corrupt.Errorf("an acknowledgment belongs to no message")
		}
		a, err := readAnswer(reply, stream)
		if err != nil {
			settle(i, Ack{}, err)
			continue
		}
		settle(i, Ack{Seq: a.Seq, Duplicate: a.Duplicate}, nil)
	}
	return nil
}

// cause is why a context ended, where that is why err came.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
