package eventlog

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// The layout is that of JetStream's key-value buckets, so that the usual tools
// show what is in one.
const bucketPrefix = "KV_"

func bucketTopic(bucket, name string) string { return "$KV." + bucket + "." + name }

var entryPattern = regexp.MustCompile(`^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$`)

// A Bucket keeps small values by name. A value that was put is on disk; one
// that was deleted is removed and leaves no mark.
type Bucket struct {
	log  *Log
	name string
}

// Entry is one value of a bucket.
type Entry struct {
	Name     string
	Value    []byte
	Revision uint64 // grows with every change of the bucket
	At       time.Time
}

// BucketStream names the stream that a bucket is kept in.
func BucketStream(bucket string) string { return bucketPrefix + bucket }

// OpenBucket returns a bucket made by [Apply].
func OpenBucket(nc *nats.Conn, name string) *Bucket { return &Bucket{NewLog(nc), name} }

func (b *Bucket) stream() string { return bucketPrefix + b.name }

// Get returns the entry of a name, or [fault.NotFound].
func (b *Bucket) Get(ctx context.Context, name string) (Entry, error) {
	topic, err := b.topic(name)
	if err != nil {
		return Entry{}, err
	}
	r, err := b.log.Last(ctx, b.stream(), topic)
	if err != nil {
		return Entry{}, err
	}
	return Entry{Name: name, Value: r.Data, Revision: r.Seq, At: r.At}, nil
}

// Names returns the names in the bucket, sorted.
func (b *Bucket) Names(ctx context.Context) ([]string, error) {
	topics, err := b.log.Topics(ctx, b.stream(), bucketTopic(b.name, ">"))
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(topics))
	for t := range topics {
		names = append(names, strings.TrimPrefix(t, bucketTopic(b.name, "")))
	}
	slices.Sort(names)
	return names, nil
}

// Put sets the value of a name and returns its revision.
func (b *Bucket) Put(ctx context.Context, name string, value []byte) (uint64, error) {
	return b.put(ctx, name, value, "")
}

// Update sets the value of a name if its revision is still the given one, zero
// meaning that there is no such name, and returns the revision it has then.
// Otherwise it is [fault.Conflict]. After [fault.Unavailable] it may have been
// set; Get tells.
func (b *Bucket) Update(ctx context.Context, name string, value []byte, revision uint64) (uint64, error) {
	return b.put(ctx, name, value, strconv.FormatUint(revision, 10))
}

func (b *Bucket) put(ctx context.Context, name string, value []byte, expected string) (uint64, error) {
	topic, err := b.topic(name)
	if err != nil {
		return 0, err
	}
	if len(value) > LargestData {
		return 0, fault.Invalid.Errorf("a value measures %d bytes and may measure %d", len(value), LargestData)
	}
	msg := &nats.Msg{Subject: topic, Data: value}
	if expected != "" {
		msg.Header = nats.Header{headerExpected: {expected}}
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	reply, err := b.log.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return 0, unreachable(err)
	}
	a, err := readAnswer(reply, b.stream())
	if err != nil {
		return 0, err
	}
	return a.Seq, nil
}

// Delete removes a name. A name that is not there is no error.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	e, err := b.Get(ctx, name)
	if err == nil {
		err = b.log.Delete(ctx, b.stream(), e.Revision)
	}
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func (b *Bucket) topic(name string) (string, error) {
	if len(name) > 256 || !entryPattern.MatchString(name) {
		return "", fault.Invalid.Errorf("a name in a bucket is letters, digits and -/_=. and at most 256 of them")
	}
	return bucketTopic(b.name, name), nil
}
