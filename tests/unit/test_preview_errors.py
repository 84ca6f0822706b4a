"""What a careless author writes: one line that says where, what there is, and what to write."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from report_runner.contract.reasons import EXIT_CODES, Reason
from report_runner.preview import preview_report

MANIFEST = """\
apiVersion: reports.adaf.io/v1alpha1
kind: ReportSchedule
metadata:
  name: daily
spec:
  reportType: desks
  schedule: "0 6 * * 1-5"
  timeZone: Europe/Madrid
  report:
    title: Desks
    parameters: {region: EMEA}
    sources:
      - name: desks
        inline:
          rows:
            - {desk: Credit, value: 10}
    charts:
      - name: by_desk
        source: desks
        spec:
          mark: bar
          encoding:
            x: {field: desk, type: nominal}
            "y": {field: value, type: quantitative}
    template: {configMapRef: {name: page}}
    formats: [html]
  delivery:
    email:
      to: [a@example.com]
      attach: [html]
      smtp: {secretRef: {name: report-smtp}}
"""
PAGE = "<h1>{{ title }}</h1>\n{{ table(sources.desks) }}\n{{ charts.by_desk }}\n"
CONFIG_MAP = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: page}
data:
  template.html.j2: |
    <h1>{{ title }}</h1>
    {{ charts.by_dsk }}
"""
INLINE = "        inline:\n          rows:\n            - {desk: Credit, value: 10}"
POSTGRES = "        postgres: {connection: {secretRef: {name: db}}, query: 'SELECT 1'}"


