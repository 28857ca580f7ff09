-- The two roles of an installation on PostgreSQL. Run once as a superuser, in the installation's database:
--   psql "$SUPERUSER_URL" -f deploy/sql/roles.sql
-- then give both a password (\password spendops_migrator, \password spendops_app).
--
-- spendops_migrator owns the tables and runs `manage.py migrate`; spendops_app is what every process of SpendOps
-- connects as. It owns nothing, so it can neither alter a table nor take down its row-level security.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'spendops_migrator') THEN
    CREATE ROLE spendops_migrator LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'spendops_app') THEN
    CREATE ROLE spendops_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
  END IF;
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO spendops_migrator;
GRANT USAGE ON SCHEMA public TO spendops_app;
