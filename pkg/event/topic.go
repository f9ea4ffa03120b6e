package event

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Topics carry tenant, service, kind and a shard number, never a person.
// Names hold no dots, so every topic has a fixed number of parts.
const (
	rawPrefix        = "lethe.raw."
	cleanPrefix      = "lethe.clean."
	quarantinePrefix = "lethe.quarantine."
	publishPrefix    = "lethe.publish."
	holdPrefix       = "lethe.hold."
)

var (
	namePattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,47}$`)
	symbolPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)
)

// CheckName says whether s can name a tenant or a service: lower-case letters,
// digits, _ and -, at most 48 of them.
func CheckName(s string) bool { return namePattern.MatchString(s) }

// CheckSymbol says whether s can name an event, a table, a field or a metric:
// lower-case letters, digits and _, at most 48, a letter first.
func CheckSymbol(s string) bool { return symbolPattern.MatchString(s) }

// RawTopic is where raw frames of one tenant, service and event are appended.
func RawTopic(tenant, service, name string, shard int) string {
	return rawPrefix + tenant + "." + service + "." + name + "." + strconv.Itoa(shard)
}

// CleanTopic is where clean frames of one table and expiry day are appended.
// The day stands in the topic so that an expired day is purged by topic.
func CleanTopic(tenant, service, table string, day Day, shard int) string {
	return cleanPrefix + tenant + "." + service + "." + table + "." + string(day) + "." + strconv.Itoa(shard)
}

// CleanTopicsOf matches the clean topics of one table.
func CleanTopicsOf(table string) string { return cleanPrefix + "*.*." + table + ".>" }

// CleanTopicDay reads the expiry day from a clean topic.
func CleanTopicDay(topic string) (Day, error) {
	parts := strings.Split(strings.TrimPrefix(topic, cleanPrefix), ".")
	if !strings.HasPrefix(topic, cleanPrefix) || len(parts) != 5 {
		return "", fault.Invalid.Errorf("that is not a clean topic")
	}
	return ParseDay(parts[3])
}

// QuarantineTopic is where frames that cannot be treated wait.
func QuarantineTopic(tenant, service, name string) string {
	return quarantinePrefix + tenant + "." + service + "." + name
}

// HoldTopic is where copies of clean frames of one table are kept for a legal
// hold, by its id.
func HoldTopic(hold, table string) string { return holdPrefix + hold + "." + table }

// HoldTopics matches every topic of the hold stream.
const HoldTopics = holdPrefix + ">"

// RawTopics, CleanTopics, QuarantineTopics and PublishTopics match every topic
// of their log.
const (
	RawTopics        = rawPrefix + ">"
	CleanTopics      = cleanPrefix + ">"
	QuarantineTopics = quarantinePrefix + ">"
	PublishTopics    = publishPrefix + "*.*.*"
)

// ParsePublishTopic reads lethe.publish.<tenant>.<service>.<event>.
func ParsePublishTopic(topic string) (tenant, service, name string, err error) {
	parts := strings.Split(strings.TrimPrefix(topic, publishPrefix), ".")
	if !strings.HasPrefix(topic, publishPrefix) || len(parts) != 3 ||
		!CheckName(parts[0]) || !CheckName(parts[1]) || !CheckSymbol(parts[2]) {
		return "", "", "", fault.Invalid.Errorf("a publish topic is lethe.publish.<tenant>.<service>.<event>")
	}
	return parts[0], parts[1], parts[2], nil
}
