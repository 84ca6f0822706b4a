"""Figures of small reports as `report-generator render` writes them: whole, rounded half up."""

from __future__ import annotations

import csv
import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPORTS = Path(__file__).resolve().parents[2] / "data" / "reports"


def rendered(name: str, tmp_path: Path) -> dict[str, Path]:
    """The files of a report by suffix."""
    directory = shutil.copytree(REPORTS / name, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "report_runner.cli", "render", directory, "--out", tmp_path / "out",
         "--slot", "2026-11-24T06:00:00Z"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {path.suffix: path for path in (tmp_path / "out").iterdir()}


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", page.read_text()))


def test_whole_numbers_of_any_size_keep_their_digits(tmp_path: Path) -> None:
    files = rendered("bigint", tmp_path)
    done = subprocess.run(["pdftotext", files[".pdf"], "-"], capture_output=True, check=True)
    printed = done.stdout.decode()
    for text in (printed, text_of(files[".html"])):
        assert "9,007,199,254,740,993" in text
        assert "9,007,199,254,740,995" in text
        assert "123456789012345678" in text  # a code
        assert "1182938475610293847" in text


def test_a_running_total(tmp_path: Path) -> None:
    assert "200.75" in text_of(rendered("running-total", tmp_path)[".html"])


def test_rounding(tmp_path: Path) -> None:
    text = text_of(rendered("rounding", tmp_path)[".html"])
    lines = {line.split(":")[0].strip(): line for line in text.splitlines() if "compact=" in line}
    for value, shown in {
        "0.125": "dec2=0.13 dec0=0 round=0.13",
        "0.135": "dec2=0.14",
        "2.5": "dec2=2.50 dec0=3",
        "3.5": "dec2=3.50 dec0=4",
        "1.005": "dec2=1.01 dec0=1 round=1.01",
        "999999": "compact=1.0M",
        "999950.0": "compact=1.0M",
        "999.96": "compact=1.0k",
        "-0.004": "dec2=0.00",
    }.items():
        assert shown in lines[value]


def test_columns_are_shown_by_their_type(tmp_path: Path) -> None:
    files = rendered("column-types", tmp_path)
    page = files[".html"].read_text()
    cells = re.findall(r"<td([^>]*)>(.*?)</td>", page)
    shown = {text: attributes for attributes, text in cells}
    assert {"0.00000012", "0.00000034", "12,345", "2,345", "2026", "10001"} <= shown.keys()
    assert 'class="n"' in shown["12,345"]
    with files[".csv"].open(encoding="utf-8-sig") as stream:
        assert [row["code"] for row in csv.DictReader(stream)] == ["12E4", "07"]


def test_tiles_are_short_and_on_the_page(tmp_path: Path) -> None:
    files = rendered("tiles", tmp_path)
    done = subprocess.run(["pdftotext", files[".pdf"], "-"], capture_output=True, check=True)
    for text in ("74.69", "1,234,567,890,123.45", "0.000123", "All desks within"):
        assert text in done.stdout.decode()
    assert "74.6923" not in done.stdout.decode()


def test_an_own_template_has_room_for_charts_and_long_texts(tmp_path: Path) -> None:
    files = rendered("own-template", tmp_path)
    done = subprocess.run(
        ["pdftotext", "-bbox", files[".pdf"], "-"], capture_output=True, check=True
    )
    words = re.findall(r'xMin="([\d.]+)" .*?xMax="([\d.]+)" .*?>(.*?)<', done.stdout.decode())
    assert "Cost" in {word for _, _, word in words}
    assert all(float(right) <= 595.3 - 56.6 for _, right, _ in words)  # A4 with 20 mm
