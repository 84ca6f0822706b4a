"""An error of the author."""

from __future__ import annotations

from report_runner.contract.reasons import Reason
from report_runner.models import RunError


def wrong(message: str) -> RunError:
    """What the author can mend."""
    return RunError(Reason.CONFIGURATION_ERROR, message)
