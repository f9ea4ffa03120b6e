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

CREATE TABLE IF NOT EXISTS `lethe`.`cell`
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
    `metric` LowCardinality(String) COMMENT 'the metric (publish)',
    `bucket` LowCardinality(String) COMMENT 'the stretch of time that it counts in (publish)',
    `first_day` LowCardinality(String) COMMENT 'first day of the cell, in the zone of the metric (publish)',
    `last_day` LowCardinality(String) COMMENT 'last day of the cell (publish)',
    `cube` LowCardinality(String) COMMENT 'the dimensions by which it was cut, in their order (publish)',
    `level` Int64 COMMENT 'how many of them are told; the rest is folded (publish)',
    `d1` LowCardinality(String) COMMENT 'value of dimension 1 (publish)',
    `d2` LowCardinality(String) COMMENT 'value of dimension 2 (publish)',
    `d3` LowCardinality(String) COMMENT 'value of dimension 3 (publish)',
    `d4` LowCardinality(String) COMMENT 'value of dimension 4 (publish)',
    `d5` LowCardinality(String) COMMENT 'value of dimension 5 (publish)',
    `d6` LowCardinality(String) COMMENT 'value of dimension 6 (publish)',
    `d7` LowCardinality(String) COMMENT 'value of dimension 7 (publish)',
    `d8` LowCardinality(String) COMMENT 'value of dimension 8 (publish)',
    `value` Int64 COMMENT 'the number, to be added to those of the same coordinates (publish)',
    `k` Int64 COMMENT 'how many subjects stand behind it at least, by the policy when it was cut; 0 is public (publish)',
    `through` Int64 COMMENT 'sequence of the clean log through which rows are in it (publish)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=cell epoch=1';

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

CREATE DATABASE IF NOT EXISTS `stats` ENGINE = Atomic;

CREATE VIEW IF NOT EXISTS `stats`.`cells` (`service` LowCardinality(String) COMMENT 'the service that published the events', `metric` LowCardinality(String) COMMENT 'the metric', `bucket` LowCardinality(String) COMMENT 'the stretch of time that it counts in; now for what is current', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `dimensions` Map(String, String) COMMENT 'the dimensions that are told, and their values; others are folded', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Published cells of every metric: numbers about groups. Values of the same metric and bucket add up.' AS SELECT service AS `service`, metric AS `metric`, bucket AS `bucket`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, mapFromArrays(arraySlice(splitByChar(',', toString(cube)), 1, level), arraySlice([toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)], 1, length(arraySlice(splitByChar(',', toString(cube)), 1, level)))) AS `dimensions`, value AS `value` FROM `lethe`.`cell`;

CREATE VIEW IF NOT EXISTS `stats`.`actions` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Nullable(Date) COMMENT 'the day; NULL for days that are told together', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `action` Nullable(String) COMMENT 'dimension action; NULL where it is not told', `object_type` Nullable(String) COMMENT 'dimension object_type; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'User actions. Things that people did in applications. Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value.' AS SELECT service AS `service`, if(first_day = last_day, toDate(toString(first_day)), NULL) AS `day`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, if((indexOf(splitByChar(',', toString(cube)), 'action') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'action') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'action'), 1)], NULL) AS `action`, if((indexOf(splitByChar(',', toString(cube)), 'object_type') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'object_type') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'object_type'), 1)], NULL) AS `object_type`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'actions';

CREATE VIEW IF NOT EXISTS `stats`.`activations` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Nullable(Date) COMMENT 'the day; NULL for days that are told together', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `product` Nullable(String) COMMENT 'dimension product; NULL where it is not told', `version` Nullable(String) COMMENT 'dimension version; NULL where it is not told', `country` Nullable(String) COMMENT 'dimension country; NULL where it is not told', `os` Nullable(String) COMMENT 'dimension os; NULL where it is not told', `state` Nullable(String) COMMENT 'dimension state; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Activations. Machines'' requests to activate a license key. Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value.' AS SELECT service AS `service`, if(first_day = last_day, toDate(toString(first_day)), NULL) AS `day`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, if((indexOf(splitByChar(',', toString(cube)), 'product') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'product') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'product'), 1)], NULL) AS `product`, if((indexOf(splitByChar(',', toString(cube)), 'version') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'version') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'version'), 1)], NULL) AS `version`, if((indexOf(splitByChar(',', toString(cube)), 'country') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'country') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'country'), 1)], NULL) AS `country`, if((indexOf(splitByChar(',', toString(cube)), 'os') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'os') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'os'), 1)], NULL) AS `os`, if((indexOf(splitByChar(',', toString(cube)), 'state') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'state') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'state'), 1)], NULL) AS `state`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'activations';

