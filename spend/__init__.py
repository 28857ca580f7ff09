"""ClickHouse: schema, ingest, questions, charts and pages of spend."""
