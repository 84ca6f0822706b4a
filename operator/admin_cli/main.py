"""The command `report-scheduler`: the operator's commands, and on-call's."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from admin_cli import bundle, commands, completion, named
from admin_cli.client import Client, RefusedError, UnreachableError
from admin_cli.forward import Installation, port_forward
from admin_cli.sweep import sweep

EXIT_REFUSED = 1
EXIT_UNREACHABLE = 69  # EX_UNAVAILABLE

OPERATOR_COMMANDS = {
    "run": "run the operator until stopped",
    "check-config": "check the operator's configuration file",
}
ENV_TOKEN = "REPORT_SCHEDULER_TOKEN"  # noqa: S105  (a name)
EXAMPLES = """\
examples:
  report-scheduler status
  report-scheduler schedules --health Failing
  report-scheduler why market-dashboard
  report-scheduler jobs --status failed --since 24h
  report-scheduler job reports.market-dashboard.20261124T050000Z.1
  report-scheduler deliveries verify reports.market-dashboard.20261124T050000Z.1
  report-scheduler retry reports.market-dashboard.20261124T050000Z.1
  report-scheduler generate executive_dashboard --date 2026-11-24 --priority high
  report-scheduler backfill 2026-11-20 2026-11-24 critical
  report-scheduler backfills cancel backfill-20261120-20261124-5f0c6c1e00
  report-scheduler dead-letters retry --all
  report-scheduler next market-dashboard
  report-scheduler cleanup --older-than-hours 24 --tier bulk --dry-run
  report-scheduler jobs --status failed -o json | jq '.jobs[].id'

Without --url the API is reached through `kubectl port-forward`, which needs no token.
exit codes: 0 done; 1 refused or not found, with the API's reason; 69 the API cannot be reached
"""

Command = Callable[[Client, argparse.Namespace], None]
PLUGIN = Path(sys.argv[0]).name.startswith(("kubectl-", "kubectl_"))
PROGRAM = "kubectl reports" if PLUGIN else "report-scheduler"


def main(argv: list[str] | None = None) -> int:
    """The exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] == completion.COMMAND:
        return completion.complete(_parser(), argv[1:])
    if argv and argv[0] in OPERATOR_COMMANDS:
        try:
            from report_operator.main import main as operate
        except ModuleNotFoundError:  # kubectl's plugin has what on-call needs
            return _end(Exception(f"{argv[0]}: the operator is in the image alone"), EXIT_REFUSED)
        return operate(argv)
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command in OPERATOR_COMMANDS:
        parser.error(f"{args.command}: nothing comes before it; see {args.command} --help")
    try:
        if args.command == "policy-sweep":
            return sweep(args)
        if args.command == "completion":
            return completion.script(args.shell)
        command: Command = args.function
        if args.url is not None:
            command(Client(args.url, args.token), args)
            return 0
        with port_forward(Installation(args.namespace, args.release, args.context)) as url:
            command(Client(url, None, "did kubectl port-forward end? try again"), args)
    except RefusedError as error:
        return _end(error, EXIT_REFUSED)
    except UnreachableError as error:
        return _end(error, EXIT_UNREACHABLE)
    except BrokenPipeError:  # `| head` has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0