def complaint(directory: Path, capsys: pytest.CaptureFixture[str]) -> str:
    slot = datetime(2026, 1, 5, 6, tzinfo=UTC)
    code = preview_report(directory, None, directory / "out", slot)
    told = capsys.readouterr()
    assert code == EXIT_CODES[Reason.CONFIGURATION_ERROR], told
    assert told.out == ""
    (line,) = told.err.splitlines()
    return line.removeprefix("ConfigurationError: ").replace(f"{directory}/", "")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  name: daily", "\tname: daily", r"m.yaml:4:1: .* \(a tab cannot indent: use spaces\)"),
        ("    title: D", "   title: D", r"m.yaml:11:15: .*indented unlike those before it"),
        ('"0 6 * * 1-5"', "* * * * *", r"m.yaml:7:14: .*begins with \* has to be in quotes"),
        ('"0 6 * * 1-5"', "6", r"m.yaml:7:3 spec.schedule: has to be a text: put it in quotes"),
        ('"0 6 * * 1-5"', '"0 6 31 2 *"', r"m.yaml:7:3 spec.schedule: .*no slot within five years"),
        (
            "Europe/Madrid",
            "Madrid",
            r"m.yaml:8:3 spec.timeZone: write the IANA name .*did you mean",
        ),
        (
            "kind: ReportSchedule",
            "kind: ReportShedule",
            r"no ReportSchedule .*there is ReportShedule",
        ),
        ("v1alpha1", "v1", r"m.yaml:1:1 apiVersion: has to be reports.adaf.io/v1alpha1"),
        ("name: daily", "name: Daily", r"m.yaml:4:3 metadata.name: write the name of an object"),
        (
            "name: daily",
            "name: daily\n  labels: {a: yes}",
            r"m.yaml:5:12 metadata.labels.a: .*quotes",
        ),
        (
            "  report:\n",
            "  timeout: 20min\n  report:\n",
            r"m.yaml:9:3 spec.timeout: write a duration",
        ),
        (
            "  report:\n",
            "  resources: {limits: {gpu: 1}}\n  report:\n",
            r"limits.gpu: only cpu, mem",
        ),
        (
            "mark: bar",
            "mark: bars",
            r"m.yaml:21:11 spec.report.charts\[by_desk\].spec.mark: .*'bar'",
        ),
        ("field: value", "field: valeu", r"encoding.y.field: .*did you mean 'value'\? it has desk"),
        ('"y"', "y", r'm.yaml:20:9 spec.report.charts\[by_desk\].spec: .*: write "y": in quotes'),
        (
            "{region: EMEA}",
            "{slot: 1}",
            r"m.yaml:11:5 spec.report.parameters: report_date and slot",
        ),
        (INLINE, POSTGRES, r"m.yaml:13:9 spec.report.sources\[desks\]: .*write data/desks.csv"),
        (INLINE, POSTGRES.replace("1", "%(regoin)s"), r"did you mean %\(region\)s"),
        (
            "{configMapRef: {name: page}}",
            "page.html",
            r"an object with the fields builtin, configMapRef",
        ),
        ("formats: [html]", "formats: html", r"m.yaml:26:5 spec.report.formats: .*write \[html\]"),
        (
            "[a@example.com]",
            "a@example.com",
            r"m.yaml:29:7 spec.delivery.email.to: .*\[a@example.com\]",
        ),
        (
            "[a@example.com]",
            "[Doe, J. <j@example.com>]",
            r"m.yaml:29:12 spec.delivery.email.to\[0\]: wr",
        ),
        (
            "{secretRef: {name: report-smtp}}",
            "report-smtp",
            r"smtp: has to be an object with the fields",
        ),
        (
            "attach: [html]",
            "attach: [pdf]",
            r"attach\[0\]: .*report.formats \(html\), and pdf is not",
        ),
        (
            "    email:\n",
            "    email:\n      subject: '{{ titel }}'\n",
            r"undefined; did you mean 'title'",
        ),
        ("    email:\n", "    email:\n      subject: ' {{ \"\" }}'\n", r"subject: is empty once"),
    ],
)
def test_of_a_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    assert MANIFEST.count(old) == 1
    (tmp_path / "m.yaml").write_text(MANIFEST.replace(old, new))
    (tmp_path / "template.html.j2").write_text(PAGE)
    assert re.search(said, complaint(tmp_path, capsys))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (
            "\n{{ charts.by_desks }}",
            r":2:11: .*no 'by_desks'; did you mean 'by_desk'\? there is by_desk",
        ),
        ("{{ table(sources.desk) }}", r":1:18: .*there is no 'desk'; did you mean 'desks'"),
        ("{% for r in sources.desks %}{{ r.valeu }}{% endfor %}", r":1:34: .*there is desk, value"),
        ("{{ parameters.x }}", r":1:15: .*there is no 'x'; there is region"),
        ("{{ tabel() }}", r":1:4: .*'tabel' is undefined; did you mean 'table'"),
        ("{{ qqq }}", r":1:4: .*'qqq' is undefined; there is charts"),
        ("{{ sources.desks.rows[5].desk }}", r"there is no element 5; there are 1, counted from 0"),
        (
            "{{ 5 | ronud }}",
            r":1:8: the template: line 1: no filter is called 'ronud'; did you mean 'round'",
        ),
        ("{{ 5 | qqq }}", r"no filter is called 'qqq'; beside Jinja2's own there is"),
        ("{{ title is numbr }}", r"no test is called 'numbr'; did you mean 'number'"),
        ("x\n {% endfro %}", r":2:5: the template: line 2: Encountered unknown tag 'endfro'"),
        (
            "{{ table(sources.desks, columns=['valeu']) }}",
            r"no column 'valeu'; did you mean 'value'",
        ),
        (
            "{{ table(sources.desks.rows, columns=['valeu']) }}",
            r"table: the records have no column",
        ),
        (
            "{{ sources.desks.column('x') }}",
            r"source 'desks' has no column 'x'; there is desk, value",
        ),
        ("<p>\n<img src='logo.png'>", r":2:11: .*line 2: 'logo.png' in <img> is not loaded"),
    ],
)
def test_of_a_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], template: str, said: str
) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST)
    (tmp_path / "template.html.j2").write_text(template)
    found = complaint(tmp_path, capsys)
    assert re.search(r"template\.html\.j2" + said if said[0] == ":" else said, found)


def test_of_a_template_in_a_config_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.yaml").write_text(MANIFEST + CONFIG_MAP)
    line = (MANIFEST + CONFIG_MAP).splitlines().index("    {{ charts.by_dsk }}") + 1
    assert re.search(rf"m\.yaml:{line}:15: .*there is by_desk", complaint(tmp_path, capsys))


def test_two_schedules_in_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.yaml").write_text(f"{MANIFEST}---\n{MANIFEST}")
    assert "write each into a file of its own" in complaint(tmp_path, capsys)
