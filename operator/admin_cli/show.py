"""Answers of the API as tables, without control characters from the API's texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Body = Mapping[str, Any]

PIPE_WIDTH = 10_000  # characters, so that piped output is not wrapped
STYLES = {
    "failed": "red", "down": "red", "degraded": "yellow", "stopping": "yellow",
    "retrying": "yellow", "succeeded": "green", "healthy": "green",
    "Failing": "red", "NotReady": "red", "Delayed": "yellow", "Healthy": "green",
}  # fmt: skip
STATUS_ROWS = (
    "status", "uptime", "last_heartbeat", "schedules", "failing", "delayed", "active_jobs",
    "queue_depth",
)  # fmt: skip
_FILE_NOTES = {
    "gone": "  removed since (spec.output.retention has passed, or a person did it)",
    "unknown": "  (no file server tells whether it is still there)",
}
MESSAGE_LIMIT = 100  # characters in a list; `job ID` has all


def console() -> Console:
    """Colours only on a terminal, and not with NO_COLOR."""
    made = Console(highlight=False, markup=False, emoji=False)
    return (
        made
        if made.is_terminal
        else Console(highlight=False, markup=False, emoji=False, width=PIPE_WIDTH)
    )


def plain(value: Any) -> str:
    """One line without control characters: messages may come from anywhere."""
    if value is None:
        return ""
    text = " ".join(str(value).split())
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table in the style of kubectl."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def pairs(body: Body, names: Iterable[str]) -> Table:
    """One line for each field that is set."""
    made = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name in names:
        value = body.get(name)
        if value not in (None, [], ""):
            shown = ", ".join(map(plain, value)) if isinstance(value, list) else value
            made.add_row(name.replace("_", " "), _cell(shown))
    return made


def status(body: Body) -> None:
    console().print(pairs(body, (*STATUS_ROWS, "degraded")))


def jobs(found: Sequence[Body], more: str | None) -> None:
    out = console()
    if not found:
        out.print("none")
        return
    rows = [
        (
            job["id"], job["report_type"], job["status"],
            job.get("finished_at") or job.get("started_at") or job["slot"],
            job.get("reason"), _cut(job.get("error_message") or job.get("skip_message")),
        )
        for job in found
    ]  # fmt: skip
    out.print(table(("ID", "TYPE", "STATUS", "AT", "REASON", "MESSAGE"), rows))
    _more(out, more)


def queue(body: Body) -> None:
    """In the API's order."""
    out = console()
    found = body["queue"]
    if not found:
        out.print("no runs are waiting")
        return
    rows = [
        (
            entry["position"], entry["id"], entry["report_type"], entry["priority"], entry["slot"],
            entry["likely_start"] or "not known", entry["waits_for"] or "starts now", entry["note"],
        )
        for entry in found
    ]  # fmt: skip
    headers = ("NEXT", "ID", "TYPE", "PRIORITY", "SLOT", "LIKELY START", "WAITS FOR", "NOTE")
    out.print(table(headers, rows))
    if body["next"] is not None:
        out.print(f"and {body['total'] - len(found)} more")


def next_slots(body: Body) -> None:
    """The next slots of a schedule."""
    out = console()
    out.print(pairs(body, (name for name in body if name != "slots")))
    if not body["slots"]:
        out.print("no slot is to come")
        return
    out.print()
    rows = [(found["local"], found["slot"], found["note"]) for found in body["slots"]]
    out.print(table(("LOCAL TIME", "UTC", "NOTE"), rows))


def deliveries(body: Body) -> None:
    """Who got which report, newest first."""
    out = console()
    if not body["deliveries"]:
        out.print("no deliveries")
    else:
        rows = [
            (
                found["finished_at"], found["job_id"], found["channel"], found["recipient"],
                found["status"], found["error"] or found["message_id"],
            )
            for found in body["deliveries"]
        ]  # fmt: skip
        headers = ("RUN ENDED", "RUN", "CHANNEL", "RECIPIENT", "STATUS", "ERROR OR MESSAGE ID")
        out.print(table(headers, rows))
    for note in body["degraded"]:
        out.print(f"note: {note}")
    if body["next"]:
        out.print(f"more: --cursor {body['next']}")


def verification(body: Body) -> None:
    """What is there of what a slot has sent, the gravest first."""
    out = console()
    out.print(pairs(body, ("job_id", "slot", "state", "message", "finished_at")))
    rows = [
        (found["verdict"], found["channel"], found["recipient"], found["message"])
        for found in body["deliveries"]
    ]
    if rows:
        out.print(table(("VERDICT", "CHANNEL", "RECIPIENT", "WHAT IS KNOWN"), rows))
    left_out = sum(body["counts"].values()) - len(rows)
    if left_out:
        counts = ", ".join(f"{count} {verdict}" for verdict, count in body["counts"].items())
        out.print(f"{left_out} more are in the pod's log; of all: {counts}")


