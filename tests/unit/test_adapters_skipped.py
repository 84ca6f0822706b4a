"""What cannot be read stops nobody, is named once, and is nobody else's."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Any

import orjson
import pytest
from factories import MINUTE, SLOT, UID, cronjob_body, job_body, merged, pod_body, schedule_body

from report_operator.adapters.kube.client import ApiError
from report_operator.adapters.kube.decoding import (
    DEPTH,
    decode,
    encode,
    is_shallow,
    pruned,
    shallow,
)
from report_operator.adapters.kube.object_cache import ObjectCache
from report_operator.adapters.kube.resources import JOBS
from report_operator.adapters.kube.skipped import LIMIT, Skipped, printable
from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.resource import Key
from report_operator.controllers.admission import AdmissionController
from report_operator.domain.admission.limits import AdmissionLimits
from report_operator.domain.schedules.plan import observe_plan

DAILY = Key("reports", "daily")


def deep(levels: int) -> bytes:
    return (
        b'{"metadata":{"name":"x"},"spec":' + b'{"a":[' * levels + b'"]}"' + b"]}" * levels + b"}"
    )


@pytest.mark.parametrize("levels", [1, 50, 200, 600, 5000])
def test_json_of_any_depth_is_read_and_written(levels: int) -> None:
    body = decode(deep(levels))
    assert body["metadata"] == {"name": "x"}
    raw = encode(body)
    assert is_shallow(raw)
    json.loads(raw)
    assert is_shallow(deep(levels)) is (levels < 127)


def test_only_too_deep_parts_are_pruned() -> None:
    raw = b'{"b":"\\"[{","c":[],"x":' + b"[" * 3000 + b"]" * 3000 + b',"d":[1,{"e":null}]}'
    found = decode(raw)
    assert (found["b"], found["c"], found["d"]) == ('"[{', [], [1, {"e": None}])
    inner, levels = found["x"], 0
    while inner:
        inner, levels = inner[0], levels + 1
    assert levels == DEPTH - 1
    assert inner is None
    assert pruned(orjson.loads(shallow(raw))) == found
    with pytest.raises(ValueError, match="unexpected end"):
        decode(b'{"a":')


def test_deep_object_keeps_its_upper_levels() -> None:
    bodies = ObjectCache()
    body = schedule_body()
    body["spec"]["x"] = orjson.loads(b"[" * 900 + b"]" * 900)
    assert bodies.observe(DAILY, body, deleted=False)
    assert bodies[DAILY]["metadata"]["name"] == "daily"
    assert (bodies.uid(DAILY), bodies.controller(DAILY)) == (UID, "")


def test_each_version_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    skipped = Skipped(lambda found, _: told.append(f"{found.name} {found.version}"))
    for version in (1, 1, 2):
        skipped.note(
            "jobs", job_body({"metadata": {"resourceVersion": str(version)}}), "why\x1b[2J"
        )
    assert told == ["daily-29924940 1", "daily-29924940 2"]
    assert skipped.counts() == {"jobs": 1}
    assert skipped.summary() == ["jobs reports/daily-29924940: why\N{REPLACEMENT CHARACTER}[2J"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    skipped.clear("jobs", "job-1")
    assert (skipped.counts(), len(skipped)) == ({}, 0)


def test_number_of_skipped_objects_is_bounded() -> None:
    logging.disable()
    try:
        skipped = Skipped()
        for number in range(LIMIT + 10):
            skipped.note("pods", {"metadata": {"uid": str(number)}}, "x" * 10_000)
    finally:
        logging.disable(logging.NOTSET)
    assert len(skipped) == skipped.counts()["pods"] == LIMIT
    assert skipped.summary()[-1] == f"and {LIMIT - 5} more"
    assert all(len(line) < 400 for line in skipped.summary())
    skipped.keep("pods", {"11"})
    assert skipped.counts() == {"pods": 1}
    assert printable("a\nb" * 9, 5) == "a\N{REPLACEMENT CHARACTER}..."


def known_store() -> Store:
    store = Store()
    store.observe_schedule(schedule_body())
    store.observe_cronjob(cronjob_body())
    return store


SLOT_STAMP = "reports.adaf.io/slot"


@pytest.mark.parametrize(
    "annotations",
    [
        {"reports.adaf.io/attempt": "9" * 22},
        {"reports.adaf.io/attempt": "9" * 5000},
        {"reports.adaf.io/attempt": "0"},
        {SLOT_STAMP: "9999-12-31T23:59:59Z"},
        {SLOT_STAMP: "9999-12-31T23:59:59-23:00"},
        {SLOT_STAMP: "2026-11-25T05:00:00Z"},  # a day after the Job was made
        {SLOT_STAMP: "0001-01-01T00:00:00+23:00"},
        {SLOT_STAMP: "soon"},
        {"reports.adaf.io/time-zone": "Mars/Olympus"},
        {"reports.adaf.io/priority": "highest"},
        {"reports.adaf.io/report-date": "tomorrow"},
        {"reports.adaf.io/schedule-name": "x" * 254},
        {"reports.adaf.io/backfill": "../../../secrets"},
        {"reports.adaf.io/admitted-at": "9999-12-31T23:59:59Z"},
    ],
)
def test_job_with_impossible_annotations_is_skipped(annotations: dict[str, str]) -> None:
    store = known_store()
    store.observe_job(job_body())
    hostile = merged(job_body(), {"metadata": {"uid": "h", "annotations": annotations}})
    assert store.observe_job(hostile) is None
    assert [run.uid for run in store.runs_of(UID)] == ["job-1"]
    assert store.skipped.counts() == {"jobs": 1}
    # Nor one that was a run, and says so now.
    changed = merged(
        job_body(), {"metadata": {"resourceVersion": "101", "annotations": annotations}}
    )
    store.observe_job(changed)
    assert store.runs_of(UID) == []
    store.observe_job(merged(job_body(), {"metadata": {"resourceVersion": "102"}}))
    assert [run.uid for run in store.runs_of(UID)] == ["job-1"]
    assert store.skipped.reason("jobs", "job-1") is None


OWNER = job_body()["metadata"]["ownerReferences"][0]


@pytest.mark.parametrize(
    "lie",
    [
        {"namespace": "elsewhere"},
        {"ownerReferences": []},
        {"ownerReferences": [{**OWNER, "controller": False}]},
        {"ownerReferences": [{**OWNER, "uid": "another"}]},
        {"ownerReferences": [{**OWNER, "kind": "Deployment"}]},
        {"labels": {"reports.adaf.io/schedule-uid": "another"}},
        {"annotations": {"reports.adaf.io/schedule-name": "another"}},
    ],
)
def test_job_that_claims_another_schedule_is_skipped(lie: dict[str, Any]) -> None:
    store = known_store()
    store.observe_job(merged(job_body(), {"metadata": {"uid": "liar", "name": "liar", **lie}}))
    assert store.runs_of(UID) == []
    assert list(store.owned_runs()) == []
    store.note_strangers()
    assert store.skipped.counts() == {}  # its owner may be going
    store.note_strangers()
    assert "not a run" in (store.skipped.reason("jobs", "liar") or "")


def test_cronjob_and_pod_that_claim_another_schedule_are_skipped() -> None:
    store = known_store()
    store.observe_job(job_body())
    (run,) = store.runs_of(UID)
    store.observe_cronjob(merged(cronjob_body(), {"metadata": {"name": "liar", "uid": "l"}}))
    assert store.cronjobs.uid(DAILY) == "cronjob-1"
    store.observe_pod(pod_body(namespace="elsewhere", resourceVersion="999"))
    store.observe_pod(pod_body(uid="p", ownerReferences=[], resourceVersion="999"))
    assert store.pods_of(run) == []
    # A CronJob is known by its own name, whatever its annotation says.
    assert store.skipped.counts() == {"cronjobs": 1, "pods": 1}


@pytest.mark.parametrize("since", ["9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "x"])
def test_plan_never_begins_long_before_the_cronjob(since: str) -> None:
    annotations = {"reports.adaf.io/schedule-since": since, "reports.adaf.io/late-after": "30m"}
    plan = observe_plan(cronjob_body({"metadata": {"annotations": annotations}}))
    assert plan is not None
    assert SLOT - timedelta(days=400) < plan.since < SLOT
    annotations["reports.adaf.io/late-after"] = "9" * 30 + "d"
    assert observe_plan(cronjob_body({"metadata": {"annotations": annotations}})) is None


class RefusingServer:
    """Refuses what concerns one Job."""

    def __init__(self, refused: str) -> None:
        self.refused, self.patched = refused, list[str]()

    async def patch(self, _kind: Any, _namespace: str, name: str, body: Any) -> Any:
        self.patched.append(name)
        if name == self.refused:
            raise ApiError(422, "Invalid", "no")
        return merged(
            job_body(),
            {
                "metadata": {"name": name, "uid": name, "resourceVersion": "200"},
                "spec": {"suspend": body["spec"]["suspend"]},
            },
        )


async def test_a_refused_run_takes_no_place_and_stops_none() -> None:
    store = known_store()
    for name in ("a", "b"):
        meta = {
            "name": name,
            "uid": name,
            "annotations": {"reports.adaf.io/concurrency-policy": "Allow"},
        }
        store.observe_job(merged(job_body(), {"metadata": meta}))
    server = RefusingServer("a")
    controller = AdmissionController(server, store, AdmissionLimits(1), MINUTE, lambda: SLOT)  # type: ignore[arg-type]
    await controller.admit()
    assert server.patched == ["a", "b"]
    assert "cannot be started" in (store.skipped.reason("jobs", "a") or "")
    assert not store.runs["b"].suspended


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "a%2Fb", "a?b", "a#b"])
def test_invalid_name_makes_no_path(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an object"):
        JOBS.path("reports", name)
    with pytest.raises(ValueError, match="not the name of an object"):
        JOBS.path(name, "x")
