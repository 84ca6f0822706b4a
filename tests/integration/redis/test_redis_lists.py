"""The lists in Redis beside a real operator and API server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from hack.testbed.controlplane import free_port
from hack.testbed.namespace import BATCH, MERGE, SCHEDULES, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from tests.support.redis import DEAD_LETTERS, QUEUE, RedisServer
from tests.support.redis_scenario import FAILED, dead_letters, fail, redis_up, wait_for_list


def test_queue_has_the_admission_order(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess
) -> None:
    for name in ("blocker", "low", "normal", "high"):
        priority = name if name != "blocker" else "high"
        namespace.apply(name, reportType=f"type_{name}", priority=priority)
        namespace.wait_until_observed(name)
    namespace.start("blocker", "first")
    pod = namespace.pod_of("first")
    for name in ("low", "normal", "high"):
        namespace.start(name, f"run-{name}")
    head, *_ = wait_for_list(server, QUEUE, "high", "normal", "low")
    job = namespace.find(BATCH, "jobs", "run-high")
    assert job is not None
    created = job["metadata"]["creationTimestamp"]
    stamp = created.replace("-", "").replace(":", "")
    assert head == {
        "id": f"{namespace.name}.high.{stamp}.1",
        "report_type": "type_high",
        "priority": "high",
        "scheduled_at": created,
        "enqueued_at": created,
        "namespace": namespace.name,
        "schedule": "high",
        "waits_for": "1 of 1 places are taken",
    }
    namespace.end_pod(pod)
    wait_for_list(server, QUEUE, "normal", "low")
    namespace.pod_of("run-high")  # what stood first is what ran


def test_deleted_queue_is_restored(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess
) -> None:
    namespace.apply("daily", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-0")
    namespace.pod_of("run-0")  # it waits no more
    for number in (1, 2):
        namespace.start("daily", f"run-{number}")
    before = wait_for_list(server, QUEUE, "daily", "daily")
    for change in (
        ("DEL", QUEUE),
        ("RPUSH", QUEUE, "{}"),
        ("LSET", QUEUE, "0", "x"),
        ("SET", QUEUE, "no list"),
    ):
        server.call(*change)
        wait_for("it is as before", lambda: _elements_or_none(server, QUEUE) == before, 30)
    assert len(namespace.jobs()) == 3


def _elements_or_none(server: RedisServer, name: str) -> list[dict[str, Any]] | None:
    kind = server.call("TYPE", name)
    try:
        return server.elements(name) if kind == "list" else None
    except json.JSONDecodeError:
        return None


def test_dead_letter_has_its_reason_and_leaves_on_retry(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess
) -> None:
    fail(namespace, "older", "older-1")
    fail(namespace, "newer", "newer-1")
    newest, _ = wait_for_list(server, DEAD_LETTERS, "newer", "older")
    (entry,) = namespace.status("newer")["recentRuns"]
    stamp = entry["slot"].replace("-", "").replace(":", "")
    assert newest == {
        "id": f"{namespace.name}.newer.{stamp}.1",
        "report_type": "type_newer",
        "reason": "DatabaseUnavailable",
        "message": "db.internal refuses",
        "attempts": 1,
        "failed_at": entry["finishedAt"],
        "scheduled_at": entry["slot"],
        "namespace": namespace.name,
        "schedule": "newer",
    }
    assert dead_letters(operator) == 2

    retry(namespace, "newer", entry["slot"], 2)
    wait_for_list(server, DEAD_LETTERS, "older")
    namespace.end_pod(namespace.pod_of("newer-again-2"), exit_code=69, message=FAILED)
    again, _ = wait_for_list(server, DEAD_LETTERS, "newer", "older")
    assert (again["attempts"], again["scheduled_at"]) == (2, entry["slot"])
    retry(namespace, "newer", entry["slot"], 3)
    wait_for_list(server, DEAD_LETTERS, "older")
    namespace.end_pod(namespace.pod_of("newer-again-3"))
    wait_for("it is healthy", lambda: namespace.status("newer")["health"] == "Healthy")
    fail(namespace, "last", "last-1")
    wait_for_list(server, DEAD_LETTERS, "last", "older")


def retry(namespace: Namespace, schedule: str, slot: str, attempt: int) -> None:
    """Create a further attempt of a slot, as the admin API does."""
    cronjob = namespace.cronjob(schedule)
    assert cronjob is not None
    template = cronjob["spec"]["jobTemplate"]
    annotations = {
        **template["metadata"]["annotations"],
        "reports.adaf.io/slot": slot,
        "reports.adaf.io/attempt": str(attempt),
    }
    meta = {
        "name": f"{schedule}-again-{attempt}",
        "labels": template["metadata"]["labels"],
        "annotations": annotations,
        # A Job is a run only if the CronJob of its schedule is its controller.
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": cronjob["metadata"]["name"],
                "uid": cronjob["metadata"]["uid"],
                "controller": True,
            }
        ],
    }
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"]}
    namespace.call("POST", namespace.path(BATCH, "jobs"), body)


def test_deleted_dead_letters_stay_deleted(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess
) -> None:
    for name in ("one", "two"):
        fail(namespace, name, f"{name}-1")
    wait_for_list(server, DEAD_LETTERS, "two", "one")
    assert server.call("DEL", DEAD_LETTERS) == 1
    wait_for("it is noted", lambda: dead_letters(operator) == 0, 30, operator.log)
    operator.wait_for_resyncs()
    assert server.elements(DEAD_LETTERS) == []

    fail(namespace, "three", "three-1")
    wait_for_list(server, DEAD_LETTERS, "three")
    server.call("FLUSHALL")
    wait_for_list(server, DEAD_LETTERS, "three")  # lost, not deleted

    # Deleted while no operator looks.
    assert operator.terminate() == 0
    server.call("DEL", DEAD_LETTERS)
    operator.start(same_lease=True)
    operator.wait_until_leading()
    operator.wait_for_resyncs()
    fail(namespace, "four", "four-1")
    wait_for_list(server, DEAD_LETTERS, "four")

    # Redis without its data, and an operator that starts anew.
    operator.kill()
    server.kill()
    server.start(keep_data=False)
    operator.start(same_lease=True)
    operator.wait_until_leading()
    wait_for_list(server, DEAD_LETTERS, "four")
    assert dead_letters(operator) == 1


def test_deletion_counts_after_a_restart_of_redis(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess
) -> None:
    fail(namespace, "one", "one-1")
    wait_for_list(server, DEAD_LETTERS, "one")
    server.kill()
    server.start()
    wait_for("it is up", lambda: redis_up(operator) == 1, 30, operator.log)
    wait_for_list(server, DEAD_LETTERS, "one")
    server.call("DEL", DEAD_LETTERS)
    wait_for("it is noted", lambda: dead_letters(operator) == 0, 30, operator.log)
    server.kill()
    server.start(keep_data=False)
    fail(namespace, "two", "two-1")
    wait_for_list(server, DEAD_LETTERS, "two")


def test_lists_are_replaced_atomically(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess
) -> None:
    namespace.apply("daily", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    fail(namespace, "broken", "broken-1")
    namespace.start("daily", "run-blocker")
    namespace.pod_of("run-blocker")
    namespace.start("daily", "run-0")
    wait_for_list(server, DEAD_LETTERS, "broken")
    wait_for_list(server, QUEUE, "daily")
    seen: set[tuple[int, int]] = set()
    done = threading.Event()

    def read() -> None:
        with server.client() as client:
            while not done.is_set():
                seen.add((client.llen(DEAD_LETTERS), client.llen(QUEUE)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 6):
            namespace.start("daily", f"run-{number}")
            wait_for_list(server, QUEUE, *["daily"] * (number + 1))
    finally:
        done.set()
        reader.join()
    assert seen == {(1, number + 1) for number in range(6)}


def test_dead_letter_list_is_bounded(
    namespace: Namespace, server: RedisServer, operator: OperatorProcess
) -> None:
    """The list is bounded, and keeps the newest."""
    assert operator.terminate() == 0
    # Reading so many outcomes may take a busy machine longer than a Lease of 5 s, and then the
    # operator ends: nothing here starts it again as a Deployment does.
    operator.settings |= {"history": {"keepOutcomes": 50}, "leaseSeconds": 60}
    for number in range(204):
        name = f"s-{number:03}"
        namespace.apply(name)
        status = {"recentRuns": [_entry(number, n) for n in range(50)]}
        path = namespace.path(SCHEDULES, "reportschedules", name, "status")
        namespace.call("PATCH", path, {"status": status}, MERGE)
    operator.start(same_lease=True)
    operator.wait_until_leading()
    wait_for(
        "all are there", lambda: server.call("LLEN", DEAD_LETTERS) == 10_000, 240, operator.log
    )
    wait_for("they are counted", lambda: dead_letters(operator) == 10_000, 60, operator.log)

    def all_are_reconciled() -> bool:
        schedules = namespace.call("GET", namespace.path(SCHEDULES, "reportschedules"))["items"]
        return all(
            found["status"]["observedGeneration"] == found["metadata"]["generation"]
            for found in schedules
        )

    wait_for("nothing is left to be done", all_are_reconciled, 240, operator.log)
    found = server.elements(DEAD_LETTERS)
    ends = [element["failed_at"] for element in found]
    assert ends == sorted(ends, reverse=True)
    assert found[0]["failed_at"] == "2026-01-02T02:49:59Z"
    assert len({element["id"] for element in found}) == 10_000
    assert all(len(element["message"]) == 300 for element in found)
    wait_for("Redis answers", lambda: redis_up(operator) == 1, 60, operator.log)

    server.call("DEL", DEAD_LETTERS)
    wait_for("it is noted", lambda: dead_letters(operator) == 0, 120, operator.log)
    fail(namespace, "another", "another-1")
    wait_for_list(server, DEAD_LETTERS, "another")


def _entry(schedule: int, number: int) -> dict[str, Any]:
    minute, second = divmod(number * 60 + schedule % 60, 60)
    hour, minute = divmod(minute + 2 * 60, 60)
    at = f"2026-01-02T{hour:02}:{minute:02}:{second:02}Z"
    return {
        "job": f"job-{schedule}-{number}",
        "uid": f"uid-{schedule}-{number}",
        "slot": at,
        "outcome": "Failed",
        "reason": "Timeout",
        "message": "x" * 1000,
        "finishedAt": at,
    }


def test_without_redis_dead_letters_are_counted(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    made = make_operator(metricsPort=free_port())
    made.start()
    made.wait_until_leading()
    assert dead_letters(made) == 0
    fail(namespace, "one", "one-1")
    wait_for("it is counted", lambda: dead_letters(made) == 1, 30, made.log)
    assert redis_up(made) is None
