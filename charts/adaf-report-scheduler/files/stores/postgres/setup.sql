-- Role, database and extension as they ought to be, whatever there was before.

SET client_min_messages = warning;
-- psql reads the password itself, and what it sends shows in no log and no statistics.
SET log_min_error_statement = panic;
SET pg_stat_statements.track = none;
\set password `cat /etc/stores-secret/password`

SELECT 'CREATE ROLE adaf_user'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'adaf_user') \gexec
ALTER ROLE adaf_user LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'password';
-- On-call sees what every connection does, with its query.
GRANT pg_monitor TO adaf_user;

SELECT 'CREATE DATABASE adaf_prod'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'adaf_prod') \gexec
-- For the schema report_scheduler, which the operator makes and owns.
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE adaf_prod TO adaf_user;

\connect adaf_prod
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
ALTER EXTENSION pg_stat_statements UPDATE;
