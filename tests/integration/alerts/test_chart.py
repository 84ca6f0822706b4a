"""ServiceMonitor and PrometheusRule as the values configure them."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
import yaml

from report_runner.contract.reasons import Reason
from tests.support.chart import CHART, NAME, RELEASE, ROOT, Values, of_kind, render, run
from tests.support.docs import anchors
from tests.support.monitoring import KINDS, alert_rules, objects, template

RUNBOOK = ROOT / "docs" / "runbook.md"
# Each has a section of the runbook, with its reason behind a comma where it has several.
ALERTS = set(re.findall(r"^### (ReportScheduler\w+)", RUNBOOK.read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("enabled", "crds", "made"),
    [
        ("auto", True, True),
        ("auto", False, False),
        (True, False, True),
        (True, True, True),
        (False, True, False),
    ],
)
def test_made_where_wanted(enabled: bool | str, crds: bool, made: bool) -> None:
    found = objects({"enabled": enabled}, crds=crds)
    assert set(found) == (set(KINDS) if made else set())


def test_auto_is_the_default() -> None:
    assert set(objects(crds=True)) == set(KINDS)
    assert objects(crds=False) == {}


def test_the_monitor_finds_the_metrics_service_alone() -> None:
    spec = objects()["ServiceMonitor"]["spec"]
    (endpoint,) = spec["endpoints"]
    assert spec["namespaceSelector"]["matchNames"] == [RELEASE]
    selector = spec["selector"]["matchLabels"].items()
    ports = [
        (service["metadata"]["name"], port["name"])
        for service in of_kind(render({"adminApi": {"network": True}}), "Service")
        if selector <= service["metadata"]["labels"].items()
        for port in service["spec"]["ports"]
    ]
    assert [port for port in ports if port[1] == endpoint["port"]] == [
        (f"{NAME}-metrics", "metrics")
    ]
    # Else Prometheus would write the operator's namespace over that of the schedule.
    assert endpoint["honorLabels"] is True


def test_labels_of_each() -> None:
    found = objects(
        {
            "serviceMonitorLabels": {"release": "prom", "helm.sh/chart": "own"},
            "ruleLabels": {"role": "alerts"},
            "scrapeInterval": "15s",
            "ruleInterval": "1m",
        }
    )
    monitor, rule = (found[kind]["metadata"]["labels"] for kind in KINDS)
    assert monitor["release"] == "prom"
    assert monitor["helm.sh/chart"] == "own"
    assert rule["role"] == "alerts"
    assert "role" not in monitor
    assert "release" not in rule
    for labels in (monitor, rule):
        assert labels["app.kubernetes.io/instance"] == RELEASE
    assert found["ServiceMonitor"]["spec"]["endpoints"][0]["interval"] == "15s"
    assert [group["interval"] for group in found["PrometheusRule"]["spec"]["groups"]] == ["1m"]


def severities(monitoring: Values) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for rule in alert_rules(monitoring):
        found.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    return found


def test_severities() -> None:
    escalating = {
        "ReportSchedulerCriticalFailing",
        "ReportSchedulerManyCriticalFailing",
        "ReportSchedulerDataCorrupted",
        "ReportSchedulerHistoryCorrupted",
    }
    assert severities({}) == {n: {"sev2" if n in escalating else "sev3"} for n in ALERTS}
    own = severities({"severity": "page", "escalationSeverity": "P1"})
    assert own == {n: {"P1" if n in escalating else "page"} for n in ALERTS}


def test_every_alert_has_a_team() -> None:
    """From its series, or the scheduler's own: Alertmanager knows whom to tell."""
    for rule in alert_rules({"team": "platform"}):
        said = rule["labels"].get("team")
        by = re.search(r"by \(([^)]*)\)", rule["expr"])
        of_series = (
            "_team" in rule["expr"] or "reportschedule:" in rule["expr"] or (by and "team" in by[1])
        )
        assert said == "platform" or "platform" in str(said) or of_series, rule["alert"]


def test_thresholds() -> None:
    def expressions(**values: Any) -> dict[str, str]:
        found = [body for body in render({"monitoring": {"enabled": True}, **values}) if body]
        (rule,) = of_kind(found, "PrometheusRule")
        return {r["alert"]: r["expr"] for r in rule["spec"]["groups"][0]["rules"] if "alert" in r}

    assert expressions()["ReportSchedulerDown"].endswith("> 600")
    slow = expressions(config={"resyncSeconds": 600})
    assert slow["ReportSchedulerDown"].endswith("> 3000")
    many = expressions(
        monitoring={
            "enabled": True,
            "queueBacklog": 2_000_000,
            "deadLetters": 1_000_000,
            "storageUsedPercent": 80,
            "cpuUsedPercent": 70,
            "memoryUsedPercent": 75,
            "sourceDown": 4,
            "criticalFailing": 5,
            "criticalAfter": "90m",
        }
    )
    assert many["ReportSchedulerQueueBacklog"].endswith("> 2000000")
    assert many["ReportSchedulerDeadLetters"].endswith("> 1000000")
    assert many["ReportSchedulerStorageFull"].endswith("> 80")
    assert many["ReportSchedulerCpuHigh"].endswith("> 70")
    assert many["ReportSchedulerMemoryHigh"].endswith("> 75")
    assert many["ReportSchedulerRunMemoryHigh"].endswith("> 75")
    assert many["ReportSchedulerSourceDown"].endswith(">= 4")
    assert many["ReportSchedulerManyCriticalFailing"].endswith(">= 5")
    (critical,) = (
        rule
        for rule in alert_rules({"criticalAfter": "90m"})
        if rule["alert"] == "ReportSchedulerCriticalFailing"
    )
    assert critical["for"] == "90m"