CREATE VIEW IF NOT EXISTS `stats`.`active_machines` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Date COMMENT 'the day of the change', `split` LowCardinality(String) COMMENT 'the dimension that the number is split by; empty for all together', `product` Nullable(String) COMMENT 'dimension product; NULL where it is not told', `version` Nullable(String) COMMENT 'dimension version; NULL where it is not told', `country` Nullable(String) COMMENT 'dimension country; NULL where it is not told', `os` Nullable(String) COMMENT 'dimension os; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Active machines. Machines whose last word was an activation or a validation. Values are changes: all of the same service and split up to a day add up to how many there were.' AS SELECT service AS `service`, toDate(toString(first_day)) AS `day`, cube AS `split`, if(cube = 'product', toString(d1), NULL) AS `product`, if(cube = 'version', toString(d1), NULL) AS `version`, if(cube = 'country', toString(d1), NULL) AS `country`, if(cube = 'os', toString(d1), NULL) AS `os`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'active_machines';

CREATE VIEW IF NOT EXISTS `stats`.`admin_commands` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Nullable(Date) COMMENT 'the day; NULL for days that are told together', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `kind` Nullable(String) COMMENT 'dimension kind; NULL where it is not told', `outcome` Nullable(String) COMMENT 'dimension outcome; NULL where it is not told', `host` Nullable(String) COMMENT 'dimension host; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Administrators'' acts. Times that administrators came onto machines or used their powers. Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value.' AS SELECT service AS `service`, if(first_day = last_day, toDate(toString(first_day)), NULL) AS `day`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, if((indexOf(splitByChar(',', toString(cube)), 'kind') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'kind') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'kind'), 1)], NULL) AS `kind`, if((indexOf(splitByChar(',', toString(cube)), 'outcome') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'outcome') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'outcome'), 1)], NULL) AS `outcome`, if((indexOf(splitByChar(',', toString(cube)), 'host') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'host') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'host'), 1)], NULL) AS `host`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'admin_commands';

CREATE VIEW IF NOT EXISTS `stats`.`log_lines` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Nullable(Date) COMMENT 'the day; NULL for days that are told together', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `level` Nullable(String) COMMENT 'dimension level; NULL where it is not told', `logger` Nullable(String) COMMENT 'dimension logger; NULL where it is not told', `host` Nullable(String) COMMENT 'dimension host; NULL where it is not told', `hour` Nullable(String) COMMENT 'dimension hour; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Log lines. Lines that applications logged. Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value.' AS SELECT service AS `service`, if(first_day = last_day, toDate(toString(first_day)), NULL) AS `day`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, if((indexOf(splitByChar(',', toString(cube)), 'level') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'level') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'level'), 1)], NULL) AS `level`, if((indexOf(splitByChar(',', toString(cube)), 'logger') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'logger') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'logger'), 1)], NULL) AS `logger`, if((indexOf(splitByChar(',', toString(cube)), 'host') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'host') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'host'), 1)], NULL) AS `host`, if((indexOf(splitByChar(',', toString(cube)), 'hour') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'hour') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'hour'), 1)], NULL) AS `hour`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'log_lines';

