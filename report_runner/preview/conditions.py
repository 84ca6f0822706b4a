"""What checks, sendIf and onlyIfChanged say of the sample rows; the report is made all the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from report_runner.checks import run_check
from report_runner.contract.checks import Severity
from report_runner.contract.definition import Definition
from report_runner.environment import RunStamps
from report_runner.expressions import evaluate
from report_runner.judge import SEND_IF, check_context, rows_digests, scope_of
from report_runner.models import Table


def judged(
    definition: Definition, run: RunStamps, tables: Mapping[str, Table], now: datetime
) -> tuple[list[str], list[str]]:
    """A line for each, and the warnings of the document. Raises RunError."""
    report = definition.report
    scope = scope_of(definition, run, tables)
    context = check_context(scope, None, now)
    lines: list[str] = []
    warnings: list[str] = []
    for check in report.checks:
        finding = run_check(check, context)
        message = finding.message(check.name)
        if finding.passed:
            lines.append(f"{message}: passed")
        elif check.severity is Severity.WARN:
            lines.append(f"{message}: a warning in document and mail")
            warnings.append(message)
        else:
            lines.append(f"{message}: the run fails (DataCheckFailed)")
    if report.send_if is not None:
        holds = evaluate(report.send_if, SEND_IF, scope)
        lines.append(f"{SEND_IF}: {'true' if holds else 'false: nothing is sent (Skipped)'}")
    rows_digests(report.only_if_changed, tables)
    return lines, warnings
