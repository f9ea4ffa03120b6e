// Package config is the settings of every Lethe process, and their reference:
// the comment of each field of [Config] is its documentation.
//
// Settings come, later ones winning, from the defaults below, a YAML file
// (--config), the environment (LETHE_NATS_URL for nats.url), and command-line
// flags. A key that does not exist is an error wherever it stands, the
// environment included: a misspelt setting that is silently ignored is how a
// listener ends up open.
//
// Policy is not configuration. It never passes through viper, which lower-cases
// the names of maps.
package config

import "time"

// Config is the settings of one process. The same keys serve `lethe up`, which
// runs every service in one process, and the services on their own.
type Config struct {
	// Data is the directory that holds everything Lethe writes: logs,
	// warehouse, keys, credentials.
	Data string `mapstructure:"data"`
	// Policy is a directory of further schemas (*.json) and pipelines
	// (*.yaml), laid over the built-in ones. Empty: the built-in ones alone.
	Policy string `mapstructure:"policy"`
	// Listen is the address of the process's HTTP listener. Port 0 picks a
	// free one.
	Listen string `mapstructure:"listen"`
	// Plaintext lets a listener that other machines can reach do without TLS.
	// Without it and without certificates, Lethe refuses to listen beyond the
	// loopback address.
	Plaintext bool `mapstructure:"plaintext"`
	// TrustedProxies are the networks (CIDR) of proxies that are believed
	// when they say in X-Forwarded-For for whom they ask. Everybody else's
	// address is that of the connection.
	TrustedProxies []string `mapstructure:"trusted_proxies"`
	// ReadyFile, if set, receives one JSON object with every address once
	// the process can serve.
	ReadyFile string `mapstructure:"ready_file"`

	TLS        TLS        `mapstructure:"tls"`
	Door       Door       `mapstructure:"door"`
	Log        Log        `mapstructure:"log"`
	NATS       NATS       `mapstructure:"nats"`
	ClickHouse ClickHouse `mapstructure:"clickhouse"`
	Keyring    Keyring    `mapstructure:"keyring"`
	Access     Access     `mapstructure:"access"`
	Gateway    Gateway    `mapstructure:"gateway"`
	Loader     Loader     `mapstructure:"loader"`
	Cells      Cells      `mapstructure:"cells"`
	Audit      Audit      `mapstructure:"audit"`
	SQL        SQL        `mapstructure:"sql"`
	Files      Files      `mapstructure:"files"`
	Console    Console    `mapstructure:"console"`
}

// TLS is of the process's HTTP listener: TLS 1.3, and nothing older. The files
// are PEM and are read again when they change, so that a certificate is renewed
// without a restart.
type TLS struct {
	// Cert and Key are the certificate, with those between it and its root,
	// and its key. Without both the listener speaks plain HTTP.
	Cert string `mapstructure:"cert"`
	Key  string `mapstructure:"key"`
	// ClientCA, if set, is what every client's own certificate must lead to.
	ClientCA string `mapstructure:"client_ca"`
}

// Door is the process's HTTP listener.
type Door struct {
	// Concurrency bounds the requests being served at once; more are answered
	// 503. Health and metrics are always answered.
	Concurrency int `mapstructure:"concurrency"`
}

// Log is about what the process says of itself on standard error. There is no
// personal data in it at any level.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `mapstructure:"level"`
	// Format is json or text.
	Format string `mapstructure:"format"`
}

// NATS is the connection to JetStream.
type NATS struct {
	// URL of an external server or cluster. Empty: the embedded server, which
	// only `lethe up` has.
	URL string `mapstructure:"url"`
	// Password of this service on an external server, where its user has its
	// name.
	Password string `mapstructure:"password"`
	// CA is a PEM file that the server's certificate must lead to. With it the
	// connection is TLS 1.3.
	CA string `mapstructure:"ca"`
	// Listen opens a port on the embedded server for publishers that speak
	// NATS. Empty: no port at all.
	Listen string `mapstructure:"listen"`
	// CellsPassword is the password of the user "cells", as which the loader's
	// process publishes numbers.
	CellsPassword string `mapstructure:"cells_password"`
	// PublisherPassword is what publishers on that port log in with, as user
	// "publisher". Empty: nobody can.
	PublisherPassword string `mapstructure:"publisher_password"`
	// Replicas of every stream: 1 embedded, 3 in a cluster.
	Replicas int `mapstructure:"replicas"`
}

// ClickHouse is the connection to the warehouse.
type ClickHouse struct {
	// Addr is host:port of an external server's native protocol. Empty: the
	// embedded engine, which only `lethe up` has.
	Addr string `mapstructure:"addr"`
	// Password of this service's user on an external server.
	Password string `mapstructure:"password"`
	// RebuildPassword is the loader's password for the user "rebuild", which
	// may write the rebuild database and exchange tables.
	RebuildPassword string `mapstructure:"rebuild_password"`
	// HoldPassword is the compliance service's password for the user "hold",
	// which copies what a legal hold covers.
	HoldPassword string `mapstructure:"hold_password"`
	// CellsPassword is the password of the user "cells", as which the loader's
	// process counts what it publishes.
	CellsPassword string `mapstructure:"cells_password"`
	// HTTP is the address of an external server's HTTP interface, such as
	// http://clickhouse:8123, and SQLPassword the analyst service's password
	// there for the user "sql". Without HTTP there is no SQL door.
	HTTP        string `mapstructure:"http"`
	SQLPassword string `mapstructure:"sql_password"`
	// CA as for NATS.
	CA string `mapstructure:"ca"`
	// Library is the engine's shared library. Empty: $LETHE_ENGINE_LIB, else
	// where `make engine` put it.
	Library string `mapstructure:"library"`
	// Memory bounds what the embedded engine takes, in bytes.
	Memory int64 `mapstructure:"memory"`
}

