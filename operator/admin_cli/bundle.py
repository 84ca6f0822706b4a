"""`report`: a file that a person can hand on to support, without Secrets.

Everything is read with the caller's own rights, by kubectl and by the admin API; what cannot be
read is named in the file. Secrets are read, where that is allowed, only to strike their values from
messages and logs; where it is not, logs and messages are left out.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from admin_cli.bundle_rules import Scrubber
from admin_cli.client import SCHEDULER, SCHEDULES, Client, RefusedError, UnreachableError, job_path
from admin_cli.forward import Installation

Body = dict[str, Any]

SECONDS = 60.0
LOG_LINES = 2000
FAILED_RUNS = 20
LABELLED = ("cronjobs", "jobs", "pods")
LABEL = "reports.adaf.io/schedule-uid"
FREE_TEXT = ("message", "explanation", "answer", "error_message", "skip_message", "log", "note")
ABOUT = """\
Made by `{program} report` at {at}.

Left out: Secrets and ConfigMaps as a whole; values of environment variables; queries, URLs,
headers, parameters, templates, rows and recipients of schedules; labels and annotations of others.
In what is left, the values of Secrets and of all that was left out are replaced.
Look through it before it is handed on: nobody can tell what a message quotes.
"""


@dataclass(slots=True)
class Bundle:
    """What was read so far; `problems` is what could not be."""

    context: list[str]
    files: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def kubectl(self, *arguments: str) -> str | None:
        """What kubectl says; None where it may not, or does not answer."""
        command = ["kubectl", *self.context, *arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.problems.append(f"kubectl {' '.join(arguments)}: {type(error).__name__}")
            return None
        if done.returncode:
            self.problems.append(f"kubectl {' '.join(arguments)}: {done.stderr.strip()[:500]}")
            return None
        return done.stdout

    def objects(self, *arguments: str) -> list[Body]:
        text = self.kubectl("get", *arguments, "-o", "json")
        found = json.loads(text) if text else {"items": []}
        return list(found["items"])

    def answer(self, name: str, ask: Callable[[], Body]) -> Body:
        """An answer of the admin API; empty where there is none."""
        try:
            self.files[f"api/{name}.json"] = found = ask()
        except (RefusedError, UnreachableError) as error:
            self.problems.append(f"admin API, {name}: {error}")
            return {}
        return found


def report(client: Client, args: Namespace) -> None:
    """Collects, leaves out, writes the file, and says what could not be read."""
    bundle, scrubber = Bundle(["--context", args.context] if args.context else []), Scrubber()
    _ask_api(bundle, client, args)
    namespaces = _namespaces(bundle, args)
    readable = True
    for namespace in namespaces:
        for kind in ("reportschedules", "reportbackfills"):
            bundle.files[f"{namespace}/{kind}.json"] = bundle.objects(kind, "-n", namespace)
        for kind in LABELLED:
            found = bundle.objects(kind, "-n", namespace, "-l", LABEL)
            bundle.files[f"{namespace}/{kind}.json"] = found
        bundle.files[f"{namespace}/events.json"] = _events(bundle, namespace)
    for namespace in [*namespaces, args.namespace]:
        text = bundle.kubectl("get", "secrets", "-n", namespace, "-o", "json")
        readable = readable and text is not None
        for secret in json.loads(text)["items"] if text else ():
            scrubber.add_secret(secret)
    _ask_operator(bundle, args)
    for content in bundle.files.values():
        scrubber.add_dropped(content)
    files = {name: scrubber.reduce(content) for name, content in bundle.files.items()}
    if not readable:
        bundle.problems.append(
            "Secrets cannot be read, so their values cannot be struck: logs and messages are left "
            "out (let somebody make the file who may read them)"
        )
        files = {name: _without_text(content) for name, content in files.items()}
    problems = [scrubber.text(problem) for problem in bundle.problems]
    path = Path(args.to or f"report-scheduler-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz")
    _write(path, files, problems)
    print(path)
    for problem in problems:
        print(f"careful: {' '.join(problem.split())}", file=sys.stderr)


def _ask_api(bundle: Bundle, client: Client, args: Namespace) -> None:
    bundle.answer("status", lambda: client.get(f"{SCHEDULER}/status"))
    bundle.answer("queue", lambda: client.get(f"{SCHEDULER}/queue", limit=500))
    where = args.of_namespace
    bundle.answer("schedules", lambda: client.get(SCHEDULES, namespace=where, limit=500))
    failed = bundle.answer(
        "failed",
        lambda: client.get(
            f"{SCHEDULER}/jobs", status="failed", namespace=where, limit=FAILED_RUNS
        ),
    )
    for job in failed.get("jobs", ()):
        path = job_path(job["id"])
        bundle.answer(f"runs/{job['id']}", lambda path=path: client.get(path))  # type: ignore[misc]


def _namespaces(bundle: Bundle, args: Namespace) -> list[str]:
    if args.of_namespace:
        return [args.of_namespace]
    known = bundle.files.get("api/schedules.json", {}).get("schedules", ())
    return sorted({schedule["namespace"] for schedule in known})


def _events(bundle: Bundle, namespace: str) -> list[Body]:
    """Of our objects, and of what they own."""
    found = bundle.objects("events", "-n", namespace)
    kinds = ("ReportSchedule", "ReportBackfill", "CronJob", "Job", "Pod")
    return [event for event in found if event["involvedObject"].get("kind") in kinds]


def _ask_operator(bundle: Bundle, args: Namespace) -> None:
    where = ("-n", args.namespace)
    bundle.files["operator/deployments.json"] = bundle.objects("deployments", *where)
    bundle.files["operator/pods.json"] = bundle.objects("pods", *where)
    if (text := bundle.kubectl("version", "-o", "json")) is not None:
        bundle.files["version.json"] = json.loads(text)
    name = Installation(args.namespace, args.release, args.context).deployment
    for deployment in (name, f"{name}-api"):
        text = bundle.kubectl("logs", *where, f"deployment/{deployment}", f"--tail={LOG_LINES}")
        if text is not None:
            bundle.files[f"operator/{deployment}.log.json"] = {"log": text.splitlines()}


def _without_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_text(v) for k, v in value.items() if k not in FREE_TEXT}
    return [_without_text(item) for item in value] if isinstance(value, list) else value


def _write(path: Path, files: dict[str, Any], problems: list[str]) -> None:
    """Only the caller may read it; nothing is left where it could not be written whole."""
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    texts = {"ABOUT.txt": ABOUT.format(program="report-scheduler", at=at)}
    texts["PROBLEMS.txt"] = "".join(f"{problem}\n" for problem in problems) or "none\n"
    texts |= {name: json.dumps(content, indent=1) + "\n" for name, content in files.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in texts.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"report-scheduler/{name}")
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(buffer.getvalue())
    except FileExistsError as error:
        raise RefusedError(f"--to: {path} is there already") from error
    except OSError as error:
        raise RefusedError(f"--to: {path} cannot be written: {error.strerror}") from error
