"""The conditions of a ReportSchedule, and what they say to a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from report_operator.api.v1alpha1.conditions import ConditionType, ReadyReason
from report_operator.api.v1alpha1.status import Condition, RecentRun, ReportScheduleStatus
from report_operator.domain import names
from report_operator.domain.checks import first_problem
from report_operator.domain.convergence import SCHEDULE_PATIENCE, convergence
from report_operator.domain.schedules.clock_changes import clock_changes, describe_changes
from report_operator.domain.schedules.lateness import REPLACING, Due
from report_operator.domain.schedules.observation import Observation, ReadyProblem
from report_operator.domain.texts import cut
from report_operator.domain.times import format_time
from report_runner.contract.result import Outcome

CONDITION_LIMIT = 4000  # characters of a message


@dataclass(frozen=True, slots=True)
class ConditionUpdate:
    """A condition before it is known since when it holds."""

    type: ConditionType
    holds: bool
    reason: str
    message: str


def _definition_refused(observation: Observation) -> ReadyProblem | None:
    return observation.problem


def _secret_missing(observation: Observation) -> ReadyProblem | None:
    found = observation.pending.pending_reason if observation.pending else None
    if found is None or not found.missing_secret:
        return None
    return ReadyProblem(ReadyReason.SECRET_NOT_FOUND, found.cause.message)


READY_CHECKS: tuple[Callable[[Observation], ReadyProblem | None], ...] = (
    _definition_refused,  # the newest spec is not in effect, or the CronJob could not be written
    _secret_missing,  # it is in effect, and its runs cannot start; a run finds that, nobody earlier
)


def ready_condition(observation: Observation) -> ConditionUpdate:
    problem = first_problem(READY_CHECKS, observation)
    if problem is not None:
        return ConditionUpdate(ConditionType.READY, False, problem.reason, problem.message)
    message = f"CronJob {observation.cronjob_name} is up to date"
    return ConditionUpdate(
        ConditionType.READY,
        True,
        ReadyReason.READY,
        "; ".join(filter(None, (message, _clock_changes(observation)))),
    )


def _clock_changes(observation: Observation) -> str:
    """What the next changes of the clocks do to the schedule; '' where they do nothing."""
    plan = observation.plan
    if plan is None:
        return ""
    # From the beginning of the day, so that the message does not change with each reconcile.
    today = observation.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return describe_changes(clock_changes(plan.schedule, plan.zone, today), plan.zone)


def delayed_condition(observation: Observation, due: Due | None, late: bool) -> ConditionUpdate:
    if not late or due is None:
        return ConditionUpdate(ConditionType.DELAYED, False, "OnTime", "no slot is late")
    message = _delay_message(observation, due)
    return ConditionUpdate(ConditionType.DELAYED, True, due.stage, message)


def _delay_message(observation: Observation, due: Due) -> str:
    slot = f"slot {format_time(due.slot)}"
    run = due.run
    if due.stage == REPLACING:
        now = f"; Job {run.name} is {run.stage.value.lower()} now" if run else ""
        return (
            f"{slot}: its run was replaced by the next before it had ended, and so was each since "
            "then (concurrencyPolicy Replace): runs take longer than the time between two slots, "
            f"or wait longer in the queue{now}"
        )
    if any(entry.slot == due.slot for entry in observation.awaited):
        return (
            f"{slot}: its Job was deleted a moment ago, or cannot be read (an Event on it says so)"
        )
    if run is None and observation.cronjob is None:
        return f"{slot} is due and has no run, as the definition is not in effect: see Ready"
    if run is None and observation.refused and observation.refused.slot == due.slot:
        cause = observation.refused.cause
        return f"{slot} has no Job: {cause.reason.value}: {cause.message}"
    if run is None:
        return (
            f"{slot} is due and no Job was created for it: is the CronJob controller at work, and "
            "does a quota allow Jobs here?"
        )
    if run.finalizers:
        return (
            f"{slot}: Job {run.name} was deleted and stays, since {', '.join(run.finalizers)} in "
            "its metadata.finalizers holds it: whoever set that has to do its work, or remove it "
            f"(kubectl -n {run.namespace} edit job {run.name})"
        )
    observed = next(item for item in observation.runs if item.run.uid == run.uid)
    blocked = ""
    if observed.pending_reason is not None:
        cause = observed.pending_reason.cause
        blocked = f": {cause.reason.value}: {cause.message}"
    held = observed.waits_for
    advice = {
        "Queued": f"waits: {held}" if held else "waits for admission behind other runs",
        "WaitingForData": run.data_wait.describe() if run.data_wait else "waits for its data",
        "Pending": "is admitted and its pod does not run yet",
        "Running": "is running",
        "Retrying": f"waits for its next try after {run.failed_pods} failed",
    }.get(due.stage, due.stage)
    older = ""
    if run.waiting and run.definition and run.definition != observation.definition:
        older = "; it was made before the last edit and uses the definition of then"
    return f"{slot}: Job {run.name} {advice}{blocked}{older}"


def failing_condition(
    failure: RecentRun | None, newest: RecentRun | None, acknowledged: datetime | None
) -> ConditionUpdate:
    if failure is not None and failure.reason is not None:
        return ConditionUpdate(
            ConditionType.FAILING,
            True,
            failure.reason.value,
            f"slot {format_time(failure.slot)}, Job {failure.job}: {failure.message}",
        )
    if newest is None:
        return ConditionUpdate(ConditionType.FAILING, False, "NoRunYet", "no run has ended yet")
    if newest.outcome is Outcome.SUCCEEDED:
        return ConditionUpdate(
            ConditionType.FAILING, False, "LastRunSucceeded", f"Job {newest.job} succeeded"
        )
    if newest.outcome is Outcome.SKIPPED:
        why = f"{newest.reason.value}: {newest.message}" if newest.reason else newest.message
        return ConditionUpdate(
            ConditionType.FAILING,
            False,
            "LastRunSkipped",
            f"Job {newest.job} was skipped, no report was wanted: {why}",
        )
    if acknowledged is not None and newest.slot <= acknowledged:
        return ConditionUpdate(
            ConditionType.FAILING,
            False,
            "Acknowledged",
            f"slots up to {format_time(acknowledged)} need no report: so says the annotation "
            f"{names.ANNOTATION_ACKNOWLEDGED}",
        )
    return ConditionUpdate(
        ConditionType.FAILING,
        False,
        "NoSlotFailed",
        f"Job {newest.job} did not succeed, and no slot is without its report for that: "
        f"{newest.message}",
    )


def merge_condition(
    previous: ReportScheduleStatus, update: ConditionUpdate, generation: int, now: datetime
) -> Condition:
    """The condition, with the time at which its status last changed."""
    word = "True" if update.holds else "False"
    before = next((c for c in previous.conditions if c.type == update.type), None)
    return Condition(
        type=update.type,
        status=word,
        reason=update.reason,
        message=cut(update.message, CONDITION_LIMIT),
        last_transition_time=(
            before.last_transition_time if before and before.status == word else now
        ),
        observed_generation=generation,
    )


def convergence_conditions(
    previous: ReportScheduleStatus, ready: Condition, generation: int, now: datetime
) -> tuple[list[Condition], datetime | None]:
    """Stalled or Reconciling beside Ready=False, and when the clock alone changes that."""
    if ready.status != "False":
        return [], None
    reason = ReadyReason(ready.reason)
    patience = SCHEDULE_PATIENCE[reason]
    found = convergence(reason, patience, previous.conditions, generation, now)
    condition = Condition(
        type=ConditionType(found.type),
        status="True",
        reason=ready.reason,
        message=ready.message,
        last_transition_time=found.since,
        observed_generation=generation,
    )
    return [condition], found.ends_at


def zone_data_condition(
    observation: Observation, previous: ReportScheduleStatus
) -> list[ConditionUpdate]:
    """None while the control plane's time-zone data say what ours say, and always did."""
    kind = ConditionType.ZONE_DATA
    difference = observation.plan.zone_difference if observation.plan else ""
    if difference:
        return [ConditionUpdate(kind, True, "OlderControlPlane", difference)]
    if not any(condition.type == kind for condition in previous.conditions):
        return []
    return [ConditionUpdate(kind, False, "Same", "operator and control plane agree on the slots")]
