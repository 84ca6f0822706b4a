"""Whether a report is made of the rows that were read: checks, sendIf, allowEmpty, onlyIfChanged.

Checks come first: of rows that are wrong, no condition tells whether a report is wanted.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from report_runner import storage
from report_runner.baseline import (
    Baseline,
    keep_for_comparison,
    last_delivered,
    reached_everybody,
)
from report_runner.checks import CheckContext, Finding, run_check
from report_runner.contract.checks import DataCheck, Severity
from report_runner.contract.definition import Definition
from report_runner.contract.numbers import exact
from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.contract.sending import OnlyIfChanged
from report_runner.contract.words import listed, nearest, shortened
from report_runner.environment import RunStamps
from report_runner.expressions import Scope, evaluate
from report_runner.manifest import CheckRecord
from report_runner.models import RunError, RunSkipped, Table
from report_runner.render.csvfile import write_csv
from report_runner.rows_digest import rows_digest
from report_runner.storage import OutputPaths

SEND_IF, ONLY_IF_CHANGED = "spec.report.sendIf", "spec.report.onlyIfChanged"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rows were found to be, for the manifest and for later runs."""

    checks: list[CheckRecord] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # of sources, for onlyIfChanged

    @property
    def warnings(self) -> list[str]:
        """The checks that did not pass, and were to warn."""
        return [check.message for check in self.checks if not check.passed]


def judge(
    definition: Definition,
    run: RunStamps,
    tables: Mapping[str, Table],
    paths: OutputPaths,
    now: datetime,
    *,
    begun: bool = False,
    overridden: bool = False,
    not_ready: str | None = None,
) -> Judgement:
    """Raises RunError for rows that are wrong or none, RunSkipped where no report is wanted.

    Needs the slot's lock. What has begun, or is sent again on request, is always wanted: it is not
    left half done because the rows are others by now. A run that was asked for with parameters of
    its own (`overridden`) is compared with no other. `not_ready` is what a reader is told of data
    that were not ready: of such rows nobody can say that they are unchanged.
    """
    report = definition.report
    scope = scope_of(definition, run, tables)
    baseline = None if overridden else _baseline(definition, run, paths.root, now)
    found = Judgement(digests=rows_digests(report.only_if_changed, tables))
    _remove_files(paths)
    failed: list[str] = []
    for check in report.checks:
        finding = run_check(check, check_context(scope, baseline, now))
        message = finding.message(check.name)
        if not finding.passed and finding.broken:
            message += f"; the rows are in {_store_rows(check, finding, scope, paths)}"
        if not finding.passed and check.severity is Severity.FAIL:
            failed.append(message)
        logger.log(logging.INFO if finding.passed else logging.WARNING, "%s", message)
        found.figures.update(finding.figures)
        found.checks.append(
            CheckRecord(
                name=check.name,
                severity=check.severity,
                passed=finding.passed,
                message=message,
            )
        )
    if failed:
        raise RunError(Reason.DATA_CHECK_FAILED, ". ".join(failed))
    told = [*([not_ready] if not_ready else []), *found.warnings]
    if report.send_if is not None and not begun and not evaluate(report.send_if, SEND_IF, scope):
        condition = " ".join(report.send_if.split())
        raise RunSkipped(
            Reason.CONDITION_FALSE,
            _skipped(f"{SEND_IF} is false: {condition}", told),
        )
    if not any(table.rows for table in tables.values()) and not report.allow_empty:
        raise RunError(
            Reason.EMPTY_REPORT,
            "no source has a row; set spec.report.allowEmpty to true where that is no fault",
        )
    compared = report.only_if_changed is not None and not begun and not not_ready
    if compared and baseline is not None and _is_unchanged(definition, found, baseline):
        same = f"the rows are those of {baseline.described()}, which was delivered"
        raise RunSkipped(Reason.UNCHANGED, _skipped(same, told))
    return found


def _is_unchanged(definition: Definition, found: Judgement, baseline: Baseline) -> bool:
    """Whether all of today's recipients have these rows, and nobody has later ones."""
    last = baseline.manifest
    return (
        last.digests == found.digests
        and last.not_ready is None
        and not baseline.newer_begun
        and reached_everybody(definition, last.deliveries)
    )


def scope_of(definition: Definition, run: RunStamps, tables: Mapping[str, Table]) -> Scope:
    parameters = exact(definition.report.parameters)
    return Scope(run, definition.time_zone, parameters, tables, definition.holidays)


def check_context(scope: Scope, baseline: Baseline | None, now: datetime) -> CheckContext:
    return CheckContext(
        scope,
        now,
        baseline.manifest.figures if baseline else None,
        baseline.described() if baseline else "",
    )


def _skipped(told: str, warnings: list[str]) -> str:
    return ". ".join([told, *warnings])


def _baseline(definition: Definition, run: RunStamps, root: Path, now: datetime) -> Baseline | None:
    """Looked for only where something is compared with it."""
    report = definition.report
    if report.only_if_changed is None and all(check.change is None for check in report.checks):
        return None
    found = last_delivered(definition, run, root)
    if found is not None:
        keep_for_comparison(found, now)
    return found


def rows_digests(spec: OnlyIfChanged | None, tables: Mapping[str, Table]) -> dict[str, str]:
    """By source. Raises RunError for an ignored column that none of them has."""
    if spec is None:
        return {}
    names = spec.sources
    known = sorted({column for name in names for column in tables[name].columns})
    told = all(tables[name].columns for name in names)  # some tell their columns by their rows
    for column in spec.ignore:
        if told and column not in known:
            near = nearest(column, known) or f"; there is {listed(known)}"
            raise RunError(
                Reason.CONFIGURATION_ERROR,
                f"{ONLY_IF_CHANGED}.ignore: no source that is compared has a column "
                f"{shortened(column)}{near}",
            )
    return {name: rows_digest(tables[name], spec.ignore) for name in names}


def _remove_files(paths: OutputPaths) -> None:
    """The rows of an earlier attempt's checks."""
    with storage.storage_errors(f"report directory {paths.day}"):
        for left in paths.day.glob(f"{paths.stem}-check-*{Format.CSV.suffix}"):
            left.unlink(missing_ok=True)


def _store_rows(check: DataCheck, finding: Finding, scope: Scope, paths: OutputPaths) -> str:
    """The path of a file with the rows that break a check: for its owner, and not sent."""
    table = scope.tables[check.source or ""]
    rows = Table(table.columns, [table.rows[number] for number in finding.broken], table.types)
    with tempfile.TemporaryDirectory(prefix="report-") as scratch:
        draft = Path(scratch) / "rows.csv"
        write_csv(rows, draft, ZoneInfo(scope.time_zone))
        suffix = Format.CSV.suffix_of(f"check-{check.name}")
        return paths.relative(storage.store_file(paths, draft, suffix))