CREATE VIEW IF NOT EXISTS `stats`.`logins` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Nullable(Date) COMMENT 'the day; NULL for days that are told together', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `outcome` Nullable(String) COMMENT 'dimension outcome; NULL where it is not told', `method` Nullable(String) COMMENT 'dimension method; NULL where it is not told', `reason` Nullable(String) COMMENT 'dimension reason; NULL where it is not told', `browser` Nullable(String) COMMENT 'dimension browser; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Login attempts. Attempts to log in. Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value.' AS SELECT service AS `service`, if(first_day = last_day, toDate(toString(first_day)), NULL) AS `day`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, if((indexOf(splitByChar(',', toString(cube)), 'outcome') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'outcome') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'outcome'), 1)], NULL) AS `outcome`, if((indexOf(splitByChar(',', toString(cube)), 'method') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'method') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'method'), 1)], NULL) AS `method`, if((indexOf(splitByChar(',', toString(cube)), 'reason') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'reason') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'reason'), 1)], NULL) AS `reason`, if((indexOf(splitByChar(',', toString(cube)), 'browser') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'browser') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'browser'), 1)], NULL) AS `browser`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'logins';

CREATE VIEW IF NOT EXISTS `stats`.`requests` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Nullable(Date) COMMENT 'the day; NULL for days that are told together', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `status` Nullable(String) COMMENT 'dimension status; NULL where it is not told', `path` Nullable(String) COMMENT 'dimension path; NULL where it is not told', `browser` Nullable(String) COMMENT 'dimension browser; NULL where it is not told', `method` Nullable(String) COMMENT 'dimension method; NULL where it is not told', `host` Nullable(String) COMMENT 'dimension host; NULL where it is not told', `referrer_host` Nullable(String) COMMENT 'dimension referrer_host; NULL where it is not told', `protocol` Nullable(String) COMMENT 'dimension protocol; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Requests. Requests that were answered. Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value.' AS SELECT service AS `service`, if(first_day = last_day, toDate(toString(first_day)), NULL) AS `day`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, if((indexOf(splitByChar(',', toString(cube)), 'status') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'status') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'status'), 1)], NULL) AS `status`, if((indexOf(splitByChar(',', toString(cube)), 'path') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'path') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'path'), 1)], NULL) AS `path`, if((indexOf(splitByChar(',', toString(cube)), 'browser') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'browser') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'browser'), 1)], NULL) AS `browser`, if((indexOf(splitByChar(',', toString(cube)), 'method') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'method') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'method'), 1)], NULL) AS `method`, if((indexOf(splitByChar(',', toString(cube)), 'host') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'host') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'host'), 1)], NULL) AS `host`, if((indexOf(splitByChar(',', toString(cube)), 'referrer_host') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'referrer_host') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'referrer_host'), 1)], NULL) AS `referrer_host`, if((indexOf(splitByChar(',', toString(cube)), 'protocol') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'protocol') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'protocol'), 1)], NULL) AS `protocol`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'requests';

CREATE VIEW IF NOT EXISTS `stats`.`traffic` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Nullable(Date) COMMENT 'the day; NULL for days that are told together', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `status` Nullable(String) COMMENT 'dimension status; NULL where it is not told', `path` Nullable(String) COMMENT 'dimension path; NULL where it is not told', `browser` Nullable(String) COMMENT 'dimension browser; NULL where it is not told', `method` Nullable(String) COMMENT 'dimension method; NULL where it is not told', `host` Nullable(String) COMMENT 'dimension host; NULL where it is not told', `referrer_host` Nullable(String) COMMENT 'dimension referrer_host; NULL where it is not told', `protocol` Nullable(String) COMMENT 'dimension protocol; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Traffic. Bytes that were sent in answers. Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value.' AS SELECT service AS `service`, if(first_day = last_day, toDate(toString(first_day)), NULL) AS `day`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, if((indexOf(splitByChar(',', toString(cube)), 'status') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'status') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'status'), 1)], NULL) AS `status`, if((indexOf(splitByChar(',', toString(cube)), 'path') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'path') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'path'), 1)], NULL) AS `path`, if((indexOf(splitByChar(',', toString(cube)), 'browser') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'browser') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'browser'), 1)], NULL) AS `browser`, if((indexOf(splitByChar(',', toString(cube)), 'method') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'method') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'method'), 1)], NULL) AS `method`, if((indexOf(splitByChar(',', toString(cube)), 'host') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'host') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'host'), 1)], NULL) AS `host`, if((indexOf(splitByChar(',', toString(cube)), 'referrer_host') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'referrer_host') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'referrer_host'), 1)], NULL) AS `referrer_host`, if((indexOf(splitByChar(',', toString(cube)), 'protocol') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'protocol') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'protocol'), 1)], NULL) AS `protocol`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'traffic';

