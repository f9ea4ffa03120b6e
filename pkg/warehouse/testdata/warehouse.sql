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

CREATE TABLE IF NOT EXISTS `lethe`.`visit`
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
    `visitor` FixedString(20) COMMENT 'token of account (token of account, identifier)',
    `visitor_prev` FixedString(20) COMMENT 'the visitor of the key epoch before, while that may be needed (token of account, identifier, of the epoch before)',
    `path` String COMMENT 'path, with what may name a person taken out (redact of path, free_text)',
    `method` LowCardinality(String) COMMENT 'How. (keep of method, plain)',
    `status` Int64 COMMENT 'The answer. (keep of status, plain)',
    `size` Nullable(Int64) COMMENT 'Bytes of the answer. (keep of size, plain)',
    `score` Nullable(Float64) COMMENT 'A number. (keep of score, plain)',
    `bot` Nullable(Bool) COMMENT 'Whether it was a program. (keep of bot, plain)',
    `until` Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended. (keep of until, plain)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
TTL expiry_day + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=visit epoch=1';

CREATE TABLE IF NOT EXISTS `lethe`.`visit_lasting`
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
    `method` LowCardinality(String) COMMENT 'How. (keep of method, plain)',
    `status` Int64 COMMENT 'The answer. (keep of status, plain)',
    `bot` Nullable(Bool) COMMENT 'Whether it was a program. (keep of bot, plain)'
)
ENGINE = MergeTree
PARTITION BY expiry_day
ORDER BY (tenant, service, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe table=visit_lasting epoch=1';

CREATE DATABASE IF NOT EXISTS `lethe_hold` ENGINE = Atomic;

CREATE TABLE IF NOT EXISTS `lethe_hold`.`visit`
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
    `visitor` FixedString(20) COMMENT 'token of account (token of account, identifier)',
    `visitor_prev` FixedString(20) COMMENT 'the visitor of the key epoch before, while that may be needed (token of account, identifier, of the epoch before)',
    `path` String COMMENT 'path, with what may name a person taken out (redact of path, free_text)',
    `method` LowCardinality(String) COMMENT 'How. (keep of method, plain)',
    `status` Int64 COMMENT 'The answer. (keep of status, plain)',
    `size` Nullable(Int64) COMMENT 'Bytes of the answer. (keep of size, plain)',
    `score` Nullable(Float64) COMMENT 'A number. (keep of score, plain)',
    `bot` Nullable(Bool) COMMENT 'Whether it was a program. (keep of bot, plain)',
    `until` Nullable(DateTime64(3, 'UTC')) COMMENT 'When it ended. (keep of until, plain)',
    `hold` LowCardinality(String) COMMENT 'the legal hold that keeps the row',
    `hold_until` Date COMMENT 'the last UTC day on which it does'
)
ENGINE = MergeTree
PARTITION BY (hold_until, hold)
ORDER BY (hold, tenant, service, event_id)
TTL hold_until + toIntervalDay(3)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, min_compressed_bytes_to_fsync_after_merge = 1, non_replicated_deduplication_window = 10000, max_suspicious_broken_parts = 1000000, old_parts_lifetime = 0, ttl_only_drop_parts = 1
COMMENT 'lethe hold table=visit';
