"""What a run is asked for beside its slot: parameters of its own, and to send a report again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from admin_api.errors import RefusedError
from admin_api.schemas.attempts import GenerateRequest
from admin_api.schemas.jobs import Job
from report_operator.domain import names
from report_operator.domain.runs.attempts import Attempt, lost_request, read_parameters
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.problems import recipients_in
from report_runner.contract.mailbox import mailbox_identity
from report_runner.contract.parameters import ParameterType, read_override
from report_runner.contract.resend import Resend, resend_to
from report_runner.contract.words import listed, nearest, shortened

Body = Mapping[str, Any]


def check_parameters(given: Mapping[str, str], schedule: Body) -> None:
    """Whether a ReportSchedule declares these parameters, as such values. Raises RefusedError."""
    report = schedule["spec"].get("report") or {}
    types = {
        declared.get("name"): declared.get("type", ParameterType.TEXT)
        for declared in report.get("declaredParameters") or ()
    }
    for name, value in given.items():
        if name not in types:
            known = sorted(map(str, types))
            near = nearest(name, known) or f"; there is {listed(known) or 'none'}"
            raise RefusedError(
                422, f"parameters: the schedule declares no parameter {shortened(name)}{near}"
            )
        try:
            read_override(value, ParameterType(types[name]))
        except ValueError as error:
            raise RefusedError(422, f"parameters.{name}: {error}") from None


def check_inherited(attempt: Attempt, before: str, spec: Body) -> None:
    """Whether a retry is what was asked for although the Job before is gone. Raises RefusedError.

    `before` is that Job's name, `spec` the schedule's as it is declared now.
    """
    declared = (spec.get("report") or {}).get("declaredParameters")
    adjustable = bool(declared or recipients_in(spec))
    why = lost_request(attempt.overridden, before, adjustable=adjustable)
    if why:
        raise RefusedError(409, why)


def check_same_parameters(given: Mapping[str, str], run: Run) -> None:
    """Whether the run under way is what was asked for. Raises RefusedError."""
    known = read_parameters(run.parameters)
    if dict(given) != known:
        shown = ", ".join(f"{name}={value}" for name, value in known.items())[:200] or "none"
        raise RefusedError(
            409,
            f"{names.job_id(run.namespace, run.schedule, run.slot, run.attempt)} is under way with "
            f"other parameters ({shown}): ask again when it has ended",
        )


def resend_of(request: GenerateRequest) -> Resend | None:
    """To whom the report is sent again; None where to nobody."""
    if request.resend is None:
        return None
    return Resend() if isinstance(request.resend, str) else resend_to(request.resend)


def check_resend(wanted: Resend | None, name: str, recipients: Collection[str]) -> None:
    """Raises RefusedError where somebody is named who is no recipient of the schedule's mails."""
    if wanted is None:
        return
    if not recipients:
        raise RefusedError(422, f"resend: {name} mails nobody (it has no spec.delivery.email)")
    known = {mailbox_identity(recipient) for recipient in recipients}
    unknown = [who for who in wanted.names if mailbox_identity(who) not in known]
    if unknown:
        raise RefusedError(
            422,
            f"resend: {', '.join(unknown)} is no recipient of {name}: write all, or recipients as "
            "spec.delivery.email has them",
        )


def check_under_way(job: Job, run: Run | None, wanted: Resend | None) -> None:
    """Raises RefusedError where the attempt under way does not send again what is asked for."""
    if wanted is None or (run is not None and run.resend == wanted.text):
        return
    raise RefusedError(
        409,
        f"resend: {job.id} is {job.status.value} already, and does not send the report again to "
        f"{wanted.words}: ask again when it has ended",
    )
