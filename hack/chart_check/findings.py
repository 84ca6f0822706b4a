"""What the checkers find, and the explanations: pure functions over their output."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

GOOD = 10  # kube-score's grade for a check that passed


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    tool: str
    check: str
    object: str  # Kind/name
    words: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a finding stays; `objects` are shell patterns of Kind/name."""

    tool: str
    check: str
    objects: tuple[str, ...]
    why: str

    def covers(self, finding: Finding) -> bool:
        return (self.tool, self.check) == (finding.tool, finding.check) and any(
            fnmatchcase(finding.object, pattern) for pattern in self.objects
        )


def explanations(data: list[dict[str, Any]]) -> list[Explanation]:
    """Of the file's content. Raises ValueError for one without a reason."""
    found = [
        Explanation(item["tool"], item["check"], tuple(item["objects"]), item["why"].strip())
        for item in data
    ]
    if empty := [item.check for item in found if len(item.why) < 20 or not item.objects]:
        raise ValueError(f"no reason, or no object: {', '.join(empty)}")
    return found


def kube_score(output: str) -> list[Finding]:
    """Of `kube-score score -o json`."""
    return [
        Finding(
            "kube-score",
            check["check"]["id"],
            _name(item["type_meta"]["kind"], item["object_meta"]["name"]),
            "; ".join(comment["summary"] for comment in check["comments"] or ())
            or check["check"]["name"],
        )
        for item in json.loads(output)
        for check in item["checks"]
        if not check["skipped"] and check["grade"] < GOOD
    ]


def checkov(output: str) -> list[Finding]:
    """Of `checkov -o json`; without findings it writes a summary alone."""
    results = json.loads(output).get("results", {})
    return [
        Finding(
            "checkov",
            item["check_id"],
            _name(item["resource"].split(".")[0], item["resource"].split(".", 2)[-1]),
            item["check_name"],
        )
        for item in results.get("failed_checks", ())
    ]


def kubeconform(output: str) -> list[Finding]:
    """Of `kubeconform -output json`."""
    return [
        Finding(
            "kubeconform", item["status"], _name(item["kind"], item["name"]), item.get("msg", "")
        )
        for item in json.loads(output).get("resources", ())
        if item["status"] != "statusValid"
    ]


def _name(kind: str, name: str) -> str:
    return f"{kind}/{name}"


def verdict(
    findings: Iterable[Finding], explained: Iterable[Explanation]
) -> tuple[list[Finding], list[Explanation]]:
    """The findings that nothing explains, and the patterns that explain nothing any more."""
    findings, explained = sorted(set(findings)), list(explained)
    new = [one for one in findings if not any(item.covers(one) for item in explained)]
    stale = [
        Explanation(item.tool, item.check, (pattern,), item.why)
        for item in explained
        for pattern in item.objects
        if not any(
            Explanation(item.tool, item.check, (pattern,), item.why).covers(one) for one in findings
        )
    ]
    return new, stale
