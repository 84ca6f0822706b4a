"""What the operator writes into a run's pod is what the chart's policy lets through."""

from __future__ import annotations

import re
from pathlib import Path

from report_operator.domain.schedules import pods
from report_operator.domain.schedules.pods import PodSettings
from report_runner.contract import pod

POLICY = Path(__file__).parents[2] / "charts/adaf-report-scheduler/templates/_policy.tpl"


def test_every_variable_of_a_run_is_allowed_by_the_policy() -> None:
    settings = PodSettings(
        "image:1", "Always", "claim", {}, "1Gi",
        egress_allow=("10.0.0.0/8",), log_format="text", log_level="debug",
        otlp_endpoint="http://collector:4318",
    )  # fmt: skip
    written = {item["name"] for item in pods._environment("0" * 64, settings)}
    written |= {pod.ENV_PARAMETERS}  # of a run that is asked for with its own
    assert written == set(re.findall(r"'(REPORT_[A-Z0-9_]+)'", POLICY.read_text()))
