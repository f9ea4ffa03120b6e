module github.com/lethe-pipeline/lethe

go 1.26.0

require (
	filippo.io/age v1.3.2 // wraps the keyring: one audited format, and its key files are what operators know
	github.com/ClickHouse/clickhouse-go/v2 v2.50.0 // the warehouse, over the native protocol
	github.com/ebitengine/purego v0.11.3 // loads the embedded engine without cgo
	github.com/go-json-experiment/json v0.0.0-20260820222146-c27c302e5fc3 // strict JSON syntax (RFC 8259): duplicate names and bad UTF-8 are errors
	github.com/google/go-cmp v0.7.0 // test: differences one can read
	github.com/klauspost/compress v1.20.3 // S2 for frames; gzip and zstd request bodies
	github.com/mileusna/useragent v1.3.5 // user agent to browser family
	github.com/nats-io/nats-server/v2 v2.15.2 // the embedded log
	github.com/nats-io/nats.go v1.55.0 // the logs, over JetStream
	github.com/prometheus/client_golang v1.23.2 // metrics in the format that everything scrapes
	github.com/prometheus/client_model v0.6.3 // test: reads metrics back
	github.com/rogpeppe/go-internal v1.16.0 // test: txtar goldens
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.3 // test: the standard that the compiled schema check is held to
	github.com/schollz/progressbar/v3 v3.19.1 // progress of long imports on a terminal
	github.com/segmentio/ksuid v1.0.4 // event ids that sort by time
	github.com/spf13/cobra v1.10.2 // the command line, its help and completion
	github.com/spf13/viper v1.21.0 // settings from file, environment and flags; only pkg/config
	go.yaml.in/yaml/v3 v3.0.6 // policy documents, strictly and with line numbers
	golang.org/x/mod v0.42.0 // the audit log's Merkle tree and signed checkpoints (sumdb/tlog, sumdb/note)
	golang.org/x/net v0.62.0 // IDNA, for the domain of an e-mail address
	golang.org/x/sync v0.24.0 // one running readiness check for many requests
	golang.org/x/term v0.47.0 // whether progress can be shown
	golang.org/x/text v0.43.0 // Unicode normalization of identifiers
	pgregory.net/rapid v1.3.0 // test: properties, with shrinking
)

require (
	filippo.io/hpke v0.4.0 // indirect
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	github.com/ClickHouse/ch-go v0.74.0 // indirect
	github.com/andybalholm/brotli v1.2.6 // indirect
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/cloudevents/sdk-go/v2 v2.16.2 // test: events as its users send them
	github.com/compose-spec/compose-go/v2 v2.16.2 // test: docker-compose.yml is held to the specification
	github.com/fsnotify/fsnotify v1.9.0 // indirect
	github.com/go-faster/city v1.0.1 // indirect
	github.com/go-faster/errors v0.7.1 // indirect
	github.com/go-viper/mapstructure/v2 v2.4.0 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/json-iterator/go v1.1.12 // indirect
	github.com/kylelemons/godebug v1.1.0 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect
	github.com/modern-go/concurrent v0.0.0-20180306012644-bacd9c7ef1dd // indirect
	github.com/modern-go/reflect2 v1.0.2 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/nats-io/jwt/v2 v2.8.2 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/paulmach/orb v0.13.0 // indirect
	github.com/pelletier/go-toml/v2 v2.2.4 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // test: opens compressed blocks to look for marks
	github.com/prometheus/common v0.67.5 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/sagikazarmark/locafero v0.11.0 // indirect
	github.com/segmentio/asm v1.2.1 // indirect
	github.com/shopspring/decimal v1.5.0 // indirect
	github.com/sourcegraph/conc v0.3.1-0.20240121214520-5f936abd7ae8 // indirect
	github.com/spf13/afero v1.15.0 // indirect
	github.com/spf13/cast v1.10.0 // indirect
	github.com/spf13/pflag v1.0.10 // indirect
	github.com/subosito/gotenv v1.6.0 // indirect
	go.opentelemetry.io/otel v1.47.0 // indirect
	go.opentelemetry.io/otel/trace v1.47.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
	go.yaml.in/yaml/v2 v2.4.3 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/time v0.16.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	honnef.co/go/tools v0.8.2 // indirect
)

require (
	github.com/distribution/reference v0.6.0 // indirect
	github.com/docker/go-connections v0.8.2 // indirect
	github.com/docker/go-units v0.5.0 // indirect
	github.com/mattn/go-shellwords v1.0.12 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/sirupsen/logrus v1.10.1 // indirect
	github.com/xhit/go-str2duration/v2 v2.1.0 // indirect
	go.yaml.in/yaml/v4 v4.0.0-rc.4 // indirect
)

tool honnef.co/go/tools/cmd/staticcheck
