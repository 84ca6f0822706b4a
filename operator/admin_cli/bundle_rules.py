"""What of the cluster goes into a file for support: a list of what may, for the rest may be secret.

Fields that are not on the list are dropped, whatever they hold; texts that are free (messages,
logs) go through a redactor that knows the values of the Secrets and of everything that was dropped.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from report_runner.redaction import Redactor, SecretEntry

Body = dict[str, Any]

LEFT_OUT = "[left out]"
SHORTEST_DROPPED = 8  # characters of a dropped value that is struck from messages as well
LONGEST_DROPPED = 4096
VALUES_LIMIT = 20_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names of fields whose objects and values say how something is made, and nothing of its content.
FIELDS = _words(
    """
    apiVersion kind metadata name namespace uid creationTimestamp deletionTimestamp
    generation resourceVersion ownerReferences controller finalizers labels annotations
    items spec status conditions type reason message lastTransitionTime observedGeneration
    reportType tier schedule timeZone suspend priority lateAfter missedRuns startWithin
    policy concurrencyPolicy timeout retry limit report sources charts checks template
    builtin configMapRef secretRef connection formats severity allowEmpty waitFor every
    deadline onDeadline calendar country market subdivision onHoliday delivery email smtp
    upload s3 sftp webdav httpPut output retention startDate endDate reportTypes tiers
    everySchedule reprocess maxConcurrent dryRun schedules health explanation
    lastScheduleTime lastSuccessTime lastOutcome nextScheduleTime lastFailure time job
    reportDate slot delay since seconds stage pending dataWait nextCheck answer active
    queued waitingForData consecutiveFailures cronJob definition scheduleSince
    handledThrough lastMissed count first last at missedSlots unansweredSince
    acknowledgedThrough runRequest retryRequest activeRuns recentRuns manual backfill
    createdAt admittedAt attempt outcome startedAt finishedAt queuedSeconds pendingSeconds
    dataWaitSeconds runSeconds rows storageUsedPercent warnings runCounts state progress
    total done failed running skipped cursor inFlight lastFailures wouldRunCount startTime
    completionTime scheduleUid jobTemplate startingDeadlineSeconds
    successfulJobsHistoryLimit failedJobsHistoryLimit backoffLimit activeDeadlineSeconds
    parallelism completions podFailurePolicy containers initContainers image imageID
    imagePullPolicy resources requests limits cpu memory ephemeral-storage env volumes
    volumeMounts mountPath readOnly secret secretName configMap persistentVolumeClaim
    claimName emptyDir sizeLimit nodeName nodeSelector tolerations priorityClassName
    serviceAccountName securityContext runAsNonRoot runAsUser runAsGroup fsGroup phase podIP
    hostIP containerStatuses initContainerStatuses restartCount ready started waiting
    terminated exitCode lastState qosClass succeeded replicas availableReplicas
    readyReplicas updatedReplicas strategy involvedObject firstTimestamp lastTimestamp
    reportingComponent source component id report_type error_message skip_message failed_at
    created_at admitted_at started_at finished_at queued_seconds pending_seconds run_seconds
    report_date pages pods attempts log log_command degraded uptime active_jobs queue_depth
    last_heartbeat failing delayed jobs dead_letters next position likely_start waits_for
    note enqueued_at scheduled_at time_zone last_success next_slot last_failure last_outcome
    delay_seconds suspended failing_slot version gitVersion major minor clientVersion
    serverVersion platform log_lines
    """
)
# Keys of labels and annotations: of Kubernetes and of ours, but for what a person wrote there.
_MARKS = re.compile(
    r"(reports\.adaf\.io|batch\.kubernetes\.io|app\.kubernetes\.io|deployment\.kubernetes\.io)/"
)
_WRITTEN = ("reports.adaf.io/parameters", "reports.adaf.io/owner", "reports.adaf.io/resend")

# What looks like a secret although nobody declared it one.
_PATTERNS = (
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"), LEFT_OUT),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}"), rf"\1 {LEFT_OUT}"),
    (re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), LEFT_OUT),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), LEFT_OUT),
    (
        re.compile(
            r"(?i)((?:pass(?:word|wd)?|pwd|secret|token|api[-_]?key|access[-_]?key)[\w-]*"
            r"[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"
        ),
        rf"\1{LEFT_OUT}",
    ),
    (re.compile(r"-----BEGIN [^-]+-----.*?(?:-----END [^-]+-----|\Z)", re.S), LEFT_OUT),
)


class Scrubber:
    """Knows values that must not be in the file, and what secrets look like."""

    def __init__(self) -> None:
        self._known = Redactor()
        self._values: set[str] = set()

    def add_secret(self, body: Mapping[str, Any]) -> None:
        """The values of a Secret, whose own name may be told."""
        name = body["metadata"]["name"]
        for key, value in (body.get("data") or {}).items():
            self._add(name, key, base64.b64decode(value).decode("utf-8", "replace"))

    def add_dropped(self, body: Any) -> None:
        """What `reduce` drops of this object: it may be quoted in a message."""
        for value in _dropped(body):
            if SHORTEST_DROPPED <= len(value) <= LONGEST_DROPPED:
                self._add("value", "left out", value)

    def text(self, text: str) -> str:
        """A message or a log, without them."""
        told = self._known(text)
        for pattern, instead in _PATTERNS:
            told = pattern.sub(instead, told)
        return told

    def reduce(self, value: Any, parent: str = "") -> Any:
        """An object with what is on the list, and its texts scrubbed."""
        if isinstance(value, Mapping):
            if parent in ("labels", "annotations"):
                return {k: self.text(str(v)) for k, v in value.items() if _is_mark(k)}
            if parent in ("runCounts", "nodeSelector", "requests", "limits"):
                return dict(value)
            kept = {key: self.reduce(v, key) for key, v in value.items() if key in FIELDS}
            missing = sorted(str(key) for key in value if key not in FIELDS)
            return {**kept, "leftOut": missing} if missing else kept
        if isinstance(value, list):
            return [self.reduce(item, parent) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def _add(self, secret: str, key: str, value: str) -> None:
        if value and value not in self._values and len(self._values) < VALUES_LIMIT:
            self._values.add(value)
            # Each value has an entry of its own: keys of several Secrets may be called alike.
            self._known.add(SecretEntry(secret, f"{key} {len(self._values)} password", value))


def _is_mark(key: str) -> bool:
    return _MARKS.match(key) is not None and key not in _WRITTEN


def _dropped(value: Any, parent: str = "", kept: bool = True) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if parent in ("labels", "annotations"):
                yield from _dropped(item, str(key), kept and _is_mark(str(key)))
            else:
                listed = key in FIELDS or parent in ("runCounts", "nodeSelector")
                yield from _dropped(item, str(key), kept and listed)
    elif isinstance(value, list):
        for item in value:
            yield from _dropped(item, parent, kept)
    elif isinstance(value, str) and not kept and _is_sensitive(parent):
        yield value


def _is_sensitive(field: str) -> bool:
    """Words of Kubernetes' own are dropped as well, and they are in every message."""
    return field not in _WORDS


_WORDS = _words(
    """
    protocol restartPolicy dnsPolicy schedulerName terminationMessagePath
    terminationMessagePolicy completionMode podReplacementPolicy operator effect key manager
    operation subresource fieldsType fieldPath time schedulingGates serviceAccount action
    preemptionPolicy
    """
)
