package assembly

import (
	"context"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// knownService says whether a tenant has a service: a credential is for it, or
// an event of it is on one of the logs.
func (s *Site) knownService(nc *nats.Conn) func(ctx context.Context, tenant, service string) (bool, error) {
	logs := eventlog.NewLog(nc)
	return func(ctx context.Context, tenant, service string) (bool, error) {
		entries, err := s.store.List()
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			if e.Tenant == tenant && e.Revoked.IsZero() && slices.Contains(e.Services, service) {
				return true, nil
			}
		}
		for stream, all := range map[string]string{eventlog.CleanStream: event.CleanTopics, eventlog.RawStream: event.RawTopics} {
			topics, err := logs.Topics(ctx, stream, strings.TrimSuffix(all, ">")+tenant+"."+service+".>")
			if err != nil || len(topics) > 0 {
				return len(topics) > 0, err
			}
		}
		return false, nil
	}
}
