"""What the pod gives the runner: paths, and the run's slot, date, id and attempt."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import ValidationError

from report_runner.contract import pod
from report_runner.contract.definition import Definition
from report_runner.contract.fields import field_path
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
    """The identity of the run. `slot` is aware, UTC."""

    slot: datetime
    report_date: date
    run_id: str
    attempt: int
    pod: str
    resend: Resend | None = None


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
        slot = datetime.fromisoformat(texts[pod.ENV_SLOT])
        return RunStamps(
            slot=slot.replace(tzinfo=slot.tzinfo or UTC).astimezone(UTC),
            report_date=date.fromisoformat(texts[pod.ENV_REPORT_DATE]),
            run_id=texts[pod.ENV_RUN_ID],
            attempt=int(environment.get(pod.ENV_ATTEMPT) or 1),
            pod=environment.get(pod.ENV_POD_NAME, ""),
            resend=parse_resend(environment.get(pod.ENV_RESEND, "")),
        )
    except ValueError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"the run's environment: {error}") from error


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
