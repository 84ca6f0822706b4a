"""What the pod gives the runner: paths, and the run's slot, date, id and attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import ValidationError

from report_runner.contract import pod
from report_runner.contract.definition import Definition
from report_runner.contract.reasons import Reason
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
        )
    except ValueError as error:
        raise RunError(Reason.CONFIGURATION_ERROR, f"the run's environment: {error}") from error


def read_definition(path: Path) -> Definition:
    """Raises RunError(ConfigurationError)."""
    try:
        return Definition.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(
            Reason.CONFIGURATION_ERROR, f"the definition {path} cannot be read: {error.strerror}"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunError(
            Reason.CONFIGURATION_ERROR,
            f"the definition is not one that this runner knows: {where}: {first['msg']}; the "
            "images of operator and runner have to be of one version",
        ) from error
