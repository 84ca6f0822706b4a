"""Placeholders of a query: refused where PostgreSQL would read them as text."""

from __future__ import annotations

import time
from typing import Any

import pytest

from report_runner.contract.sql import original_index, placeholder_names, query_problem

PARAMETERS: dict[str, Any] = {"days": 30, "name": "x", "desks": ["A", "B"], "minimum": 1}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT %(days)s * interval '1 day', '100 %%', 'it''s', E'it\\'s' || %(name)s",
        "SELECT $$ it's $$ || %(name)s, $a$ $$ ' $b$ $a$ || %(name)s",
        "SELECT 1 -- it's a comment\n, %(name)s /* ' /* \" */ ' */ , %(days)s",
        'SELECT "it\'s", %(name)s AS "a ""b"" c"',
        "SELECT 'open\nline' || %(name)s",
        "SELECT a FROM t WHERE d = ANY(%(desks)s) AND n IN (%(days)s, %(minimum)s)",
        "SELECT %(report_date)s::date, %(slot)s, B'1', x'1f', U&'\\0061' || %(name)s",
        "SELECT a$b$c, %(name)s FROM t$x$ WHERE t$x$.a$b$c = %(name)s",
        "SELECT x IN (SELECT y FROM t WHERE z = ANY(%(desks)s))",
        "SELECT max(t.date), 5 %% %(days)s",
        "SELECT E'\\\\' || %(name)s",
    ],
)
def test_right_queries(query: str) -> None:
    assert query_problem(query, PARAMETERS) is None


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "SELECT 1 WHERE day > date '2026-11-24' - interval '%(days)s days'",
            "line 1, column 52: %(days)s stands inside quotes, where it is no parameter; "
            "write %(days)s * interval '1 day'",
        ),
        ("SELECT day\n  WHERE d = '%(report_date)s'", "line 2, column 14: %(report_date)s stands"),
        ("SELECT d = '%(name)s'", "remove the quotes: %(name)s"),
        ("SELECT date '%(report_date)s'", "and date before it: %(report_date)s::date"),
        ("SELECT interval '%(days)s'", "and interval before it: %(days)s::interval"),
        ("SELECT 'a %%%(name)s'", "'text ' || %(name)s"),
        ("SELECT E'it\\'s %(name)s'", "inside quotes"),
        ("SELECT E'\\\\\\' %(name)s'", "inside quotes"),
        ("SELECT '\\', '%(name)s'", "inside quotes"),
        ("SELECT 'it''s %(name)s'", "inside quotes"),
        ("SELECT $$ %(name)s $$", "inside quotes"),
        ("SELECT $a$ $$ %(name)s $a$", "inside quotes"),
        ("SELECT 1 /* a /* b */ '%(name)s' */", "inside a comment"),
        ("SELECT 1 -- %(name)s", "inside a comment; remove it there, or write %%(name)s"),
        ('SELECT "%(name)s"', "inside double quotes"),
        ("SELECT '%(name)s", "inside quotes"),
        ("SELECT '%(nope)s'", "inside quotes"),
        ("SELECT %(nam)s", "no parameter nam (did you mean %(name)s?); a query may name %(days)s"),
        ("SELECT %(name)d", "write %(name)s"),
        ("SELECT 'A' IN %(desks)s", "line 1, column 15: IN takes no list parameter; write = ANY("),
        ("SELECT 'A' IN (%(desks)s)", "write = ANY(%(desks)s)"),
        ("SELECT 'A' in /* x */ ( %(name)s, %(desks)s)", "write = ANY(%(desks)s)"),
        ("SELECT 'A' NOT IN %(desks)s", "NOT IN takes no list parameter; write <> ALL(%(desks)s)"),
        ("SELECT 'A' NOT IN (%(desks)s)", "write <> ALL(%(desks)s)"),
        ("SELECT 'A' IN %(name)s", "IN (%(name)s)"),
        ("SELECT now() - INTERVAL %(days)s", "write %(days)s * interval '1 day'"),
        ("SELECT DATE %(report_date)s", "write %(report_date)s::date"),
    ],
)
def test_what_is_refused(query: str, said: str) -> None:
    problem = query_problem(query, PARAMETERS)
    assert problem is not None
    assert said in problem


def test_positions_of_the_sent_text_are_found_in_the_authors() -> None:
    query = "SELECT '%%' || %(name)s, %(days)s, %(name)s, nope"
    sent = "SELECT '%' || $1, $2, $1, nope"
    for word in ("SELECT", "$1", "$2", "nope"):
        expected = {"$1": "%(name)s", "$2": "%(days)s"}.get(word, word)
        assert original_index(query, sent.index(word) + 1) == query.index(expected)
    assert placeholder_names(query) == ["name", "days"]


@pytest.mark.parametrize("part", ["%(", "%(name)s,", "(", "'", "$a$", "/*", "E'\\", "in (", "-"])
def test_the_longest_query_is_read_at_once(part: str) -> None:
    query = "SELECT " + (part * 65536)[:65000]
    process_time = time.process_time()
    query_problem(query, PARAMETERS)
    original_index(query, len(query))
    assert time.process_time() - process_time < 5  # quadratic it would take minutes
