"""`report-generator run`: one run in its pod, its log and its termination message."""

from __future__ import annotations

import logging
import os
import signal
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from report_runner.contract.reasons import EXIT_CODES, EXIT_NOT_READY_YET, EXIT_OK, Reason
from report_runner.contract.result import ANSWER_LIMIT, Outcome, RunResult, WaitAnswer, dump_result
from report_runner.environment import find_paths
from report_runner.models import RunError, RunSkipped
from report_runner.mounted import Secrets
from report_runner.progress import RunProgress
from report_runner.redaction import Redactor
from report_runner.run import make_report
from report_runner.telemetry import exported, set_up_run_logging
from report_runner.waiting import DataNotReadyYet

EXIT_TERMINATED = 128 + signal.SIGTERM

logger = logging.getLogger(__name__)


class TerminatedError(BaseException):
    """SIGTERM was received; a BaseException, so that `finally` and `with` blocks clean up."""


def run_in_pod() -> int:
    """Make the report of this pod; returns an exit code of report_runner.contract.reasons."""
    paths = find_paths(os.environ)
    secrets = Secrets(paths.secrets)
    prepare(secrets)
    progress = RunProgress()
    with exported(os.environ) as telemetry:
        result, code = account(
            progress, lambda: make_report(paths, dict(os.environ), secrets, progress, now)
        )
        # What is left to do is short and has a bound: a stop has nothing to end any more.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        result = redacted(result, secrets.redact)
        logger.info("%s: %s", result.outcome.value, result.message)
        left = _leave(paths.termination_log, result)
        telemetry.finish(result)
    # The exit code alone says of a skipped run that its report was delivered.
    if result.outcome is Outcome.SKIPPED and not left:
        return EXIT_CODES[Reason.INTERNAL_ERROR]
    return code


def prepare(secrets: Secrets) -> None:
    """The log, without values of Secrets, and SIGTERM as TerminatedError."""
    set_up_run_logging(os.environ, secrets.redact)
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise TerminatedError


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def account(progress: RunProgress, work: Callable[[], RunResult]) -> tuple[RunResult, int]:
    """The result and exit code of `work`; every exception but SystemExit becomes a failure."""
    try:
        return work(), EXIT_OK
    except RunSkipped as skipped:
        return progress.result(Outcome.SKIPPED, skipped.reason, skipped.message), EXIT_OK
    except DataNotReadyYet as found:
        return _not_ready_yet(progress, found.check)
    except RunError as error:
        reason, message = error.reason, error.message
        logger.info("failed: %s", reason.value, exc_info=error.__cause__)
    except MemoryError:
        reason = Reason.RESOURCE_EXHAUSTED
        message = "out of memory; raise spec.resources.limits.memory, or ask for fewer rows"
    except TerminatedError:
        if progress.asking is not None:
            return _not_ready_yet(progress, progress.asking)
        message = f"stopped by SIGTERM in stage {progress.stage}"
        return progress.result(Outcome.FAILED, Reason.INTERNAL_ERROR, message), EXIT_TERMINATED
    except Exception as error:
        reason = Reason.INTERNAL_ERROR
        place = traceback.extract_tb(error.__traceback__)[-1]
        # The error's text may hold data of the report, so only the log has it.
        message = (
            f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}, stage "
            f"{progress.stage}; the pod's log has more"
        )
        logger.exception("unexpected")
    return progress.result(Outcome.FAILED, reason, message), EXIT_CODES[reason]


def _not_ready_yet(progress: RunProgress, check: WaitAnswer) -> tuple[RunResult, int]:
    result = progress.result(Outcome.FAILED, Reason.DATA_NOT_READY, check.answer)
    return result.model_copy(update={"not_ready": check}), EXIT_NOT_READY_YET


def redacted(result: RunResult, redact: Redactor) -> RunResult:
    """The result without values of Secrets and without characters that JSON cannot hold.

    Its texts quote drivers and servers, which may send bytes that are not UTF-8.
    """

    def clean(text: str) -> str:
        return redact(text).encode(errors="replace").decode()

    return result.model_copy(
        update={
            "message": clean(result.message),
            "not_ready": found.model_copy(update={"answer": clean(found.answer)[:ANSWER_LIMIT]})
            if (found := result.not_ready)
            else None,
            "deliveries": [
                item.model_copy(update={"error": clean(item.error)}) if item.error else item
                for item in result.deliveries
            ],
        }
    )


def _leave(path: Path, result: RunResult) -> bool:
    """Whether the result is where the kubelet takes it from."""
    try:
        path.write_text(dump_result(result))
    except OSError as error:
        logger.warning("the result could not be left in %s: %s", path, error)
        return False
    return True
