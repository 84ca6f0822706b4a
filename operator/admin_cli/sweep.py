"""`report-scheduler policy-sweep`: schedules that the policy on what they name has never looked at.

The policy asks at each write, so it knows nothing of what was written before it was there, and
Kubernetes does not say afterwards who wrote an object. What is older is listed until somebody who
may read what it names puts the policy's mark on it, which the policy lets nobody else do.
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
from admin_cli.forward import Place

Body = Mapping[str, Any]

ANNOTATION_CHECKED = "reports.adaf.io/references-checked"
# An API server enforces a new policy a moment after it was made.
ENFORCED_AFTER = timedelta(seconds=30)
SECONDS = 300.0
KINDS = "validatingadmissionpolicies,validatingadmissionpolicybindings"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Since when every write was asked about, and the mark of what was confirmed since."""

    since: datetime
    mark: str


@dataclass(frozen=True, slots=True)
class Unchecked:
    """A schedule that nobody has answered for, and the Secrets and ConfigMaps that it names."""

    namespace: str
    name: str
    created: str
    references: tuple[str, ...]


def enforcement(name: str, objects: Iterable[Body]) -> Enforcement:
    """Of the policy and its binding. Raises RefusedError where they do not refuse anything."""
    found = {body["kind"]: body for body in objects if body["metadata"]["name"] == name}
    policy = found.get("ValidatingAdmissionPolicy")
    binding = found.get("ValidatingAdmissionPolicyBinding")
    if policy is None or binding is None:
        raise RefusedError(
            f"there is no {name} in the cluster: nothing asks whether authors may read what "
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
    """Those that name something, are older than the policy, and bear another mark or none."""
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


def references(value: Any) -> Iterator[str]:
    """`secret/NAME` and `configmap/NAME` for every reference at any depth of a spec."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            if key in ("secretRef", "configMapRef") and isinstance(child, Mapping):
                yield f"{key.removesuffix('Ref').lower()}/{child.get('name')}"
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def sweep(args: argparse.Namespace) -> int:
    """Print them; 1 where there are some. Raises RefusedError and UnreachableError."""
    place = Place(args.namespace, args.release, args.context)
    enforced = enforcement(f"{place.deployment}-reference-access", _get(place, KINDS))
    found = unchecked(_get(place, "reportschedules.reports.adaf.io", "-A"), enforced)
    if args.output == "json":
        print(json.dumps({"since": enforced.since.isoformat(), "unchecked": [
            {"namespace": s.namespace, "name": s.name, "created": s.created,
             "references": s.references} for s in found
        ]}, indent=2))  # fmt: skip
    elif not found:
        print(f"none: the policy has looked at each since {enforced.since.isoformat()}")
    else:
        rows = ((s.namespace, s.name, s.created, ", ".join(s.references)) for s in found)
        show.console().print(show.table(("NAMESPACE", "NAME", "CREATED", "NAMES"), rows))
        print(
            "\nNobody was asked whether their authors may read these. Look at each; somebody who "
            "may read what it\nnames then takes it off this list (the policy asks for him):\n\n"
            "  kubectl -n NAMESPACE annotate --overwrite reportschedule NAME "
            f"{ANNOTATION_CHECKED}={enforced.mark}"
        )
    return 1 if found else 0


def _get(place: Place, kinds: str, *more: str) -> list[Body]:
    if shutil.which("kubectl") is None:
        raise UnreachableError("there is no kubectl here: install it")
    context = ["--context", place.context] if place.context else []
    command = ["kubectl", *context, "get", kinds, *more, "-o", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(f"{' '.join(command)} does not end: {error.timeout:.0f} s") from None
    if done.returncode:
        raise UnreachableError(f"{' '.join(command)}: {done.stderr.strip()}")
    items: list[Body] = json.loads(done.stdout)["items"]
    return items
