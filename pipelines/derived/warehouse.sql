-- Derived from schemas/ and pipelines/ by `make derive`. Not to be edited.

CREATE DATABASE IF NOT EXISTS `lethe` ENGINE = Atomic;

CREATE TABLE IF NOT EXISTS `lethe`.`clock`
(
    `at` DateTime64(3, 'UTC') COMMENT 'Lethe''s clock never goes back'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY tuple()
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1
COMMENT 'lethe clock';

CREATE TABLE IF NOT EXISTS `lethe`.`activation`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `action` LowCardinality(String) COMMENT 'What the machine asked for. (keep of action, plain)',
    `product` LowCardinality(String) COMMENT 'The product''s short name. (keep of product, plain)',
    `license` FixedString(20) COMMENT 'token of license_key (token of license_key, identifier)',
    `machine` FixedString(20) COMMENT 'token of machine_code (token of machine_code, identifier)',
    `machine_prev` FixedString(20) COMMENT 'the machine of the key epoch before, while that may be needed (token of machine_code, identifier, of the epoch before)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `proxy_net` String COMMENT 'network of proxy_ip: its first 24 bits, of an IPv6 address 48 (truncate of proxy_ip, identifier)',
    `state` LowCardinality(String) COMMENT 'What became of the key or the request. (keep of state, plain)',
    `floating_until` Nullable(DateTime64(3, 'UTC')) COMMENT 'hour of floating_until (coarsen of floating_until, quasi)',
    `data_object_id` Nullable(Int64) COMMENT 'The id of the data object that was changed. (keep of data_object_id, quasi)',
    `data_object_value` String COMMENT 'data_object_value, with what may name a person taken out (redact of data_object_value, free_text)',
    `version` LowCardinality(String) COMMENT 'The version of the product. (keep of version, plain)',
    `os` LowCardinality(String) COMMENT 'The operating system''s family. (keep of os, plain)',
    `country` LowCardinality(String) COMMENT 'The country of the license, ISO 3166-1 alpha-2. (keep of country, quasi)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
TTL expiry_day + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=activation epoch=1';

CREATE TABLE IF NOT EXISTS `lethe`.`activation_lasting`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `action` LowCardinality(String) COMMENT 'What the machine asked for. (keep of action, plain)',
    `product` LowCardinality(String) COMMENT 'The product''s short name. (keep of product, plain)',
    `state` LowCardinality(String) COMMENT 'What became of the key or the request. (keep of state, plain)',
    `version` LowCardinality(String) COMMENT 'The version of the product. (keep of version, plain)',
    `os` LowCardinality(String) COMMENT 'The operating system''s family. (keep of os, plain)',
    `country` LowCardinality(String) COMMENT 'The country of the license, ISO 3166-1 alpha-2. (keep of country, quasi)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=activation_lasting epoch=1';

CREATE TABLE IF NOT EXISTS `lethe`.`admin_audit`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `actor` FixedString(20) COMMENT 'token of actor (token of actor, identifier)',
    `actor_prev` FixedString(20) COMMENT 'the actor of the key epoch before, while that may be needed (token of actor, identifier, of the epoch before)',
    `host` LowCardinality(String) COMMENT 'The machine. (keep of host, plain)',
    `source_net` String COMMENT 'network of source_ip: its first 24 bits, of an IPv6 address 48 (truncate of source_ip, identifier)',
    `kind` LowCardinality(String) COMMENT 'The way in. (keep of kind, plain)',
    `command` String COMMENT 'command, with what may name a person taken out (redact of command, free_text)',
    `outcome` LowCardinality(String) COMMENT 'What became of it. (keep of outcome, plain)',
    `target` FixedString(20) COMMENT 'token of target_user (token of target_user, identifier)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
TTL expiry_day + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=admin_audit epoch=1';

CREATE TABLE IF NOT EXISTS `lethe`.`app_log`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `level` LowCardinality(String) COMMENT 'How bad it is. (keep of level, plain)',
    `logger` String COMMENT 'The part of the application that speaks. (keep of logger, plain)',
    `message` String COMMENT 'message, with what may name a person taken out (redact of message, free_text)',
    `account` FixedString(20) COMMENT 'token of user (token of user, identifier)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `host` LowCardinality(String) COMMENT 'The machine that logged. (keep of host, plain)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
TTL expiry_day + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=app_log epoch=1';

CREATE TABLE IF NOT EXISTS `lethe`.`http_access`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `visitor` FixedString(20) COMMENT 'token of client_ip; absent when dnt or gpc is true (token of client_ip, identifier)',
    `visitor_prev` FixedString(20) COMMENT 'the visitor of the key epoch before, while that may be needed (token of client_ip, identifier, of the epoch before)',
    `client_net` String COMMENT 'network of client_ip: its first 24 bits, of an IPv6 address 48 (truncate of client_ip, identifier)',
    `account` FixedString(20) COMMENT 'token of user (token of user, identifier)',
    `method` LowCardinality(String) COMMENT 'The request''s method. (keep of method, plain)',
    `path` String COMMENT 'path, with what may name a person taken out (redact of path, free_text)',
    `protocol` LowCardinality(String) COMMENT 'The protocol and its version. (keep of protocol, plain)',
    `status` Int64 COMMENT 'The answer''s status. (keep of status, plain)',
    `bytes` Nullable(Int64) COMMENT 'The size of the answer''s body. (keep of bytes, plain)',
    `referrer_host` String COMMENT 'host of referrer (coarsen of referrer, free_text)',
    `browser` LowCardinality(String) COMMENT 'browser family of user_agent (coarsen of user_agent, quasi)',
    `host` String COMMENT 'The host that was asked for. (keep of host, plain)',
    `duration_ms` Nullable(Float64) COMMENT 'How long the answer took, in milliseconds. (keep of duration_ms, plain)',
    `dnt` Nullable(Bool) COMMENT 'The client sent DNT: 1 (Tracking Preference Expression). (keep of dnt, plain)',
    `gpc` Nullable(Bool) COMMENT 'The client sent Sec-GPC: 1 (Global Privacy Control). (keep of gpc, plain)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
TTL expiry_day + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=http_access epoch=1';

CREATE TABLE IF NOT EXISTS `lethe`.`login`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `account` FixedString(20) COMMENT 'token of account (token of account, identifier)',
    `account_prev` FixedString(20) COMMENT 'the account of the key epoch before, while that may be needed (token of account, identifier, of the epoch before)',
    `outcome` LowCardinality(String) COMMENT 'What became of it. (keep of outcome, plain)',
    `method` LowCardinality(String) COMMENT 'How the person proved who they are. (keep of method, plain)',
    `source` FixedString(20) COMMENT 'token of ip (token of ip, identifier)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `browser` LowCardinality(String) COMMENT 'browser family of user_agent (coarsen of user_agent, quasi)',
    `reason` LowCardinality(String) COMMENT 'Why the attempt failed. (keep of reason, plain)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
TTL expiry_day + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=login epoch=1';

CREATE TABLE IF NOT EXISTS `lethe`.`page_view`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `viewer` FixedString(20) COMMENT 'token of user_id, else cookie_id, else ip with language with user_agent; absent when dnt or gpc is true (token of user_id, else cookie_id, else ip and language and user_agent, identifier)',
    `viewer_prev` FixedString(20) COMMENT 'the viewer of the key epoch before, while that may be needed (token of user_id, else cookie_id, else ip and language and user_agent, identifier, of the epoch before)',
    `path` String COMMENT 'path, with what may name a person taken out (redact of path, free_text)',
    `referrer_host` String COMMENT 'host of referrer (coarsen of referrer, free_text)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `browser` LowCardinality(String) COMMENT 'browser family of user_agent (coarsen of user_agent, quasi)',
    `dnt` Nullable(Bool) COMMENT 'The browser sent DNT: 1 (Tracking Preference Expression). (keep of dnt, plain)',
    `gpc` Nullable(Bool) COMMENT 'The browser sent Sec-GPC: 1 (Global Privacy Control). (keep of gpc, plain)',
    `duration_ms` Nullable(Float64) COMMENT 'How long the page was looked at, in milliseconds. (keep of duration_ms, plain)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
TTL expiry_day + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=page_view epoch=1';

CREATE TABLE IF NOT EXISTS `lethe`.`user_action`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `account` FixedString(20) COMMENT 'token of user (token of user, identifier)',
    `account_prev` FixedString(20) COMMENT 'the account of the key epoch before, while that may be needed (token of user, identifier, of the epoch before)',
    `action` LowCardinality(String) COMMENT 'What was done, as the application names it. (keep of action, plain)',
    `object_type` LowCardinality(String) COMMENT 'What kind of thing it was done to. (keep of object_type, plain)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `session` FixedString(20) COMMENT 'token of session_id (token of session_id, identifier)',
    `details` String COMMENT 'details, with what may name a person taken out (redact of details, free_text)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
TTL expiry_day + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=user_action epoch=1';

CREATE DATABASE IF NOT EXISTS `lethe_hold` ENGINE = Atomic;

CREATE TABLE IF NOT EXISTS `lethe_hold`.`activation`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `action` LowCardinality(String) COMMENT 'What the machine asked for. (keep of action, plain)',
    `product` LowCardinality(String) COMMENT 'The product''s short name. (keep of product, plain)',
    `license` FixedString(20) COMMENT 'token of license_key (token of license_key, identifier)',
    `machine` FixedString(20) COMMENT 'token of machine_code (token of machine_code, identifier)',
    `machine_prev` FixedString(20) COMMENT 'the machine of the key epoch before, while that may be needed (token of machine_code, identifier, of the epoch before)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `proxy_net` String COMMENT 'network of proxy_ip: its first 24 bits, of an IPv6 address 48 (truncate of proxy_ip, identifier)',
    `state` LowCardinality(String) COMMENT 'What became of the key or the request. (keep of state, plain)',
    `floating_until` Nullable(DateTime64(3, 'UTC')) COMMENT 'hour of floating_until (coarsen of floating_until, quasi)',
    `data_object_id` Nullable(Int64) COMMENT 'The id of the data object that was changed. (keep of data_object_id, quasi)',
    `data_object_value` String COMMENT 'data_object_value, with what may name a person taken out (redact of data_object_value, free_text)',
    `version` LowCardinality(String) COMMENT 'The version of the product. (keep of version, plain)',
    `os` LowCardinality(String) COMMENT 'The operating system''s family. (keep of os, plain)',
    `country` LowCardinality(String) COMMENT 'The country of the license, ISO 3166-1 alpha-2. (keep of country, quasi)',
    `hold` LowCardinality(String) COMMENT 'the legal hold that keeps the row',
    `hold_until` Date COMMENT 'the last UTC day on which it does'
)
ENGINE = MergeTree
PARTITION BY (hold_until, hold)
ORDER BY (hold, tenant, service, event_id)
TTL hold_until + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe hold table=activation';