def test_no_placeholder_is_left() -> None:
    done = template({"severityOfTier": {"bulk": "sev4"}}, crds=True)
    assert done.code == 0, done.err
    assert "${" not in done.out
    assert f"kubectl -n {RELEASE} logs deploy/{NAME} -c operator" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"enabled": "yes"}, "/monitoring/enabled': value must be one of"),
        ({"enable": True}, "/monitoring': additional properties 'enable' not allowed"),
        ({"severity": ""}, "/monitoring/severity': '' does not match"),
        ({"severity": "'sev3"}, "/monitoring/severity'"),
        ({"severityOfTier": {"gold": "sev1"}}, "'gold' not allowed"),
        ({"scrapeInterval": "often"}, "/monitoring/scrapeInterval': 'often' does not match"),
        ({"ruleInterval": "10m"}, "/monitoring/ruleInterval': '10m' does not match"),
        ({"runbookUrl": "runbook.md"}, "/monitoring/runbookUrl': 'runbook.md' does not match"),
        ({"runbookUrl": "https://a/b#c"}, "/monitoring/runbookUrl'"),
        ({"queueBacklog": 0}, "/monitoring/queueBacklog': minimum"),
        ({"deadLetters": 0}, "/monitoring/deadLetters': minimum"),
        ({"storageUsedPercent": 100}, "/monitoring/storageUsedPercent': maximum"),
        ({"team": "two words"}, "/monitoring/team': 'two words' does not match"),
        ({"criticalAfter": "soon"}, "/monitoring/criticalAfter': 'soon' does not match"),
        ({"criticalFailing": 1}, "/monitoring/criticalFailing': minimum"),
        ({"sourceDown": 1}, "/monitoring/sourceDown': minimum"),
        ({"cpuUsedPercent": 100}, "/monitoring/cpuUsedPercent': maximum"),
        ({"memoryUsedPercent": 0}, "/monitoring/memoryUsedPercent': minimum"),
        ({"storageUsedPercent": 0.95}, "/monitoring/storageUsedPercent'"),
        ({"queueBacklog": "50"}, "/monitoring/queueBacklog': got string, want integer"),
        ({"ruleLabels": {"a": 1}}, "/monitoring/ruleLabels/a': got number, want string"),
    ],
    ids=str,
)
def test_wrong_values_are_refused_by_name(values: Values, words: str) -> None:
    done = template(values, crds=True)
    assert done.code != 0
    assert words in done.err


def test_every_alert_has_summary_description_and_runbook() -> None:
    found = alert_rules()
    assert {rule["alert"] for rule in found} == ALERTS
    assert len(ALERTS) > 8
    assert [
        rule["labels"]["reason"] for rule in found if rule["alert"] == "ReportSchedulerFailed"
    ] == ["failed", "delayed"]
    for rule in found:
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert re.search(r"Next: kubectl [^ ]", rule["annotations"]["description"]), rule["alert"]


def test_the_runbook_has_a_section_for_each_alert() -> None:
    base = yaml.safe_load((CHART / "values.yaml").read_text())["monitoring"]["runbookUrl"]
    sections = anchors(RUNBOOK.read_text())
    assert len(set(sections)) == len(sections)
    linked = {rule["annotations"]["runbook_url"].rpartition("#")[::2] for rule in alert_rules()}
    assert len(linked) == len(alert_rules())  # one section each
    for url, anchor in linked:
        assert url == base
        assert anchor in sections


def test_links_within_the_runbook_lead_somewhere() -> None:
    text = RUNBOOK.read_text()
    links = re.findall(r"\]\(#([^)]+)\)", text)
    assert links
    assert set(links) <= set(anchors(text))


def test_the_runbook_explains_every_reason() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", RUNBOOK.read_text(), re.MULTILINE)
    assert [row for row in rows if row in set(Reason)] == [reason.value for reason in Reason]


def test_shell_of_the_runbook_can_be_read() -> None:
    """Every block parses; a URL with `&` is quoted, since the shell would cut it there."""
    blocks = re.findall(r"^ *```bash\n(.*?)^ *```$", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 30
    for block in blocks:
        done = run("bash", "-n", text=block)
        assert done.code == 0, block + done.err
        assert not re.search(r"(?<![\"'\w])https?://[^\s\"']*&", block), block
        assert not re.search(r"[\";a-z]>$", block, re.MULTILINE), block


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "There are no alerts: monitoring.enabled is auto, and the cluster has no CRDs"),
        ({"enabled": False}, "There are no alerts: monitoring.enabled is false."),
        ({"enabled": True}, "Alerts come only where a Prometheus selects"),
        ({"enabled": True, "ruleLabels": {"release": "a"}}, "Alerts come only where"),
        (
            {
                "enabled": True,
                "ruleLabels": {"release": "a"},
                "serviceMonitorLabels": {"release": "a"},
            },
            None,
        ),
    ],
)
def test_notes_say_where_nobody_may_be_told(values: Values, said: str | None) -> None:
    done = run(
        "helm", "install", RELEASE, str(CHART), "--namespace", RELEASE, "--dry-run=client",
        "--kubeconfig", os.devnull, "--values", "-", "--set", "storePasswords=anew",
        text=json.dumps({"monitoring": values, "teamNamespaces": ["reports"]}),
    )  # fmt: skip
    assert done.code == 0, done.err
    notes = done.out.rpartition("\nNOTES:\n")[2]
    assert "kubectl get reportschedules" in notes
    assert (said in notes) if said else (" alerts" not in notes and "Alerts" not in notes)
