"""ReportSchedules and ReportBackfills that a careless or hostile author applies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hack.testbed.namespace import SCHEDULES, Body, report
from tests.attacks.vectors import Vector, Who

PLACE = "PLACE-of-the-nesting"
DEPTHS = (70, 130, 300, 400, 900, 1100, 3000)
_SCHEDULE = {
    "reportType": "attack",
    "schedule": "0 0 1 1 *",
    "timeZone": "Etc/UTC",
    "retry": {"limit": 0},
}
_CHART = {"name": "c", "source": "facts", "spec": {"mark": "point"}}
_POSTGRES = {
    "name": "db",
    "postgres": {"connection": {"secretRef": {"name": "report-db"}}, "query": "SELECT 1"},
}


def schedule(name: str, **spec: Any) -> Body:
    return {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportSchedule",
        "metadata": {"name": name},
        "spec": {**_SCHEDULE, "report": report(), **spec},
    }


def _of_report(**changes: Any) -> Body:
    return {"report": report(**changes)}


def _cron(*texts: str) -> dict[str, Body]:
    return {f"cron-{text[:60]}": {"schedule": text, "suspend": True} for text in texts}


def _duration(field: str, *texts: str) -> dict[str, Body]:
    return {f"{field}-{text[:30]}": {field: text} for text in texts}


def _nested(kind: str, depth: int) -> str:
    opening, closing = ('{"a":', "}") if kind == "object" else ("[", "]")
    return opening * depth + "1" + closing * depth


_LONG = "x" * 200_000
_DURATIONS = (
    "0s",
    "-1s",
    "1e9s",
    "999999999999s",
    "1d" * 16,
    "٣m",
    "1ｍ",
    "P1D",
    "",
    " 30m",
    "1h1h",
)

_SPECS: Mapping[str, Body] = {
    **_cron(
        "",
        "* * * *",
        "* * * * * *",
        "@every 1ns",
        "@every 0s",
        "@every -1h",
        "@every 1s",
        "@every 876000h",
        "@every 99999999999999999999h",
        "@every 1h1h1h",
        "@every 0.001s",
        "@reboot",
        "@midnight",
        "CRON_TZ=Mars/X 0 0 * * *",
        "TZ=UTC 0 0 * * *",
        "0-59/0 * * * *",
        "*/0 * * * *",
        "0-99999999999 * * * *",
        "59-0 * * * *",
        "*/99999999 * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 29 2 MON",
        "0 0 * * 7",
        "0 0 * * 0-7",
        "0 0 ? * ?",
        "0 0 L * *",
        "0 0 1W * *",
        "0 0 * * 5#3",
        "H H * * *",
        "٠ 0 * * *",
        "0 0 * JAN-DEC SUN-SAT",
        "0 0 1-31/1 * *",
        "0\t0 * * *",
        "0 0\n* * *",
        "\x000 0 * * *",
        ",".join(["0"] * 120) + " * * * *",
        "*,*,*,*,* *,* *,* *,* *,*",
        "0" * 100 + " 0 * * *",
        "0-5-9 * * * *",
        "1/2/3 * * * *",
        "%s %s %s %s %s",
    ),
    **{
        f"zone-{zone[:40]!r}": {"timeZone": zone}
        for zone in (
            "",
            "Local",
            "local",
            "../../../etc/passwd",
            "/etc/passwd",
            "Europe/../Europe/Madrid",
            "posix/Europe/Madrid",
            "right/Europe/Madrid",
            "EST5EDT,M3.2.0,M11.1.0",
            "UTC+99",
            "europe/madrid",
            "Europe/Madrid\x00",
            "Ｅurope/Madrid",
            "tzdata.zi",
            "zone.tab",
            ".",
            "x" * 64,
            "posixrules",
            "leapseconds",
        )
    },
    **_duration("timeout", *_DURATIONS),
    **_duration("lateAfter", *_DURATIONS),
    "starts-within": {"missedRuns": {"startWithin": "9999999s", "policy": "RunAll"}},
    "run-all-each-minute": {
        "missedRuns": {"startWithin": "7d", "policy": "RunAll"},
        "schedule": "* * * * *",
        "suspend": True,
    },
    "retry-limit": {"retry": {"limit": 10**12}},
    "retry-negative": {"retry": {"limit": -1}},
    "retry-float": {"retry": {"limit": 0.5}},
    "priority-critical": {"priority": "system-node-critical"},
    "tier-unknown": {"tier": "root"},
    "retention-long": {"output": {"retention": "9999d"}},
    "type-list": {"reportType": ["a"]},
    "type-unicode": {"reportType": "ｒeport"},
    "type-path": {"reportType": "../../x"},
    "type-long": {"reportType": "x" * 64},
    "memory-huge": {"resources": {"limits": {"memory": "9" * 40}}},
    "memory-exponent": {"resources": {"limits": {"memory": "1e999"}}},
    "memory-exabytes": {"resources": {"limits": {"memory": "9999999Ei"}}},
    "memory-negative": {"resources": {"limits": {"memory": "-1Gi"}}},
    "memory-milli": {"resources": {"limits": {"memory": "1m"}}},
    "memory-text": {"resources": {"limits": {"memory": "NaN"}}},
    "cpu-long": {"resources": {"limits": {"cpu": "0." + "0" * 400 + "1"}}},
    "cpu-above-limit": {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "900"}}},
    "resource-unknown": {"resources": {"limits": {"nvidia.com/gpu": "8"}}},
    "resource-claims": {"resources": {"claims": [{"name": "x"}]}},
    "toleration-all": {"tolerations": [{"operator": "Exists"}]},
    "toleration-invalid": {"tolerations": [{"key": "a b", "operator": "Exists"}]},
    "toleration-seconds": {
        "tolerations": [
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10**18}
        ]
    },
    "node-selector-key": {"nodeSelector": {"a b": "c"}},
    "node-selector-value": {"nodeSelector": {"a": "x" * 64}},
    "node-selector-many": {"nodeSelector": {f"k{n}": "v" for n in range(21)}},
    "pod-template": {"podTemplate": {"spec": {"hostNetwork": True}}},
    "image": {"image": "evil.example/x"},
    "service-account": {"serviceAccountName": "cluster-admin"},
    "volumes": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "environment": {"env": [{"name": "LD_PRELOAD", "value": "/tmp/x.so"}]},
    "security-context": {"securityContext": {"privileged": True}},
    "title-long": _of_report(title="x" * 201),
    "title-break": _of_report(title="a\r\nBcc: x@example.com"),
    "title-template": _of_report(title="{{ ''.__class__ }}"),
    "title-bidi": _of_report(title="\u202egnp.exe"),
    "title-null": _of_report(title="a\x00b"),
    "title-surrogate": _of_report(title="\ud800"),
    "parameter-long": _of_report(parameters={"x": _LONG}),
    "parameter-megabytes": _of_report(parameters={"x": "x" * 1_400_000}),
    "parameter-number": _of_report(parameters={"x": 10**15}),
    "parameter-float": _of_report(parameters={"x": 1e308}),
    "parameter-reserved": _of_report(parameters={"report_date": "2020-01-01"}),
    "parameter-many": _of_report(parameters={f"p{n}": n for n in range(101)}),
    "parameter-key-empty": _of_report(parameters={"": 1}),
    "parameter-key-unicode": _of_report(parameters={"ａ\u202e": 1}),
    "parameter-null": _of_report(parameters={"x": None, "y": [None]}),
    "parameter-dunder": _of_report(parameters={"__class__": 1}),
    "parameter-wide": _of_report(parameters={"x": list(range(100_000))}),
    "rows-wide": _of_report(
        sources=[{"name": "facts", "inline": {"rows": [{f"c{n}": n for n in range(20_000)}]}}]
    ),
    "rows-many": _of_report(
        sources=[{"name": "facts", "inline": {"rows": [{"a": n} for n in range(1001)]}}]
    ),
    "rows-uneven": _of_report(
        sources=[{"name": "facts", "inline": {"rows": [{"a": 1}, {"b": [1, {"c": 2}]}]}}]
    ),
    "rows-empty": _of_report(sources=[{"name": "facts", "inline": {"rows": []}}]),
    "rows-column-long": _of_report(sources=[{"name": "facts", "inline": {"rows": [{_LONG: 1}]}}]),
    "sources-many": _of_report(
        sources=[{"name": f"s{n}", "inline": {"rows": [{"a": 1}]}} for n in range(51)]
    ),
    "sources-twice": _of_report(
        sources=[{"name": "a", "inline": {"rows": [{"a": 1}]}} for _ in range(2)]
    ),
    "source-name": _of_report(sources=[{"name": "__class__", "inline": {"rows": [{"a": 1}]}}]),
    "source-both": _of_report(sources=[{**_POSTGRES, "inline": {"rows": []}}]),
    "query-long": _of_report(
        sources=[
            {
                "name": "db",
                "postgres": {
                    "connection": {"secretRef": {"name": "report-db"}},
                    "query": "x" * 70_000,
                },
            }
        ]
    ),
    "query-rows": _of_report(
        sources=[
            {
                "name": "db",
                "postgres": {
                    "connection": {"secretRef": {"name": "report-db"}},
                    "query": "SELECT 1",
                    "maxRows": 10**18,
                },
            }
        ]
    ),
    "charts-many": _of_report(charts=[{**_CHART, "name": f"c{n}"} for n in range(51)]),
    "chart-source": _of_report(charts=[{**_CHART, "source": "nothing"}]),
    "chart-data": _of_report(charts=[{**_CHART, "spec": {"data": {"url": "file:///etc/passwd"}}}]),
    "chart-long": _of_report(charts=[{**_CHART, "spec": {"mark": _LONG}}]),
    "chart-list": _of_report(charts=[{**_CHART, "spec": [1]}]),
    "chart-wide": _of_report(
        charts=[{**_CHART, "spec": {"layer": [{"mark": "point"} for _ in range(20_000)]}}]
    ),
    "formats-none": _of_report(formats=[]),
    "formats-unknown": _of_report(formats=["exe"]),
    "formats-twice": _of_report(formats=["pdf", "pdf"]),
    "template-both": _of_report(
        template={"builtin": "executive_dashboard", "configMapRef": {"name": "x"}}
    ),
    "template-absent": _of_report(template={"configMapRef": {"name": "absent"}}),
    "template-key-path": _of_report(
        template={"configMapRef": {"name": "x", "key": "../../definition.json"}}
    ),
    "template-other-namespace": _of_report(
        template={"configMapRef": {"name": "x", "namespace": "kube-system"}}
    ),
    "template-name-path": _of_report(template={"configMapRef": {"name": "../secrets/x"}}),
    "recipients-many": {
        "delivery": {
            "email": {
                "to": [f"a{n}@example.com" for n in range(51)],
                "smtp": {"secretRef": {"name": "report-smtp"}},
            }
        }
    },
    "subject-bomb": {
        "delivery": {
            "email": {
                "to": ["a@example.com"],
                "attach": ["csv"],
                "subject": "{% if a %}" * 25 + "{% endif %}" * 25,
                "smtp": {"secretRef": {"name": "report-smtp"}},
            }
        }
    },
    "spec-number": {"report": 1},
    "spec-null": {"report": None},
    "unknown-field": {"frobnicate": {"x": [1, 2, 3]}},
}

SPECS = [
    Vector("schedule-spec", name, Who.AUTHOR, schedule(f"cr-{number}", **spec))
    for number, (name, spec) in enumerate(_SPECS.items())
]

_NAMES = {
    "name-long": "x" * 253,
    "name-dots": ".".join(["a"] * 120),
    "name-like-a-job": "cr-0-29400000",
    "name-number": "0",
    "name-upper": "UPPER",
    "name-path": "../x",
    "name-empty": "",
    "name-unicode": "ｘ",
    "name-traversal": "..",
}
NAMES = [Vector("schedule-spec", name, Who.AUTHOR, schedule(text)) for name, text in _NAMES.items()]

_PLACES: Mapping[str, Body] = {
    "chart": _of_report(charts=[{**_CHART, "spec": {"mark": "point", "x": PLACE}}]),
    "parameters": _of_report(parameters={"x": PLACE}),
    "rows": _of_report(sources=[{"name": "facts", "inline": {"rows": [{"a": PLACE}]}}]),
}
# Body as text: what is nested deeper than a thousand levels no encoder of Python's writes.
DEEP = [
    Vector(
        "schedule-depth",
        f"{place}-{kind}-{depth}",
        Who.AUTHOR,
        (
            f"deep-{place}-{kind}-{depth}",
            json.dumps(schedule(f"deep-{place}-{kind}-{depth}", **spec)).replace(
                f'"{PLACE}"', _nested(kind, depth)
            ),
        ),
    )
    for place, spec in _PLACES.items()
    for kind in ("object", "list")
    for depth in (DEPTHS if (place, kind) == ("chart", "object") else (900,))
]


def backfill(name: str, **spec: Any) -> Body:
    return {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": "ReportBackfill",
        "metadata": {"name": name},
        "spec": {"startDate": "2026-01-01", "endDate": "2026-01-02", "dryRun": True, **spec},
    }


_EXPRESSION = {"key": "a", "operator": "In", "values": ["b"]}
_BACKFILLS: Mapping[str, Body] = {
    "no-choice": {},
    "every-and-types": {"everySchedule": True, "reportTypes": ["attack"]},
    "range-long": {"everySchedule": True, "startDate": "2000-01-01", "endDate": "2199-12-31"},
    "range-reversed": {"everySchedule": True, "startDate": "2026-02-01"},
    "day-none": {"everySchedule": True, "startDate": "2026-02-30"},
    "day-far": {"everySchedule": True, "startDate": "9999-12-31", "endDate": "9999-12-31"},
    "day-zero": {"everySchedule": True, "startDate": "0000-00-00"},
    "day-unicode": {"everySchedule": True, "startDate": "２０２６-01-01"},
    "day-number": {"everySchedule": True, "startDate": 20260101},
    "concurrent": {"everySchedule": True, "maxConcurrent": 10**9},
    "concurrent-negative": {"everySchedule": True, "maxConcurrent": -1},
    "types-many": {"reportTypes": [f"t{n}" for n in range(5000)]},
    "types-long": {"reportTypes": ["x" * 100_000]},
    "selector-many": {
        "selector": {"matchExpressions": [{**_EXPRESSION, "key": f"k{n}"} for n in range(5000)]}
    },
    "selector-values": {
        "selector": {
            "matchExpressions": [{**_EXPRESSION, "values": [f"v{n}" for n in range(20_000)]}]
        }
    },
    "selector-regexp": {"selector": {"matchLabels": {"a": "(a+)+$"}}},
    "selector-empty": {"selector": {}},
    "reprocess": {"everySchedule": True, "reprocess": "everything"},
    "unknown-field": {"everySchedule": True, "namespace": "kube-system"},
}
BACKFILLS = [
    Vector("backfill-spec", name, Who.AUTHOR, backfill(f"bf-{number}", **spec))
    for number, (name, spec) in enumerate(_BACKFILLS.items())
]

PATHS = {"ReportSchedule": "reportschedules", "ReportBackfill": "reportbackfills"}


def path_of(kind: str, namespace: str, *rest: str) -> str:
    return "/".join([SCHEDULES, "namespaces", namespace, PATHS[kind], *rest])
