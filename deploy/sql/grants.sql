-- What the application may do with the tables. Run as spendops_migrator after each `manage.py migrate`:
--   psql "$MIGRATOR_URL" -f deploy/sql/grants.sql

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO spendops_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO spendops_app;

-- the audit trail is written once: the application adds to it and reads it, and nothing else
REVOKE UPDATE, DELETE, TRUNCATE ON changes_auditevent FROM spendops_app;
