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

CREATE DATABASE IF NOT EXISTS `stats` ENGINE = Atomic;

CREATE VIEW IF NOT EXISTS `stats`.`cells` (`service` LowCardinality(String) COMMENT 'the service that published the events', `metric` LowCardinality(String) COMMENT 'the metric', `bucket` LowCardinality(String) COMMENT 'the stretch of time that it counts in; now for what is current', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `dimensions` Map(String, String) COMMENT 'the dimensions that are told, and their values; others are folded', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Published cells of every metric: numbers about groups. Values of the same metric and bucket add up.' AS SELECT service AS `service`, metric AS `metric`, bucket AS `bucket`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, mapFromArrays(arraySlice(splitByChar(',', toString(cube)), 1, level), arraySlice([toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)], 1, length(arraySlice(splitByChar(',', toString(cube)), 1, level)))) AS `dimensions`, value AS `value` FROM `lethe`.`cell`;

CREATE VIEW IF NOT EXISTS `stats`.`visits` (`service` LowCardinality(String) COMMENT 'the service that published the events', `day` Nullable(Date) COMMENT 'the day; NULL for days that are told together', `first_day` Date COMMENT 'first day, in the zone of the metric', `last_day` Date COMMENT 'last day', `method` Nullable(String) COMMENT 'dimension method; NULL where it is not told', `value` Int64 COMMENT 'the number') DEFINER = `view` SQL SECURITY DEFINER COMMENT 'Visits. Visits. Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value.' AS SELECT service AS `service`, if(first_day = last_day, toDate(toString(first_day)), NULL) AS `day`, toDate(toString(first_day)) AS `first_day`, toDate(toString(last_day)) AS `last_day`, if((indexOf(splitByChar(',', toString(cube)), 'method') > 0) AND (indexOf(splitByChar(',', toString(cube)), 'method') <= level), [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6), toString(d7), toString(d8)][greatest(indexOf(splitByChar(',', toString(cube)), 'method'), 1)], NULL) AS `method`, value AS `value` FROM `lethe`.`cell` WHERE metric = 'visits';
