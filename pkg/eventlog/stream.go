package eventlog

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// The streams, and the durable consumers that read them. Names are in capitals
// because the server's own advisories and tools print them so.
const (
	RawStream        = "LETHE_RAW"
	CleanStream      = "LETHE_CLEAN"
	QuarantineStream = "LETHE_QUARANTINE"
	// AuditStream takes what goes on record; HoldStream the copies of clean
	// frames that a legal hold keeps.
	AuditStream = "LETHE_AUDIT"
	HoldStream  = "LETHE_HOLD"

	// RawConsumer reads the raw log, CleanConsumer the clean log,
	// AuditConsumer the audit stream.
	RawConsumer   = "pseudonymizer"
	CleanConsumer = "loader"
	AuditConsumer = "sequencer"

	// LoaderBucket holds the loader's manifests and books, RetentionBucket
	// retention's clock and its last inventories, HoldBucket the legal holds,
	// CellBucket the lease of the publisher of cells and how far it is,
	// PolicyBucket the documents of the policy that was applied last.
	LoaderBucket    = "lethe_loader"
	RetentionBucket = "lethe_retention"
	HoldBucket      = "lethe_hold"
	CellBucket      = "lethe_cells"
	PolicyBucket    = "lethe_policy"
)

const (
	// DedupWindow is how long a message ID is remembered.
	DedupWindow = 24 * time.Hour
	// MaxMessage is the most bytes that a message, its headers included, may
	// measure. A frame is about 64 KiB; a single large event may need more.
	MaxMessage = 1 << 20
	// AckWait is how long a delivery may stay unconfirmed before it is made
	// again.
	AckWait = 60 * time.Second
	// MaxAckPending is how many deliveries may be unconfirmed.
	MaxAckPending = 65536

	// defaultAge bounds the raw log and quarantine where the policy has no
	// class for them.
	defaultAge = 30 * 24 * time.Hour
)

// Limits bounds what the streams may take.
type Limits struct {
	// Raw, Clean and Quarantine are in bytes. Zero is no limit of the
	// stream's own; the gateway watches the disk in any case.
	Raw, Clean, Quarantine int64
	// Replicas is how many servers hold each stream: 1 embedded, 3 in a
	// cluster. Zero means 1.
	Replicas int
}

// Streams derives the streams of a policy. Each refuses a message rather than
// drop another, remembers IDs for [DedupWindow], takes atomic batches, and
// leaves a publisher no way to shorten or lengthen what anything lives: no
// roll-ups, no per-message TTL, no schedules, no copies elsewhere. Deleting
// and purging stay possible, because retention and erasure need them and the
// permissions of [Users] guard them.
func Streams(pol *policy.Policy, limits Limits) []jetstream.StreamConfig {
	raw := stream(RawStream, "frames as publishers sent them, sealed", event.RawTopics, limits.Raw, limits.Replicas)
	raw.MaxAge = age(pol, "raw")
	// Clean frames expire by the destruction of their keys.
	clean := stream(CleanStream, "frames after treatment, sealed", event.CleanTopics, limits.Clean, limits.Replicas)
	quarantine := stream(QuarantineStream, "frames that cannot be treated, sealed", event.QuarantineTopics, limits.Quarantine, limits.Replicas)
	quarantine.MaxAge = age(pol, "quarantine")
	streams := []jetstream.StreamConfig{
		raw, clean, quarantine,
		stream(AuditStream, "what goes on record, before the deed", AuditTopics, 0, limits.Replicas),
		stream(HoldStream, "copies of clean frames that a legal hold keeps, sealed under its own key", event.HoldTopics, 0, limits.Replicas),
	}
	for _, b := range []struct{ name, description string }{
		{LoaderBucket, "the loader's open manifests, and how many rows it stored"},
		{RetentionBucket, "how far retention moved the clock, and its last inventories"},
		{HoldBucket, "the legal holds"},
		{CellBucket, "the lease of the publisher of cells, and how far it is"},
		{PolicyBucket, "the documents of the policy that was applied last"},
	} {
		s := stream(bucketPrefix+b.name, b.description, bucketTopic(b.name, ">"), 0, limits.Replicas)
		s.MaxMsgsPerSubject = 1
		s.AllowAtomicPublish = false
		streams = append(streams, s)
	}
	return streams
}

// AuditTopic is where entries of one kind are recorded; AuditTopics matches
// all.
func AuditTopic(kind string) string { return "lethe.audit." + kind }

// AuditTopics matches every topic of the audit stream.
const AuditTopics = "lethe.audit.>"

func stream(name, description, topics string, maxBytes int64, replicas int) jetstream.StreamConfig {
	if maxBytes <= 0 {
		maxBytes = -1
	}
	return jetstream.StreamConfig{
		Name:               name,
		Description:        description,
		Subjects:           []string{topics},
		Retention:          jetstream.LimitsPolicy,
		Storage:            jetstream.FileStorage,
		Discard:            jetstream.DiscardNew,
		Replicas:           max(replicas, 1),
		Duplicates:         DedupWindow,
		MaxBytes:           maxBytes,
		MaxMsgSize:         MaxMessage,
		MaxMsgs:            -1,
		MaxMsgsPerSubject:  -1,
		MaxConsumers:       -1,
		Compression:        jetstream.NoCompression,
		AllowAtomicPublish: true,
		// Direct reads may be answered by a replica that lags, which would
		// look like a message that is gone.
		AllowDirect: false,
	}
}

// age is the longest period of the classes that govern a store: a shorter one
// has a condition, such as that a frame was treated, which a stream cannot
// know.
func age(pol *policy.Policy, governs string) time.Duration {
	var longest time.Duration
	if pol != nil {
		for _, c := range pol.Classes() {
			if c.Governs == governs {
				longest = max(longest, c.Period.Longest())
			}
		}
	}
	if longest == 0 {
		return defaultAge
	}
	return longest
}

// Consumers returns the durable consumers of a stream. They are made with the
// stream, so that no service needs leave to make one.
func Consumers(stream string) []jetstream.ConsumerConfig {
	switch stream {
	case RawStream:
		return []jetstream.ConsumerConfig{consumer(RawConsumer, "treats every frame once, in order")}
	case CleanStream:
		return []jetstream.ConsumerConfig{consumer(CleanConsumer, "loads every frame once, in order")}
	case AuditStream:
		return []jetstream.ConsumerConfig{consumer(AuditConsumer, "puts every entry into the tree once, in order")}
	}
	return nil
}

func consumer(name, description string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Name:          name,
		Durable:       name,
		Description:   description,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
		AckPolicy:     jetstream.AckAllPolicy,
		AckWait:       AckWait,
		// A message that was delivered too often would be left out for good.
		MaxDeliver:    -1,
		MaxAckPending: MaxAckPending,
		MaxWaiting:    512,
	}
}

// StreamsJSON renders what [Streams] and [Consumers] derive from a policy,
// without limits, for people to review when a policy changes.
func StreamsJSON(pol *policy.Policy) []byte {
	type derived struct {
		Stream    jetstream.StreamConfig     `json:"stream"`
		Consumers []jetstream.ConsumerConfig `json:"consumers,omitempty"`
	}
	var all []derived
	for _, s := range Streams(pol, Limits{}) {
		all = append(all, derived{s, Consumers(s.Name)})
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(all); err != nil {
		panic("eventlog: a stream configuration must marshal: " + err.Error())
	}
	return []byte(out.String())
}