CREATE TABLE IF NOT EXISTS `lethe_hold`.`admin_audit`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `actor` FixedString(20) COMMENT 'token of actor (token of actor, identifier)',
    `actor_prev` FixedString(20) COMMENT 'the actor of the key epoch before, while that may be needed (token of actor, identifier, of the epoch before)',
    `host` LowCardinality(String) COMMENT 'The machine. (keep of host, plain)',
    `source_net` String COMMENT 'network of source_ip: its first 24 bits, of an IPv6 address 48 (truncate of source_ip, identifier)',
    `kind` LowCardinality(String) COMMENT 'The way in. (keep of kind, plain)',
    `command` String COMMENT 'command, with what may name a person taken out (redact of command, free_text)',
    `outcome` LowCardinality(String) COMMENT 'What became of it. (keep of outcome, plain)',
    `target` FixedString(20) COMMENT 'token of target_user (token of target_user, identifier)',
    `hold` LowCardinality(String) COMMENT 'the legal hold that keeps the row',
    `hold_until` Date COMMENT 'the last UTC day on which it does'
)
ENGINE = MergeTree
PARTITION BY (hold_until, hold)
ORDER BY (hold, tenant, service, event_id)
TTL hold_until + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe hold table=admin_audit';

CREATE TABLE IF NOT EXISTS `lethe_hold`.`app_log`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `level` LowCardinality(String) COMMENT 'How bad it is. (keep of level, plain)',
    `logger` String COMMENT 'The part of the application that speaks. (keep of logger, plain)',
    `message` String COMMENT 'message, with what may name a person taken out (redact of message, free_text)',
    `account` FixedString(20) COMMENT 'token of user (token of user, identifier)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `host` LowCardinality(String) COMMENT 'The machine that logged. (keep of host, plain)',
    `hold` LowCardinality(String) COMMENT 'the legal hold that keeps the row',
    `hold_until` Date COMMENT 'the last UTC day on which it does'
)
ENGINE = MergeTree
PARTITION BY (hold_until, hold)
ORDER BY (hold, tenant, service, event_id)
TTL hold_until + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe hold table=app_log';

