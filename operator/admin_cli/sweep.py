"""`report-scheduler policy-sweep`: schedules that the reference policy has never checked.

An admission policy checks writes, so it has not checked what is older than it, and Kubernetes does
not record who wrote an object. Older schedules are listed until somebody who may read the objects
they name annotates them with the policy's mark; the policy lets nobody else do so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from admin_cli import show
from admin_cli.client import RefusedError, UnreachableError
from admin_cli.forward import Installation

Body = Mapping[str, Any]

ANNOTATION_CHECKED = "reports.adaf.io/references-checked"
# An API server enforces a new policy a moment after it was made.
ENFORCED_AFTER = timedelta(seconds=30)
SECONDS = 300.0
KINDS = "validatingadmissionpolicies,validatingadmissionpolicybindings"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Since when every write is checked, and the mark of schedules confirmed since."""

    since: datetime
    mark: str


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A schedule that was never checked, and the Secrets and ConfigMaps that it names."""

    namespace: str
    name: str
    created: str
    references: tuple[str, ...]


def enforcement(name: str, objects: Iterable[Body]) -> Enforcement:
    """Reads the policy and its binding. Raises RefusedError where they deny nothing."""
    found = {body["kind"]: body for body in objects if body["metadata"]["name"] == name}
    policy = found.get("ValidatingAdmissionPolicy")
    binding = found.get("ValidatingAdmissionPolicyBinding")
    if policy is None or binding is None:
        raise RefusedError(
            f"there is no {name} in the cluster: nothing checks whether authors may read what "
            "their schedules name; install the chart with secretAccessPolicy.enabled=true"
        )
    if "Deny" not in binding["spec"].get("validationActions", ()):
        raise RefusedError(
            f"the binding {name} does not deny: nothing is refused; delete it and upgrade the chart"
        )
    made = [datetime.fromisoformat(b["metadata"]["creationTimestamp"]) for b in (policy, binding)]
    marks = (body["metadata"]["uid"].partition("-")[0] for body in (policy, binding))
    return Enforcement(max(made) + ENFORCED_AFTER, "-".join(marks))


def unchecked(schedules: Iterable[Body], enforced: Enforcement) -> list[Unchecked]:
    """Schedules with references, older than the policy, that do not carry its mark."""
    found = []
    for body in schedules:
        meta = body["metadata"]
        names = tuple(sorted(set(references(body.get("spec")))))
        young = datetime.fromisoformat(meta["creationTimestamp"]) > enforced.since
        marked = (meta.get("annotations") or {}).get(ANNOTATION_CHECKED) == enforced.mark
        if names and not young and not marked:
            found.append(
                Unchecked(meta["namespace"], meta["name"], meta["creationTimestamp"], names)
            )
    return sorted(found, key=lambda schedule: (schedule.namespace, schedule.name))


_REFERENCES = {"secretRef": "secret", "caSecretRef": "secret", "configMapRef": "configmap"}


def references(value: Any) -> Iterator[str]:
    """`secret/NAME` and `configmap/NAME` for every reference at any depth of a spec."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            if key in _REFERENCES and isinstance(child, Mapping):
                yield f"{_REFERENCES[key]}/{child.get('name')}"
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def sweep(args: argparse.Namespace) -> int:
    """The exit code: 1 if there are any. Raises RefusedError and UnreachableError."""
    installation = Installation(args.namespace, args.release, args.context)
    enforced = enforcement(f"{installation.deployment}-reference-access", _get(installation, KINDS))
    found = unchecked(_get(installation, "reportschedules.reports.adaf.io", "-A"), enforced)
    if args.output == "json":
        print(json.dumps({"since": enforced.since.isoformat(), "unchecked": [
            {"namespace": s.namespace, "name": s.name, "created": s.created,
             "references": s.references} for s in found
        ]}, indent=2))  # fmt: skip
    elif not found:
        print(f"none: the policy has checked each since {enforced.since.isoformat()}")
    else:
        rows = ((s.namespace, s.name, s.created, ", ".join(s.references)) for s in found)
        show.console().print(show.table(("NAMESPACE", "NAME", "CREATED", "NAMES"), rows))
        print(
            "\nWhether their authors may read these was never checked. Review each; who may "
            "read what it\nnames then takes it off this list (the policy checks that):\n\n"
            "  kubectl -n NAMESPACE annotate --overwrite reportschedule NAME "
            f"{ANNOTATION_CHECKED}={enforced.mark}"
        )
    return 1 if found else 0


def _get(installation: Installation, kinds: str, *more: str) -> list[Body]:
    if shutil.which("kubectl") is None:
        raise UnreachableError("there is no kubectl here: install it")
    context = ["--context", installation.context] if installation.context else []
    command = ["kubectl", *context, "get", kinds, *more, "-o", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(f"{' '.join(command)} does not end: {error.timeout:.0f} s") from None
    if done.returncode:
        raise UnreachableError(f"{' '.join(command)}: {done.stderr.strip()}")
    items: list[Body] = json.loads(done.stdout)["items"]
    return items
