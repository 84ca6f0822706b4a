"""A format, a source and a delivery channel are added through their tables and contract alone.

Each section is what a new one needs: its spec, its code, its line in a table. A member of an Enum
and a field of the CRD cannot be added at run time, so the tests extend the models instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from test_render_documents import given

from report_runner import environment, formats
from report_runner.contract import pod
from report_runner.contract.definition import Definition
from report_runner.contract.delivery import ChannelSpec, Delivery
from report_runner.contract.files import media_type
from report_runner.contract.model import Model
from report_runner.contract.report import Format, Report
from report_runner.contract.result import Outcome, RunResult
from report_runner.contract.rules import exactly_one_of
from report_runner.contract.secret import SecretReference
from report_runner.contract.sources import SourceSpec
from report_runner.delivery import CHANNELS, DeliveryContext
from report_runner.delivery.channel import AnswerKind, DeliveryAnswer, DeliveryTarget
from report_runner.environment import Paths
from report_runner.models import RunError, Table
from report_runner.mounted import Secrets, password
from report_runner.progress import RunProgress
from report_runner.render.bounded import open_text
from report_runner.render.documents import render
from report_runner.run import make_report
from report_runner.sources import SOURCES, Fetched, SourceContext


def run_report(root: Path, model: type[Definition], parts: dict[str, Any]) -> RunResult:
    """Make the report of this definition, with the given parts, as its pod would."""
    definition = {
        "namespace": "reports",
        "name": "positions",
        "uid": "u1",
        "reportType": "positions",
        "timeZone": "Etc/UTC",
        "report": {
            "title": "Positions",
            "sources": [{"name": "positions", "inline": {"rows": [{"isin": "A"}]}}],
            "template": {"configMapRef": {"name": "positions"}},
            "formats": ["csv"],
        }
        | parts.get("report", {}),
        "delivery": parts.get("delivery", {}),
        "output": {"retention": "3650d"},
    }
    paths = Paths(root / "definition.json", root / "secrets", root / "volume", root / "log")
    paths.definition.write_text(json.dumps(definition))
    stamps = {
        pod.ENV_SLOT: "2026-01-05T06:00:00Z",
        pod.ENV_REPORT_DATE: "2026-01-05",
        pod.ENV_RUN_ID: "positions.20260105T060000Z.1",
        pod.ENV_DEFINITION_SHA256: hashlib.sha256(paths.definition.read_bytes()).hexdigest(),
    }
    paths.output.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "Definition", model)
        secrets, now = Secrets(paths.secrets), datetime(2026, 1, 5, 6, tzinfo=UTC)
        return make_report(paths, stamps, secrets, RunProgress(), lambda: now)


# --- a format ---------------------------------------------------------------------------------


def write_text(job: formats.RenderJob) -> None:
    txt = Format("txt")  # type: ignore[call-arg]  # a look-up
    with open_text(job.path, txt, "utf-8") as stream:
        for name, table in job.data.tables.items():
            stream.write(f"{name}: {len(table.rows)} rows\n")


@pytest.fixture
def text_format(monkeypatch: pytest.MonkeyPatch) -> Format:
    """As the line `TEXT = "txt", "text/plain; charset=utf-8"` in Format makes it."""
    member = Format.__new_member__(  # type: ignore[attr-defined]
        Format, "txt", "text/plain; charset=utf-8"
    )
    member._name_ = "TEXT"
    monkeypatch.setitem(Format._member_map_, "TEXT", member)
    monkeypatch.setitem(Format._value2member_map_, "txt", member)
    monkeypatch.setattr(Format, "_member_names_", [*Format._member_names_, "TEXT"])
    monkeypatch.setitem(formats.FORMATS, member, formats.OutputFormat(write_text))
    return member


def test_a_format_is_a_member_and_a_line_in_the_table(text_format: Format, tmp_path: Path) -> None:
    made = render(given(), [text_format, Format.CSV], tmp_path)
    assert [document.path.name for document in made] == ["report.txt.tmp", "report.csv.tmp"]
    assert made[0].path.read_text() == "positions: 3 rows\n"
    assert media_type(text_format.suffix) == "text/plain; charset=utf-8"


def test_every_format_has_a_renderer() -> None:
    assert set(formats.FORMATS) == set(Format)


# --- a source ---------------------------------------------------------------------------------


class TickerSource(Model):
    symbol: str
    token: SecretReference


class SourceSpecWithTicker(SourceSpec):
    rules = (exactly_one_of("postgres", "inline", "http", "object", "ticker"),)
    ticker: TickerSource | None = None


class ReportWithTicker(Report):
    sources: list[SourceSpecWithTicker]


class DefinitionWithTicker(Definition):
    report: ReportWithTicker


class Ticker:
    def fetch(self, name: str, spec: TickerSource, context: SourceContext, /) -> Fetched:
        field = f"spec.report.sources[{name}].ticker.token"
        token = context.secrets.read(spec.token.name, "token", field, password)
        return Fetched(Table(("symbol", "length"), [(spec.symbol, len(token))]))


TICKER = {"name": "prices", "ticker": {"symbol": "ADAF", "token": {"name": "feed"}}}


def test_a_source_is_a_spec_and_a_line_in_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(SOURCES, "ticker", Ticker)
    (tmp_path / "secrets" / "feed").mkdir(parents=True)
    (tmp_path / "secrets" / "feed" / "token").write_text("12345678")
    result = run_report(tmp_path, DefinitionWithTicker, {"report": {"sources": [TICKER]}})
    assert (result.outcome, result.rows) == (Outcome.SUCCEEDED, {"prices": 1})
    (file,) = (tmp_path / "volume").rglob("*.csv")
    assert file.read_text("utf-8-sig").splitlines() == ["symbol,length", "ADAF,8"]


def test_the_secret_of_a_source_is_known_by_its_type() -> None:
    spec = SourceSpecWithTicker.model_validate(TICKER)
    (use,) = spec.secret_refs("spec.report.sources[0]")
    assert use == ("spec.report.sources[0].ticker.token.name", "feed")


# --- a channel --------------------------------------------------------------------------------


class FolderDelivery(ChannelSpec):
    paths: list[str]

    def targets(self) -> list[str]:
        return self.paths


class DeliveryWithFolder(Delivery):
    folder: FolderDelivery | None = None


class DefinitionWithFolder(Definition):
    delivery: DeliveryWithFolder


class FolderChannel:
    def __init__(self, spec: FolderDelivery, context: DeliveryContext) -> None:
        self.spec, self.context = spec, context

    def plan(self) -> list[DeliveryTarget]:
        return [DeliveryTarget(path, self.context.definition.uid) for path in self.spec.targets()]

    def deliver(
        self, targets: Sequence[DeliveryTarget], begin: Callable[[DeliveryTarget], None]
    ) -> Iterator[DeliveryAnswer]:
        for target in targets:
            begin(target)
            try:
                for file in self.context.files:
                    (Path(target.name) / file.name).write_bytes(file.path.read_bytes())
            except FileNotFoundError as error:
                yield DeliveryAnswer(target, AnswerKind.UNKNOWN, error.strerror or "")
            else:
                yield DeliveryAnswer(target, AnswerKind.ACCEPTED)

    def verify(self, target: DeliveryTarget) -> DeliveryAnswer:
        names = (Path(target.name) / file.name for file in self.context.files)
        arrived = all(path.exists() for path in names)
        return DeliveryAnswer(target, AnswerKind.ACCEPTED if arrived else AnswerKind.REFUSED)


def test_a_channel_is_a_spec_and_a_line_in_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(CHANNELS, "folder", FolderChannel)
    ready, missing = tmp_path / "ready", tmp_path / "missing"
    ready.mkdir()
    parts = {"delivery": {"folder": {"paths": [str(ready), str(missing)]}}}
    with pytest.raises(RunError, match=r"1 of 2 recipients did not get it: .*missing"):
        run_report(tmp_path, DefinitionWithFolder, parts)
    (delivered,) = ready.iterdir()
    assert delivered.name == "positions-2026-01-05.csv"
    delivered.unlink()  # the second attempt must not write it again
    missing.mkdir()
    result = run_report(tmp_path, DefinitionWithFolder, parts)
    assert [item.status.value for item in result.deliveries] == ["alreadySent", "sent"]
    assert (list(ready.iterdir()), len(list(missing.iterdir()))) == ([], 1)


def test_a_channel_that_fails_keeps_no_other_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(CHANNELS, "folder", FolderChannel)
    email = {"to": ["a@example.com"], "smtp": {"secretRef": {"name": "no-such-secret"}}}
    parts = {"delivery": {"email": email, "folder": {"paths": [str(tmp_path / "ready")]}}}
    (tmp_path / "ready").mkdir()
    with pytest.raises(RunError, match="no-such-secret has no key host"):
        run_report(tmp_path, DefinitionWithFolder, parts)
    assert len(list((tmp_path / "ready").iterdir())) == 1