def _end(error: Exception, code: int) -> int:
    text = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in str(error))
    print(f"{PROGRAM}: {text}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Scheduled reports: commands for on-call, and the operator itself.",
        epilog=EXAMPLES.replace("report-scheduler ", f"{PROGRAM} "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[_common()],
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # A command takes the same options; what it is not given is what stands before it.
    common = _common(argument_default=argparse.SUPPRESS)

    def add(name: str, function: Command, text: str, **more: Any) -> argparse.ArgumentParser:
        made = subparsers.add_parser(name, parents=[common], help=text, description=text, **more)
        made.set_defaults(function=function)
        return made

    add("status", commands.status, "how the scheduler is, and what is degraded")
    jobs = add("jobs", commands.jobs, "runs, newest first")
    jobs.add_argument(
        "--status",
        choices=(
            "queued",
            "waiting_for_data",
            "pending",
            "running",
            "retrying",
            "succeeded",
            "failed",
            "skipped",
        ),
    )
    jobs.add_argument("--since", type=commands.instant, help="24h, 7d, or an instant with a zone")
    jobs.add_argument("--until", type=commands.instant, help="likewise")
    jobs.add_argument("--schedule", metavar="NAME", help="of this ReportSchedule")
    _add_of_namespace(jobs)
    _add_paging(jobs)
    deliveries = add(
        "deliveries",
        commands.deliveries,
        "who got which report, and which files are where; or whether that is still there",
    )
    deliveries.add_argument("action", choices=("list", "verify"), nargs="?", default="list")
    deliveries.add_argument("id", metavar="ID", nargs="?", help="of the run, for verify")
    deliveries.add_argument("--recipient", help="an address, or PLACE:PATH of an upload")
    deliveries.add_argument("--channel", help="email or upload")
    deliveries.add_argument("--status", choices=("sent", "alreadySent", "uncertain", "failed"))
    deliveries.add_argument(
        "--since", type=commands.instant, help="24h, 7d, or an instant with a zone"
    )
    deliveries.add_argument("--until", type=commands.instant, help="likewise")
    deliveries.add_argument("--schedule", metavar="NAME", help="of this ReportSchedule")
    _add_of_namespace(deliveries)
    _add_pages(deliveries)
    job = add("job", commands.job, "one run, with the end of its log")
    job.add_argument("id", metavar="ID")
    retry = add(
        "retry", named.retry, "a further attempt for a failed run; repeated, it is the same one"
    )
    retry.add_argument("id", metavar="ID|NAME", help="a run, or a schedule that is failing")
    _add_of_namespace(retry, "where several have a schedule of this name")
    _add_key(retry)
    now = add("run-now", named.run_now, "make today's report; while it is made, the same one")
    now.add_argument("id", metavar="NAME", help="of the ReportSchedule")
    _add_of_namespace(now, "where several have one of this name")
    _add_key(now)
    logs = add("logs", named.logs, "the end of the log of a run")
    logs.add_argument("id", metavar="ID|NAME", help="a run, or a schedule: its newest")
    _add_of_namespace(logs, "where several have a schedule of this name")
    report = add(
        "report", bundle.report, "a file for support: status, objects, logs; no Secrets in it"
    )
    report.add_argument("--to", metavar="FILE", help="default: report-scheduler-TIME.tar.gz")
    _add_of_namespace(report)
    generate = add("generate", commands.generate, "make a report for a date")
    generate.add_argument("type", metavar="TYPE", help="spec.reportType of the ReportSchedule")
    generate.add_argument("--date", metavar="YYYY-MM-DD", help="default: today")
    generate.add_argument(
        "--priority",
        choices=commands.PRIORITIES,
        help="default: the schedule's own; a higher one moves a waiting run forward",
    )
    generate.add_argument(
        "--resend",
        metavar="RECIPIENT",
        nargs="+",
        help="make it anew and send it again to those who have it: all, or recipients by address",
    )
    generate.add_argument(
        "--instead-of-slot",
        action="store_true",
        help="it takes the place of the day's slot that is still to come",
    )
    _add_of_namespace(generate, "where several have the type")
    generate.add_argument("--of-schedule", metavar="NAME", help="where several have the type")
    _add_parameter(generate)
    _add_key(generate)
    backfill = add("backfill", commands.backfill, "make the reports of a range of dates")
    backfill.add_argument("start", metavar="FROM", help="YYYY-MM-DD")
    backfill.add_argument("end", metavar="TO", help="YYYY-MM-DD, inclusive")
    backfill.add_argument("types", metavar="TYPE", nargs="+", help="types, and tiers: critical")
    backfill.add_argument("--reprocess", choices=("missing", "failed", "all"))
    backfill.add_argument("--max-concurrent", type=int, metavar="N", help="runs at once")
    backfill.add_argument("--dry-run", action="store_true", help="only list what would run")
    _add_parameter(backfill)
    _add_key(backfill)
    add("queue", commands.queue, "waiting runs, the next one first")
    dead = add(
        "dead-letters",
        commands.dead_letters,
        "slots that failed for good: list or retry them, or clear the list for everybody",
    )
    dead.add_argument("action", choices=("list", "retry", "clear"), nargs="?", default="list")
    dead.add_argument("ids", metavar="ID", nargs="*", help="which to retry")
    dead.add_argument("--all", action="store_true", help="retry all; at most 100 in one go")
    dead.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    _add_paging(dead)
    following = add("next", commands.next_slots, "the next slots of a schedule, in local time")
    following.add_argument("schedule", metavar="NAME", help="of the ReportSchedule")
    _add_of_namespace(following, "where several have the name")
    following.add_argument("--count", type=int, default=10, metavar="N")
    cleanup = add("cleanup", commands.cleanup, "give up runs that have waited for longer")
    cleanup.add_argument("--older-than-hours", type=float, required=True, metavar="HOURS")
    cleanup.add_argument("--type", help="only of this spec.reportType")
    cleanup.add_argument("--tier", choices=commands.TIERS, help="only of this tier")
    _add_of_namespace(cleanup)
    cleanup.add_argument("--backfill", metavar="NAME", help="only of this ReportBackfill")
    cleanup.add_argument("--dry-run", action="store_true", help="only list what would be given up")
    cleanup.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    schedules = add("schedules", commands.schedules, "schedules and their health, gravest first")
    schedules.add_argument("--health", choices=commands.HEALTH)
    schedules.add_argument("--tier", choices=commands.TIERS)
    schedules.add_argument("--sort", choices=commands.SORTS, default="health")
    _add_of_namespace(schedules)
    _add_paging(schedules)
    why = add("why", commands.why, "what is wrong with a schedule, since when, and what to do")
    why.add_argument("name", metavar="NAME", help="of the ReportSchedule")
    _add_of_namespace(why, "where several have one of this name")
    acknowledge = add(
        "acknowledge", commands.acknowledge, "a failed slot needs no report any more: ends Failing"
    )
    acknowledge.add_argument("name", metavar="NAME", help="of the ReportSchedule")
    acknowledge.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    _add_of_namespace(acknowledge, "where several have one of this name")
    backfills = add(
        "backfills",
        commands.backfills,
        "backfills and their progress, newest first; or cancel one: what runs goes on",
    )
    backfills.add_argument("action", choices=("list", "cancel"), nargs="?", default="list")
    backfills.add_argument("name", metavar="NAME", nargs="?", help="of the backfill to cancel")
    backfills.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    backfills.add_argument("--state", choices=commands.BACKFILL_STATES)
    _add_of_namespace(backfills)
    _add_pages(backfills)
    shells = subparsers.add_parser("completion", help="a script that completes commands by TAB")
    shells.add_argument("shell", choices=tuple(completion.SCRIPTS))
    text = "schedules older than the policy on the objects they name; exit code 1 if there are any"
    sweeper = subparsers.add_parser(
        "policy-sweep", help=text, description=text, argument_default=argparse.SUPPRESS
    )
    _add_installation(sweeper)
    for name, text in OPERATOR_COMMANDS.items():
        subparsers.add_parser(name, help=text, add_help=False)
    return parser


def _common(argument_default: str | None = None) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, argument_default=argument_default)
    _add_installation(common)
    connection = common.add_argument_group("connection to the API")
    connection.add_argument("--url", type=_url, help="such as http://localhost:3000")
    connection.add_argument(
        "--token",
        default=argument_default or os.environ.get(ENV_TOKEN),
        help=f"bearer token, with --url to the network; better in the environment: {ENV_TOKEN}",
    )
    return common


def _add_installation(parser: argparse.ArgumentParser) -> None:
    def add(*flags: str, default: str | None = None, **more: Any) -> None:
        silent = parser.argument_default == argparse.SUPPRESS
        parser.add_argument(*flags, default=argparse.SUPPRESS if silent else default, **more)

    add("-o", "--output", choices=("table", "json"), default="table")
    add("--context", help="kubectl context")
    # Beside other kubectl commands -n is where the schedule is.
    flags = ("--operator-namespace",) if PLUGIN else ("-n", "--namespace", "--operator-namespace")
    text = "namespace of the operator"
    add(*flags, dest="namespace", default="report-scheduler", metavar="NAMESPACE", help=text)
    add("--release", default="report-scheduler", help="Helm release of the operator")


def _add_paging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--type", help="spec.reportType of the ReportSchedule")
    _add_pages(parser)


def _add_of_namespace(
    parser: argparse.ArgumentParser, text: str = "only of schedules in this namespace"
) -> None:
    flags = ("-n", "--namespace", "--of-namespace") if PLUGIN else ("--of-namespace",)
    parser.add_argument(*flags, dest="of_namespace", metavar="NAMESPACE", help=text)


def _add_pages(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--cursor", help="continues where a list ended")


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key", help="Idempotency-Key: the same key has one attempt, also after its end"
    )


def _add_parameter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        type=_assignment,
        metavar="NAME=VALUE",
        help="of those that the schedule declares (spec.report.declaredParameters)",
    )


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("write NAME=VALUE")
    return name, value


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
        raise ValueError("http://HOST:PORT")
    return f"{parts.scheme}://{parts.netloc}"


if __name__ == "__main__":
    sys.exit(main())
