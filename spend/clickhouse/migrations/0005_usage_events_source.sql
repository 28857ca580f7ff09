-- Usage that did not pass the gateway says where it was imported from.
ALTER TABLE {database}.usage_events ADD COLUMN IF NOT EXISTS source LowCardinality(String) DEFAULT '' COMMENT 'where it was imported from; empty for calls through the gateway' AFTER adjusts
