package eventlog

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// maxAnswering bounds how many requests of one subscription are being answered
// at once; the rest wait in the connection.
const maxAnswering = 1024

// Request is a message that wants a reply.
type Request struct {
	Topic  string
	Header map[string][]string
	Data   []byte
}

// Get returns the first value of a header, whatever the case of its name.
func (r Request) Get(name string) string {
	for n, v := range r.Header {
		if strings.EqualFold(n, name) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

// Serve answers requests on topics that match, sharing them with the other
// members of the queue group. Stop ends it: it takes no more requests and
// returns when those it has are answered or ctx ends.
//
// A request whose reply topic is no inbox is dropped. The server lets a service
// answer wherever it is asked to, so a reply topic of the log's own API would
// make the service do there what the asker may not.
func Serve(nc *nats.Conn, topics, queue string, log *slog.Logger, answer func(context.Context, Request) []byte) (stop func(context.Context) error, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	slots := make(chan struct{}, maxAnswering)
	var mu sync.Mutex // guards stopped, so that no answering begins after stop has begun to wait
	var stopped bool
	var wg sync.WaitGroup
	sub, err := nc.QueueSubscribe(topics, queue, func(msg *nats.Msg) {
		if !isInbox(msg.Reply) {
			if msg.Reply != "" {
				log.Warn("request dropped", "topic", topics, "reason", "its reply topic is no inbox")
			}
			return
		}
		slots <- struct{}{}
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			<-slots
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			reply := answer(ctx, Request{Topic: msg.Subject, Header: msg.Header, Data: msg.Data})
			if err := msg.Respond(reply); err != nil {
				log.Warn("reply failed", "topic", topics, "err", err)
			}
		})
	})
	if err != nil {
		cancel()
		return nil, unreachable(err)
	}
	if err := nc.Flush(); err != nil {
		cancel()
		return nil, unreachable(err)
	}
	return func(until context.Context) error {
		defer cancel()
		err := sub.Unsubscribe()
		mu.Lock()
		stopped = true
		mu.Unlock()
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		select {
		case <-done:
		case <-until.Done():
			return unreachable(until.Err())
		}
		if err != nil {
			return unreachable(err)
		}
		// The last answers are on their way before the connection may close.
		until, cancel := bounded(until)
		defer cancel()
		if err := nc.FlushWithContext(until); err != nil {
			return unreachable(err)
		}
		return nil
	}, nil
}

// isInbox says whether a topic is one that replies come to.
func isInbox(topic string) bool { return strings.HasPrefix(topic, inboxes) }
