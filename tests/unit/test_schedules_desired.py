"""The children of a ReportSchedule: names, definition, CronJob."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from factories import PATIENT, SLOT, UID, at, make_schedule, merged
from hypothesis import given
from hypothesis import strategies as st

from report_operator.domain import names
from report_operator.domain.runs.run import observe_job
from report_operator.domain.schedules.desired import (
    desired_config_map,
    desired_cronjob,
    freeze_definition,
    job_for_slot,
    starting_deadline,
)
from report_operator.domain.schedules.pods import PodSettings
from report_runner.contract import pod as contract
from report_runner.contract.definition import Definition

SETTINGS = PodSettings(
    image="registry.example.com/runner:1",
    image_pull_policy="IfNotPresent",
    output_claim="adaf-reports",
    default_resources={"requests": {"cpu": "100m"}, "limits": {"memory": "768Mi"}},
    scratch_size_limit="256Mi",
)
SINCE = at("2026-11-23 04:00")
LABELS = {
    "reports.adaf.io/schedule-uid": UID,
    "reports.adaf.io/schedule": "daily",
    "reports.adaf.io/tier": "critical",
    "app.kubernetes.io/managed-by": "report-scheduler",
}
OWNER = {
    "apiVersion": "reports.adaf.io/v1alpha1",
    "kind": "ReportSchedule",
    "name": "daily",
    "uid": UID,
    "controller": True,
    "blockOwnerDeletion": False,
}


def build(spec=None, **meta):
    schedule = make_schedule(spec, **meta)
    definition = freeze_definition(schedule, None)
    return definition, desired_cronjob(schedule, definition, SETTINGS, SINCE)


def pod_of(cronjob):
    return cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_cronjob() -> None:
    definition, cronjob = build()
    applied = cronjob["metadata"]["annotations"].pop("reports.adaf.io/applied-spec")
    assert re.fullmatch("[0-9a-f]{16}", applied)
    assert {key: value for key, value in cronjob.items() if key != "spec"} == {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": "daily",
            "namespace": "reports",
            "labels": LABELS,
            "ownerReferences": [OWNER],
            "annotations": {
                "reports.adaf.io/schedule-name": "daily",
                "reports.adaf.io/late-after": "30m",
                "reports.adaf.io/schedule-since": "2026-11-23T04:00:00Z",
            },
        },
    }
    assert {key: value for key, value in cronjob["spec"].items() if key != "jobTemplate"} == {
        "schedule": "0 6 * * 1-5",
        "timeZone": "Europe/Madrid",
        "suspend": False,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 7200,
        "successfulJobsHistoryLimit": 1_000_000,
        "failedJobsHistoryLimit": 1_000_000,
    }
    template = cronjob["spec"]["jobTemplate"]
    assert template["metadata"] == {
        "labels": LABELS,
        "annotations": {
            "reports.adaf.io/schedule-name": "daily",
            "reports.adaf.io/priority": "high",
            "reports.adaf.io/time-zone": "Europe/Madrid",
            "reports.adaf.io/concurrency-policy": "Forbid",
            "reports.adaf.io/definition": definition.name,
        },
    }
    assert {key: value for key, value in template["spec"].items() if key != "template"} == {
        "suspend": True,  # the gate
        "backoffLimit": 3,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "Ignore",
                    "onExitCodes": {
                        "containerName": "report",
                        "operator": "In",
                        "values": [79],
                    },
                },
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": "report",
                        "operator": "In",
                        "values": [64, 72, 73, 78],
                    },
                },
            ]
        },
    }
    # The watch on pods selects by the label of the schedule.
    assert template["spec"]["template"]["metadata"] == {"labels": LABELS}


def test_pod_is_restricted() -> None:
    _, cronjob = build()
    pod = pod_of(cronjob)
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["activeDeadlineSeconds"] == 1200
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    for absent in ("hostNetwork", "hostPID", "hostIPC", "serviceAccountName", "initContainers"):
        assert absent not in pod
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} == {
        "configMap",
        "persistentVolumeClaim",
        "emptyDir",
        "secret",
    }
    assert container["image"] == SETTINGS.image
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert container["resources"] == SETTINGS.default_resources


def test_volumes_and_mounts() -> None:
    definition, cronjob = build()
    pod = pod_of(cronjob)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} == set(volumes)
    assert mounts[contract.DEFINITION_DIR]["readOnly"] is True
    assert volumes[mounts[contract.DEFINITION_DIR]["name"]]["configMap"] == {
        "name": definition.name,
        "defaultMode": 0o644,
    }
    assert volumes["output"]["persistentVolumeClaim"] == {"claimName": "adaf-reports"}
    assert volumes["tmp"]["emptyDir"] == {"sizeLimit": "256Mi"}
    for secret in ("report-db", "report-mail"):
        mount = mounts[f"{contract.SECRETS_DIR}/{secret}"]
        assert mount["readOnly"] is True
        assert volumes[mount["name"]]["secret"] == {"secretName": secret, "defaultMode": 0o440}
    assert len(mounts) == 5


def test_environment_comes_from_what_admission_stamps() -> None:
    _, cronjob = build()
    found = {
        entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"]
        for entry in pod_of(cronjob)["containers"][0]["env"]
        if "valueFrom" in entry
    }
    assert found == {
        "REPORT_SLOT": "metadata.annotations['reports.adaf.io/slot']",
        "REPORT_DATE": "metadata.annotations['reports.adaf.io/report-date']",
        "REPORT_DUE_AT": "metadata.annotations['reports.adaf.io/due-at']",
        "REPORT_RUN_ID": "metadata.annotations['reports.adaf.io/run-id']",
        "REPORT_ATTEMPT": "metadata.annotations['reports.adaf.io/attempt']",
        "REPORT_RESEND": "metadata.annotations['reports.adaf.io/resend']",
        "REPORT_POD_NAME": "metadata.name",
        "REPORT_NAMESPACE": "metadata.namespace",
    }


def test_what_the_author_may_choose() -> None:
    _, cronjob = build(
        {
            "suspend": True,
            "concurrencyPolicy": "Replace",
            "timeout": "90s",
            "retry": {"limit": 0},
            "lateAfter": "1h",
            "resources": {"limits": {"memory": "2Gi"}},
            "nodeSelector": {"pool": "reports"},
            "tolerations": [{"key": "reports", "operator": "Exists"}],
        }
    )
    assert cronjob["metadata"]["annotations"][names.ANNOTATION_LATE_AFTER] == "1h"
    assert cronjob["spec"]["suspend"] is True
    assert cronjob["spec"]["concurrencyPolicy"] == "Replace"
    assert cronjob["spec"]["jobTemplate"]["spec"]["suspend"] is True  # whatever spec.suspend says
    assert cronjob["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0
    pod = pod_of(cronjob)
    assert pod["activeDeadlineSeconds"] == 90
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "2Gi"}
    assert pod["nodeSelector"] == {"pool": "reports"}
    assert pod["tolerations"] == [{"key": "reports", "operator": "Exists"}]
    assert not {"nodeSelector", "tolerations"} & set(pod_of(build()[1]))


@pytest.mark.parametrize(
    ("missed", "seconds"),
    [
        ({}, 7200),
        ({"startWithin": "7d"}, 604_800),
        ({"startWithin": "1m"}, 60),
        ({"policy": "RunAll", "startWithin": "6h"}, 21_600),
        ({"policy": "Skip", "startWithin": "6h"}, 60),
    ],
)
def test_starting_deadline(missed, seconds) -> None:
    # Below ten seconds the CronJob controller may never start anything.
    assert starting_deadline(make_schedule({"missedRuns": missed}).spec) == seconds


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({"schedule": "@every 3h"}, 10_800 + 7200),
        ({"schedule": "@every 90s"}, 90 + 7200),
        ({"schedule": "@every 90s", "missedRuns": {"policy": "Skip"}}, 90 + 60),
        ({"schedule": "@hourly"}, 7200),
        ({"schedule": "not one"}, 7200),
    ],
)
def test_starting_deadline_leaves_room_for_an_interval(spec, seconds) -> None:
    """The controller counts @every from this long ago where that is later than the last slot."""
    assert starting_deadline(make_schedule(spec).spec) == seconds


def test_definition_is_what_the_runner_reads() -> None:
    schedule = make_schedule()
    frozen = freeze_definition(schedule, "<p>{{ title }}</p>")
    read = Definition.model_validate(json.loads(frozen.content))
    assert (read.namespace, read.name, read.uid) == ("reports", "daily", UID)
    assert (read.report, read.delivery, read.output) == (
        schedule.spec.report,
        schedule.spec.delivery,
        schedule.spec.output,
    )
    assert read.template_text == "<p>{{ title }}</p>"
    assert frozen.secrets == ("report-db", "report-mail")
    body = desired_config_map(schedule, frozen)
    assert body["immutable"] is True
    assert body["data"] == {contract.DEFINITION_KEY: frozen.content}
    assert body["metadata"]["name"] == frozen.name
    assert body["metadata"]["ownerReferences"] == [OWNER]
    assert body["metadata"]["labels"] == LABELS


@pytest.mark.parametrize(
    ("spec", "text", "same"),
    [
        (
            {"schedule": "@daily", "priority": "low", "retry": {"limit": 0}, "suspend": True},
            "",
            True,
        ),
        ({"timeZone": "UTC"}, "", False),
        ({"report": {"title": "Another"}}, "", False),
        ({"delivery": {"email": {"to": ["other@example.com"]}}}, "", False),
        ({}, "another", False),
    ],
)
def test_definition_has_another_name_only_where_its_content_is_another(spec, text, same) -> None:
    before = freeze_definition(make_schedule(), "")
    after = freeze_definition(make_schedule(spec), text)
    assert (after.name == before.name) is same
    assert (after.content == before.content) is same


def test_pod_spec_has_the_digest_of_its_definition() -> None:
    definition, cronjob = build()
    digest = hashlib.sha256(definition.content.encode()).hexdigest()
    assert definition.digest == digest
    (entry,) = (e for e in pod_of(cronjob)["containers"][0]["env"] if "value" in e)
    assert entry == {"name": contract.ENV_DEFINITION_SHA256, "value": digest}


def test_another_definition_does_not_share_a_name() -> None:
    """The name holds so much of the digest that nobody finds other content for it."""
    content = freeze_definition(make_schedule(), None).content
    name = names.definition_name("daily", content)
    assert name == f"daily-{hashlib.sha256(content.encode()).hexdigest()[:32]}"
    assert names.is_definition_name_of(name, content)
    assert names.is_definition_name_of(name[:-22], content)  # as earlier versions had it
    assert not names.is_definition_name_of(name, content + " ")
    assert not names.is_definition_name_of("daily-", content)


@pytest.mark.parametrize(
    ("cronjob", "said", "schedule"),
    [
        ("daily", "daily", "daily"),
        ("daily", "weekly", "daily"),  # somebody edited the annotation, or took it out
        ("daily", "", "daily"),
        (names.cronjob_name("a" * 60), "a" * 60, "a" * 60),
        (names.cronjob_name("a" * 60), "b" * 60, names.cronjob_name("a" * 60)),
    ],
)
def test_schedule_of_a_cronjob_is_told_by_its_name(cronjob, said, schedule) -> None:
    assert names.schedule_of_cronjob(cronjob, said) == schedule


def test_definition_does_not_depend_on_the_order_of_keys() -> None:
    spec = {"report": {"parameters": {"a": 1, "b": {"x": 1, "y": "é"}}}}
    turned = {"report": {"parameters": {"b": {"y": "é", "x": 1}, "a": 1}}}
    assert freeze_definition(make_schedule(spec), None) == freeze_definition(
        make_schedule(turned), None
    )


SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
parts = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
object_names = (
    st.lists(parts, min_size=1, max_size=8).map(".".join).filter(lambda name: len(name) <= 253)
)


@PATIENT
@given(object_names, object_names)
def test_names_are_valid_and_distinct(one: str, other: str) -> None:
    found = {}
    for name in {one, other}:
        cronjob = names.cronjob_name(name)
        job = names.job_name(cronjob, SLOT)
        definition = names.definition_name(cronjob, "content")
        assert len(cronjob) <= 52
        assert len(job) <= 63
        for text in (cronjob, job, definition):
            assert SUBDOMAIN.fullmatch(text)
        assert LABEL.fullmatch(cronjob)
        assert LABEL.fullmatch(job)  # the Job controller labels pods with it
        found[cronjob] = name
    assert len(found) == len({one, other})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a" * 52, "a" * 52),
        ("a" * 53, "a" * 41 + "-abe346a725"),
        ("a" * 253, "a" * 41 + "-32859a3ab6"),
    ],
)
def test_long_names_are_shortened_with_a_hash(name: str, expected: str) -> None:
    assert names.cronjob_name(name) == expected
    schedule = make_schedule(name=name)
    cronjob = desired_cronjob(schedule, freeze_definition(schedule, None), SETTINGS, SINCE)
    assert cronjob["metadata"]["name"] == cronjob["metadata"]["labels"][names.LABEL_SCHEDULE]
    assert cronjob["metadata"]["annotations"][names.ANNOTATION_SCHEDULE] == name


@pytest.mark.parametrize(
    ("slot", "number"),
    [
        (datetime(1970, 1, 1, 0, 1, tzinfo=UTC), 1),
        (SLOT, 29_924_940),
        (SLOT + timedelta(seconds=59), 29_924_940),  # @every has seconds; minutes are what counts
        (SLOT.astimezone(timezone(timedelta(hours=1))), 29_924_940),
    ],
)
def test_job_name_is_the_cronjob_controllers(slot: datetime, number: int) -> None:
    assert number == slot.timestamp() // 60  # scheduledTime.Unix() / 60
    assert names.job_name("daily", slot) == f"daily-{number}"


def test_run_id() -> None:
    assert names.run_id("daily", SLOT, 2) == "daily.20261124T050000Z.2"


def test_job_for_slot_is_a_run_of_that_slot() -> None:
    _, cronjob = build()
    live = merged(cronjob, {"metadata": {"uid": "cronjob-1"}})
    body = job_for_slot(live, SLOT)
    assert body["metadata"]["name"] == names.job_name("daily", SLOT)
    assert body["spec"] == cronjob["spec"]["jobTemplate"]["spec"]
    owner = {key: body["metadata"]["ownerReferences"][0][key] for key in ("kind", "name", "uid")}
    assert owner == {"kind": "CronJob", "name": "daily", "uid": "cronjob-1"}
    run = observe_job(
        merged(
            body,
            {
                "metadata": {
                    "uid": "x",
                    "resourceVersion": "1",
                    "creationTimestamp": "2026-11-24T07:00:00Z",
                }
            },
        )
    )
    assert (run.slot, run.manual, run.suspended) == (SLOT, False, True)
    assert run.schedule_uid == UID
    assert (
        names.ANNOTATION_CRONJOB_SLOT
        not in cronjob["spec"]["jobTemplate"]["metadata"]["annotations"]
    )
