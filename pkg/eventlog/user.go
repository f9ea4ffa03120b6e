package eventlog

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// User is one service, or one publisher, and all the topics it may touch.
type User struct {
	Name      string
	Publish   []string
	Subscribe []string
	// AllowResponses lets it answer whoever sent it a request.
	AllowResponses bool
}

// Users returns the services, each with the fewest topics that its work takes.
// What stands in no list is refused. No service may make, change or delete a
// stream or a consumer; the operator may do everything.
//
// Replies come to a topic of the service's own (see [InboxPrefix]), because
// whoever may subscribe to a shared one reads everybody's answers.
func Users() []User {
	return []User{
		service("gateway", []string{event.PublishTopics},
			event.RawTopics,
			info(RawStream),
		),
		service("pseudonymizer", []string{
			CommandTopic("quarantine"), CommandTopic("redrive"),
			CommandTopic("keys"), CommandTopic("key-inventory"), CommandTopic("key-strays"),
		},
			append(reading(RawStream, RawConsumer),
				event.CleanTopics, event.QuarantineTopics,
				info(RawStream), info(CleanStream), info(QuarantineStream),
				// Where it stopped stands in the last clean frame.
				get(CleanStream),
				// A redrive takes frames out of quarantine.
				get(QuarantineStream), remove(QuarantineStream),
				// The keyring beside it records every key it makes or destroys.
				AuditTopic("key"), info(AuditStream),
			)...,
		),
		service("loader", []string{CommandTopic("rebuild")},
			append(reading(CleanStream, CleanConsumer),
				info(CleanStream),
				// An open manifest names frames; a rebuild reads all.
				get(CleanStream),
				bucketTopic(LoaderBucket, ">"),
				info(bucketPrefix+LoaderBucket), get(bucketPrefix+LoaderBucket), remove(bucketPrefix+LoaderBucket),
			)...,
		),
		service("cells", nil,
			// Published numbers, and no other frame. Where it stopped stands
			// in the last of them; how far the loader is says what it may
			// count.
			event.CleanTopicsOf(policy.CellTable), get(CleanStream), consumerInfo(CleanStream, CleanConsumer),
			bucketTopic(CellBucket, ">"), get(bucketPrefix+CellBucket),
		),
		service("retention", []string{CommandTopic("clock"), CommandTopic("clock-reject"), CommandTopic("retain")},
			info(RawStream), info(CleanStream), info(QuarantineStream),
			purge(RawStream), purge(CleanStream), purge(QuarantineStream),
			remove(RawStream), remove(CleanStream), remove(QuarantineStream),
			// The age of what is not yet treated; it opens nothing.
			get(RawStream),
			// How far the loader is in what expires.
			get(CleanStream),
			consumerInfo(RawStream, RawConsumer), consumerInfo(CleanStream, CleanConsumer),
			// What it removes goes on record first, and it reads back its own
			// last word.
			AuditTopics, info(AuditStream), get(AuditStream),
			bucketTopic(RetentionBucket, ">"),
			info(bucketPrefix+RetentionBucket), get(bucketPrefix+RetentionBucket), remove(bucketPrefix+RetentionBucket),
			// How many rows the loader has stored.
			get(bucketPrefix+LoaderBucket),
			// What is on hold, and the end of a hold.
			bucketTopic(HoldBucket, ">"), info(bucketPrefix+HoldBucket), get(bucketPrefix+HoldBucket),
			info(HoldStream), purge(HoldStream),
		),
		service("analyst", nil,
			// Whoever asks goes on record first.
			AuditTopic("access"),
			// How far the publisher of cells is.
			get(bucketPrefix+CellBucket),
		),
		service("compliance", nil,
			append(append(reading(AuditStream, AuditConsumer), looking()...),
				// A mirror of a log would be a stream of another name.
				"$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES",
				consumerInfo(RawStream, RawConsumer), consumerInfo(CleanStream, CleanConsumer),
				statusTopic,
				// It passes on what an operator asks of another service.
				CommandTopic("*"),
				// It puts what is recorded into the tree, and records what
				// it is asked.
				AuditTopics, get(AuditStream), purge(AuditStream),
				// It keeps the legal holds: definitions, and copies of frames.
				bucketTopic(HoldBucket, ">"), get(bucketPrefix+HoldBucket), remove(bucketPrefix+HoldBucket),
				event.HoldTopics, get(HoldStream), purge(HoldStream), get(CleanStream),
				// What the last inventory was, and the policy that was applied.
				get(bucketPrefix+RetentionBucket), get(bucketPrefix+PolicyBucket),
			)...,
		),
		{Name: "operator", Publish: []string{">"}, Subscribe: []string{">"}},
	}
}

// Publisher returns the user of a publisher that talks NATS: it may request
// [event.PublishTopics] of its tenant and services, and those permissions are
// its authorization.
func Publisher(name, tenant string, services []string) User {
	u := User{Name: name, Subscribe: []string{InboxPrefix(name) + ".>"}}
	if len(services) == 0 {
		services = []string{"*"}
	}
	for _, s := range services {
		u.Publish = append(u.Publish, strings.TrimSuffix(event.PublishTopics, "*.*.*")+tenant+"."+s+".*")
	}
	return u
}

// CommandTopic is where a service takes requests that an operator makes of it.
func CommandTopic(name string) string { return "lethe.command." + name }

// InboxPrefix is where the replies to one user come. pkg/embedded says the
// same of its users.
func InboxPrefix(user string) string { return inboxes + user }

const inboxes = "_INBOX."

// ConnectOptions are the options of a service's connection: its own inbox, and
// never a message kept back for later while there is no connection, because
// what is sent later than its caller was answered may be stored twice.
func ConnectOptions(user string) []nats.Option {
	return []nats.Option{
		nats.Name("lethe " + user),
		nats.CustomInboxPrefix(InboxPrefix(user)),
		nats.ReconnectBufSize(-1),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.PingInterval(20 * time.Second),
	}
}

func service(name string, subscribe []string, publish ...string) User {
	return User{
		Name:           name,
		Publish:        publish,
		Subscribe:      append([]string{InboxPrefix(name) + ".>", statusTopic}, subscribe...),
		AllowResponses: true, // to status requests
	}
}

// reading is what it takes to read a stream through a durable consumer. The
// server has two forms of ack topics, and which it uses is its own choice.
func reading(stream, consumer string) []string {
	return []string{
		"$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer,
		"$JS.API.CONSUMER.RESET." + stream + "." + consumer,
		consumerInfo(stream, consumer),
		"$JS.ACK." + stream + "." + consumer + ".>",
		"$JS.ACK.*.*." + stream + "." + consumer + ".>",
	}
}

// looking is what it takes to look at every stream's settings, its consumers,
// and how old and how much what it holds is.
func looking() []string {
	var out []string
	for _, s := range Streams(nil, Limits{}) {
		out = append(out, info(s.Name), "$JS.API.CONSUMER.LIST."+s.Name)
	}
	return out
}

func info(stream string) string   { return "$JS.API.STREAM.INFO." + stream }
func get(stream string) string    { return "$JS.API.STREAM.MSG.GET." + stream }
func remove(stream string) string { return "$JS.API.STREAM.MSG.DELETE." + stream }
func purge(stream string) string  { return "$JS.API.STREAM.PURGE." + stream }

func consumerInfo(stream, consumer string) string {
	return "$JS.API.CONSUMER.INFO." + stream + "." + consumer
}
