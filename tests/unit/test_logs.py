"""One format of log lines in every process; a line of a run has its id, and no Secret is in any."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from report_operator.config import OperatorConfig
from report_operator.logs import StorePasswords, set_up_logging
from report_runner import logs
from report_runner.contract.logs import as_text, folded
from report_runner.contract.traces import trace_id
from report_runner.logs import LogFormat, LogLevel, about

RUN = "daily.20260105T060000Z.1"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    levels = {name: logging.getLogger(name).level for name in (*logs.OURS, "kopf", "aiohttp")}
    yield
    root.setLevel(before[0])
    root.handlers = before[1]
    logging.captureWarnings(capture=False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def configured(tmp_path: Path, **more: object) -> OperatorConfig:
    secret = tmp_path / "postgres"
    secret.mkdir()
    (secret / "password").write_text("pa55-of-the-store\n")
    return OperatorConfig.model_validate(
        {"runner": {"image": "i"}, "watchNamespaces": ["a"], "postgresSecret": secret, **more}
    )


def test_operator_writes_json_with_the_run_and_its_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traced = {"tracing": {"endpoint": "http://collector:4318"}}
    set_up_logging(configured(tmp_path, **traced))
    logger = logging.getLogger("report_operator.controllers.admission")
    logger.info("%s is admitted", "daily-1", extra=about(RUN, "reports", "daily-1"))
    logger.info("leading")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert {**first, "time": ""} == {
        "time": "",
        "level": "info",
        "logger": "report_operator.controllers.admission",
        "run": RUN,
        "namespace": "reports",
        "job": "daily-1",
        "trace_id": trace_id(f"reports.{RUN}"),
        "message": "daily-1 is admitted",
    }
    assert list(second) == ["time", "level", "logger", "message"]


@pytest.mark.parametrize("style", list(LogFormat))
def test_passwords_of_the_stores_are_in_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], style: LogFormat
) -> None:
    config = configured(tmp_path, logging={"format": style})
    set_up_logging(config)
    logger = logging.getLogger("report_operator")
    logger.warning("password=%s was refused", "pa55-of-the-store")
    assert config.postgres_secret is not None
    changed = config.postgres_secret / "password"
    changed.write_text("another-password-of-it")
    logger.error("no connection", exc_info=RuntimeError("another-password-of-it"))
    told = capsys.readouterr().err
    assert "pa55-of-the-store" not in told
    assert "another-password-of-it" not in told
    assert told.count("[Secret postgres key password]") == 2


def test_without_a_password_nothing_is_hidden(tmp_path: Path) -> None:
    assert StorePasswords([tmp_path / "none"])("a text") == "a text"


def test_level_is_of_our_loggers(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_logging(LogFormat.JSON, LogLevel.DEBUG, str)
    logging.getLogger("report_runner.run").debug("ours")
    logging.getLogger("kopf.objects").debug("the whole body of an object")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == [
        "ours"
    ]
    logs.set_up_logging(LogFormat.JSON, LogLevel.ERROR, str)
    logging.getLogger("report_runner.run").warning("ours")
    logging.getLogger("library").warning("theirs")
    assert capsys.readouterr().err == ""


def test_text_is_one_line_and_the_traceback_below(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_logging(LogFormat.TEXT, LogLevel.INFO, str, {"run": RUN, "namespace": "reports"})
    logger = logging.getLogger("report_runner.run")
    logger.info("stage %s", "sources")
    logger.error("unexpected", exc_info=ValueError("wrong\nover two lines"))
    lines = capsys.readouterr().err.splitlines()
    (first, none), (second, behind) = folded(as_text(lines))
    assert first.endswith(f" info report_runner.run [run={RUN} namespace=reports]: stage sources")
    assert none == []
    assert second.endswith("]: unexpected")
    assert behind[-1].strip() == "over two lines"
