package eventlog

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Message is one frame to append.
type Message struct {
	Topic string
	// ID makes the message the same as any other of that ID within
	// [DedupWindow], whatever its topic and data. The log is one name space:
	// an ID must be made from everything that tells messages apart. Empty
	// means the message is like no other.
	ID   string
	Data []byte
}

// An Ack says that a message is on disk.
type Ack struct {
	// Seq is where the message stands in the log, or where the message
	// stands that it is the same as. Zero is no ack.
	Seq uint64
	// Duplicate says that a message of this ID was there before.
	Duplicate bool
}

// Received is a message of a log.
type Received struct {
	Seq   uint64
	Topic string
	ID    string // as appended, may be empty
	Data  []byte
	At    time.Time // when the log took it
	// Pending is how many messages the consumer has not delivered after this
	// one. Only a Reader sets it.
	Pending uint64
}

const (
	headerID       = "Nats-Msg-Id"
	headerBatchID  = "Nats-Batch-Id"
	headerBatchSeq = "Nats-Batch-Sequence"
	headerCommit   = "Nats-Batch-Commit"
	headerExpected = "Nats-Expected-Last-Subject-Sequence"

	// headerRoom is more than the headers of one message measure.
	headerRoom = 512
)

// LargestData is how many bytes of data a message may hold at most.
const LargestData = MaxMessage - headerRoom

// wire renders a message for the server.
func (m Message) wire(reply string) *nats.Msg {
	out := &nats.Msg{Subject: m.Topic, Reply: reply, Data: m.Data}
	if m.ID != "" {
		out.Header = nats.Header{headerID: {m.ID}}
	}
	return out
}

// batched renders the message that is number n of a batch, counted from 1.
func (m Message) batched(batch string, n int, last bool) *nats.Msg {
	out := &nats.Msg{Subject: m.Topic, Data: m.Data, Header: nats.Header{
		headerBatchID:  {batch},
		headerBatchSeq: {strconv.Itoa(n)},
	}}
	if m.ID != "" {
		out.Header[headerID] = []string{m.ID}
	}
	if last {
		out.Header[headerCommit] = []string{"1"}
	}
	return out
}

func checkMessages(msgs []Message) error {
	for _, m := range msgs {
		if len(m.Data) > LargestData {
			return fault.Invalid.Errorf("a message measures %d bytes and may measure %d", len(m.Data), LargestData)
		}
		if len(m.ID) > 128 {
			return fault.Invalid.Errorf("a message ID measures %d bytes and may measure 128", len(m.ID))
		}
	}
	return nil
}
