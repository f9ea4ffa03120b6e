package assembly

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// NATS is the embedded log. With nats.url set it is nothing at all.
var NATS = Part{"nats", func(_ context.Context, site *Site) (process.Service, error) {
	if site.Config.NATS.URL != "" {
		return idle, nil
	}
	c := embedded.NATSConfig{
		Dir:    filepath.Join(site.Config.Data, "nats"),
		Listen: site.Config.NATS.Listen,
		Log:    site.Log.With("service", "nats"),
	}
	for _, u := range eventlog.Users() {
		c.Users = append(c.Users, natsUser(u, site.secret(u.Name)))
	}
	if site.Config.NATS.PublisherPassword != "" {
		c.Users = append(c.Users, natsUser(NATSPublisher(), site.Config.NATS.PublisherPassword))
	}
	n, err := embedded.NewNATS(c)
	if err != nil {
		return nil, err
	}
	site.mu.Lock()
	site.nats = n
	site.mu.Unlock()
	return n, nil
}}

// NATSPublisher is the one user of the embedded log that is no service: where
// it has a password, it may publish for every service of the default tenant.
func NATSPublisher() eventlog.User { return eventlog.Publisher("publisher", DefaultTenant, nil) }

func natsUser(u eventlog.User, password string) embedded.NATSUser {
	return embedded.NATSUser{
		Name: u.Name, Password: password,
		Publish: u.Publish, Subscribe: u.Subscribe, AllowResponses: u.AllowResponses,
	}
}

// ClickHouse is the embedded engine. With clickhouse.addr set it is nothing at
// all.
var ClickHouse = Part{"clickhouse", func(_ context.Context, site *Site) (process.Service, error) {
	if site.Config.ClickHouse.Addr != "" {
		return idle, nil
	}
	probe, prober := embedded.NewProbe()
	users := []embedded.EngineUser{prober}
	for _, u := range warehouse.Users(site.Policy) {
		users = append(users, embedded.EngineUser{
			Name: u.Name, Password: site.secret(engineUser(u.Name)),
			Grants: u.Grants, Filters: u.Filters, Settings: u.Settings, Changeable: u.Changeable, ReadOnly: u.ReadOnly,
		})
	}
	e, err := embedded.NewEngine(embedded.EngineConfig{
		Dir:         filepath.Join(site.Config.Data, "clickhouse"),
		Library:     site.Config.ClickHouse.Library,
		UsersXML:    embedded.UsersXML(users),
		Probe:       probe,
		MemoryLimit: site.Config.ClickHouse.Memory,
		Log:         site.Log.With("service", "clickhouse"),
	})
	if err != nil {
		return nil, err
	}
	site.mu.Lock()
	site.engine = e
	site.mu.Unlock()
	return e, nil
}}

// idle is the service of a store that runs elsewhere.
var idle = process.Func(func(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
})

// Policy makes the stores as the policy says, and the first credentials, each
// time a Lethe of its own starts.
var Policy = Part{"policy", func(ctx context.Context, site *Site) (process.Service, error) {
	if err := site.apply(ctx, nil); err != nil {
		return nil, err
	}
	if err := site.firstCredentials(ctx); err != nil {
		return nil, err
	}
	return idle, nil
}}

// Apply makes streams, consumers and tables on external servers as the policy
// says, with the operator's credentials.
//
// confirm is asked first, with what is different from the policy that was
// applied last.
func Apply(ctx context.Context, c config.Config, log *slog.Logger, confirm func([]policy.Change) error) error {
	site, err := NewSite(c, log)
	if err != nil {
		return err
	}
	defer site.close()
	return site.apply(ctx, confirm)
}

func (s *Site) apply(ctx context.Context, confirm func([]policy.Change) error) error {
	nc, err := s.Connection("operator")
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	// Where it goes on record, and where it is kept, come first.
	for _, stream := range s.streams() {
		if stream.Name == eventlog.AuditStream || stream.Name == eventlog.BucketStream(eventlog.PolicyBucket) {
			if err := eventlog.Apply(ctx, js, []jetstream.StreamConfig{stream}); err != nil {
				return err
			}
		}
	}
	w, err := s.Warehouse(ctx, warehouse.UserAdmin)
	if err != nil {
		return err
	}
	defer w.Close()
	return operation.Enact(ctx, operation.EnactConfig{
		Policy:   s.Policy,
		Bucket:   eventlog.OpenBucket(nc, eventlog.PolicyBucket),
		Recorder: s.recorder(nc, "operator"),
		Now:      time.Now,
		Log:      s.Log,
		Confirm:  confirm,
		// The admin sees the dates of every row.
		Outlasting: w.Outlasting,
		Apply:      func(ctx context.Context) error { return s.make(ctx, nc, js, w) },
	})
}

// make makes streams and tables what the policy says.
func (s *Site) make(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, w *warehouse.Warehouse) error {
	if err := eventlog.Apply(ctx, js, s.streams()); err != nil {
		return err
	}
	err := warehouse.Apply(ctx, w, s.Policy)
	if s.nats != nil && fault.KindOf(err) == fault.Conflict {
		// What no statement changes in place, a rebuild does: the loader of
		// this process begins with it, and answers come from the tables as
		// they are until then.
		s.Log.Warn("warehouse to be rebuilt", "err", err)
		if err = loader.RequestRebuild(ctx, eventlog.OpenBucket(nc, eventlog.LoaderBucket)); fault.KindOf(err) == fault.Conflict {
			err = nil // one is under way, and it makes tables by this policy
		}
	}
	if err != nil {
		return err
	}
	s.Log.Info("policy applied", "digest", s.Policy.Digest())
	return nil
}

func (s *Site) streams() []jetstream.StreamConfig {
	return eventlog.Streams(s.Policy, eventlog.Limits{Replicas: s.Config.NATS.Replicas})
}

// DefaultTenant is the tenant of a Lethe that serves one vendor.
const DefaultTenant = "default"

// firstCredentials writes DIR/credentials/ROLE, the credential alone, for each
// role that has none there.
func (s *Site) firstCredentials(ctx context.Context) error {
	dir := filepath.Join(s.Config.Data, "credentials")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, role := range access.Roles() {
		file := filepath.Join(dir, string(role))
		if _, err := os.Stat(file); err == nil {
			continue
		}
		if err := writeCredential(ctx, s.store, role, file); err != nil {
			return err
		}
	}
	return nil
}

func writeCredential(ctx context.Context, store *access.Store, role access.Role, file string) error {
	c, err := store.Create(ctx, access.Principal{Role: role, Tenant: DefaultTenant}, access.Options{})
	if err != nil {
		return err
	}
	temp := file + ".new"
	if err := os.WriteFile(temp, []byte(c.Reveal()+"\n"), 0o600); err != nil {
		return fault.Unavailable.Errorf("writing a credential: %w", err)
	}
	return os.Rename(temp, file)
}
