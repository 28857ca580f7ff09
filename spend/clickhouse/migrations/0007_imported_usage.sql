-- What imported files say, one row a line or bucket. What of it counts, because it did not pass the gateway as well, is an event in usage_events with the same event_id.
-- ts, tenant_id and key_id of an event_id never change; of several the highest rev counts. Read with FINAL.
CREATE TABLE IF NOT EXISTS {database}.imported_usage (
    event_id UUID COMMENT 'a UUIDv7 made of ts and of what the row is',
    rev UInt32,
    ts DateTime64(3, 'UTC') COMMENT 'of the call, or the beginning of its bucket' CODEC(DoubleDelta, ZSTD(1)),
    seconds UInt32 COMMENT 'the width of its bucket; 0 for a single call',
    tenant_id LowCardinality(String),
    key_id LowCardinality(String),
    source LowCardinality(String),
    import_id LowCardinality(String) COMMENT 'the import that brought it',
    shape LowCardinality(String) COMMENT 'what buckets were grouped by: those of another shape hold the same usage',
    pool LowCardinality(String) COMMENT 'which calls of the gateway its bucket may hold as well: all, or those of a credential or a project',
    provider LowCardinality(String),
    upstream_request_id String CODEC(ZSTD(1)),
    withdrawn Bool,
    event String COMMENT 'the usage event as the file says it, priced: JSON' CODEC(ZSTD(3)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX by_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree(rev)
PARTITION BY toYYYYMM(ts)
ORDER BY (tenant_id, toStartOfHour(ts), key_id, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
