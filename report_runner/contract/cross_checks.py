"""What no field of a report tells alone: names in expressions, checks and parameters."""

from __future__ import annotations

from collections.abc import Iterator

from report_runner.contract.expression import parse_expression, unknown_name
from report_runner.contract.parameters import parameters_problem, raw_values
from report_runner.contract.report import Report


def report_problem(report: Report) -> tuple[str, str] | None:
    """Field and message of the first problem; None where there is none.

    A query's placeholders are looked at apart (`contract.sql.query_problem`).
    """
    return parameters_problem(report) or next(_problems(report), None)


def expressions_of(report: Report) -> Iterator[tuple[str, str]]:
    """Field and text of each expression."""
    if report.send_if is not None:
        yield "spec.report.sendIf", report.send_if
    for check in report.checks:
        if check.expression is not None:
            yield f"spec.report.checks[{check.name}].expression", check.expression


def _problems(report: Report) -> Iterator[tuple[str, str]]:
    sources = [source.name for source in report.reported().sources]
    for field, text in expressions_of(report):
        problem = unknown_name(parse_expression(text), sources, list(raw_values(report)))
        if problem is not None:
            yield field, problem
