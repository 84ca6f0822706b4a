"""`helm test`: a ReportSchedule that is due every minute has to make a report; then it is deleted.

Standard library only, since it runs in any version of the image. Its account may write
ReportSchedules in one namespace, and exists for as long as the test runs.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NAMESPACE = os.environ["TEST_NAMESPACE"]
NAME = os.environ["TEST_NAME"]
SECONDS = float(os.environ["TEST_SECONDS"])
PATH = f"/apis/reports.adaf.io/v1alpha1/namespaces/{NAMESPACE}/reportschedules"
PAUSE = 1.0

SCHEDULE: dict[str, Any] = {
    "apiVersion": "reports.adaf.io/v1alpha1",
    "kind": "ReportSchedule",
    "metadata": {"name": NAME, "labels": {"app.kubernetes.io/component": "helm-test"}},
    "spec": {
        "reportType": "helm_test",
        "tier": "bulk",  # what every namespace may declare
        "priority": "low",
        "schedule": "* * * * *",
        "timeZone": "UTC",
        "concurrencyPolicy": "Forbid",
        "timeout": "2m",
        "retry": {"limit": 0},
        "report": {
            "title": "helm test",
            "sources": [{"name": "numbers", "inline": {"rows": [{"number": 1}, {"number": 2}]}}],
            "template": {"builtin": "executive_dashboard"},
            "formats": ["html"],
        },
        # The next test removes the file of this one.
        "output": {"retention": "1h"},
    },
}


def call(method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """One request to the API server: status and body, also of an error."""
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    host = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}{path}",
        method=method,
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/json",
        },
        data=None if body is None else json.dumps(body).encode(),
    )
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=tls, timeout=30) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {"message": error.read().decode(errors="replace")}


def remove() -> None:
    """Delete the schedule; its CronJob and Jobs go with it."""
    status, body = call("DELETE", f"{PATH}/{NAME}")
    if status not in (200, 202, 404):
        raise SystemExit(f"not deleted: {status} {body.get('message', '')}")
    while call("GET", f"{PATH}/{NAME}")[0] != 404:
        time.sleep(PAUSE)


def verdict(status: dict[str, Any]) -> tuple[bool | None, str]:
    """Whether it went well, None while that is open; and what there is to say."""
    for run in status.get("recentRuns", ()):
        if run.get("outcome") == "Succeeded":
            return True, f"{run['job']} succeeded: {', '.join(run.get('outputs', ()))}"
        return False, f"{run.get('job')}: {run.get('reason')}: {run.get('message')}"
    for condition in status.get("conditions", ()):
        if condition["type"] == "Ready" and condition["status"] == "False":
            return False, f"not ready: {condition.get('reason')}: {condition.get('message')}"
    if not status:
        return None, "the operator has written no status: does it run, and watch the namespace?"
    return None, str(status.get("explanation") or status.get("delay") or "waits for its slot")


def main() -> int:
    """0 where a report was made in time."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    end = time.monotonic() + SECONDS
    remove()  # of a test that was killed
    try:
        status, body = call("POST", PATH, SCHEDULE)
        if status != 201:
            print(f"the ReportSchedule was refused: {status} {body.get('message', '')}")
            return 1
        said = ""
        while time.monotonic() < end:
            _, live = call("GET", f"{PATH}/{NAME}")
            well, words = verdict(live.get("status", {}))
            if words != said:
                print(words, flush=True)
            said = words
            if well is not None:
                return 0 if well else 1
            time.sleep(PAUSE)
        print(f"no report within {SECONDS:.0f} s")
        return 1
    finally:
        remove()


if __name__ == "__main__":
    sys.exit(main())
