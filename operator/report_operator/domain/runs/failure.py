"""Why a run failed, or cannot start, in messages that say what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run
from report_operator.domain.texts import MESSAGE_LIMIT, cut
from report_runner.contract.reasons import Reason, reason_of_exit_code
from report_runner.contract.result import RunResult, parse_result

SIGKILL_EXIT = 137
SIGTERM_EXIT = 143

_IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
}
_CONFIG_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}

# The kubelet's words in a FailedMount event (pkg/volume/secret, pkg/volume/configmap).
_MISSING = re.compile(r'(secret|configmap) "([^"]+)" not found')


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason of the fixed list, and a message for a person."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class PendingReason:
    """What keeps a pod from starting."""

    cause: Cause
    missing_secret: str = ""


def newest_result(pods: Sequence[Pod]) -> RunResult | None:
    """The result of the newest pod that left one."""
    for pod in sorted(pods, key=lambda pod: pod.created_at, reverse=True):
        result = parse_result(pod.result_text)
        if result is not None:
            return result
    return None


def explain_failure(run: Run, pods: Sequence[Pod]) -> Cause:
    """Why a Job failed: the operator's own reason, else the last attempt's."""
    if run.termination_reason in {reason.value for reason in Reason}:
        return _cause(Reason(run.termination_reason), run.termination_detail)
    if run.termination_reason:  # somebody edited the annotation
        return _cause(Reason.INTERNAL_ERROR, f"{run.termination_reason}: {run.termination_detail}")
    ended = sorted((pod for pod in pods if pod.ended), key=lambda pod: pod.created_at)
    if ended:
        cause = explain_pod(ended[-1])
        attempts = len(ended)
        note = f" (after {attempts} attempts)" if attempts > 1 else ""
        return _cause(cause.reason, cause.message[: MESSAGE_LIMIT - len(note)] + note)
    if run.failed_condition == "DeadlineExceeded":
        return _cause(Reason.TIMEOUT, "the Job passed its deadline before a pod ended")
    return _cause(
        Reason.INTERNAL_ERROR,
        f"the Job failed ({run.failed_condition}: {run.failed_message}) and no pod is left that "
        "could say why; see the events of the namespace",
    )


def explain_pod(pod: Pod) -> Cause:
    """Why one attempt failed."""
    if pod.exit_reason == "OOMKilled":
        limit = f" of {pod.memory_limit}" if pod.memory_limit else ""
        return _cause(
            Reason.RESOURCE_EXHAUSTED,
            f"killed for using more memory than its limit{limit}; "
            "raise spec.resources.limits.memory, or ask for fewer rows",
        )
    if pod.reason == "Evicted":
        return _cause(Reason.RESOURCE_EXHAUSTED, f"evicted from its node: {pod.message}")
    if pod.reason == "DeadlineExceeded":
        return _cause(
            Reason.TIMEOUT, "an attempt took longer than spec.timeout; make it faster or raise it"
        )
    if pod.disruption or pod.reason in ("NodeLost", "NodeShutdown", "Terminated"):
        why = pod.disruption or pod.reason
        return _cause(Reason.NODE_LOST, f"the pod was taken from its node: {why} {pod.message}")
    result = parse_result(pod.result_text)
    if result is not None and result.reason is not None:
        return _cause(result.reason, result.message)
    if pod.exit_code is None:
        return _cause(Reason.INTERNAL_ERROR, f"the pod ended without an exit code: {pod.message}")
    said = pod.result_text.strip()
    tail = f": {said[-600:]}" if said else ""
    if pod.exit_code == SIGKILL_EXIT:
        return _cause(Reason.INTERNAL_ERROR, f"the runner was killed by SIGKILL{tail}")
    if pod.exit_code == SIGTERM_EXIT:
        return _cause(Reason.INTERNAL_ERROR, f"the runner was stopped by SIGTERM{tail}")
    return _cause(
        reason_of_exit_code(pod.exit_code), f"the runner ended with exit code {pod.exit_code}{tail}"
    )


def explain_pending(pod: Pod | None, events: Sequence[str]) -> PendingReason | None:
    """What keeps a run from starting; None where nothing is known.

    `events` are messages of warning events about the pod, or about the Job while it has no pod,
    newest last.
    """
    for text in reversed(events):
        missing = _MISSING.search(text)
        if missing:
            kind, name = missing.groups()
            what = "Secret" if kind == "secret" else "ConfigMap"
            return PendingReason(
                _cause(
                    Reason.CONFIGURATION_ERROR,
                    f"{what} {name} does not exist in this namespace; create it or correct the "
                    "secretRef that names it",
                ),
                missing_secret=name if kind == "secret" else "",
            )
    newest = events[-1] if events else ""
    if pod is None:
        if "exceeded quota" in newest:
            return _blocked(Reason.RESOURCE_EXHAUSTED, f"no pod could be made: {newest}")
        return (
            _blocked(Reason.INTERNAL_ERROR, f"no pod could be made: {newest}") if newest else None
        )
    if pod.waiting_reason in _IMAGE_REASONS:
        return _blocked(
            Reason.IMAGE_UNAVAILABLE,
            f"image {pod.image}: {pod.waiting_reason}: {pod.waiting_message}",
        )
    if pod.waiting_reason in _CONFIG_REASONS:
        return _blocked(Reason.CONFIGURATION_ERROR, f"{pod.waiting_reason}: {pod.waiting_message}")
    if pod.unschedulable:
        return _blocked(Reason.RESOURCE_EXHAUSTED, f"no node takes the pod: {pod.unschedulable}")
    if newest:
        mounts = "volume" in newest.lower() or "mount" in newest.lower()
        reason = Reason.STORAGE_UNAVAILABLE if mounts else Reason.INTERNAL_ERROR
        return _blocked(reason, f"the pod cannot start: {newest}")
    return None


def _blocked(reason: Reason, message: str) -> PendingReason:
    return PendingReason(_cause(reason, message))


def _cause(reason: Reason, message: str) -> Cause:
    return Cause(reason, cut(" ".join(message.split()), MESSAGE_LIMIT))
