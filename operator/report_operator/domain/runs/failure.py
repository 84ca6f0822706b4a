"""Why a run failed, in messages that say what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from report_operator.domain.runs.cause import Cause, make_cause, with_remedy
from report_operator.domain.runs.containers import CONTAINER_REMEDY, CONTAINERS
from report_operator.domain.runs.message_rules import explain, first_match, rule
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run
from report_operator.domain.texts import MESSAGE_LIMIT
from report_operator.domain.times import spoken
from report_runner.contract.logs import as_text
from report_runner.contract.reasons import Reason, reason_of_exit_code
from report_runner.contract.result import RunResult, parse_result
from report_runner.contract.words import counted

SIGKILL_EXIT = 137
SIGTERM_EXIT = 143

# Reasons of a container that never ran: the termination message is the runtime's, not ours.
_NEVER_STARTED = {"StartError", "ContainerCannotRun"}
# Reasons of a pod that a kubelet refused on arrival (pkg/kubelet/lifecycle/predicate.go).
_NO_ROOM = re.compile("OutOf.+|Insufficient.+|NodeAffinity|NodePorts|UnexpectedAdmissionError")
# The scheduler's and the kubelet's words for one that made room for another.
_PREEMPTED = {"PreemptionByScheduler", "PreemptionByKubeScheduler", "Preempting"}

# The kubelet's messages of an eviction (pkg/kubelet/eviction/helpers.go).
_EVICTIONS = (
    rule(
        r'Usage of EmptyDir volume "[^"]+" exceeds the limit',
        Reason.RESOURCE_EXHAUSTED,
        "the run wrote more to /tmp than config.runner.scratchSizeLimit: raise it, or ask for "
        "fewer rows",
    ),
    rule(
        r"exceeded its local ephemeral storage limit|ephemeral local storage usage exceeds",
        Reason.RESOURCE_EXHAUSTED,
        "raise spec.resources.limits.ephemeral-storage, or ask for fewer rows",
    ),
    rule(
        r"low on resource: (?:ephemeral-storage|inodes)|\bDiskPressure\b",
        Reason.RESOURCE_EXHAUSTED,
        "the node's disk is full: free space on it (kubectl describe nodes), then run it again; "
        "spec.resources.requests.ephemeral-storage reserves what the run needs",
    ),
    rule(
        r"low on resource: memory|\bMemoryPressure\b",
        Reason.RESOURCE_EXHAUSTED,
        "the node ran out of memory, and who uses more than requested goes first: raise "
        "spec.resources.requests.memory to what the run needs, then run it again",
    ),
    rule(
        r"low on resource: pids|\bPIDPressure\b",
        Reason.RESOURCE_EXHAUSTED,
        "the node ran out of process ids: another pod of it starts too many; run it again",
    ),
)


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
        return make_cause(Reason(run.termination_reason), run.termination_detail)
    if run.termination_reason:  # somebody edited the annotation
        return make_cause(
            Reason.INTERNAL_ERROR, f"{run.termination_reason}: {run.termination_detail}"
        )
    ended = sorted((pod for pod in pods if pod.ended), key=lambda pod: pod.created_at)
    if ended:
        cause = explain_pod(ended[-1])
        # An attempt has a try for each pod; the first of them may have been deleted.
        count = max(len(ended), run.failed_pods)
        note = f" (after {tries(count)})" if count > 1 else ""
        return make_cause(cause.reason, cause.message[: MESSAGE_LIMIT - len(note)] + note)
    if run.failed_condition == "DeadlineExceeded":
        return make_cause(Reason.TIMEOUT, "the Job passed its deadline before a pod ended")
    return make_cause(
        Reason.INTERNAL_ERROR,
        f"the Job failed ({run.failed_condition}: {run.failed_message}) and no pod is left that "
        "could say why; see the events of the namespace",
    )


def tries(count: int) -> str:
    """Pods of one run that failed: `1 try`, `3 tries`."""
    return counted(count, "try", "tries")


def explain_pod(pod: Pod) -> Cause:
    """Why one attempt failed."""
    if pod.exit_reason == "OOMKilled":
        limit = f" of {pod.memory_limit}" if pod.memory_limit else ""
        return make_cause(
            Reason.RESOURCE_EXHAUSTED,
            f"killed for using more memory than its limit{limit}; "
            "raise spec.resources.limits.memory, or ask for fewer rows",
        )
    taken = _taken_from_node(pod)
    if taken is not None:
        return taken
    if pod.exit_reason in _NEVER_STARTED:
        found = first_match(pod.result_text, CONTAINERS)
        reason = found[0].reason if found else Reason.CONTAINER_NOT_STARTED
        remedy = found[0].advise(found[1]) if found else CONTAINER_REMEDY
        return Cause(
            reason, with_remedy(f"the container could not be started: {pod.result_text}", remedy)
        )
    result = parse_result(pod.result_text)
    if result is not None and result.reason is not None:
        return make_cause(result.reason, result.message)
    if pod.exit_code is None:
        return make_cause(
            Reason.INTERNAL_ERROR, f"the pod ended without an exit code: {pod.message}"
        )
    # What stands in for a result are the last lines of the log; the last of them says most.
    said = "; ".join(line.strip() for line in as_text(pod.result_text.splitlines()) if line)
    tail = f": {said[-600:]}" if said else ""
    if pod.exit_code == SIGKILL_EXIT:
        return make_cause(Reason.INTERNAL_ERROR, f"the runner was killed by SIGKILL{tail}")
    if pod.exit_code == SIGTERM_EXIT:
        return make_cause(Reason.INTERNAL_ERROR, f"the runner was stopped by SIGTERM{tail}")
    return make_cause(
        reason_of_exit_code(pod.exit_code), f"the runner ended with exit code {pod.exit_code}{tail}"
    )


def _taken_from_node(pod: Pod) -> Cause | None:
    """Why something else than the container ended the pod; None where nothing did."""
    if pod.reason == "Evicted":
        found = explain(pod.message, _EVICTIONS, "evicted from its node: ")
        return found or make_cause(
            Reason.RESOURCE_EXHAUSTED, f"evicted from its node: {pod.message}; run it again"
        )
    if pod.reason == "DeadlineExceeded":
        return _timed_out(pod)
    if pod.disruption in _PREEMPTED or pod.reason in _PREEMPTED:
        return make_cause(
            Reason.PREEMPTED,
            "a pod of higher priority took its place on the node; run it again, or give runs more "
            f"priority by config.runner.priorityClassName {pod.message}",
        )
    if pod.disruption or pod.reason in ("NodeLost", "NodeShutdown", "Terminated"):
        why = pod.disruption or pod.reason
        return make_cause(Reason.NODE_LOST, f"the pod was taken from its node: {why} {pod.message}")
    if pod.exit_reason == "ContainerStatusUnknown":
        return make_cause(
            Reason.NODE_LOST,
            "the node lost the container, as after a restart: nobody knows how it ended; run it "
            "again",
        )
    if _NO_ROOM.fullmatch(pod.reason):
        return Cause(
            Reason.UNSCHEDULABLE,
            with_remedy(
                f"the node refused the pod: {pod.reason}: {pod.message}",
                "another pod was there first, or the node had changed: run it again",
            ),
        )
    return None


def _timed_out(pod: Pod) -> Cause:
    """The kubelet's time for a pod counts from its arrival on the node: image and volumes too."""
    result = parse_result(pod.result_text)
    stage = f" ({result.message})" if result is not None and result.message else ""
    limit = "spec.timeout"
    if pod.deadline_seconds:
        limit += f" ({spoken(timedelta(seconds=pod.deadline_seconds))})"
    if pod.started_at is None:
        return make_cause(
            Reason.TIMEOUT,
            f"a try took longer than {limit} before its container started: the time went into "
            "image and volumes; kubectl describe pod shows which, or raise spec.timeout",
        )
    ran = ""
    if pod.finished_at is not None:
        ran = f" after it had run for {spoken(pod.finished_at - pod.started_at)}"
    return make_cause(
        Reason.TIMEOUT,
        f"a try was stopped{ran}{stage}: it took longer than {limit}; make it faster, or raise "
        "spec.timeout",
    )
