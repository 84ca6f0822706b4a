"""The preview reads and refuses what the cluster does, and says where it is wrong."""

from __future__ import annotations

import re
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from report_runner.contract.sources import InlineSource, SourceSpec
from report_runner.models import RunError
from report_runner.preview import schema
from report_runner.preview.documents import read_documents
from report_runner.preview.samples import sample_table
from report_runner.sources import inline_table
from tests.integration.runner.test_preview import ROOT, complaint, preview

REPORTS = ROOT / "tests" / "data" / "reports"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("v1", r"report.yaml:7:3 spec.timezone: unknown field; did you mean timeZone\?"),
        ("v2", r"report.yaml:6:3 spec.schedule: write a schedule in the CronJob dialect"),
        ("v3", r"report.yaml:16:\d+ spec.delivery.email.attach\[0\]: every format to attach"),
        ("v4", r"report.yaml:8:3 spec.retries: unknown field; did you mean retry\?"),
        ("v5", r"report.yaml:5:3 spec.reportType: write an identifier"),
        ("v11", r"desks.csv:1:\d+: the columns are separated by semicolons"),
        ("v12", r"desks.csv:1:\d+: two columns are called a"),
        ("v14", r"report.yaml:16:\d+ spec.delivery.email.subject: line 1: 'titel' is undefined"),
    ],
)
def test_what_the_cluster_refuses_is_refused(tmp_path: Path, name: str, said: str) -> None:
    directory = shutil.copytree(
        REPORTS / "preview-accepts-what-cluster-refuses" / name, tmp_path / name
    )
    assert re.search(said, complaint(Path(directory)))


def copied(tmp_path: Path) -> Path:
    source = REPORTS / "preview-accepts-what-cluster-refuses" / "v12"
    directory = Path(shutil.copytree(source, tmp_path / "copy"))
    (directory / "data" / "desks.csv").write_text("a,b\n1,2\n")
    return directory


