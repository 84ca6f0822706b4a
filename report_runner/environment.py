"""What the pod gives the runner: paths, and the run's slot, date, id and attempt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from report_runner.contract import pod
from report_runner.contract.definition import Definition
from report_runner.contract.egress import EgressPolicy, parse_address
from report_runner.contract.fields import field_path
from report_runner.contract.parameters import OVERRIDES_LIMIT
from report_runner.contract.reasons import Reason
from report_runner.contract.resend import Resend, parse_resend
from report_runner.models import RunError

# These variables replace a pod's paths, for tests and laptops.
OVERRIDES = {
    pod.ENV_DEFINITION: pod.DEFINITION_PATH,
    "REPORT_SECRETS_DIR": pod.SECRETS_DIR,
    "REPORT_OUTPUT_DIR": pod.OUTPUT_DIR,
    "REPORT_TERMINATION_LOG": pod.TERMINATION_LOG,
}


@dataclass(frozen=True, slots=True)
class Paths:
    definition: Path
    secrets: Path
    output: Path
    termination_log: Path


@dataclass(frozen=True, slots=True)
class RunStamps:
    """The identity of the run. `slot` and `due_at` are aware, UTC."""

    slot: datetime
    report_date: date
    run_id: str
    attempt: int
    pod: str
    resend: Resend | None = None
    due_at: datetime | None = None  # of the slot; None in runs of an older operator

    @property
    def due(self) -> datetime:
        """From when on its report is waited for."""
        return self.due_at or self.slot


def find_paths(environment: Mapping[str, str]) -> Paths:
    """The pod's paths, each replaced by its environment variable where that is set."""
    found = {name: Path(environment.get(name) or usual) for name, usual in OVERRIDES.items()}
    return Paths(*found.values())


def read_stamps(environment: Mapping[str, str]) -> RunStamps:
    """The values stamped at admission. Raises RunError(ConfigurationError) where one is missing."""
    texts = {
        name: environment.get(name, "")
        for name in (pod.ENV_SLOT, pod.ENV_REPORT_DATE, pod.ENV_RUN_ID)
    }
    missing = [name for name, text in texts.items() if not text]
    if missing:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{', '.join(missing)} not set: this Job was started without being admitted. Leave "
            "spec.suspend of a Job to the operator, or make the Job with "
            "`kubectl create job --from=cronjob/NAME`",
        )
    try:
        due_at = environment.get(pod.ENV_DUE_AT, "")
        return RunStamps(
            slot=_instant(texts[pod.ENV_SLOT]),
            report_date=date.fromisoformat(texts[pod.ENV_REPORT_DATE]),
            run_id=texts[pod.ENV_RUN_ID],
            attempt=int(environment.get(pod.ENV_ATTEMPT) or 1),
            pod=environment.get(pod.ENV_POD_NAME, ""),
            due_at=_instant(due_at) if due_at else None,
            resend=parse_resend(environment.get(pod.ENV_RESEND, "")),
        )
    except ValueError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"the run's environment: {error}") from error


def read_egress(environment: Mapping[str, str]) -> EgressPolicy:
    """Where the run may connect to. Raises RunError(ConfigurationError)."""
    allow = environment.get(pod.ENV_EGRESS_ALLOW, "")
    server = environment.get(pod.ENV_API_SERVER, "")
    try:
        return EgressPolicy.parse(filter(None, allow.split(",")), _addresses(server))
    except ValueError as error:
        raise RunError(
            Reason.CONFIGURATION_ERROR, f"{pod.ENV_EGRESS_ALLOW} of the run's pod: {error}"
        ) from None


def _addresses(server: str) -> list[str]:
    """The API server, where the kubelet gives its address and not a name."""
    try:
        return [str(parse_address(server))]
    except ValueError:
        return []


def read_overrides(environment: Mapping[str, str]) -> dict[str, Any]:
    """The parameters that this run was asked for with. Raises RunError(ConfigurationError)."""
    text = environment.get(pod.ENV_PARAMETERS) or "{}"
    try:
        found = json.loads(text, parse_float=Decimal) if len(text) <= OVERRIDES_LIMIT else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{pod.ENV_PARAMETERS} is no JSON object of at most {OVERRIDES_LIMIT} characters: ask "
            "for the run by `report-scheduler generate` or a ReportBackfill",
        )
    return found


def read_definition(path: Path, environment: Mapping[str, str]) -> Definition:
    """The definition, if it is the one that the run was made with.

    Raises RunError(ConfigurationError). The bytes are read once: what is checked is what is used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(
            Reason.CONFIGURATION_ERROR, f"the definition {path} cannot be read: {error.strerror}"
        ) from error
    _check_digest(content, environment.get(pod.ENV_DEFINITION_SHA256, ""))
    try:
        return Definition.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = field_path("definition", first["loc"], None)
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"the definition is not one that this runner knows: {where}: {first['msg']}; the "
            "images of operator and runner have to be of one version",
        ) from error


def _check_digest(content: bytes, expected: str) -> None:
    if not expected:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"{pod.ENV_DEFINITION_SHA256} is not set, so nothing says which definition this run "
            "was made with; make the Job with `kubectl create job --from=cronjob/NAME`",
        )
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            "the definition is not the one this run was made with: somebody replaced its ConfigMap "
            f"(its content has the SHA-256 {found}, the run was made with {expected}); find out "
            "who, apply the ReportSchedule again, and retry the run",
        )


def _instant(text: str) -> datetime:
    """Raises ValueError."""
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
