"""`report-generator render DIR` on the example of the docs."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from pypdf import PdfReader

from report_operator.api.v1alpha1.resource import parse_schedule
from report_operator.crd.verdict import spec_problems
from report_runner.contract.reasons import EXIT_CODES, Reason
from report_runner.contract.templating import compile_problem

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "weekly-positions"
WRONG = EXIT_CODES[Reason.CONFIGURATION_ERROR]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "example"))


def preview(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    out = str(directory.parent / "out")
    return subprocess.run(
        [sys.executable, "-m", "report_runner.cli", "render", directory, "--out", out, *options],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def complaint(directory: Path) -> str:
    """The error message; no output file is announced, and there is no traceback."""
    done = preview(directory)
    assert done.returncode == WRONG, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


def edit(path: Path, old: str, new: str) -> int:
    """Replace a text that occurs once; its line number."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return text[: text.index(old)].count("\n") + 1


def test_example_is_rendered(example: Path) -> None:
    done = preview(example, "--slot", "2026-01-05T06:00:00Z")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()[:4]
    pdf, table, workbook, mail = (Path(line.split(" (")[0]) for line in lines)
    assert workbook.suffix == ".xlsx"
    assert "Weekly positions" in mail.read_text()
    assert "\nsubject: Weekly positions" in done.stdout
    assert pdf == example.parent / "out" / "weekly-positions-2026-01-05.pdf"
    pages = PdfReader(pdf).pages
    assert f"{pdf} ({len(pages)} page" in done.stdout
    text = " ".join(page.extract_text() for page in pages)
    for expected in ("Weekly positions", "2 January 2026", "13 of them", "13,761,180", "Equities"):
        assert expected in " ".join(text.split())
    with table.open(encoding="utf-8-sig", newline="") as stream:
        assert len(list(csv.reader(stream))) == 14


def add_to_report(example: Path, **fields: object) -> None:
    path = example / "schedule.yaml"
    schedule, page = yaml.safe_load_all(path.read_text())
    schedule["spec"]["report"] |= fields
    # As JSON: YAML would write the key y of a chart without quotes.
    path.write_text("\n---\n".join(map(json.dumps, (schedule, page))) + "\n")


def test_checks_and_conditions_are_told_of_the_sample_rows(example: Path) -> None:
    checks: list[dict[str, object]] = [
        {"name": "some", "source": "positions", "rows": {"min": 5}},
        {"name": "many", "source": "positions", "rows": {"min": 500}, "severity": "warn"},
        {"name": "most", "source": "positions", "rows": {"min": 5000}},
    ]
    add_to_report(
        example,
        checks=checks,
        sendIf="positions | length > 500",
        onlyIfChanged={"sources": ["positions"]},
        declaredParameters=[
            {"name": "first", "type": "date", "default": "{{ report_date | month_start }}"}
        ],
    )
    done = preview(example, "--slot", "2026-01-05T06:00:00Z")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for expected in (
        "check some: expected at least 5 rows, found 13 rows: passed",
        "check many: expected at least 500 rows, found 13 rows: a warning in document and mail",
        "check most: expected at least 5,000 rows, found 13 rows: the run fails (DataCheckFailed)",
        "spec.report.sendIf: false: nothing is sent (Skipped)",
    ):
        assert expected in lines
    (pdf,) = example.parent.glob("out/*.pdf")
    first = " ".join(PdfReader(pdf).pages[0].extract_text().split())
    assert "Mind these figures: check many: expected at least 500 rows, found 13 rows" in first
    (mail,) = example.parent.glob("out/*.mail.html")
    assert "check many" in mail.read_text()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"sendIf": "positionss | length > 0"}, "spec.report.sendIf: there is no 'positionss'"),
        ({"sendIf": "positions | lenght > 0"}, "no filter is called 'lenght'"),
        ({"sendIf": "positions | length"}, "spec.report.sendIf: gives a number, not true"),
        ({"parameters": {"a": "{{ report_dat }}"}}, "spec.report.parameters.a: there is no"),
        ({"checks": [{"name": "c", "source": "positions", "notNull": ["isinn"]}]},
         "spec.report.checks[c]: source 'positions' has no column 'isinn'; did you mean 'isin'?"),
        ({"onlyIfChanged": {"sources": ["positions"], "ignore": ["att"]}},
         "spec.report.onlyIfChanged.ignore: no source"),
    ],
)  # fmt: skip
def test_a_wrong_condition_is_reported(example: Path, fields: dict[str, object], told: str) -> None:
    add_to_report(example, **fields)
    assert told in complaint(example)


def test_example_is_valid_for_the_operator() -> None:
    schedule, page = yaml.safe_load_all((EXAMPLE / "schedule.yaml").read_text())
    schedule["metadata"] |= {"uid": "u1", "generation": 1}
    assert spec_problems(schedule["spec"], datetime(2026, 11, 24, tzinfo=UTC)) == []
    spec = parse_schedule(schedule).spec
    reference = spec.report.template.config_map_ref
    assert reference is not None
    assert page["metadata"]["name"] == reference.name
    assert compile_problem(page["data"][reference.key]) is None
    for source in spec.report.sources:
        assert (EXAMPLE / "data" / f"{source.name}.csv").is_file()


def test_template_file_overrides_the_config_map(example: Path) -> None:
    (example / "template.html.j2").write_text("<p>from the file</p>")
    done = preview(example)
    assert done.returncode == 0
    pdf = done.stdout.split(" (")[0]
    assert "from the file" in PdfReader(pdf).pages[0].extract_text()


