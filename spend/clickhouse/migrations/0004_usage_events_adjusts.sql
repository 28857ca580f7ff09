-- A month that was sealed stays as it is: what corrects it stands in an open month and says which event it is about.
ALTER TABLE {database}.usage_events ADD COLUMN IF NOT EXISTS adjusts String DEFAULT '' COMMENT 'the event that this one corrects, or stands for' CODEC(ZSTD(1)) AFTER kind
