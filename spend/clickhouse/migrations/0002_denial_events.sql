-- One row a refused call. tenant_id is empty when the key was not known. Read with FINAL.
-- Queues forget an event once it is inserted, so by then it must have reached the disk.
CREATE TABLE IF NOT EXISTS {database}.denial_events (
    event_id UUID,
    ts DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    env LowCardinality(String),
    tenant_id LowCardinality(String),
    project_id LowCardinality(String),
    key_id String COMMENT 'the id of the key, or only what its text says when it is not known' CODEC(ZSTD(1)),
    route LowCardinality(String),
    model_asked LowCardinality(String),
    reason LowCardinality(String),
    revs Map(String, UInt64) COMMENT 'the revs of the documents that decided',
    http_status UInt16,
    request_id String CODEC(ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX by_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplacingMergeTree(ingested_at)
PARTITION BY toYYYYMM(ts)
ORDER BY (tenant_id, toStartOfHour(ts), key_id, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