CREATE TABLE IF NOT EXISTS `lethe_hold`.`http_access`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `visitor` FixedString(20) COMMENT 'token of client_ip; absent when dnt or gpc is true (token of client_ip, identifier)',
    `visitor_prev` FixedString(20) COMMENT 'the visitor of the key epoch before, while that may be needed (token of client_ip, identifier, of the epoch before)',
    `client_net` String COMMENT 'network of client_ip: its first 24 bits, of an IPv6 address 48 (truncate of client_ip, identifier)',
    `account` FixedString(20) COMMENT 'token of user (token of user, identifier)',
    `method` LowCardinality(String) COMMENT 'The request''s method. (keep of method, plain)',
    `path` String COMMENT 'path, with what may name a person taken out (redact of path, free_text)',
    `protocol` LowCardinality(String) COMMENT 'The protocol and its version. (keep of protocol, plain)',
    `status` Int64 COMMENT 'The answer''s status. (keep of status, plain)',
    `bytes` Nullable(Int64) COMMENT 'The size of the answer''s body. (keep of bytes, plain)',
    `referrer_host` String COMMENT 'host of referrer (coarsen of referrer, free_text)',
    `browser` LowCardinality(String) COMMENT 'browser family of user_agent (coarsen of user_agent, quasi)',
    `host` String COMMENT 'The host that was asked for. (keep of host, plain)',
    `duration_ms` Nullable(Float64) COMMENT 'How long the answer took, in milliseconds. (keep of duration_ms, plain)',
    `dnt` Nullable(Bool) COMMENT 'The client sent DNT: 1 (Tracking Preference Expression). (keep of dnt, plain)',
    `gpc` Nullable(Bool) COMMENT 'The client sent Sec-GPC: 1 (Global Privacy Control). (keep of gpc, plain)',
    `hold` LowCardinality(String) COMMENT 'the legal hold that keeps the row',
    `hold_until` Date COMMENT 'the last UTC day on which it does'
)
ENGINE = MergeTree
PARTITION BY (hold_until, hold)
ORDER BY (hold, tenant, service, event_id)
TTL hold_until + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe hold table=http_access';

