"""What the operator owns is exactly as it means it, whoever wrote what into it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.testbed.namespace import BATCH, CORE, MERGE, Namespace, report
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain import names
from tests.support.proxy import Proxy

ROOT = Path(__file__).resolve().parents[3]
CRD = ROOT / "crds" / "reports.adaf.io_reportschedules.yaml"
SAMPLES = ROOT / "tests" / "data" / "security"
JSON_PATCH = "application/json-patch+json"
LONG = 180.0
Body = dict[str, Any]

DATABASE = {"connection": {"secretRef": {"name": "report-db"}}, "query": "SELECT 1"}
CACHE = {"ttl": "1h"}
CHART = {"name": "c", "source": "facts", "spec": {"mark": "bar"}}
EMAIL = {"to": ["a@example.com"], "smtp": {"secretRef": {"name": "report-smtp"}}, "attach": ["csv"]}
CREDENTIALS = {"credentials": {"secretRef": {"name": "report-portal"}}}
PLACES: dict[str, Body] = {
    "s3": {"s3": {"bucket": "reports", "secretRef": {"name": "report-bucket"}}},
    "sftp": {"sftp": {"secretRef": {"name": "report-portal"}}},
    "webdav": {"webdav": {"url": "https://files.example.com"}},
    "httpPut": {"httpPut": {"url": "https://files.example.com"}},
}
TEMPLATE = {"configMapRef": {"name": "texts"}}
TWO = [{"name": name, "inline": {"rows": [{"a": 1}]}} for name in ("facts", "more")]
WAIT_FOR = {"source": "facts", "until": "facts | length > 0"}
TOLERATION = {"key": "a", "operator": "Equal", "effect": "NoExecute"}


def source(**postgres: Any) -> Body:
    return {"report": report(sources=[{"name": "facts", "postgres": {**DATABASE, **postgres}}])}


def inline(**changes: Any) -> Body:
    rows = {"rows": [{"a": 1, "b": 2}], **changes}
    return {"report": report(sources=[{"name": "facts", "inline": rows}])}


def http(**changes: Any) -> Body:
    found = {"url": "https://api.example.com/rows", **changes}
    return {"report": report(sources=[{"name": "facts", "http": found}])}


def stored(**changes: Any) -> Body:
    keys = {"bucket": "a", "key": "a.csv", "format": "csv", "secretRef": {"name": "report-s3"}}
    found = {"endpoint": "https://s3.example.com", **keys, **changes}
    return {"report": report(sources=[{"name": "facts", "object": found}])}


FEED = {"secretRef": {"name": "report-feed"}}


def sql(**changes: Any) -> Body:
    return {"report": report(sources=[{"name": "facts", "sql": {**DATABASE, **changes}}])}


def query(**changes: Any) -> Body:
    rows = {"name": "facts", "inline": {"rows": [{"a": 1}]}}
    total = {"name": "total", "query": {"sql": "SELECT sum(a) AS a FROM facts", **changes}}
    return {"report": report(sources=[rows, total])}


def email(**changes: Any) -> Body:
    found = {name: value for name, value in {**EMAIL, **changes}.items() if value}
    return {"delivery": {"email": found}, "report": report(formats=["pdf", "html", "csv"])}


def upload(kind: str, **place: Any) -> Body:
    """`place` has what is set beside the least that this kind of place needs."""
    least = {name: dict(value) for name, value in PLACES[kind].items()}
    found = {"name": "portal", **least, **place}
    return {"delivery": {"upload": {"to": [found]}}, "report": report(formats=["pdf", "csv"])}


def check(**given: Any) -> Body:
    return {"report": report(checks=[{"name": "c", "source": "facts", **given}])}


def declared(**given: Any) -> Body:
    return {"report": report(declaredParameters=[{"name": "a", "default": "x", **given}])}


AGAINST = {"column": "a", "against": {"source": "facts", "column": "a"}}


def toleration(**changes: Any) -> Body:
    found = {k: v for k, v in {**TOLERATION, **changes}.items() if v is not None}
    return {"tolerations": [found]}


# Every optional leaf of the CRD: a spec that has it, and the same without it.
FIRST_OF_FEBRUARY = "0 0 1 2 *"  # a calendar that leaves out every slot is refused


def calendar(**spec: Any) -> Body:
    return {"schedule": FIRST_OF_FEBRUARY, "calendar": spec}


LEAVES: dict[str, tuple[Body, Body]] = {
    "tier": ({"tier": "critical"}, {}),
    "timeZone": ({"timeZone": "Asia/Tokyo"}, {"timeZone": None}),
    "calendar": (calendar(country="DE"), {"schedule": FIRST_OF_FEBRUARY}),
    "calendar.country": (calendar(country="DE"), calendar(market="XNYS")),
    "calendar.market": (calendar(market="XNYS"), calendar(country="DE")),
    "calendar.subdivision": (calendar(country="DE", subdivision="BY"), calendar(country="DE")),
    "calendar.configMapRef": (
        calendar(configMapRef={"name": "texts", "key": "days"}),
        calendar(country="DE"),
    ),
    "calendar.configMapRef.key": (
        calendar(configMapRef={"name": "texts", "key": "days"}),
        calendar(configMapRef={"name": "texts"}),
    ),
    "calendar.weekends": (calendar(country="DE", weekends=True), calendar(country="DE")),
    "calendar.onHoliday": (calendar(country="DE", onHoliday="Run"), calendar(country="DE")),
    "suspend": ({"suspend": True}, {}),
    "priority": ({"priority": "high"}, {}),
    "queueName": ({"queueName": "reports"}, {}),
    "lateAfter": ({"lateAfter": "1h"}, {}),
    "missedRuns.startWithin": ({"missedRuns": {"startWithin": "5h"}}, {}),
    "missedRuns.policy": ({"missedRuns": {"policy": "Skip"}}, {}),
    "concurrencyPolicy": ({"concurrencyPolicy": "Replace"}, {}),
    "timeout": ({"timeout": "7m"}, {}),
    "retry.limit": ({"retry": {"limit": 7}}, {"retry": None}),
    "report.parameters": ({"report": report(parameters={"a": [1, {"b": None}]})}, {}),
    "report.sources.postgres.timeout": (source(timeout="1m"), source()),
    "report.sources.postgres.maxRows": (source(maxRows=7), source()),
    "report.sources.cache": (
        {"report": report(sources=[{"name": "facts", "cache": CACHE, "postgres": DATABASE}])},
        source(),
    ),
    "report.sources.inline.columns": (inline(columns=["b", "a"]), inline()),
    **{
        f"report.sources.http.{name}": (http(**{**base, name: value}), http(**base))
        for name, value, base in (
            ("method", "POST", {}), ("query", {"a": "b"}, {}), ("body", "{}", {"method": "POST"}),
            ("auth", {"bearer": FEED}, {}), ("headers", [{"name": "X-A", "value": "b"}], {}),
            ("caSecretRef", {"name": "report-ca"}, {}), ("format", "ndjson", {}),
            ("rows", "data", {}), ("separator", ";", {"format": "csv"}),
            ("columns", [{"name": "a"}], {}), ("paging", {"link": {}}, {}), ("timeout", "9m", {}),
            ("maxRows", 7, {}), ("maxBytes", 4096, {}),
        )
    },
    **{
        f"report.sources.http.auth.{name}": (http(auth=value), http(auth=before))
        for name, value, before in (
            ("bearer", {"bearer": FEED}, {"basic": FEED}),
            ("basic", {"basic": FEED}, {"bearer": FEED}),
            ("oauth2", {"oauth2": {**FEED, "tokenUrl": "https://id.example.com/"}},
             {"bearer": FEED}),
            ("apiKey.header", {"apiKey": {**FEED, "header": "X-Key"}},
             {"apiKey": {**FEED, "parameter": "key"}}),
            ("apiKey.parameter", {"apiKey": {**FEED, "parameter": "key"}},
             {"apiKey": {**FEED, "header": "X-Key"}}),
            ("oauth2.scope",
             {"oauth2": {**FEED, "tokenUrl": "https://id.example.com/", "scope": "a"}},
             {"oauth2": {**FEED, "tokenUrl": "https://id.example.com/"}}),
        )
    },
    **{
        f"report.sources.http.headers.{name}": (
            http(headers=[{"name": "X-A", **value}]), http(headers=[{"name": "X-A", **before}]),
        )
        for name, value, before in (
            ("value", {"value": "b"}, FEED), ("secretRef", FEED, {"value": "b"}),
            ("key", {**FEED, "key": "b"}, FEED),
        )
    },
    **{
        f"report.sources.http.paging.{name}": (http(paging=value), http(paging=before))
        for name, value, before in (
            ("link", {"link": {}}, {"page": {}}),
            ("cursor", {"cursor": {"parameter": "c", "next": "n"}}, {"page": {}}),
            ("page.parameter", {"page": {"parameter": "p"}}, {"page": {}}),
            ("page.first", {"page": {"first": 0}}, {"page": {}}),
            ("offset", {"offset": {"parameter": "p"}}, {"page": {}}),
            ("total", {"page": {}, "total": "t"}, {"page": {}}),
            ("maxPages", {"page": {}, "maxPages": 7}, {"page": {}}),
        )
    },
    "report.sources.http.columns.type": (
        http(columns=[{"name": "a", "type": "date"}]), http(columns=[{"name": "a"}]),
    ),
    **{
        f"report.sources.object.{name}": (stored(**{name: value}), stored())
        for name, value in (
            ("region", "eu-west-1"), ("separator", ";"), ("columns", [{"name": "a"}]),
            ("timeout", "9m"), ("maxObjects", 7), ("maxRows", 7), ("maxBytes", 4096),
        )
    },
    "report.sources.object.columns.type": (
        stored(columns=[{"name": "a", "type": "date"}]), stored(columns=[{"name": "a"}]),
    ),
    "report.sources.sql.timeout": (sql(timeout="1m"), sql()),
    "report.sources.sql.maxRows": (sql(maxRows=7), sql()),
    "report.sources.query.timeout": (query(timeout="1m"), query()),
    "report.sources.query.maxRows": (query(maxRows=7), query()),
    "report.charts.title": (
        {"report": report(charts=[{**CHART, "title": "A chart"}])},
        {"report": report(charts=[CHART])},
    ),
    "report.template.builtin": (
        {"report": report(template={"builtin": "portfolio_performance"})},
        {"report": report(template=TEMPLATE)},
    ),
    "report.template.configMapRef.key": (
        {"report": report(template={"configMapRef": {"name": "texts", "key": "other"}})},
        {"report": report(template=TEMPLATE)},
    ),
    "report.formats": (
        {"report": report(formats=["csv", "html"])},
        {"report": report(formats=None)},
    ),
    **{
        f"report.formatOptions.csv.{name}": (
            {"report": report(formats=["csv"], formatOptions={"csv": {name: value}})},
            {"report": report(formats=["csv"], formatOptions={"csv": {}})},
        )
        for name, value in {
            "separator": ";", "quoting": "all", "byteOrderMark": False,
            "lineEnd": "lf", "dateFormat": "DD.MM.YYYY", "timestampFormat": "iso8601",
            "zoneOffset": "whenAmbiguous", "booleanFormat": "yes/no", "nullText": "none",
            "formulaGuard": False, "sources": ["facts"],
        }.items()
    },
    "report.formatOptions.csv.decimalMark": (
        {"report": report(formats=["csv"],
                          formatOptions={"csv": {"separator": ";", "decimalMark": ","}})},
        {"report": report(formats=["csv"], formatOptions={"csv": {"separator": ";"}})},
    ),
    **{
        f"report.formatOptions.{name}.{field}": (
            {"report": report(formats=[name], formatOptions={name: {field: value}})},
            {"report": report(formats=[name])},
        )
        for name, field, value in (
            ("xlsx", "sources", ["facts"]), ("json", "sources", ["facts"]),
            ("parquet", "sources", ["facts"]), ("xlsx", "columnFormats", {"a": "integer"}),
        )
    },
    "report.waitFor": ({"report": report(waitFor=WAIT_FOR)}, {}),
    **{
        f"report.waitFor.{name}": (
            {"report": report(waitFor={**WAIT_FOR, name: value})},
            {"report": report(waitFor=WAIT_FOR)},
        )
        for name, value in (("every", "7m"), ("deadline", "5h"), ("onDeadline", "Skip"))
    },
    "report.waitFor.excludeSource": (
        {"report": report(sources=TWO, waitFor={**WAIT_FOR, "excludeSource": True})},
        {"report": report(sources=TWO, waitFor=WAIT_FOR)},
    ),
    "report.allowEmpty": ({"report": report(allowEmpty=True)}, {}),
    "report.sendIf": ({"report": report(sendIf="facts | length > 0")}, {}),
    "report.onlyIfChanged.ignore": (
        {"report": report(onlyIfChanged={"sources": ["facts"], "ignore": ["a"]})},
        {"report": report(onlyIfChanged={"sources": ["facts"]})},
    ),
    "report.declaredParameters.type": (
        declared(type="date", default="2026-01-01"),
        declared(default="2026-01-01"),
    ),
    "report.declaredParameters.description": (declared(description="d"), declared()),
    "report.declaredParameters.default": (declared(), {}),
    "report.checks.source": (check(rows={"min": 1}), {}),
    "report.checks.severity": (
        check(severity="warn", rows={"min": 1}),
        check(rows={"min": 1}),
    ),
    "report.checks.rows.min": (check(rows={"min": 1, "max": 2}), check(rows={"max": 2})),
    "report.checks.rows.max": (check(rows={"min": 1, "max": 2}), check(rows={"min": 1})),
    "report.checks.notNull": (check(notNull=["a"]), check(unique=["a"])),
    "report.checks.unique": (check(unique=["a"]), check(notNull=["a"])),
    "report.checks.range.min": (
        check(range={"column": "a", "min": 0.5, "max": 2}),
        check(range={"column": "a", "max": 2}),
    ),
    "report.checks.range.max": (
        check(range={"column": "a", "min": 0.5, "max": 2}),
        check(range={"column": "a", "min": 0.5}),
    ),
    "report.checks.fresh": (check(fresh={"column": "a", "within": "1d"}), {}),
    "report.checks.reconciles.tolerance": (
        check(reconciles={**AGAINST, "tolerance": 0.1}),
        check(reconciles=AGAINST),
    ),
    "report.checks.reconciles.tolerancePercent": (
        check(reconciles={**AGAINST, "tolerancePercent": 0.1}),
        check(reconciles=AGAINST),
    ),
    "report.checks.change.column": (
        check(change={"column": "a", "tolerance": 1}),
        check(change={"tolerance": 1}),
    ),
    "report.checks.change.tolerance": (
        check(change={"tolerance": 1}),
        check(change={"tolerancePercent": 1}),
    ),
    "report.checks.change.tolerancePercent": (
        check(change={"tolerancePercent": 1}),
        check(change={"tolerance": 1}),
    ),
    "report.checks.expression": (
        {"report": report(checks=[{"name": "c", "expression": "facts | length > 0"}])},
        {},
    ),
    "report.checks": (check(rows={"min": 1}), {}),
    "delivery.email.subject": (email(subject="{{ title }}!"), email()),
    "delivery.email.cc": (email(cc=["Risk <risk@example.com>"]), email()),
    "delivery.email.bcc": (email(bcc=["archive@example.com"]), email()),
    "delivery.email.replyTo": (email(replyTo="desk@example.com"), email()),
    "delivery.email.attach": (email(), email(attach=None)),
    **{
        f"delivery.upload.to.{name}": (upload("sftp", **{name: value}), upload("sftp"))
        for name, value in {
            "path": "{{ report_date }}", "formats": ["csv"], "ifExists": "Replace",
            "readBack": False,
        }.items()
    },
    "delivery.upload.to.s3.region": (
        upload("s3", s3=PLACES["s3"]["s3"] | {"region": "eu-south-2"}), upload("s3"),
    ),
    "delivery.upload.to.s3.endpoint": (
        upload("s3", s3=PLACES["s3"]["s3"] | {"endpoint": "https://s3.example.com"}), upload("s3"),
    ),
    **{
        f"delivery.upload.to.{kind}.credentials": (
            upload(kind, **{kind: PLACES[kind][kind] | CREDENTIALS}),
            upload(kind),
        )
        for kind in ("webdav", "httpPut")
    },
    "output.retention": ({"output": {"retention": "9d"}}, {}),
    "resources.requests": (
        {"resources": {"requests": {"cpu": "0.05", "memory": "1024Ki"}}},
        {"resources": {"requests": {"cpu": "0.05"}}},
    ),
    "resources.limits": (
        {"resources": {"limits": {"cpu": 1, "memory": "900Mi", "ephemeral-storage": "1Gi"}}},
        {"resources": {"limits": {"memory": "900Mi"}}},
    ),
    "nodeSelector": (
        {"nodeSelector": {"disktype": "ssd", "kubernetes.io/os": "linux"}},
        {"nodeSelector": {"disktype": "ssd"}},
    ),
    "tolerations.key": (toleration(operator="Exists"), toleration(operator="Exists", key=None)),
    "tolerations.operator": (toleration(operator="Exists"), toleration(operator=None)),
    "tolerations.value": (toleration(value="x"), toleration()),
    "tolerations.effect": (toleration(), toleration(effect=None)),
    "tolerations.tolerationSeconds": (toleration(tolerationSeconds=9), toleration()),
    # What holds leaves can go as a whole.
    "missedRuns": ({"missedRuns": {"startWithin": "5h", "policy": "RunAll"}}, {}),
    "report.charts": ({"report": report(charts=[CHART])}, {}),
    "delivery.email": (email(), {}),
    "delivery.upload": (upload("sftp"), {"report": report(formats=["pdf", "csv"])}),
    "resources": ({"resources": {"limits": {"cpu": "1"}}}, {}),
    "all of nodeSelector": ({"nodeSelector": {"disktype": "ssd"}}, {}),
    "tolerations": (toleration(), {}),
}  # fmt: skip


def optional_leaves(schema: Body, path: str = "", required: bool = True) -> Iterator[str]:
    properties = schema.get("items", schema).get("properties")
    if not properties:
        if not required:
            yield path
        return
    for name, child in properties.items():
        inner = schema.get("items", schema).get("required", ())
        yield from optional_leaves(child, f"{path}.{name}".lstrip("."), name in inner)


def test_every_optional_leaf_has_a_value_here() -> None:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(optional_leaves(spec)) - set(LEAVES) == set()


def plain(namespace: Namespace, name: str) -> Body:
    """The CronJob of a schedule, with what cannot be equal between two of them taken out."""
    cronjob = namespace.cronjob(name)
    assert cronjob is not None
    meta, spec = cronjob["metadata"], cronjob["spec"]
    annotations = spec["jobTemplate"]["metadata"]["annotations"]
    (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    text = json.dumps(
        {
            "labels": meta["labels"],
            "annotations": {
                key: value
                for key, value in meta["annotations"].items()
                if key not in (names.ANNOTATION_SINCE, names.ANNOTATION_APPLIED)
            },
            "spec": spec,
        },
        sort_keys=True,
    )
    text = text.replace(annotations[names.ANNOTATION_DEFINITION], "DEFINITION")
    text = text.replace(container["env"][0]["value"], "DIGEST")
    text = text.replace(meta["labels"][names.LABEL_UID], "UID").replace(f'"{name}"', '"NAME"')
    found: Body = json.loads(text)
    return found


def apply(namespace: Namespace, name: str, spec: Body) -> None:
    """None takes out what `Namespace.apply` would set."""
    if spec.get("report", {}).get("formats", "") is None:
        spec = {**spec, "report": {k: v for k, v in spec["report"].items() if k != "formats"}}
    namespace.apply(name, **spec)


def test_a_field_that_is_taken_out_leaves_nothing_behind(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    """Set and removed alone, each leaf leaves the CronJob that a fresh schedule would have."""
    make_operator(kueue={"enabled": True}).start()
    texts = {"template.html.j2": "<p>one</p>", "other": "<p>two</p>"}
    texts |= {"dates": "2026-12-24", "days": "2026-12-25"}
    body = {"metadata": {"name": "texts"}, "data": texts}
    namespace.call("POST", namespace.path(CORE, "configmaps"), body)
    down = {f"down-{n}": pair for n, pair in enumerate(LEAVES.values())}
    up = {f"up-{n}": (after, before) for n, (before, after) in enumerate(LEAVES.values())}
    states: list[dict[str, Body]] = []
    raw: list[dict[str, Body]] = []
    for step in (0, 1):
        for name, pair in (down | up).items():
            apply(namespace, name, pair[step])
        for name in down | up:
            namespace.wait_until_observed(name, LONG)
            assert namespace.condition(name, "Ready")["status"] == "True", name
        states.append({name: plain(namespace, name) for name in down | up})
        raw.append({name: namespace.cronjob(name) or {} for name in down | up})
    for n, leaf in enumerate(LEAVES):
        assert states[1][f"down-{n}"] == states[0][f"up-{n}"], f"{leaf}, taken out"
        assert states[1][f"up-{n}"] == states[0][f"down-{n}"], f"{leaf}, set"
        assert raw[0][f"down-{n}"]["spec"] | raw[0][f"down-{n}"]["metadata"]["annotations"] != (
            raw[1][f"down-{n}"]["spec"] | raw[1][f"down-{n}"]["metadata"]["annotations"]
        ), f"{leaf}: no effect"


def test_the_sample_of_a_removed_field(namespace: Namespace, operator: OperatorProcess) -> None:
    spec = yaml.safe_load((SAMPLES / "removed-field.yaml").read_text())["spec"]
    namespace.apply("rmfield", **spec)
    namespace.wait_until_observed("rmfield")

    def pod() -> Body:
        namespace.apply("rmfield", **spec)
        namespace.wait_until_observed("rmfield")
        template = plain(namespace, "rmfield")["spec"]["jobTemplate"]["spec"]["template"]
        found: Body = template["spec"]
        return found

    del spec["nodeSelector"]["disktype"]
    assert pod()["nodeSelector"] == {"kubernetes.io/os": "linux"}
    del spec["nodeSelector"]
    assert "nodeSelector" not in pod()
    del spec["tolerations"]
    assert "tolerations" not in pod()
    del spec["resources"]["limits"]["cpu"]
    assert "cpu" not in pod()["containers"][0]["resources"]["limits"]


# -- edits by others ---------------------------------------------------------------------------

POD = "/spec/jobTemplate/spec/template/spec"
CONTAINER = f"{POD}/containers/0"
OTHER_CONTAINER = {"name": "x", "image": "miner"}
HOST = {"hostPath": {"path": "/"}}


def add(path: str, value: Any) -> Body:
    return {"op": "add", "path": path, "value": value}  # replaces what is there


EDITS: dict[str, list[Body]] = {
    "a volume of the host": [
        add(f"{POD}/volumes/-", {"name": "h", **HOST}),
        add(f"{CONTAINER}/volumeMounts/-", {"name": "h", "mountPath": "/h"}),
    ],
    # An apply would fail on it for ever: two sources for one volume.
    "another source of a volume": [
        {"op": "replace", "path": f"{POD}/volumes/0", "value": {"name": "definition", **HOST}}
    ],
    "another image": [add(f"{CONTAINER}/image", "miner")],
    "another container": [add(f"{POD}/containers/-", OTHER_CONTAINER)],
    "an init container": [add(f"{POD}/initContainers", [OTHER_CONTAINER])],
    "a variable": [add(f"{CONTAINER}/env/-", {"name": "LD_PRELOAD", "value": "/x"})],
    "another digest": [add(f"{CONTAINER}/env/0/value", "0" * 64)],
    "a service account": [
        add(f"{POD}/serviceAccountName", "admin"),
        add(f"{POD}/automountServiceAccountToken", True),
    ],
    "a node selector": [add(f"{POD}/nodeSelector", {"a": "b"})],
    "the gate": [add("/spec/jobTemplate/spec/suspend", False)],
    "the schedule": [add("/spec/schedule", "0 0 2 2 *")],
    "suspension": [add("/spec/suspend", True)],
    "whose it is": [
        {"op": "remove", "path": "/metadata/annotations"},
        add(f"{POD}/hostNetwork", True),
    ],
    "another schedule's": [
        add("/metadata/annotations/reports.adaf.io~1schedule-name", "other"),
        add(f"{POD}/hostPID", True),
    ],
    "our label": [
        {"op": "remove", "path": "/metadata/labels/reports.adaf.io~1schedule-uid"},
        add(f"{POD}/hostIPC", True),
    ],
}


def events(namespace: Namespace, reason: str) -> list[Body]:
    return [event for event in namespace.list(CORE, "events") if event["reason"] == reason]


def is_as_meant(namespace: Namespace, name: str, good: Body) -> Callable[[], bool]:
    def probe() -> bool:
        found = namespace.cronjob(name)
        return found is not None and (
            found["spec"] == good["spec"]
            and found["metadata"]["annotations"] == good["metadata"]["annotations"]
            and found["metadata"]["labels"] == good["metadata"]["labels"]
        )

    return probe


@pytest.fixture
def good(namespace: Namespace, operator: OperatorProcess) -> Body:
    """The CronJob of the schedule `daily`."""
    namespace.apply("daily")
    namespace.apply("other")
    namespace.wait_until_observed("daily")
    namespace.wait_until_observed("other")
    found = namespace.cronjob("daily")
    assert found is not None
    return found


def test_what_somebody_else_writes_into_a_cronjob_does_not_stay(
    namespace: Namespace, operator: OperatorProcess, good: Body
) -> None:
    for what, edit in EDITS.items():
        said = len(events(namespace, "CronJobRestored"))
        namespace.call("PATCH", namespace.path(BATCH, "cronjobs", "daily"), edit, JSON_PATCH)
        wait_for(what, is_as_meant(namespace, "daily", good), LONG, operator.log)
        wait_for(
            f"{what}: an Event", lambda n=said: len(events(namespace, "CronJobRestored")) > n, LONG
        )
    assert namespace.condition("other", "Ready")["status"] == "True"


def test_what_is_written_while_no_operator_runs_does_not_stay_and_no_slot_is_lost(
    namespace: Namespace, operator: OperatorProcess, good: Body
) -> None:
    operator.kill()
    edit = EDITS["suspension"] + EDITS["another source of a volume"]
    namespace.call("PATCH", namespace.path(BATCH, "cronjobs", "daily"), edit, JSON_PATCH)
    operator.start()
    # The annotation that slots count from is among what is compared: it has not moved.
    wait_for("it is put right", is_as_meant(namespace, "daily", good), LONG, operator.log)
    wait_for("an Event", lambda: events(namespace, "CronJobRestored"), LONG)


def test_labels_and_annotations_of_others_stay(
    namespace: Namespace, operator: OperatorProcess, good: Body, proxy: Proxy
) -> None:
    theirs = {"metadata": {"labels": {"team": "a"}, "annotations": {"note": "x"}}}
    before = len(proxy.writes)
    namespace.call("PATCH", namespace.path(BATCH, "cronjobs", "daily"), theirs, MERGE)
    operator.wait_for_resyncs()
    assert proxy.writes[before:] == []
    namespace.apply("daily", timeout="9m")
    namespace.wait_until_observed("daily")
    found = namespace.cronjob("daily")
    assert found is not None
    assert found["metadata"]["labels"]["team"] == "a"
    assert found["metadata"]["annotations"]["note"] == "x"


def test_a_new_operator_writes_nothing_where_nothing_changed(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess], proxy: Proxy
) -> None:
    runner = {
        "image": "localhost/none:tests",
        "imagePullSecrets": ["pull"],
        "podLabels": {"a": "b"},
        "podAnnotations": {"c": "d"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "reports", "operator": "Exists"}],
        "priorityClassName": "system-cluster-critical",
        "arbitraryUser": True,
        "scratchSizeLimit": "1024Mi",
        "defaultResources": {"requests": {"cpu": "0.1"}, "limits": {"memory": "1.5Gi"}},
    }
    operator = make_operator(runner=runner)
    operator.start()
    operator.wait_until_leading()
    specs: list[Body] = [pair[0] for pair in LEAVES.values() if "configMapRef" not in str(pair[0])]
    for number, spec in enumerate(specs):
        apply(namespace, f"daily-{number}", spec)
    for number in range(len(specs)):
        namespace.wait_until_observed(f"daily-{number}", LONG)
    operator.wait_for_resyncs(1)
    operator.terminate()
    before = len(proxy.writes)
    operator.start()
    operator.wait_until_leading()
    operator.wait_for_resyncs(3)
    assert proxy.writes[before:] == []


# -- definitions -------------------------------------------------------------------------------


def definition_name(namespace: Namespace, schedule: str) -> str:
    return str(namespace.status(schedule)["definition"])


def replace(namespace: Namespace, name: str, change: Callable[[Body], None]) -> Body:
    """Delete the ConfigMap and create another one under its name, as who may write them can."""
    path = namespace.path(CORE, "configmaps")
    found = namespace.find(CORE, "configmaps", name)
    assert found is not None
    for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
        found["metadata"].pop(field, None)
    change(found)
    namespace.call("DELETE", f"{path}/{name}")
    made: Body = namespace.call("POST", path, found)
    return made


def other_content(body: Body) -> None:
    sample = json.loads((SAMPLES / "definition-swapped.json").read_text())
    body["data"] = sample["data"]


def without_labels(body: Body) -> None:
    other_content(body)
    del body["metadata"]["labels"]


def without_owner(body: Body) -> None:
    del body["metadata"]["ownerReferences"]


def open_to_edits(body: Body) -> None:
    body["immutable"] = False


def one_key_more(body: Body) -> None:
    body["data"]["more"] = "x"


@pytest.mark.parametrize(
    "change", [other_content, without_labels, without_owner, open_to_edits, one_key_more]
)
def test_a_replaced_definition_is_put_back_and_said(
    namespace: Namespace,
    operator: OperatorProcess,
    good: Body,
    change: Callable[[Body], None],
) -> None:
    name = definition_name(namespace, "daily")
    before = namespace.find(CORE, "configmaps", name)
    assert before is not None
    intruder = replace(namespace, name, change)

    def is_back() -> bool:
        found = namespace.find(CORE, "configmaps", name)
        return found is not None and (
            found["metadata"]["uid"] != intruder["metadata"]["uid"]
            and found["data"] == before["data"]
            and found["immutable"] is True
            and found["metadata"]["labels"] == before["metadata"]["labels"]
            and found["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
        )

    wait_for("the definition is back", is_back, LONG, operator.log)
    (event,) = wait_for("an Event", lambda: events(namespace, "DefinitionRestored"), LONG)
    assert name in event["message"]
    assert event["involvedObject"]["name"] == "daily"


def test_a_definition_that_cannot_be_removed_is_said_and_stops_nothing_else(
    namespace: Namespace, operator: OperatorProcess, good: Body
) -> None:
    name = definition_name(namespace, "daily")

    def held(body: Body) -> None:
        other_content(body)
        body["metadata"]["finalizers"] = ["example.com/mine"]

    replace(namespace, name, held)
    ready = namespace.wait_for_ready("daily", "NameConflict", LONG)
    assert name in ready["message"]
    # The CronJob is put right all the same.
    edit = EDITS["another image"]
    namespace.call("PATCH", namespace.path(BATCH, "cronjobs", "daily"), edit, JSON_PATCH)
    wait_for("it is put right", is_as_meant(namespace, "daily", good), LONG, operator.log)
    assert namespace.condition("other", "Ready")["status"] == "True"
    path = namespace.path(CORE, "configmaps", name)
    namespace.call("PATCH", path, {"metadata": {"finalizers": None}}, MERGE)
    namespace.wait_for_ready("daily", "Ready", LONG)


def test_a_replaced_definition_of_an_older_run_is_said(
    namespace: Namespace, operator: OperatorProcess, good: Body
) -> None:
    older = definition_name(namespace, "daily")
    namespace.start("daily", "run-1")
    pod = namespace.pod_of("run-1")
    namespace.apply("daily", report=report(title="Another"))
    namespace.wait_until_observed("daily")
    assert definition_name(namespace, "daily") != older
    replace(namespace, older, other_content)
    (event,) = wait_for("an Event", lambda: events(namespace, "DefinitionReplaced"), LONG)
    assert older in event["message"]
    # The pod knows what it was made with: it refuses.
    (digest,) = (e["value"] for e in pod["spec"]["containers"][0]["env"] if "value" in e)
    assert older.endswith(f"-{digest[:32]}")
