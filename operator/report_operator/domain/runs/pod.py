"""A pod, reduced to what decisions about its run need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from report_operator.domain.texts import MESSAGE_LIMIT, cut
from report_operator.domain.times import instant, parse_time
from report_runner.contract.pod import TERMINATION_LOG_LIMIT

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pod:
    """One attempt's pod. Texts are '' where there is none."""

    name: str
    created_at: datetime
    phase: str
    reason: str = ""  # of the pod: Evicted, DeadlineExceeded, NodeLost, ...
    message: str = ""
    disruption: str = ""  # reason of the condition DisruptionTarget
    unschedulable: str = ""  # the scheduler's message
    waiting_reason: str = ""
    waiting_message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    exit_reason: str = ""  # OOMKilled, Error, Completed
    result_text: str = ""  # termination message
    memory_limit: str = ""
    image: str = ""
    resource_version: int = 0
    namespace: str = ""
    deleting: bool = False
    deadline_seconds: int = 0  # spec.timeout of its run; 0: none

    @property
    def ended(self) -> bool:
        """Whether no container of it will run any more."""
        return self.phase in ("Succeeded", "Failed")


def observe_pod(pod: Body) -> Pod:
    meta, status = pod["metadata"], pod.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    disruption = conditions.get("DisruptionTarget", {})
    container = pod["spec"]["containers"][0]
    statuses: Sequence[Body] = status.get("containerStatuses") or ()
    state = statuses[0].get("state") or {} if statuses else {}
    waiting = state.get("waiting") or {}
    running = state.get("running") or {}
    terminated = state.get("terminated") or {}
    return Pod(
        name=meta["name"],
        created_at=instant(meta["creationTimestamp"]),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=cut(status.get("message", ""), MESSAGE_LIMIT),
        disruption=disruption.get("reason", "") if disruption.get("status") == "True" else "",
        unschedulable=(
            cut(scheduled.get("message", ""), MESSAGE_LIMIT)
            if scheduled.get("status") == "False"
            else ""
        ),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=cut(waiting.get("message", ""), MESSAGE_LIMIT),
        started_at=parse_time(running.get("startedAt") or terminated.get("startedAt")),
        finished_at=parse_time(terminated.get("finishedAt")),
        exit_code=terminated.get("exitCode"),
        exit_reason=terminated.get("reason", ""),
        # The kubelet keeps this many bytes.
        result_text=cut(terminated.get("message", ""), TERMINATION_LOG_LIMIT),
        memory_limit=(container.get("resources", {}).get("limits") or {}).get("memory", ""),
        image=container.get("image", ""),
        resource_version=int(meta.get("resourceVersion") or 0),
        namespace=meta["namespace"],
        deleting="deletionTimestamp" in meta,
        deadline_seconds=pod["spec"].get("activeDeadlineSeconds") or 0,
    )
