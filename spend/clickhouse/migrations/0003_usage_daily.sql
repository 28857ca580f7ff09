-- usage_events summed up by the tenant's own days. Never added to: a day that changed is counted anew, and ver, the sum of
-- the revs in that day, lets the fuller count win whatever the order of writing. A group that vanished stands with zeros.
CREATE TABLE IF NOT EXISTS {database}.usage_daily (
    tenant_id LowCardinality(String),
    day Date COMMENT 'in the time zone of the tenant',
    project_id LowCardinality(String),
    key_id LowCardinality(String),
    provider LowCardinality(String),
    model LowCardinality(String) COMMENT 'the model priced, or the one asked when there was no price',
    tier LowCardinality(String),
    env LowCardinality(String),
    status LowCardinality(String),
    requests UInt64 CODEC(T64, ZSTD(1)),
    input_tokens UInt64 CODEC(T64, ZSTD(1)),
    output_tokens UInt64 CODEC(T64, ZSTD(1)),
    cached_tokens UInt64 CODEC(T64, ZSTD(1)),
    unpriced_requests UInt64 CODEC(T64, ZSTD(1)),
    unpriced_tokens UInt64 CODEC(T64, ZSTD(1)),
    cost Decimal(38, 12),
    charge Decimal(38, 12),
    duration_ms UInt64 CODEC(T64, ZSTD(1)),
    ver UInt64 CODEC(T64, ZSTD(1))
) ENGINE = ReplacingMergeTree(ver)
PARTITION BY toYYYYMM(day)
ORDER BY (tenant_id, day, project_id, key_id, provider, model, tier, env, status)
