"""Commands that take a schedule by its name: run-now, retry, logs. Each finds the run itself."""

from __future__ import annotations

import re
from argparse import Namespace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from admin_cli.client import REPORTS, SCHEDULER, SCHEDULES, Client, RefusedError, job_path
from admin_cli.client import schedule_path as path_of
from admin_cli.output import PAGE, show_answer

Body = dict[str, Any]

_RUN_ID = re.compile(r".+\.\d{8}T\d{6}Z\.\d+", re.ASCII)


def is_run_id(text: str) -> bool:
    """Whether it is `NAMESPACE.SCHEDULE.SLOT.ATTEMPT`, and no name of a schedule."""
    return _RUN_ID.fullmatch(text) is not None


def namespace_of(client: Client, name: str) -> str:
    """The one namespace that has a schedule of this name."""
    found = client.get(SCHEDULES, name=name, limit=PAGE)["schedules"]
    if len(found) > 1:
        several = ", ".join(schedule["namespace"] for schedule in found)
        raise RefusedError(f"{name} is in several namespaces ({several}): add --of-namespace")
    return str(found[0]["namespace"])


def run_now(client: Client, args: Namespace) -> None:
    """Today's report, by the clock of the schedule; the run under way if there is one."""
    schedule = _schedule(client, args)
    try:
        zone = ZoneInfo(schedule["time_zone"])
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise RefusedError(f"{schedule['time_zone']}: {error}") from error
    body = client.post(
        f"{REPORTS}/generate",
        {
            "type": schedule["report_type"],
            "namespace": schedule["namespace"],
            "schedule": schedule["name"],
            "date": f"{datetime.now(UTC).astimezone(zone):%Y-%m-%d}",
        },
        key=args.key,
    )
    show_answer(args, body, lambda show: show.attempt(body))
    show_warnings(body)


def retry(client: Client, args: Namespace) -> None:
    """A further attempt for a run, or for the one that keeps a schedule failing."""
    identity = args.id if is_run_id(args.id) else _standing_run(client, args)
    body = client.post(job_path(identity, "retry"), key=args.key)
    show_answer(args, body, lambda show: show.attempt(body))


def logs(client: Client, args: Namespace) -> None:
    """The end of the log of a run, or of a schedule's newest."""
    identity = args.id
    if not is_run_id(identity):
        found = _runs(client, _schedule(client, args), limit=1)
        if not found:
            raise RefusedError(f"{args.id} has had no run yet")
        identity = found[0]["id"]
    body = client.get(job_path(identity))
    show_answer(args, body, lambda show: show.log(body))


def show_warnings(body: Body) -> None:
    """What a caller may not expect, on stderr."""
    import sys

    from admin_cli.wording import in_words_of_commands

    for warning in body.get("warnings", ()):
        text = "".join(c if c.isprintable() else "\ufffd" for c in warning)
        print(f"warning: {in_words_of_commands(text)}", file=sys.stderr)


def _schedule(client: Client, args: Namespace) -> Body:
    namespace = args.of_namespace or namespace_of(client, args.id)
    return client.get(path_of(namespace, args.id))


def _standing_run(client: Client, args: Namespace) -> str:
    """The newest failed attempt of the slot whose failure stands."""
    schedule = _schedule(client, args)
    slot = schedule["failing_slot"]
    if slot is None:
        raise RefusedError(f"{schedule['namespace']}/{schedule['name']}: no failure stands")
    for run in _runs(client, schedule, status="failed", limit=PAGE):
        if run["slot"] == slot:
            return str(run["id"])
    raise RefusedError(f"no run of slot {slot} is known any more: generate its report anew")


def _runs(client: Client, schedule: Body, **query: Any) -> list[Body]:
    answer = client.get(
        f"{SCHEDULER}/jobs", namespace=schedule["namespace"], schedule=schedule["name"], **query
    )
    return list(answer["jobs"])
