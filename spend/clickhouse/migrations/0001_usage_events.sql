-- One row an event: of several with one event_id the highest rev counts, so a delivery that is repeated changes nothing.
-- ts, tenant_id and key_id of an event_id never change. Read with FINAL.
-- Queues forget an event once it is inserted, so by then it must have reached the disk.
CREATE TABLE IF NOT EXISTS {database}.usage_events (
    event_id UUID COMMENT 'UUIDv7 of the arrival at the gateway',
    rev UInt32 COMMENT 'raised by re-rating only; the highest counts',
    ts DateTime64(3, 'UTC') COMMENT 'arrival at the gateway' CODEC(DoubleDelta, ZSTD(1)),
    env LowCardinality(String),
    tenant_id LowCardinality(String),
    project_id LowCardinality(String),
    key_id LowCardinality(String),
    end_user String CODEC(ZSTD(1)),
    tags Map(LowCardinality(String), String),
    tier LowCardinality(String),
    route LowCardinality(String),
    provider LowCardinality(String),
    model_asked LowCardinality(String),
    model_priced LowCardinality(String) COMMENT 'empty when no price was found',
    units Map(LowCardinality(String), UInt64) COMMENT 'disjoint: a token is counted under one name',
    input_tokens UInt64 COMMENT 'all tokens that went in' CODEC(T64, ZSTD(1)),
    output_tokens UInt64 COMMENT 'all tokens that came out' CODEC(T64, ZSTD(1)),
    cached_tokens UInt64 COMMENT 'tokens read from a cache of the provider' CODEC(T64, ZSTD(1)),
    price_version UInt32,
    override_version UInt32,
    cost Nullable(Decimal(38, 12)) COMMENT 'USD; what the provider charges; NULL when unpriced',
    charge Nullable(Decimal(38, 12)) COMMENT 'USD; what the tenant is charged; NULL when unpriced',
    usage_source LowCardinality(String),
    kind LowCardinality(String),
    service_tier LowCardinality(String),
    session String CODEC(ZSTD(1)),
    credential LowCardinality(String),
    upstream_request_id String CODEC(ZSTD(1)),
    status LowCardinality(String),
    http_status UInt16,
    ttfb_ms UInt32 CODEC(T64, ZSTD(1)),
    duration_ms UInt32 CODEC(T64, ZSTD(1)),
    streamed Bool,
    cached Bool COMMENT 'answered from our own response cache',
    request_id String CODEC(ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)),
    INDEX by_event_id event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_request_id request_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_ingested_at ingested_at TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree(rev)
PARTITION BY toYYYYMM(ts)
ORDER BY (tenant_id, toStartOfHour(ts), key_id, event_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
