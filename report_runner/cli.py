"""The command `report-generator`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from report_runner.contract.reasons import EXIT_CODES, EXIT_OK, EXIT_USAGE, Reason
from report_runner.contract.result import Outcome, RunResult, dump_result
from report_runner.data import RunError
from report_runner.run import Progress, make_report
from report_runner.surroundings import find_paths

EXIT_TERMINATED = 128 + signal.SIGTERM

logger = logging.getLogger(__name__)


class TerminatedError(BaseException):
    """SIGTERM came: everything is undone on the way out."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(EXIT_USAGE)


class _JsonFormatter(logging.Formatter):
    """One line of JSON for each record, with the run."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, run, message, and the traceback where there is one."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "run": os.environ.get("REPORT_RUN_ID", ""),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run; the exit code is of report_runner.contract.reasons."""
    parser = _Parser(prog="report-generator", description="Makes a report of a ReportSchedule.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="inside the pod of a run: make, store and deliver the report")
    preview = commands.add_parser(
        "render", help="on a laptop, without a cluster: the report of a manifest and sample data"
    )
    preview.add_argument("directory", type=Path, metavar="DIR", help="where the manifest is")
    preview.add_argument("--manifest", type=Path, help="which file, if there are several")
    preview.add_argument("--out", type=Path, default=Path("out"), help="where the files go")
    preview.add_argument("--slot", type=_instant, help="RFC 3339; now unless said")
    args = parser.parse_args(argv)
    if args.command == "run":
        return _run()
    from report_runner.preview import preview_report

    return preview_report(args.directory, args.manifest, args.out, args.slot or _now())


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant needs a zone, e.g. 2026-01-31T06:00:00Z")
    return instant.astimezone(UTC)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _run() -> int:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in ("weasyprint", "fontTools"):
        logging.getLogger(name).setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, _terminate)
    paths = find_paths(os.environ)
    progress = Progress()
    result, code = account(progress, lambda: make_report(paths, dict(os.environ), progress, _now))
    logger.info("%s: %s", result.outcome.value, result.message)
    _leave(paths.termination_log, result)
    return code


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise TerminatedError


def account(progress: Progress, work: Callable[[], RunResult]) -> tuple[RunResult, int]:
    """The result and exit code of `work`, whatever it does."""
    try:
        return work(), EXIT_OK
    except RunError as error:
        reason, message = error.reason, error.message
        logger.info("failed: %s", reason.value, exc_info=error.__cause__)
    except MemoryError:
        reason = Reason.RESOURCE_EXHAUSTED
        message = "out of memory; raise spec.resources.limits.memory, or ask for fewer rows"
    except TerminatedError:
        message = f"stopped by SIGTERM in stage {progress.stage}"
        return progress.result(Outcome.FAILED, Reason.INTERNAL_ERROR, message), EXIT_TERMINATED
    except Exception as error:
        reason = Reason.INTERNAL_ERROR
        place = traceback.extract_tb(error.__traceback__)[-1]
        # Not the error's text: it may hold data of the report. The log has it.
        message = (
            f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}, stage "
            f"{progress.stage}; the pod's log has more"
        )
        logger.exception("unexpected")
    return progress.result(Outcome.FAILED, reason, message), EXIT_CODES[reason]


def _leave(path: Path, result: RunResult) -> None:
    try:
        path.write_text(dump_result(result))
    except OSError as error:
        logger.warning("the result could not be left in %s: %s", path, error)


if __name__ == "__main__":
    sys.exit(main())