CREATE TABLE IF NOT EXISTS `lethe_hold`.`login`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `account` FixedString(20) COMMENT 'token of account (token of account, identifier)',
    `account_prev` FixedString(20) COMMENT 'the account of the key epoch before, while that may be needed (token of account, identifier, of the epoch before)',
    `outcome` LowCardinality(String) COMMENT 'What became of it. (keep of outcome, plain)',
    `method` LowCardinality(String) COMMENT 'How the person proved who they are. (keep of method, plain)',
    `source` FixedString(20) COMMENT 'token of ip (token of ip, identifier)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `browser` LowCardinality(String) COMMENT 'browser family of user_agent (coarsen of user_agent, quasi)',
    `reason` LowCardinality(String) COMMENT 'Why the attempt failed. (keep of reason, plain)',
    `hold` LowCardinality(String) COMMENT 'the legal hold that keeps the row',
    `hold_until` Date COMMENT 'the last UTC day on which it does'
)
ENGINE = MergeTree
PARTITION BY (hold_until, hold)
ORDER BY (hold, tenant, service, event_id)
TTL hold_until + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe hold table=login';

CREATE TABLE IF NOT EXISTS `lethe_hold`.`page_view`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `viewer` FixedString(20) COMMENT 'token of user_id, else cookie_id, else ip with language with user_agent; absent when dnt or gpc is true (token of user_id, else cookie_id, else ip and language and user_agent, identifier)',
    `viewer_prev` FixedString(20) COMMENT 'the viewer of the key epoch before, while that may be needed (token of user_id, else cookie_id, else ip and language and user_agent, identifier, of the epoch before)',
    `path` String COMMENT 'path, with what may name a person taken out (redact of path, free_text)',
    `referrer_host` String COMMENT 'host of referrer (coarsen of referrer, free_text)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `browser` LowCardinality(String) COMMENT 'browser family of user_agent (coarsen of user_agent, quasi)',
    `dnt` Nullable(Bool) COMMENT 'The browser sent DNT: 1 (Tracking Preference Expression). (keep of dnt, plain)',
    `gpc` Nullable(Bool) COMMENT 'The browser sent Sec-GPC: 1 (Global Privacy Control). (keep of gpc, plain)',
    `duration_ms` Nullable(Float64) COMMENT 'How long the page was looked at, in milliseconds. (keep of duration_ms, plain)',
    `hold` LowCardinality(String) COMMENT 'the legal hold that keeps the row',
    `hold_until` Date COMMENT 'the last UTC day on which it does'
)
ENGINE = MergeTree
PARTITION BY (hold_until, hold)
ORDER BY (hold, tenant, service, event_id)
TTL hold_until + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe hold table=page_view';

