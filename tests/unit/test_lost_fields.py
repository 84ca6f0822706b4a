"""Fields that managedFields lists and the object lacks."""

from __future__ import annotations

from typing import Any

import pytest
from factories import schedule_body

from report_operator.adapters.kube.store import Store
from report_operator.api.v1alpha1.lost_fields import describe_lost, refuse_lost_fields
from report_operator.api.v1alpha1.resource import Key, SpecError


def body(fields: dict[str, Any], **entry: Any) -> dict[str, Any]:
    found = schedule_body()
    managed = {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "fieldsV1": fields,
        "manager": "team",
        **entry,
    }
    found["metadata"]["managedFields"] = [managed]
    return found


def spec(**fields: Any) -> dict[str, Any]:
    return {"f:spec": {f"f:{name}": below for name, below in fields.items()}}


@pytest.mark.parametrize(
    ("fields", "entry", "lost"),
    [
        (spec(schedule={}, report={"f:title": {}}), {}, ""),
        (spec(fresh={}), {}, "spec.fresh"),
        (spec(report={"f:fresh": {"f:deeper": {}}}), {}, "spec.report.fresh"),
        (spec(fresh={}), {"apiVersion": "reports.adaf.io/v1beta1"}, "spec.fresh"),
        (spec(fresh={}), {"apiVersion": "another.io/v1"}, ""),
        (spec(fresh={}), {"subresource": "status"}, ""),
        (spec(a={}, b={}, c={}, d={}), {}, "spec.a, spec.b, spec.c and 1 more"),
        ({"f:status": {"f:fresh": {}}, "f:metadata": {"f:labels": {"f:x": {}}}}, {}, ""),
        (
            spec(report={"f:sources": {'k:{"name":"gone"}': {".": {}, "f:fresh": {}}}}), {}, "",
        ),
        (spec(report={"f:sources": {'v:"csv"': {}, "i:0": {"f:fresh": {}}}}), {}, ""),
    ],
)  # fmt: skip
def test_what_is_set_and_not_there(
    fields: dict[str, Any], entry: dict[str, Any], lost: str
) -> None:
    assert describe_lost(body(fields, **entry)) == lost


def test_of_an_item_of_a_list() -> None:
    found = body({})
    name = found["spec"]["report"]["sources"][0]["name"]
    key = f'k:{{"name":"{name}"}}'
    below = {".": {}, "f:name": {}, "f:fresh": {}}
    found["metadata"]["managedFields"][0]["fieldsV1"] = spec(report={"f:sources": {key: below}})
    assert describe_lost(found) == f"spec.report.sources[name={name}].fresh"


def test_the_cache_remembers_them_without_the_managed_fields() -> None:
    store = Store()
    found = body(spec(fresh={}))
    meta = found["metadata"]
    store.observe_schedule(found)
    key = Key(meta["namespace"], meta["name"])
    assert "managedFields" not in store.schedules[key]["metadata"]
    assert store.schedules.lost(key) == "spec.fresh"
    with pytest.raises(SpecError, match=r"spec\.fresh: set, and dropped by the API server"):
        refuse_lost_fields(store.schedules.lost(key))
