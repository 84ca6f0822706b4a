"""The command `report-generator`."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from report_runner.contract import pod
from report_runner.contract.reasons import EXIT_USAGE
from report_runner.render import workers


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(EXIT_USAGE)


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run; the exit code is of report_runner.contract.reasons."""
    parser = _Parser(prog="report-generator", description="Makes a report of a ReportSchedule.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="inside the pod of a run: make, store and deliver the report")
    commands.add_parser(
        "verify", help="inside a pod: whether what the runs of a slot sent is still there"
    )
    preview = commands.add_parser(
        "render", help="on a laptop, without a cluster: the report of a manifest and sample data"
    )
    preview.add_argument("directory", type=Path, metavar="DIR", help="where the manifest is")
    preview.add_argument("--manifest", type=Path, help="which file, if there are several")
    preview.add_argument("--out", type=Path, default=Path("out"), help="where the files go")
    preview.add_argument("--slot", type=_instant, help="RFC 3339; now unless said")
    server = commands.add_parser("serve", help="the finished files of a volume over HTTP, to read")
    server.add_argument("--root", type=Path, default=Path(pod.OUTPUT_DIR), help="the volume")
    server.add_argument("--host", default="0.0.0.0", help="address to listen at")  # noqa: S104
    server.add_argument("--port", type=int, default=8000)
    args = parser.parse_args(argv)
    if args.command == "serve":
        from report_runner.serve import serve

        return serve(args.root, args.host, args.port)
    if args.command == "verify":
        from report_runner.verify import verify_in_pod

        return verify_in_pod()
    # The imports below take a while; those of the workers go on beside them.
    if args.command == "run":
        definition = Path(os.environ.get(pod.ENV_DEFINITION) or pod.DEFINITION_PATH)
        workers.warm_up(*workers.likely_needed(definition))
        from report_runner.pod_run import run_in_pod

        return run_in_pod()
    workers.warm_up(workers.WorkerKind.PAGES, workers.WorkerKind.CHARTS)
    from report_runner.preview import preview_report

    return preview_report(args.directory, args.manifest, args.out, args.slot or _now())


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant needs a zone, e.g. 2026-01-31T06:00:00Z")
    return instant.astimezone(UTC)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


if __name__ == "__main__":
    sys.exit(main())