// Keyring is where the keys are, or how to reach who has them.
type Keyring struct {
	// Dir holds the wrapped keys. Only the process that runs the pseudonymizer
	// mounts it. Empty: DIR/keys of the data directory.
	Dir string `mapstructure:"dir"`
	// KEKFile is the age identity that unwraps them. Keep it elsewhere than
	// Dir where you can. Empty: kek.txt in Dir.
	KEKFile string `mapstructure:"kek_file"`
	// Listen is where the keyring answers the other services, beside the
	// pseudonymizer, over mutual TLS. Empty: nowhere.
	Listen string `mapstructure:"listen"`
	// Addr is where a service on its own finds the keyring.
	Addr string `mapstructure:"addr"`
	// Certificates is the folder with this side's ca.pem, cert.pem and key.pem
	// for mutual TLS. The name in the certificate decides which verbs a caller
	// has. `lethe secrets` writes such folders.
	Certificates string `mapstructure:"certificates"`
	// CellsCertificates is such a folder of the name "cells", with which the
	// loader's process seals published numbers.
	CellsCertificates string `mapstructure:"cells_certificates"`
}

// Access is who may ask.
type Access struct {
	// File holds the hashed credentials. Empty: credentials.json in the data
	// directory.
	File string `mapstructure:"file"`
	// Reads holds how often each analyst's credential asked, by day, and
	// nothing of what. Each process has one of its own. Empty: reads.json in
	// the data directory, or memory alone where File is set.
	Reads string `mapstructure:"reads"`
}

// Audit is the log of what went on record.
type Audit struct {
	// Dir holds the trees, their checkpoints and the key that signs them.
	// Only the process that runs the compliance service mounts it. Empty:
	// DIR/audit of the data directory.
	Dir string `mapstructure:"dir"`
	// Origin is the name of this installation in its checkpoints: a host
	// name and a path, without a scheme.
	Origin string `mapstructure:"origin"`
}

// SQL is the SQL door: ClickHouse's HTTP protocol for an analyst's own tools.
type SQL struct {
	// Listen is a listener of its own, for tools that cannot be given a path.
	// It speaks TLS where the process's listener does. Empty: none; the door
	// is at /v1/sql of the process's listener all the same.
	Listen string `mapstructure:"listen"`
	// Concurrency bounds the statements of one credential that run at once.
	// 0 is a few.
	Concurrency int `mapstructure:"concurrency"`
	// Key is what the text of statements is hashed with on record. Keep it as
	// long as the record. Empty: statement.key in the data directory, made when
	// it is missing.
	Key string `mapstructure:"key"`
}

// Files is where Lethe keeps files that have a deletion rule of their own.
// Retention removes what is past it, and verify looks into each.
type Files struct {
	// Reports holds reports and exports. Empty: DIR/reports of the data
	// directory.
	Reports string `mapstructure:"reports"`
	// Backups holds backups. Empty: DIR/backups.
	Backups string `mapstructure:"backups"`
	// KeyBackups holds copies of the keyring. Empty: DIR/key-backups.
	KeyBackups string `mapstructure:"key_backups"`
	// Engine is the directory of an external ClickHouse server's files, where
	// it can be read from here, so that verify finds what the server itself
	// does not list. Empty: not looked at; the embedded engine's always is.
	Engine string `mapstructure:"engine"`
}

// Console is the pages for people, which the process of the compliance service
// serves.
type Console struct {
	// Analyst is the URL of the analyst where that is a process of its own.
	// Empty: it is in this one.
	Analyst string `mapstructure:"analyst"`
}

// Gateway is the front door.
type Gateway struct {
	// Reserve is how many bytes must stay free on the data disk; below it
	// events are refused with 507 rather than lost. 0: not looked at.
	Reserve uint64 `mapstructure:"reserve"`
	// Concurrency bounds the requests being admitted at once; more are
	// answered 429.
	Concurrency int `mapstructure:"concurrency"`
}

// Loader is the writer of the warehouse.
type Loader struct {
	// MaxRows and MaxWait close a batch, whichever comes first.
	MaxRows int           `mapstructure:"max_rows"`
	MaxWait time.Duration `mapstructure:"max_wait"`
}

// Cells is the publishing of numbers.
type Cells struct {
	// Settle is for how long no event has to be loaded for a service before
	// what waits of it is published. Where events never stop coming it is
	// published every half minute.
	Settle time.Duration `mapstructure:"settle"`
}

// Default returns the settings that hold where nothing else is said.
func Default() Config {
	return Config{
		Data:       "data",
		Listen:     "127.0.0.1:7480",
		Door:       Door{Concurrency: 512},
		Log:        Log{Level: "info", Format: "json"},
		NATS:       NATS{Replicas: 1},
		ClickHouse: ClickHouse{Memory: 2 << 30},
		Gateway:    Gateway{Reserve: 512 << 20, Concurrency: 256},
		Loader:     Loader{MaxRows: 50_000, MaxWait: 500 * time.Millisecond},
		Cells:      Cells{Settle: 2 * time.Second},
		Audit:      Audit{Origin: "lethe.localhost/audit"},
	}
}