def test_template_syntax_error_has_its_line(example: Path) -> None:
    file = example / "template.html.j2"
    file.write_text("<h1>{{ title }}</h1>\n<p>\n{% for row in sources.positions %}\n</p>")
    assert f"{file}:4:1: the template: line 4: Unexpected end of template" in complaint(example)
    file.unlink()
    manifest = example / "schedule.yaml"
    line = edit(manifest, "<h1>{{ title }}</h1>", "<h1>{{ title | nope }}</h1>")
    column = manifest.read_text().splitlines()[line - 1].index("nope") + 1
    assert (
        f"{manifest}:{line}:{column}: ConfigMap weekly-positions-page/template.html.j2: line 14: "
        in complaint(example)
    )


def test_undefined_template_name_is_reported(example: Path) -> None:
    (example / "template.html.j2").write_text("<h1>\n{{ titel }}</h1>")
    where = f"{example / 'template.html.j2'}:2:4: spec.report.template"
    assert f"{where}: line 2: 'titel' is undefined" in complaint(example)
    (example / "template.html.j2").unlink()
    manifest = example / "schedule.yaml"
    line = edit(manifest, "<h1>{{ title }}</h1>", "<h1>{{ titel }}</h1>")
    column = manifest.read_text().splitlines()[line - 1].index("titel") + 1
    assert f"{manifest}:{line}:{column}: spec.report.template: line 14: " in complaint(example)


@pytest.mark.parametrize(
    ("old", "new", "field", "at"),
    [
        ("    title: Weekly positions", "    titel: Weekly positions", "spec.report.titel", ""),
        ("        source: desks", "        source: nothing", "spec.report.charts", "    charts:"),
        # kubectl reads a bare y as true.
        ('            "y": ', "            y: ", "spec.report.charts[desks].spec", "        spec:"),
        (
            "          query: |\n            SELECT desk",
            "          timeout: soon\n          query: |\n            SELECT desk",
            "spec.report.sources[desks].postgres.timeout",
            "",
        ),
        ("    formats: [pdf, csv, xlsx]", "    formats: [pdf, word]", "spec.report.formats[1]", ""),
        (
            "      to: [desk-heads@example.com]",
            "      to: [desk-heads]",
            "spec.delivery.email.to[0]",
            "",
        ),
        ("{retention: 90d}", "{retention: 90 days}", "spec.output.retention", ""),
    ],
)
def test_invalid_field_is_reported_with_file_and_line(
    example: Path, old: str, new: str, field: str, at: str
) -> None:
    manifest = example / "schedule.yaml"
    line = edit(manifest, old, new)
    if at:  # the field is not where it was edited
        line = manifest.read_text().split(at)[0].count("\n") + 1
    assert re.search(
        f"{re.escape(f'{manifest}:{line}')}:\\d+ {re.escape(field)}: ", complaint(example)
    )


def test_the_line_is_right_where_the_schedule_comes_second(example: Path) -> None:
    manifest = example / "schedule.yaml"
    schedule, page = manifest.read_text().split("---\n")
    manifest.write_text(f"{page}---\n{schedule}")
    line = edit(manifest, "    formats: [pdf, csv, xlsx]", "    formats: [word]")
    assert f"{manifest}:{line}:15 spec.report.formats[0]: " in complaint(example)


def test_invalid_yaml_is_reported(example: Path) -> None:
    line = edit(example / "schedule.yaml", "  timeZone: Europe/Madrid", "  timeZone: [Europe")
    said = complaint(example)
    # YAML's own parser names the line after the one that was left open.
    assert re.search(rf"schedule.yaml:({line}|{line + 1}):\d+: ", said)


def test_unknown_time_zone_is_reported(example: Path) -> None:
    edit(example / "schedule.yaml", "Europe/Madrid", "Europe/Toledo")
    assert re.search(
        r"schedule.yaml:\d+:3 spec.timeZone: write the IANA name .*'Europe/Toledo' is unknown: did",
        complaint(example),
    )


def test_missing_or_invalid_sample_data_is_reported(example: Path) -> None:
    sample = example / "data" / "desks.csv"
    sample.write_text("desk,value\nEquities,1\nCredit\n")
    assert f"{sample}:3:7: 1 cells, but the first line names 2 columns" in complaint(example)
    sample.write_text("")
    assert f"{sample} is empty: its first line has to name the columns" in complaint(example)
    sample.unlink()
    said = complaint(example)
    assert f"source desks needs sample data: write {sample} (first line: the columns)" in said
    assert str(sample.with_suffix(".json")) in said


def test_business_days_are_those_of_the_calendar(example: Path) -> None:
    """2026-01-06 is in the ConfigMap, so the business day after the 5th is the 7th."""
    schedule = example / "schedule.yaml"
    calendar = "calendar: {configMapRef: {name: days-off}}"
    edit(schedule, "  reportType:", f"  {calendar}\n  reportType:")
    next_day = "(report_date | next_business_day) == ('2026-01-07' | as_date)"
    add_to_report(example, sendIf=next_day)
    told = complaint(example)
    assert "spec.calendar.configMapRef.name: ConfigMap days-off does not exist in" in told
    days = {"kind": "ConfigMap", "metadata": {"name": "days-off"}, "data": {"dates": "2026-01-06"}}
    (example / "days.yaml").write_text(yaml.safe_dump(days))
    done = preview(example, "--slot", "2026-01-05T06:00:00Z")
    assert done.returncode == 0, done.stderr
    assert "spec.report.sendIf: true" in done.stdout, done.stdout


def test_a_directory_without_a_schedule(tmp_path: Path) -> None:
    assert f"{tmp_path}: no ReportSchedule there" in complaint(tmp_path)