def job(body: Body) -> None:
    out = console()
    out.print(pairs(body, (name for name in body if name not in ("log", "outputs", "files"))))
    if body.get("files"):
        out.print("files", style="bold")
        for file in body["files"]:
            out.print(Text(f"  {plain(file['path'])}{_FILE_NOTES.get(file['state'], '')}"))
    if body.get("log"):
        out.print("log", style="bold")
        for line in body["log"]:
            out.print(Text(f"  {plain(line)}"))


def log(body: Body) -> None:
    """The end of a run's log, after a line that says which run it is."""
    out = console()
    told = plain(body.get("error_message") or body.get("skip_message"))
    head = f"{plain(body['id'])}: {plain(body['status'])}"
    out.print(Text(f"{head}: {told}" if told else head, style="bold"))
    for line in body.get("log") or ():
        out.print(Text(plain(line)))
    if not body.get("log"):
        out.print(Text(f"no log of it is there any more, or yet: {plain(body['log_command'])}"))


def attempt(body: Body) -> None:
    console().print(
        Text(f"{plain(body['id'])} is {plain(body['status'])}: Job {plain(body['job'])} in "
             f"{plain(body['namespace'])}")
    )  # fmt: skip


def backfills(body: Body) -> None:
    """The ReportBackfills of a request, and of a dry run what would run."""
    out = console()
    for number, made in enumerate(body["backfills"]):
        if number:
            out.print()
        out.print(pairs(made, (name for name in made if name != "would_run")))
        if rows := made.get("would_run"):
            out.print()
            headers = tuple(rows[0])
            names = tuple(name.upper().replace("_", " ") for name in headers)
            out.print(table(names, ([row.get(name) for name in headers] for row in rows)))


def backfill_list(body: Body) -> None:
    """ReportBackfills, newest first, with their progress."""
    out = console()
    if not body["backfills"]:
        out.print("none")
        return
    rows = [
        (
            found["namespace"], found["name"], found["state"] or "not seen yet", found["progress"],
            found["failed"], f"{found['start_date']} to {found['end_date']}", found["created_at"],
            found["requested_by"], _cut(found["message"]),
        )
        for found in body["backfills"]
    ]  # fmt: skip
    headers = ("NAMESPACE", "NAME", "STATE", "PROGRESS", "FAILED", "DATES", "CREATED",
               "REQUESTED BY", "MESSAGE")  # fmt: skip
    out.print(table(headers, rows))
    _more(out, body["next"])


def cancelled(body: Body) -> None:
    """What became of the runs of a backfill."""
    out = console()
    out.print(Text(f"{plain(body['namespace'])}/{plain(body['name'])} is cancelled: "
                   f"{plain(body['message'])}"))  # fmt: skip
    for word, ids in (("removed", body["removed"]), ("goes on", body["going_on"])):
        for identity in ids:
            out.print(Text(f"  {word}: {plain(identity)}"))


def schedules(body: Body) -> None:
    """In the API's order."""
    out = console()
    if not body["schedules"]:
        out.print("none")
        return
    rows = [
        (
            found["namespace"], found["name"], found["report_type"], found["tier"], _state(found),
            _word(found), found["last_success"] or "never", found["next_slot"],
            found["time_zone"],
        )
        for found in body["schedules"]
    ]  # fmt: skip
    headers = ("NAMESPACE", "NAME", "TYPE", "TIER", "HEALTH", "REASON", "LAST REPORT", "NEXT SLOT",
               "TIME ZONE")  # fmt: skip
    out.print(table(headers, rows))
    _more(out, body["next"])


def _state(schedule: Body) -> str:
    health = str(schedule["health"] or "not seen yet")
    return f"{health}, suspended" if schedule["suspended"] else health


def _word(schedule: Body) -> str | None:
    """The one word for why it has this health."""
    words = {
        "Failing": (schedule["last_failure"] or {}).get("reason"),
        "NotReady": (schedule["ready"] or {}).get("reason"),
        "Delayed": (schedule["delay"] or {}).get("stage"),
    }
    return words.get(str(schedule["health"]))


def paragraph(text: str) -> None:
    console().print(Text(plain(text)))


def cleanup(body: Body) -> None:
    """The runs that were given up, or would be."""
    out = console()
    count = len(body["jobs"])
    runs = "1 run" if count == 1 else f"{count} runs"
    out.print(f"{runs} would be given up" if body.get("dry_run") else f"{runs} given up")
    for identity in body["jobs"]:
        out.print(Text(f"  {plain(identity)}"))
    for left in body.get("not_waiting", ()):
        out.print(Text(f"  left alone: {plain(left['id'])} is {plain(left['status'])} by now"))


def whole(body: Body) -> None:
    """All fields of an answer."""
    console().print(pairs(body, body))


def _more(out: Console, cursor: str | None) -> None:
    if cursor:
        out.print(f"more: --cursor {cursor}")


def _cut(message: str | None) -> str:
    text = plain(message)
    return text if len(text) <= MESSAGE_LIMIT else f"{text[: MESSAGE_LIMIT - 1]}…"


def _cell(value: Any) -> Text:
    text = plain(value)
    return Text(text, style=STYLES.get(text, ""))
