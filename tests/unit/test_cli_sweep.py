"""Schedules that the policy on what they name has never looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from admin_cli.client import RefusedError
from admin_cli.sweep import ANNOTATION_CHECKED, ENFORCED_AFTER, enforcement, references, unchecked

NAME = "r-reference-access"
MADE = datetime(2026, 11, 2, 12, tzinfo=UTC)
SPEC: dict[str, Any] = {
    "report": {
        "sources": [
            {"name": "a", "postgres": {"connection": {"secretRef": {"name": "db"}}}},
            {"name": "b", "inline": {"rows": [{"secretRef": "no reference"}]}},
        ],
        "template": {"configMapRef": {"name": "pages", "key": "k"}},
    },
    "delivery": {"email": {"smtp": {"secretRef": {"name": "smtp"}}}},
}


def stamp(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def objects(**changes: Any) -> list[dict[str, Any]]:
    policy = {"kind": "ValidatingAdmissionPolicy", "uid": "aaaa-1", "at": MADE, "spec": {}}
    binding = {
        "kind": "ValidatingAdmissionPolicyBinding", "uid": "bbbb-2",
        "at": MADE + timedelta(hours=1), "spec": {"validationActions": ["Deny"]}, **changes,
    }  # fmt: skip
    return [
        {
            "kind": found["kind"],
            "metadata": {
                "name": NAME, "uid": found["uid"], "creationTimestamp": stamp(found["at"]),
            },
            "spec": found["spec"],
        }
        for found in (policy, binding)
    ]  # fmt: skip


def schedule(created: datetime, mark: str = "", spec: Any = SPEC) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "namespace": "team", "name": "daily", "creationTimestamp": stamp(created)
    }  # fmt: skip
    if mark:
        meta["annotations"] = {ANNOTATION_CHECKED: mark}
    return {"metadata": meta, "spec": spec}


def test_references_at_any_depth() -> None:
    assert sorted(references(SPEC)) == ["configmap/pages", "secret/db", "secret/smtp"]
    certificates = {"report": {"sources": [{"http": {"caSecretRef": {"name": "ca"}}}]}}
    assert list(references(certificates)) == ["secret/ca"]


def test_what_is_older_than_either_half_of_the_policy() -> None:
    enforced = enforcement(NAME, objects())
    assert enforced.since == MADE + timedelta(hours=1) + ENFORCED_AFTER
    (found,) = unchecked([schedule(MADE + timedelta(minutes=59))], enforced)
    assert (found.namespace, found.name) == ("team", "daily")
    assert found.references == ("configmap/pages", "secret/db", "secret/smtp")
    # The moment at which the API server begins to ask is not known to the second.
    assert unchecked([schedule(enforced.since)], enforced)
    assert not unchecked([schedule(enforced.since + timedelta(seconds=1))], enforced)


def test_the_mark_of_this_policy_takes_it_off_and_no_other() -> None:
    enforced = enforcement(NAME, objects())
    assert not unchecked([schedule(MADE, enforced.mark)], enforced)
    assert unchecked([schedule(MADE, "yes")], enforced)
    again = enforcement(NAME, objects(uid="cccc-3"))  # bound anew: nothing asked in between
    assert unchecked([schedule(MADE, enforced.mark)], again)


def test_what_names_nothing_is_not_told() -> None:
    nothing = {"report": {"sources": [], "template": {"builtin": "x"}}}
    assert not unchecked([schedule(MADE, spec=nothing)], enforcement(NAME, objects()))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "there is no r-reference-access"),
        (objects()[:1], "there is no r-reference-access"),
        (objects(spec={"validationActions": ["Audit"]}), "does not deny"),
    ],
)
def test_a_policy_that_refuses_nothing_is_told(found: list[Any], words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        enforcement(NAME, found)


def test_every_reference_of_a_source_is_found() -> None:
    http = {
        "auth": {"oauth2": {"secretRef": {"name": "client"}}},
        "headers": [{"name": "X-A", "secretRef": {"name": "header"}}],
        "caSecretRef": {"name": "authority"},
    }
    found = {"secret/client", "secret/header", "secret/authority", "secret/store"}
    spec = {"sources": [{"http": http}, {"object": {"secretRef": {"name": "store"}}}]}
    assert set(references(spec)) == found
