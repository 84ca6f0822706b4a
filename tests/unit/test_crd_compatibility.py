"""The CRDs of today take every object that those of the chart before take.

After an upgrade objects of before are under the CRDs of today, and so is an operator of before: for
a while, or for long after a rollback that keeps the CRDs. So no field or value is taken away, none
becomes required, and a new field has no default in the schema: an older operator would meet it in
every object, and refuse what it does not know.
"""

from __future__ import annotations

import copy
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from report_operator.crd.definitions import RESOURCES, CustomResource
from report_operator.crd.generator import schema_of

Schema = dict[str, Any]
DATA = Path(__file__).resolve().parents[1] / "data" / "charts"
LOWER_BOUNDS, UPPER_BOUNDS = (
    ("minimum", "minLength", "minItems"),
    ("maximum", "maxLength", "maxItems"),
)


def schemas_before() -> dict[str, Schema]:
    """By plural, of the chart in the archive."""
    (archive,) = DATA.glob("*.tgz")
    found: dict[str, Schema] = {}
    with tarfile.open(archive) as packed:
        for name in packed.getnames():
            if "/files/crds/" in name and (content := packed.extractfile(name)):
                body = yaml.safe_load(content.read())
                (version,) = body["spec"]["versions"]
                found[body["spec"]["names"]["plural"]] = version["schema"]["openAPIV3Schema"]
    return found


def breaks(before: Schema, now: Schema, path: str) -> Iterator[str]:
    """What of `now` refuses or drops what `before` takes, or meets an older operator unasked."""
    if before.get("type") != now.get("type"):
        yield f"{path} is {now.get('type')}, it was {before.get('type')}"
    yield from (
        f"{path} is not {value} any more"
        for value in before.get("enum", ())
        if value not in now.get("enum", (value,))
    )
    if "enum" in now and "enum" not in before:
        yield f"{path} takes less than any text"
    for keyword in LOWER_BOUNDS:
        if now.get(keyword, 0) > before.get(keyword, 0):
            yield f"{path}: {keyword} was raised"
    for keyword in UPPER_BOUNDS:
        most = float("inf")
        if now.get(keyword, most) < before.get(keyword, most):
            yield f"{path}: {keyword} was lowered"
    for name in set(now.get("required", ())) - set(before.get("required", ())):
        if name in before.get("properties", {}) or path:
            yield f"{path}.{name} is required now"
    there, known = now.get("properties", {}), before.get("properties", {})
    for name, schema in known.items():
        if name in there:
            yield from breaks(schema, there[name], f"{path}.{name}")
        else:
            yield f"{path}.{name} is gone"
    for name in there.keys() - known.keys():
        if "default" in there[name]:
            yield f"{path}.{name} is new and has a default in the schema"
    for keyword in ("items", "additionalProperties"):
        if isinstance(before.get(keyword), dict):
            yield from breaks(before[keyword], now.get(keyword) or {}, f"{path}[]")


@pytest.mark.parametrize("of", RESOURCES, ids=lambda of: of.plural)
def test_the_crd_of_today_takes_what_that_of_the_chart_before_takes(of: CustomResource) -> None:
    assert list(breaks(schemas_before()[of.plural], schema_of(of), "")) == []


def test_what_breaks_is_found() -> None:
    (of, _) = RESOURCES
    before, now = schema_of(of), copy.deepcopy(schema_of(of))
    spec = now["properties"]["spec"]
    del spec["properties"]["calendar"]
    spec["required"].append("tier")
    spec["properties"]["tier"]["enum"].remove("bulk")
    spec["properties"]["fresh"] = {"type": "string", "default": "x"}
    spec["properties"]["suspend"]["type"] = "string"
    spec["properties"]["report"]["properties"]["title"]["maxLength"] = 3
    assert sorted(breaks(before, now, "")) == [
        ".spec.calendar is gone",
        ".spec.fresh is new and has a default in the schema",
        ".spec.report.title: maxLength was lowered",
        ".spec.suspend is string, it was boolean",
        ".spec.tier is not bulk any more",
        ".spec.tier is required now",
    ]
