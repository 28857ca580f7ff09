-- A bucket of a provider's report is one event that stands for many calls; imported usage that was withdrawn, or that passed the gateway as well, stands for none.
ALTER TABLE {database}.usage_events ADD COLUMN IF NOT EXISTS calls UInt32 DEFAULT 1 COMMENT 'how many calls it stands for' CODEC(T64, ZSTD(1)) AFTER kind