CREATE TABLE IF NOT EXISTS `lethe_hold`.`user_action`
(
    `tenant` LowCardinality(String) COMMENT 'whose data the row is',
    `service` LowCardinality(String) COMMENT 'the service that published the event',
    `event_id` FixedString(20) COMMENT 'ksuid of the event; its time part is when the event occurred',
    `occurred_at` DateTime64(3, 'UTC') COMMENT 'when the event occurred, as precise as the deletion rule allows',
    `expires_at` DateTime64(3, 'UTC') COMMENT 'the instant from which the row may not be selected',
    `expiry_day` Date COMMENT 'UTC day of expires_at: the partition',
    `epoch` Int64 COMMENT 'key epoch of the row''s tokens',
    `log_seq` UInt64 COMMENT 'sequence of the clean frame that the row came in',
    `identified` Bool COMMENT 'whether the event is recognized by its id when it comes again',
    `account` FixedString(20) COMMENT 'token of user (token of user, identifier)',
    `account_prev` FixedString(20) COMMENT 'the account of the key epoch before, while that may be needed (token of user, identifier, of the epoch before)',
    `action` LowCardinality(String) COMMENT 'What was done, as the application names it. (keep of action, plain)',
    `object_type` LowCardinality(String) COMMENT 'What kind of thing it was done to. (keep of object_type, plain)',
    `client_net` String COMMENT 'network of ip: its first 24 bits, of an IPv6 address 48 (truncate of ip, identifier)',
    `session` FixedString(20) COMMENT 'token of session_id (token of session_id, identifier)',
    `details` String COMMENT 'details, with what may name a person taken out (redact of details, free_text)',
    `hold` LowCardinality(String) COMMENT 'the legal hold that keeps the row',
    `hold_until` Date COMMENT 'the last UTC day on which it does'
)
ENGINE = MergeTree
PARTITION BY (hold_until, hold)
ORDER BY (hold, tenant, service, event_id)
TTL hold_until + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe hold table=user_action';
