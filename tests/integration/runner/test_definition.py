"""A run uses the definition that it was made with, and no other."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PASSWORD, write_secret

from report_runner.contract import pod
from report_runner.contract.days_off import library_version
from report_runner.contract.reasons import EXIT_CODES, Reason
from report_runner.contract.result import Outcome
from tests.support.runner import Pod

DATA = Path(__file__).resolve().parents[2] / "data" / "security"
QUERY = "SELECT day, isin, amount FROM positions WHERE amount < 20 ORDER BY day"
REFUSED = EXIT_CODES[Reason.CONFIGURATION_ERROR]


def definition_of(name: str) -> str:
    """The content of a sample ConfigMap."""
    found: str = json.loads((DATA / name).read_text())["data"][pod.DEFINITION_KEY]
    return found


@contextmanager
def listening() -> Iterator[tuple[int, list[Any]]]:
    """A port, and who connected to it."""
    callers: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                callers.append(address)
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], callers
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize("library", ["", "holidays 0.1"])
def test_a_run_knows_the_days_off_of_its_definition(tmp_path: Path, library: str) -> None:
    """Its rows are of the business day before 2026-01-07; the 6th is a holiday in Bavaria."""
    here = Pod(tmp_path)
    sources = [{"name": "days", "inline": {"rows": [{"day": "2026-01-05"}]}}]
    here.define(
        "",
        sources=sources,
        parameters={"before": "{{ '2026-01-07' | previous_business_day }}"},
        template={"builtin": "executive_dashboard"},
        formats=["csv"],
        sendIf="days.rows[0].day == parameters.before | string and report_date | business_day",
        checks=[{"name": "off", "expression": "('2026-01-06' | as_date) in holidays"}],
    )
    definition = json.loads(here.definition.read_text())
    calendar = {"country": "DE", "subdivision": "BY", "library": library or library_version()}
    here.definition.write_text(json.dumps(definition | {"calendar": calendar}))
    code, result, log = here.run()
    if library:
        assert code == REFUSED
        assert "images of operator and runner have to be of one version" in result.message
        return
    assert (code, result.outcome) == (0, Outcome.SUCCEEDED), (result, log)
    assert here.manifest().calendar == f"the calendar of DE-BY ({library_version()})"


def test_another_definition_is_refused_before_a_secret_is_used(tmp_path: Path) -> None:
    here = Pod(tmp_path)
    original = definition_of("definition-original.json")
    digest = hashlib.sha256(original.encode()).hexdigest()
    with listening() as (port, callers):
        keys = {"host": "127.0.0.1", "port": str(port), "user": "u", "password": PASSWORD}
        write_secret(here.secrets, "report-db", {**keys, "dbname": "d"})
        write_secret(here.secrets, "report-smtp", {**keys, "from": "r@example.com"})
        here.definition.write_text(definition_of("definition-swapped.json"))
        code, result, _ = here.run(**{pod.ENV_DEFINITION_SHA256: digest})
        assert (code, result.reason) == (REFUSED, Reason.CONFIGURATION_ERROR)
        assert "the definition is not the one this run was made with" in result.message
        assert "apply the ReportSchedule again" in result.message
        assert digest in result.message
        assert callers == []
        assert here.files() == []
        # The same run with its own definition goes on to its database.
        here.definition.write_text(original)
        _, result, _ = here.run(**{pod.ENV_DEFINITION_SHA256: digest})
        assert result.reason is Reason.DATABASE_UNAVAILABLE
        assert callers


@pytest.mark.parametrize("change", [lambda text: text + "\n", lambda text: f"\ufeff{text}"])
def test_a_single_byte_more_is_another_definition(tmp_path: Path, change: Any) -> None:
    here = Pod(tmp_path)
    original = definition_of("definition-original.json")
    here.definition.write_text(change(original))
    digest = hashlib.sha256(original.encode()).hexdigest()
    code, result, _ = here.run(**{pod.ENV_DEFINITION_SHA256: digest})
    assert (code, result.reason) == (REFUSED, Reason.CONFIGURATION_ERROR)
    assert result.message.startswith("the definition is not the one")


def test_a_run_that_is_not_told_which_definition_refuses_every_one(tmp_path: Path) -> None:
    here = Pod(tmp_path)
    here.definition.write_text(definition_of("definition-original.json"))
    code, result, _ = here.run(**{pod.ENV_DEFINITION_SHA256: ""})
    assert (code, result.reason) == (REFUSED, Reason.CONFIGURATION_ERROR)
    assert "kubectl create job --from=cronjob/NAME" in result.message


def test_a_run_needs_no_user_of_its_own(database: Any) -> None:
    """As OpenShift starts it: a user that no file names, of the group root."""
    with tempfile.TemporaryDirectory(prefix="anyone-") as directory:
        root = Path(directory)
        here = Pod(root)
        database.secret(here.secrets)
        here.define(QUERY)
        here.volume.mkdir()
        home = root / "tmp"
        home.mkdir()
        for path in (root, here.volume, home, *here.secrets.rglob("*"), here.secrets):
            os.chown(path, 0, 0)
            path.chmod(0o770 if path.is_dir() else 0o440)
        here.termination_log.write_text("")
        here.termination_log.chmod(0o666)
        environment = {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": f"{home}/.cache"}
        code, result, log = here.run(user=1_000_660_000, **environment)
        assert (code, result.outcome) == (0, Outcome.SUCCEEDED), log
        assert len(here.files()) == 3
        assert {path.stat().st_uid for path in here.volume.rglob("*")} == {1_000_660_000}
        assert "cache" not in log.lower()
