"""Sample rows of the sources http and object have the types that a run gives them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from report_runner.contract.sources import SourceSpec
from report_runner.models import RunError
from report_runner.preview.samples import sample_table

COLUMNS = [{"name": "day", "type": "date"}]


def source(**http) -> SourceSpec:
    spec = {"url": "https://api.example.com/rows", "columns": COLUMNS, **http}
    return SourceSpec.model_validate({"name": "rows", "http": spec})


def test_json_has_declared_types(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    sample = tmp_path / "data" / "rows.json"
    sample.write_text('[{"code": "007", "n": 1.10, "day": "2026-01-05"}]')
    table = sample_table(source(), tmp_path, "Etc/UTC")
    assert table.columns == ("day", "code", "n")
    assert table.rows == [(date(2026, 1, 5), "007", Decimal("1.10"))]
    sample.write_text('[{"day": "5 January"}]')
    with pytest.raises(RunError, match=r"rows\.json:1:1: row 1, column day: expected a date"):
        sample_table(source(), tmp_path, "Etc/UTC")


def test_csv_is_text_unless_it_is_declared(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("n,day\n12,2026-01-05\n")
    spec = source(format="csv", separator=";")
    assert sample_table(spec, tmp_path, "Etc/UTC").rows == [(date(2026, 1, 5), "12")]


def test_without_sample_data_it_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"source rows needs sample data: write .*rows\.csv"):
        sample_table(source(), tmp_path, "Etc/UTC")
