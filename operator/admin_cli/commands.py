"""The commands: each calls the API and prints its answer."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import Any

from admin_cli.client import (
    BACKFILLS,
    DELIVERIES,
    REPORTS,
    SCHEDULER,
    SCHEDULES,
    Client,
    RefusedError,
    backfill_path,
    job_path,
    schedule_path,
    verify_path,
)
from admin_cli.named import namespace_of, show_warnings
from admin_cli.output import PAGE, show_answer

Body = dict[str, Any]

DEAD_LETTERS = f"{SCHEDULER}/dead-letters"
PRIORITIES = ("high", "normal", "low")
TIERS = ("critical", "standard", "bulk")
HEALTH = ("Failing", "NotReady", "Delayed", "Healthy")
SORTS = ("health", "name", "last_failure", "delay", "next_slot", "last_success")
BACKFILL_STATES = ("Waiting", "Running", "Suspended", "Succeeded", "Failed", "DryRun")
VERIFY_SECONDS = 960.0  # a little longer than the API lets its Job live
VERIFY_PAUSE = 2.0
NOT_AS_SENT = ("changed", "missing", "unreachable")
QUEUE_PAGES = 20
CLEANUP_LISTED = 20  # runs named before the question
CLEANUP_BATCH = 100  # ids in one call: a body may have 64 KiB


def status(client: Client, args: Namespace) -> None:
    body = client.get(f"{SCHEDULER}/status")
    show_answer(args, body, lambda show: show.status(body))


def jobs(client: Client, args: Namespace) -> None:
    body = client.get(
        f"{SCHEDULER}/jobs",
        status=args.status,
        report_type=args.type,
        namespace=args.of_namespace,
        schedule=args.schedule,
        since=args.since,
        until=args.until,
        **_page(args),
    )
    show_answer(args, body, lambda show: show.jobs(body["jobs"], body["next"]))


def job(client: Client, args: Namespace) -> None:
    body = client.get(job_path(args.id))
    show_answer(args, body, lambda show: show.job(body))


def deliveries(client: Client, args: Namespace) -> None:
    if args.action == "verify":
        _verify_deliveries(client, args)
        return
    if args.id is not None:
        raise RefusedError("deliveries list takes no ID: filter with --schedule and --since")
    body = client.get(
        DELIVERIES,
        recipient=args.recipient,
        channel=args.channel,
        status=args.status,
        namespace=args.of_namespace,
        schedule=args.schedule,
        since=args.since,
        until=args.until,
        **_page(args),
    )
    show_answer(args, body, lambda show: show.deliveries(body))


def _verify_deliveries(client: Client, args: Namespace) -> None:
    """Waits until the pod that looks has answered."""
    if args.id is None:
        raise RefusedError("deliveries verify: name the run, as `report-scheduler jobs` shows it")
    body = client.post(f"{DELIVERIES}/verify", {"job_id": args.id})
    end = time.monotonic() + VERIFY_SECONDS
    while body["state"] in ("starting", "running") and time.monotonic() < end:
        time.sleep(VERIFY_PAUSE)
        body = client.get(verify_path(args.id))
    show_answer(args, body, lambda show: show.verification(body))
    if body["state"] != "done":
        raise RefusedError(f"no answer: {_printable(body['message'] or body['state'])}")
    if any(body["counts"].get(verdict) for verdict in NOT_AS_SENT):
        raise RefusedError("not all that was sent is there as it was sent, see above")


def generate(client: Client, args: Namespace) -> None:
    wanted = {
        "type": args.type,
        "date": args.date or f"{datetime.now().astimezone():%Y-%m-%d}",
        "priority": args.priority,
        "namespace": args.of_namespace,
        "schedule": args.of_schedule,
        "parameters": dict(args.parameter) or None,
        "resend": "all" if args.resend == ["all"] else args.resend,
        "instead_of_slot": args.instead_of_slot or None,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    body = client.post(f"{REPORTS}/generate", given, key=args.key)
    show_answer(args, body, lambda show: show.attempt(body))
    show_warnings(body)


def backfill(client: Client, args: Namespace) -> None:
    wanted = {
        "start_date": args.start,
        "end_date": args.end,
        "report_types": args.types,
        "reprocess": args.reprocess,
        "max_concurrent": args.max_concurrent,
        "dry_run": args.dry_run or None,
        "parameters": dict(args.parameter) or None,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    body = client.post(f"{REPORTS}/backfill", given, key=args.key)
    show_answer(args, body, lambda show: show.backfills(body))
    for refused in body.get("refused", ()):
        text = f"no backfill in {refused['namespace']}: {refused['reason']}"
        print(_printable(text), file=sys.stderr)
    if body.get("refused"):
        raise RefusedError(f"{len(body['refused'])} namespaces took no backfill")


def queue(client: Client, args: Namespace) -> None:
    """All waiting runs, at most QUEUE_PAGES pages of them."""
    body = client.get(f"{SCHEDULER}/queue", limit=PAGE)
    following = body["next"]
    for _ in range(QUEUE_PAGES - 1):
        if following is None:
            break
        page = client.get(f"{SCHEDULER}/queue", limit=PAGE, after=following)
        body["queue"] += page["queue"]
        following = page["next"]
    body["next"] = following
    show_answer(args, body, lambda show: show.queue(body))


def next_slots(client: Client, args: Namespace) -> None:
    """When a schedule is due next."""
    body = client.get(
        f"{SCHEDULER}/next-slots",
        schedule=args.schedule,
        namespace=args.of_namespace,
        count=args.count,
    )
    show_answer(args, body, lambda show: show.next_slots(body))


def dead_letters(client: Client, args: Namespace) -> None:
    """Lists dead letters, or retries them."""
    if args.action == "retry":
        _retry_dead_letters(client, args)
        return
    if args.action == "clear":
        _clear_dead_letters(client, args)
        return
    body = client.get(DEAD_LETTERS, report_type=args.type, limit=args.limit, cursor=args.cursor)
    show_answer(args, body, lambda show: show.jobs(body["dead_letters"], body["next"]))
    if body.get("cleared_through"):
        by = _printable(body.get("cleared_by") or "somebody")
        at = f" at {body['cleared_at']}" if body.get("cleared_at") else ""
        print(f"cleared{at} by {by}: failures until {body['cleared_through']} are not in the list",
              file=sys.stderr)  # fmt: skip


def _retry_dead_letters(client: Client, args: Namespace) -> None:
    if args.all == bool(args.ids):
        raise RefusedError("name the ids to retry, or use --all")
    if args.all:
        total = client.get(DEAD_LETTERS, limit=1)["total"]
        _confirm(args, f"retry {total} dead letters")
    body = client.post(f"{DEAD_LETTERS}/retry", {"all": True} if args.all else {"ids": args.ids})
    show_answer(args, body, lambda show: show.jobs(body["jobs"], None))
    for refusal in body["refused"]:
        print(f"refused: {refusal['id']!r}: {refusal['reason']}", file=sys.stderr)
    if body["left"]:
        print(f"{body['left']} are left: run the command again", file=sys.stderr)
    if body["refused"]:
        raise RefusedError(f"{len(body['refused'])} were not retried")


def _clear_dead_letters(client: Client, args: Namespace) -> None:
    if args.all or args.ids or args.type:
        raise RefusedError("the list is cleared as a whole: leave out ids, --all and --type")
    newest = client.get(DEAD_LETTERS, limit=1)
    seen = newest["dead_letters"]
    if seen:
        _confirm(args, f"take {newest['total']} dead letters off the list, for all teams")
    # What fails while the question is asked was not seen, and stays.
    wanted = {"through": seen[0]["failed_at"]} if seen and seen[0]["failed_at"] else {}
    body = client.post(f"{DEAD_LETTERS}/clear", wanted) if seen else {"cleared": 0, "through": None}
    show_answer(args, body, lambda show: show.whole(body))


def cleanup(client: Client, args: Namespace) -> None:
    """Lists what would be given up, asks, and gives it up."""
    wanted = {
        "older_than_hours": args.older_than_hours,
        "report_type": args.type,
        "tier": args.tier,
        "namespace": args.of_namespace,
        "backfill": args.backfill,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    path = f"{SCHEDULER}/queue/cleanup"
    if args.yes and not args.dry_run:
        done = client.post(path, given)
        show_answer(args, done, lambda show: show.cleanup(done))
        return
    seen = client.post(path, {**given, "dry_run": True})
    if args.dry_run or not seen["jobs"]:
        show_answer(args, seen, lambda show: show.cleanup(seen))
        return
    for identity in seen["jobs"][:CLEANUP_LISTED]:
        print(f"  {_printable(identity)}", file=sys.stderr)
    if len(seen["jobs"]) > CLEANUP_LISTED:
        print(f"  and {len(seen['jobs']) - CLEANUP_LISTED} more", file=sys.stderr)
    runs = "this run" if len(seen["jobs"]) == 1 else f"these {len(seen['jobs'])} runs"
    _confirm(args, f"give up {runs}")
    # What came into the queue while the question was asked was not seen, and stays.
    done = {"removed": 0, "jobs": [], "dry_run": False, "not_waiting": []}
    for start in range(0, len(seen["jobs"]), CLEANUP_BATCH):
        part = client.post(path, {**given, "ids": seen["jobs"][start : start + CLEANUP_BATCH]})
        for name in ("removed", "jobs", "not_waiting"):
            done[name] += part[name]
    show_answer(args, done, lambda show: show.cleanup(done))


def schedules(client: Client, args: Namespace) -> None:
    body = client.get(
        SCHEDULES,
        namespace=args.of_namespace,
        report_type=args.type,
        tier=args.tier,
        health=args.health,
        sort=args.sort,
        **_page(args),
    )
    show_answer(args, body, lambda show: show.schedules(body))
    for note in body.get("degraded", ()):
        print(f"careful: {_printable(note)}", file=sys.stderr)


def why(client: Client, args: Namespace) -> None:
    """One paragraph: cause, since when, who is affected, what to do."""
    namespace = args.of_namespace or namespace_of(client, args.name)
    body = client.get(schedule_path(namespace, args.name))
    show_answer(args, body, lambda show: show.paragraph(body["explanation"]))


def acknowledge(client: Client, args: Namespace) -> None:
    """The failure that stands needs no report any more; shows it and asks."""
    namespace = args.of_namespace or namespace_of(client, args.name)
    body = client.get(schedule_path(namespace, args.name))
    if body["failing_slot"] is None:
        raise RefusedError(f"{namespace}/{args.name}: no failure stands")
    print(_printable(body["explanation"]), file=sys.stderr)
    _confirm(args, f"no report is needed for slots up to {body['failing_slot']}")
    done = client.post(
        schedule_path(namespace, args.name, "acknowledge"), {"through": body["failing_slot"]}
    )
    show_answer(args, done, lambda show: show.whole(done))


def backfills(client: Client, args: Namespace) -> None:
    """Lists backfills, or cancels one."""
    if args.action == "cancel":
        _cancel_backfill(client, args)
        return
    if args.name is not None:
        raise RefusedError("a name is for `backfills cancel NAME`: leave it out")
    body = client.get(
        BACKFILLS,
        namespace=args.of_namespace,
        state=args.state,
        **_page(args),
    )
    show_answer(args, body, lambda show: show.backfill_list(body))


def _cancel_backfill(client: Client, args: Namespace) -> None:
    """Says what becomes of its runs, asks, and cancels it."""
    if args.name is None:
        raise RefusedError("name the backfill: report-scheduler backfills lists them")
    namespace = args.of_namespace or _namespace_of_backfill(client, args.name)
    path = backfill_path(namespace, args.name, "cancel")
    if not args.yes:
        planned = client.post(path, {"dry_run": True})
        print(_printable(f"{namespace}/{args.name}: {planned['message']}"), file=sys.stderr)
        _confirm(args, "cancel it")
    done = client.post(path, {})
    show_answer(args, done, lambda show: show.cancelled(done))


def _namespace_of_backfill(client: Client, name: str) -> str:
    found = client.get(BACKFILLS, name=name, limit=PAGE)["backfills"]
    if not found:
        raise RefusedError(f"there is no backfill {name}: report-scheduler backfills lists them")
    if len(found) > 1:
        several = ", ".join(backfill["namespace"] for backfill in found)
        raise RefusedError(f"{name} is in several namespaces ({several}): add --of-namespace")
    return str(found[0]["namespace"])


def instant(text: str) -> str:
    """`24h`, `7d` or `90m` ago, or an instant with a zone → RFC 3339. Raises ValueError."""
    units = {"m": "minutes", "h": "hours", "d": "days"}
    number, unit = text[:-1], units.get(text[-1:])
    if unit and number.isascii() and number.isdigit() and len(number) < 6:
        then = datetime.now(UTC) - timedelta(**{unit: int(number)})
    else:
        then = datetime.fromisoformat(text)
        if then.tzinfo is None:
            raise ValueError("an instant needs a zone")
    return then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _page(args: Namespace) -> dict[str, Any]:
    return {"limit": args.limit, "cursor": args.cursor}


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _confirm(args: Namespace, action: str) -> None:
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(f"{action}? There is no terminal to confirm on: use --yes")
    if input(f"{action}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise RefusedError("cancelled")