def test_a_template_of_more_than_256_kib_is_refused(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    (directory / "template.html.j2").write_text("x" * 300_061)
    assert "the template has 300061 bytes, the limit is 262144" in complaint(directory)


@pytest.mark.parametrize("file", ["report.yaml", "template.html.j2", "data/desks.csv"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,ñ\n".encode("utf-16"), ":1:1: the file is UTF-16: save it as UTF-8"),
        (b"a\nb\xf1\n", ":2:2: the file is not UTF-8 (byte 0xf1)"),
        (b"a\n\0", ":2:1: the file has a NUL byte"),
    ],
)
def test_a_file_that_is_no_text_is_refused(
    tmp_path: Path, file: str, text: bytes, said: str
) -> None:
    directory = copied(tmp_path)
    (directory / file).write_bytes(text)
    found = complaint(directory)
    assert f"{directory / file}{said}" in found
    assert len(found.splitlines()) == 1


def test_an_unknown_column_of_a_chart_has_its_place(tmp_path: Path) -> None:
    directory = shutil.copytree(REPORTS / "chart-missing-column" / "c-miss", tmp_path / "c")
    found = complaint(Path(directory))
    assert "m.yaml:18:42 spec.report.charts[c].spec.encoding.x.field: source a has no" in found


def test_an_image_from_elsewhere_has_its_place(tmp_path: Path) -> None:
    directory = shutil.copytree(REPORTS / "external-image-missing", tmp_path / "c")
    assert re.search(
        r"template.html.j2:4:\d+: spec.report.template: line 4: 'https", complaint(Path(directory))
    )


def test_the_mail_is_shown(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    manifest = directory / "report.yaml"
    mail = """subject: "{{ title }}!", cc: ['"Doe, J." <j@example.com>'], bcc: [b@example.com],
      replyTo: Desk <d@example.com>, to: ["""
    manifest.write_text(manifest.read_text().replace("to: [", mail))
    done = preview(directory)
    assert done.returncode == 0, done.stderr
    told = 'cc: "Doe, J." <j@example.com>\nbcc: b@example.com\nreplyTo: Desk <d@example.com>\n'
    assert told in done.stdout
    assert "\nsubject: V!\n" in done.stdout
    assert "mail.html" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a,b\n1,2\n"x,3\n', "3:1: the quote that begins here is not closed"),
        ('a,b\n1,"x"y\n', "2:6: after a closing quote comes a comma or the end of the line"),
        ('a,b\n"x\ny",2\n3\n', "4:2: 1 cells, but the first line names 2 columns"),
        ("a,b\r\n1,2,3\r\n", "2:5: 3 cells, but the first line names 2 columns"),
        ("a,b\n\n1,2,3\n", "3:5: 3 cells, but the first line names 2 columns"),
        ("a,,b\n", "1:3: column 2 has no name"),
        ("a,b,a\n", "1:5: two columns are called a: give each its own name (a, b, a)"),
        ("a\tb\n", "1:2: the columns are separated by tabs"),
    ],
)
def test_a_broken_csv_file_has_line_and_column(tmp_path: Path, text: str, said: str) -> None:
    source = SourceSpec.model_validate({"name": "desks", "inline": {"rows": []}})
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "desks.csv"
    file.write_bytes(text.encode())
    with pytest.raises(RunError) as caught:
        sample_table(source, tmp_path)
    assert caught.value.message.startswith(f"{file}:{said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{]", ":1:3: "), ('{"a": 1}', ":1:1: write a list of objects"),
        ("[{}, 1]", ":1:1: row 2 is no object"), ("[" * 100_000, ":1:1: cannot be read"),
        ("[" + "1" * 5000 + "]", ":1:1: cannot be read"),
    ],
)  # fmt: skip
def test_broken_json_has_its_place(tmp_path: Path, text: str, said: str) -> None:
    source = SourceSpec.model_validate({"name": "desks", "inline": {"rows": []}})
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "desks.json"
    file.write_text(text)
    with pytest.raises(RunError, match=re.escape(f"{file}{said}")):
        sample_table(source, tmp_path)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("17:30", "17:30"), ("2e6", 2_000_000), ("1e5", 100_000), ("2026-11-20", "2026-11-20"),
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"), ("yes", True), ("y", True),
        ("off", False), ("N", False), ("010", 8), ("0o17", 15), ("0x1F", 31), ("09", 9),
        ("1_000", 1000), ("1.0", 1), ("2.50", 2.5), (".5", 0.5), ("~", None), ("", None),
        ("'17'", "17"), ("1e", "1e"), ("-0x10", -16), ("99999999999999999999", 10**20),
        ("12E4", 120_000), ("1.2.3", "1.2.3"), ("=", "="), ("0b101", 5), ("truE", "truE"),
    ],
)  # fmt: skip
def test_a_scalar_is_read_as_kubectl_reads_it(tmp_path: Path, written: str, read: object) -> None:
    (tmp_path / "a.yaml").write_text(f"value: {written}\n")
    (document,) = read_documents(tmp_path / "a.yaml")
    assert document.body == {"value": read}
    assert type(document.body["value"]) is type(read)


def test_keys_are_texts_in_alphabetical_order(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("b: 1\n1: x\ny: z\n<<: {c: 2, b: 3}\n")
    (document,) = read_documents(tmp_path / "a.yaml")
    assert list(document.body.items()) == [("1", "x"), ("b", 3), ("c", 2), ("true", "z")]


def test_a_key_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a:\n  b: 1\n  b: 2\n")
    with pytest.raises(RunError, match=r"a\.yaml:3:3: the key b occurs twice"):
        read_documents(tmp_path / "a.yaml")


def test_the_manifest_that_was_read_otherwise() -> None:
    (document,) = read_documents(REPORTS / "preview-reads-yaml-otherwise" / "report.yaml")
    report = document.body["spec"]["report"]
    assert report["parameters"] == {"cutoff": "17:30", "minimum": 100_000, "since": "2026-11-01"}
    rows = report["sources"][0]["inline"]["rows"]
    table = inline_table(InlineSource.model_validate({"rows": rows}))
    assert table.columns == ("as_of", "closes", "desk", "limit")
    assert table.rows[0] == ("2026-11-20", "16:45", "Credit", 2_000_000)


def test_columns_of_inline_rows_have_the_order_that_is_asked_for() -> None:
    source = {"rows": [{"b": 1.5, "a": 2}], "columns": ["b", "a", "c"]}
    table = inline_table(InlineSource.model_validate(source))
    assert (table.columns, table.rows) == (("b", "a", "c"), [(Decimal("1.5"), 2, None)])
    with pytest.raises(ValueError, match="every key of a row has to be one of columns"):
        InlineSource.model_validate({**source, "columns": ["a"]})


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "examples").rglob("schedule.yaml")))
def test_what_the_cluster_takes_is_taken(path: Path) -> None:
    for document in read_documents(path):
        if document.body["kind"] == "ReportSchedule":
            assert list(schema.problems(document.body)) == []
