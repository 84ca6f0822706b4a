"""Queries of report authors, run with the read-only role of their Secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.attacks.vectors import Vector, Who

CANARY = "CANARY-of-the-payroll"
FILE_CANARY = "CANARY-of-the-server"
FILE = "$FILE"  # on the database's server
PWNED = "$PWNED"  # a file that no query may make


@dataclass(frozen=True, slots=True)
class Query:
    """`slow`: it has to be ended by its time-out or by a bound, with a reason."""

    text: str
    slow: bool = False
    timeout: str = "3s"


def _copies() -> dict[str, str]:
    return {
        "copy-program": f"COPY (SELECT 1) TO PROGRAM 'touch {PWNED}'",
        "copy-to-file": f"COPY (SELECT 1) TO '{PWNED}'",
        "copy-from-program": "COPY positions FROM PROGRAM 'id'",
        "copy-from-file": f"COPY positions FROM '{FILE}'",
        "copy-stdout": "COPY payroll TO STDOUT",
        "copy-stdin": "COPY positions FROM STDIN",
    }


_FILES = {
    "read-file": f"SELECT pg_read_file('{FILE}') AS a",
    "read-binary": f"SELECT encode(pg_read_binary_file('{FILE}'), 'escape') AS a",
    "list-directory": "SELECT pg_ls_dir('/') AS a",
    "list-logs": "SELECT * FROM pg_ls_logdir()",
    "stat-file": f"SELECT * FROM pg_stat_file('{FILE}')",
    "large-object-import": f"SELECT lo_import('{FILE}') AS a",
    "large-object-export": f"SELECT lo_export(1, '{PWNED}') AS a",
    "large-object-create": "SELECT lo_create(0) AS a",
    "large-object-put": "SELECT lo_from_bytea(0, 'x') AS a",
    "hba": "SELECT * FROM pg_hba_file_rules",
    "file-settings": "SELECT * FROM pg_file_settings",
    "query-to-xml": "SELECT query_to_xml('SELECT * FROM payroll', true, true, '')::text AS a",
    "table-to-xml": "SELECT table_to_xml('payroll', true, true, '')::text AS a",
    "database-to-xml": "SELECT database_to_xml(true, true, '')::text AS a",
    "load": "LOAD 'auto_explain'",
    "adminpack": f"SELECT pg_file_write('{PWNED}', 'x', false) AS a",
}
_ROLES = {
    "set-role": "SET ROLE postgres",
    "set-session": "SET SESSION AUTHORIZATION postgres",
    "set-config-role": "SELECT set_config('role', 'postgres', false) AS a",
    "set-config-session": "SELECT set_config('session_authorization', 'postgres', false) AS a",
    "reset-role": "RESET ROLE",
    "payroll": "SELECT * FROM payroll",
    "payroll-union": "SELECT isin FROM positions UNION SELECT name FROM payroll",
    "payroll-subquery": "SELECT (SELECT name FROM payroll LIMIT 1) AS a",
    "payroll-cast": "SELECT (SELECT string_agg(name, ',') FROM payroll)::int AS a",
    "shadow": "SELECT rolname, rolpassword FROM pg_authid",
    "shadow-view": "SELECT * FROM pg_shadow",
    "user-mappings": "SELECT umoptions FROM pg_user_mapping",
    "statistics": "SELECT most_common_vals::text AS a FROM pg_stats WHERE tablename = 'payroll'",
    "statistics-raw": "SELECT stavalues1::text AS a FROM pg_statistic",
    "backends": "SELECT query FROM pg_stat_activity WHERE usename <> current_user",
    "terminate": "SELECT pg_terminate_backend(pid) AS a FROM pg_stat_activity "
    "WHERE usename = 'postgres'",
    "cancel": "SELECT pg_cancel_backend(pid) AS a FROM pg_stat_activity WHERE usename = 'postgres'",
    "reload": "SELECT pg_reload_conf() AS a",
    "rotate": "SELECT pg_rotate_logfile() AS a",
    "switch-wal": "SELECT pg_switch_wal()::text AS a",
    "backup": "SELECT pg_backup_start('x')::text AS a",
    "slot": "SELECT pg_create_logical_replication_slot('x', 'test_decoding')::text AS a",
    "grant": "GRANT ALL ON payroll TO reader",
    "alter-role": "ALTER ROLE reader SUPERUSER",
    "alter-system": "ALTER SYSTEM SET log_statement = 'all'",
    "create-role": "CREATE ROLE pwned SUPERUSER",
    "password": "ALTER ROLE reader PASSWORD 'x'",
}
_STATEMENTS = {
    "two-statements": "SELECT 1 AS a; SELECT name FROM payroll",
    "two-with-comment": "SELECT 1 AS a; -- x\nDROP TABLE positions",
    "comment-end": "SELECT 1 AS a */; DROP TABLE positions; /*",
    "commit": "COMMIT",
    "commit-and-write": "COMMIT; CREATE TABLE pwned (a int)",
    "rollback": "ROLLBACK",
    "begin-write": "BEGIN READ WRITE",
    "set-transaction": "SET TRANSACTION READ WRITE",
    "set-read-write": "SELECT set_config('transaction_read_only', 'off', true) AS a",
    "set-default": "SET default_transaction_read_only = off",
    "set-timeout": "SET statement_timeout = 0",
    "set-search-path": "SET search_path = pg_temp",
    "do": "DO $$ BEGIN CREATE TABLE pwned (a int); END $$",
    "do-execute": "DO $$ BEGIN EXECUTE 'DROP TABLE positions'; END $$",
    "prepare": "PREPARE p AS SELECT name FROM payroll",
    "execute": "EXECUTE p",
    "declare": "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "call": "CALL pwned()",
    "listen": "LISTEN x",
    "notify": "NOTIFY x",
    "lock": "LOCK TABLE positions IN ACCESS EXCLUSIVE MODE",
    "lock-row": "SELECT * FROM positions FOR UPDATE",
    "advisory": "SELECT pg_advisory_lock(1)::text AS a",
    "vacuum": "VACUUM FULL",
    "analyze": "ANALYZE positions",
    "checkpoint": "CHECKPOINT",
    "cluster": "CLUSTER",
    "reindex": "REINDEX DATABASE postgres",
    "insert": "INSERT INTO positions VALUES (now(), 'x', 1)",
    "insert-returning": "INSERT INTO positions VALUES (now(), 'x', 1) RETURNING isin",
    "with-delete": "WITH d AS (DELETE FROM positions RETURNING *) SELECT * FROM d",
    "with-insert": "WITH i AS (INSERT INTO positions VALUES (now(), 'x', 1) RETURNING *) "
    "SELECT * FROM i",
    "update": "UPDATE positions SET amount = 0",
    "truncate": "TRUNCATE positions",
    "drop": "DROP TABLE positions",
    "create-table": "CREATE TABLE pwned (a int)",
    "create-as": "CREATE TABLE pwned AS SELECT 1 AS a",
    "select-into": "SELECT 1 AS a INTO pwned",
    "create-temporary": "CREATE TEMP TABLE pwned (a int)",
    "create-function": "CREATE FUNCTION pwned() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "create-extension": "CREATE EXTENSION dblink",
    "create-language": "CREATE EXTENSION plpython3u",
    "create-schema": "CREATE SCHEMA pwned",
    "nextval": "SELECT nextval('positions_seq') AS a",
    "refresh": "REFRESH MATERIALIZED VIEW positions",
    "explain-analyze": "EXPLAIN ANALYZE DELETE FROM positions",
    "security-label": "SECURITY LABEL ON ROLE reader IS 'x'",
    "comment": "COMMENT ON TABLE positions IS 'x'",
    "import-schema": "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z",
    "dblink": "SELECT * FROM dblink('host=127.0.0.1 user=postgres', 'SELECT 1') AS t(a int)",
    "dblink-connect": "SELECT dblink_connect('host=127.0.0.1 user=postgres') AS a",
    "percent-injection": "SELECT '%(report_date)s; DROP TABLE positions' AS a",
    "parameter-injection": "SELECT %(hostile)s AS a",
    "null-byte": "SELECT '\x00' AS a",
    "unicode-escape": "SELECT U&'\\0027; DROP TABLE positions --' AS a",
    "empty-comment": "/* */",
}
_SLOW = {
    "sleep": "SELECT pg_sleep(600)::text AS a",
    "sleep-rows": "SELECT pg_sleep(1)::text AS a FROM generate_series(1, 600)",
    "sleep-each": "SELECT n, pg_sleep(0.5)::text AS a FROM generate_series(1, 1000) AS n",
    "rows-without-end": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) "
    "SELECT n FROM r",
    "rows-wide": "SELECT repeat('x', 1000000) AS a FROM generate_series(1, 100000)",
    "cell-huge": "SELECT repeat('x', 900000000) AS a",
    "cell-huge-array": "SELECT array_agg(n) AS a FROM generate_series(1, 50000000) AS n",
    "cell-huge-json": "SELECT json_agg(repeat('x', 1000)) AS a FROM generate_series(1, 500000)",
    "product": "SELECT count(*) AS a FROM generate_series(1, 10000000) AS x, "
    "generate_series(1, 10000000) AS y",
    "regexp": "SELECT repeat('a', 40) || '!' ~ '^(a+)+$' AS a, pg_sleep(600)::text AS b",
    "columns": "SELECT " + ", ".join(f"{n} AS c{n}" for n in range(1600)) + " FROM "
    "generate_series(1, 1000000)",
    "set-timeout-and-sleep": "SELECT set_config('statement_timeout', '0', false) AS a, "
    "pg_sleep(600)::text AS b",
}

# What is accepted in docs/security.md has to show on a slow machine too.
_TIMEOUTS = {"cell-huge-json": "25s"}
QUERIES = [
    Vector("sql", name, Who.AUTHOR, Query(text, table is _SLOW, _TIMEOUTS.get(name, "3s")))
    for table in (_copies(), _FILES, _ROLES, _STATEMENTS, _SLOW)
    for name, text in table.items()
]
PARAMETERS: Mapping[str, str] = {"hostile": "'; DROP TABLE positions; --"}