CREATE VIEW IF NOT EXISTS `stats`.`viewers` (`service` LowCardinality(String) COMMENT 'the service that published the events', `bucket` LowCardinality(String) COMMENT 'the stretch of time in which subjects count once', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `split` LowCardinality(String) COMMENT 'the dimension that the number is split by; empty for all together', `path` Nullable(String) COMMENT 'dimension path; NULL where it is not told', `browser` Nullable(String) COMMENT 'dimension browser; NULL where it is not told', `referrer_host` Nullable(String) COMMENT 'dimension referrer_host; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Viewers. Different people who looked at pages, in each service, without those who asked not to be tracked. Values of the same service, bucket, days and split add up; those of different ones count people twice.' AS SELECT service AS `service`, bucket AS `bucket`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, cube AS `split`, if(cube = 'path', toString(d1), NULL) AS `path`, if(cube = 'browser', toString(d1), NULL) AS `browser`, if(cube = 'referrer_host', toString(d1), NULL) AS `referrer_host`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'viewers';

CREATE VIEW IF NOT EXISTS `stats`.`views` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Nullable(Date) COMMENT 'the day; NULL for days that are told together', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `path` Nullable(String) COMMENT 'dimension path; NULL where it is not told', `browser` Nullable(String) COMMENT 'dimension browser; NULL where it is not told', `referrer_host` Nullable(String) COMMENT 'dimension referrer_host; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Page views. Pages that were looked at. Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value.' AS SELECT service AS `service`, if(first_day = last_day, toDate(toString(first_day)), NULL) AS `day`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, if((indexOf(splitByChar(',', toString(cube)), 'path') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'path') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'path'), 1)], NULL) AS `path`, if((indexOf(splitByChar(',', toString(cube)), 'browser') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'browser') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'browser'), 1)], NULL) AS `browser`, if((indexOf(splitByChar(',', toString(cube)), 'referrer_host') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'referrer_host') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'referrer_host'), 1)], NULL) AS `referrer_host`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'views';

CREATE VIEW IF NOT EXISTS `stats`.`visitors` (`service` LowCardinality(String) COMMENT 'the service that published the events', `bucket` LowCardinality(String) COMMENT 'the stretch of time in which subjects count once', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `split` LowCardinality(String) COMMENT 'the dimension that the number is split by; empty for all together', `status` Nullable(String) COMMENT 'dimension status; NULL where it is not told', `path` Nullable(String) COMMENT 'dimension path; NULL where it is not told', `browser` Nullable(String) COMMENT 'dimension browser; NULL where it is not told', `method` Nullable(String) COMMENT 'dimension method; NULL where it is not told', `host` Nullable(String) COMMENT 'dimension host; NULL where it is not told', `referrer_host` Nullable(String) COMMENT 'dimension referrer_host; NULL where it is not told', `protocol` Nullable(String) COMMENT 'dimension protocol; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Visitors. Different client addresses that sent requests, in each service. Values of the same service, bucket, days and split add up; those of different ones count people twice.' AS SELECT service AS `service`, bucket AS `bucket`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, cube AS `split`, if(cube = 'status', toString(d1), NULL) AS `status`, if(cube = 'path', toString(d1), NULL) AS `path`, if(cube = 'browser', toString(d1), NULL) AS `browser`, if(cube = 'method', toString(d1), NULL) AS `method`, if(cube = 'host', toString(d1), NULL) AS `host`, if(cube = 'referrer_host', toString(d1), NULL) AS `referrer_host`, if(cube = 'protocol', toString(d1), NULL) AS `protocol`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'visitors';
