"""A live CronJob is compared exactly: a field more counts as much as a field less."""

import copy

import pytest
from factories import make_schedule, merged
from test_schedules_desired import SETTINGS, SINCE, build

from report_operator.domain.schedules.desired import desired_cronjob, freeze_definition
from report_operator.domain.schedules.exact import holds_metadata, is_exact_spec, replacement


def test_equal_quantities_in_other_units_are_equal() -> None:
    schedule = make_schedule({"resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}}})
    definition = freeze_definition(schedule, None)
    desired = desired_cronjob(schedule, definition, SETTINGS, SINCE)
    live = copy.deepcopy(desired["spec"])
    live["jobTemplate"]["metadata"]["creationTimestamp"] = None
    pod = live["jobTemplate"]["spec"]["template"]["spec"]
    pod["containers"][0]["resources"]["limits"] = {"cpu": "500m", "memory": "1Gi"}
    pod["volumes"][2]["emptyDir"]["sizeLimit"] = "262144Ki"
    assert is_exact_spec(live, desired["spec"])
    pod["containers"][0]["resources"]["limits"]["cpu"] = "501m"
    assert not is_exact_spec(live, desired["spec"])


def _add(path, value):
    def change(spec):
        target = spec
        for key in path[:-1]:
            target = target[key]
        if isinstance(target, list):
            target.append(value)
        else:
            target[path[-1]] = value

    return change


POD = ("jobTemplate", "spec", "template", "spec")
FOREIGN = {
    "node selector": _add((*POD, "nodeSelector"), {"a": "b"}),
    "toleration": _add((*POD, "tolerations"), [{"operator": "Exists"}]),
    "host network": _add((*POD, "hostNetwork"), True),
    "service account": _add((*POD, "serviceAccountName"), "admin"),
    "hostPath": _add((*POD, "volumes", 0), {"name": "host", "hostPath": {"path": "/"}}),
    "container": _add((*POD, "containers", 0), {"name": "other", "image": "miner"}),
    "init container": _add((*POD, "initContainers"), [{"name": "a", "image": "b"}]),
    "image": _add((*POD, "containers", 0, "image"), "miner"),
    "environment": _add((*POD, "containers", 0, "env", 0), {"name": "LD_PRELOAD", "value": "x"}),
    "privileged": _add((*POD, "containers", 0, "securityContext", "privileged"), True),
    "limit": _add((*POD, "containers", 0, "resources", "limits", "cpu"), "4"),
    "lifecycle": _add(("jobTemplate", "spec", "ttlSecondsAfterFinished"), 0),
    "gate": _add(("jobTemplate", "spec", "suspend"), False),
    "number": _add(("jobTemplate", "spec", "suspend"), 1),  # True == 1 in Python
    "label": _add(("jobTemplate", "metadata", "labels", "a"), "b"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_changes_are_detected(name: str) -> None:
    _, desired = build()
    live = copy.deepcopy(desired["spec"])
    assert is_exact_spec(live, desired["spec"])
    FOREIGN[name](live)
    assert not is_exact_spec(live, desired["spec"])
    assert not is_exact_spec(desired["spec"], live)


@pytest.mark.parametrize(
    ("live", "desired", "expected"),
    [
        ({"a": None}, {}, True),
        ({"a": {}}, {}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": 1}, {"a": 1.0}, False),
        # Amounts are compared as such nowhere but where the API server has amounts.
        ({"nodeSelector": {"resources": "1"}}, {"nodeSelector": {"resources": "1000m"}}, False),
        ({"nodeSelector": {"sizeLimit": "1"}}, {"nodeSelector": {"sizeLimit": "1000m"}}, False),
        ({"emptyDir": {"sizeLimit": "1Gi"}}, {"emptyDir": {"sizeLimit": "1024Mi"}}, True),
        ({"emptyDir": {"sizeLimit": "1e3"}}, {"emptyDir": {"sizeLimit": "1k"}}, True),
        ({"emptyDir": {"sizeLimit": "many"}}, {"emptyDir": {"sizeLimit": "1k"}}, False),
        (
            {"resources": {"limits": {"cpu": "100u"}}},
            {"resources": {"limits": {"cpu": "0.0001"}}},
            True,
        ),
    ],
)  # fmt: skip
def test_equality_of_edge_cases(live, desired, expected) -> None:
    assert is_exact_spec(live, desired) is expected


def test_metadata_may_say_more_than_ours_but_has_our_owner_alone() -> None:
    _, desired = build()
    ours = desired["metadata"]
    others = merged(ours, {"labels": {"team": "a"}, "annotations": {"b": "c"}, "finalizers": ["x"]})
    assert holds_metadata(others, ours)
    assert not holds_metadata(merged(ours, {"labels": {"reports.adaf.io/tier": "bulk"}}), ours)
    assert not holds_metadata(merged(ours, {"labels": None}), ours)
    second = {**ours["ownerReferences"][0], "uid": "another", "controller": False}
    assert not holds_metadata({**ours, "ownerReferences": [second, *ours["ownerReferences"]]}, ours)


def test_the_replacement_puts_the_whole_spec_right_and_leaves_others_metadata() -> None:
    _, desired = build()
    live = merged(
        desired,
        {"metadata": {"uid": "cronjob-1", "labels": {"team": "a"}, "annotations": None}},
    )
    operations = {operation["path"]: operation for operation in replacement(live, desired)}
    assert operations["/spec"] == {"op": "replace", "path": "/spec", "value": desired["spec"]}
    assert operations["/metadata/uid"]["value"] == "cronjob-1"
    labels = operations["/metadata/labels"]["value"]
    assert labels == {"team": "a", **desired["metadata"]["labels"]}
    assert operations["/metadata/annotations"]["value"] == desired["metadata"]["annotations"]
