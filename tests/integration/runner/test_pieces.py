"""A document that is printed in pieces is that which is printed at once."""

# ruff: noqa: E501 - markup

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from PIL import Image, ImageChops

from report_runner.contract.reasons import Reason
from report_runner.models import RenderInput, RunError, Table
from report_runner.render import pdf, split
from report_runner.render.pdf import Worker, write_pdf
from report_runner.render.template import Page, render_page

NOW = datetime(2026, 1, 5, 6, tzinfo=UTC)
ROWS = 150
PIECES, AT_ONCE = "", "the PDF is printed at once"
FIXED = "table { table-layout: fixed; width: 100% }"
# A long table of an author's own, in a document with all that a document may have.
PAGE = """<!doctype html>
<html lang="es"><head><title>Trades &amp; fees</title><meta name="author" content="Back office">
<meta name="author" content="Desk 2"><meta name="keywords" content="trades, fees">
<meta name="description" content="All of them"><meta name="dcterms.created" content="2020-01-01">
<style>@page {{ size: A5; margin: 15mm; @bottom-right {{ content: counter(page) "/" counter(pages) }} }}
{style}</style></head><body class="report">
<h1>Contents</h1><p class="toc"><a href="#trades">Trades</a> <a href="#row-117">Last</a>
<a href="#fees">Fees</a> <a href="#nowhere">None</a> <a href="https://example.com/help">Help</a></p>
<ol><li>First<li>Second</ol><figure><img alt="" width="60" height="20"
src="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='60' height='20'%3E%3Crect width='60' height='20' fill='teal'/%3E%3C/svg%3E"></figure>
{before}<section id="s1" class="part"><h2 id="trades">Trades</h2>{table}<p id="after">After the trades,
<a href="#trades">back</a></p></section>
<section class="part last"><h2 id="fees">Fees</h2><p>None. <a href="#row-5">Row 5</a></p><h4>Deep</h4></section>
</body></html>"""
TABLE = """<table class="own" id="own">{caption}<colgroup><col style="width:20%"><col><col></colgroup>
<thead><tr><th>No</th><th>Text</th><th>Amount</th></tr></thead>{foot}<tbody>
{{% for row in sources.trades.rows %}}<tr {{% if loop.index0 % 50 == 17 %}}id="row-{{{{ loop.index0 }}}}" class="mark"{{% endif %}}>
<td>{{{{ row.number }}}}</td><td>{{{{ row.text }}}}</td><td>{{{{ row.amount }}}}</td></tr>
{{% endfor %}}</tbody></table>"""


def page(style: str = "", table: str = "", before: str = "", **parts: str) -> str:
    own = TABLE.format(caption=parts.get("caption", ""), foot=parts.get("foot", ""))
    return PAGE.format(style=style, before=before, table=table or own)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as one:
        yield one


def rendered(template: str) -> Page:
    rows = [
        (number, f"Trade {number} " + "of many words " * (number % 7 == 3), number * 1.5)
        for number in range(ROWS)
    ]
    values: dict[str, Any] = {
        "title": "Trades",
        "report_type": "own",
        "namespace": "reports",
        "name": "own",
        "slot": NOW,
        "report_date": date(2026, 1, 5),
        "time_zone": "Europe/Madrid",
        "generated_at": NOW,
        "run_id": "run.1",
        "parameters": {},
        "tables": {"trades": Table(("number", "text", "amount"), rows)},
        "template": template,
    }
    return render_page(RenderInput(**values), {})


def content(path: Path) -> dict[str, Any]:
    """All of a PDF that a reader sees or uses."""
    with pikepdf.open(path) as document:
        numbers = {one.objgen: number for number, one in enumerate(document.pages)}

        def place(target: Any) -> tuple[Any, ...]:
            return numbers[target[0].objgen], *(round(float(one), 2) for one in list(target)[2:])

        def outline(items: Any) -> list[Any]:
            return [
                (item.title, place(item.destination), item.is_closed, outline(item.children))
                for item in items
            ]

        names = (
            document.Root.get("/Names", pikepdf.Dictionary()).get("/Dests", {}).get("/Names", [])
        )
        pairs = list(names)
        with document.open_outline() as found:
            bookmarks = outline(found.root)
        return {
            "outline": bookmarks,
            "targets": {str(k): place(v) for k, v in zip(pairs[::2], pairs[1::2], strict=True)},
            "links": [
                (
                    number,
                    str(link.get("/Dest") or link.A.URI),
                    [round(float(side), 2) for side in link.Rect],
                )
                for number, one in enumerate(document.pages)
                for link in one.get("/Annots", [])
            ],
            "lang": str(document.Root.get("/Lang")),
            "metadata": {k: str(v) for k, v in document.docinfo.items()},
            "boxes": [[float(side) for side in one.mediabox] for one in document.pages],
            "text": text(path),
        }


def text(path: Path) -> list[str]:
    command = ["pdftotext", "-layout", str(path), "-"]
    found = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return [" ".join(one.split()) for one in found.split("\f")]


def pictures(path: Path) -> list[Image.Image]:
    prefix = path.with_suffix("")
    subprocess.run(["pdftoppm", "-r", "40", "-png", str(path), str(prefix)], check=True)
    return [Image.open(one) for one in sorted(path.parent.glob(f"{prefix.name}-*.png"))]


REPORTS = Path(__file__).resolve().parents[2] / "data" / "reports"


@pytest.mark.parametrize("rows", [500, 900])
def test_a_long_report_keeps_bookmarks_links_and_metadata(rows: int, tmp_path: Path) -> None:
    directory = shutil.copytree(REPORTS / "long-report", tmp_path / "report")
    lines = ["number,text", *(f"{number},trade {number}" for number in range(rows))]
    (directory / "data/trades.csv").write_text("\n".join(lines))
    done = subprocess.run(
        [sys.executable, "-m", "report_runner.cli", "render", directory, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    (path,) = (tmp_path / "out").iterdir()
    found = content(path)
    assert [(title, level) for title, _, _, level in found["outline"]] == [
        ("Contents", []),
        ("Trades", []),
        ("Fees", []),
    ]
    assert [target for _, target, _ in found["links"]] == [
        "trades",
        "fees",
        "https://example.com/help",
    ]
    assert found["targets"]["fees"][0] == len(found["boxes"]) - 1
    assert found["lang"] == "es"
    assert found["metadata"]["/Author"] == "Back office"
    assert found["metadata"]["/Keywords"] == "trades, fees"


def both(
    template: str,
    directory: Path,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> tuple[Path, Path, str]:
    """The document in pieces and at once, and why the first was not made in pieces."""
    shown = rendered(template)
    paths = directory / "pieces.pdf", directory / "whole.pdf"
    monkeypatch.setattr(pdf, "_room_for_two", lambda: False)
    monkeypatch.setattr(pdf, "PIECE_ROWS", 36)
    for path, longest in zip(paths, (60, 10_000), strict=True):
        monkeypatch.setattr(pdf, "LONG_TABLE", longest)
        monkeypatch.setattr(split, "LONG_TABLE", longest)
        caplog.set_level(logging.INFO)
        write_pdf(shown, path, NOW, worker)
    assert sorted(directory.iterdir()) == sorted(paths), "nothing is left over"
    return *paths, caplog.text


OWN = {
    "plain": (page(FIXED), PIECES),
    "runner's table": (page("", "{{ table(sources.trades, caption='All') }}"), PIECES),
    "two tables": (
        page("", "{{ table(sources.trades) }}<h2 id='x'>More</h2>{{ table(sources.trades) }}"),
        PIECES,
    ),
    "stripes": (
        page(FIXED + "tr:nth-child(3n+2) { background: silver } td:last-child { color: red }"
             "tbody tr:first-child td { font-size: 20pt } tr:last-child { background: yellow }"
             "tr:nth-last-child(-n+4) { font-weight: bold } tr:nth-child(-n+3) { color: blue }"),
        PIECES,
    ),
    "siblings": (
        page(FIXED + "tr.mark + tr { background: pink } h1 + p { color: green }"
             "section:first-of-type { border-left: 4px solid navy } section + section { color: teal }"
             "section:nth-child(5) h2 { font-size: 30pt } p:last-child { color: red }"),
        PIECES,
    ),
    "collapsed borders": (
        page(FIXED + "table { border-collapse: collapse } td, th { border: 2px solid teal }"
             "tr.mark td { border: 5px solid red } thead th { border-bottom: 6px solid black }"),
        PIECES,
    ),
    "decorated ancestors": (
        page(FIXED + "section { border: 6px solid red; padding: 12px; margin: 30px 0; background:"
             "#eee; border-radius: 20px } table { border: 3px solid blue; border-spacing: 4px;"
             "margin: 25px 0; padding: 5px } body { border: 2px dashed green; padding: 5px }"
             "html { background: #fffbe8 } section::before { content: '[' }"
             "section::after { content: ']' } body { margin: 3mm }"),
        PIECES,
    ),
    "cloned decorations": (
        page(FIXED + "section { box-decoration-break: clone; border: 4px solid; padding: 10px }"),
        PIECES,
    ),
    "caption and foot": (
        page(FIXED + "tfoot { display: table-footer-group; background: gold }"
             "caption { font-size: 20pt }", caption="<caption>Top</caption>",
             foot="<tfoot><tr><td>F</td><td>oo</td><td>t</td></tr></tfoot>"),
        PIECES,
    ),
    "caption below": (
        page(FIXED + "caption { caption-side: bottom }", caption="<caption>Below</caption>"),
        PIECES,
    ),
    "first page": (
        page(FIXED + "@page :first { margin-top: 60mm; @top-center { content: 'Cover' } }"
             "@page { border: 2px solid gray; background: #f0fff0; @top-left { content: 'All';"
             "background: yellow } } tr.mark { break-before: page } h2 { break-before: page }"),
        PIECES,
    ),
    "by id and bookmarks": (
        page(FIXED + "#s1 #own td { color: purple } th { bookmark-level: 3 }"
             "tr.mark { bookmark-level: 4; bookmark-label: 'Row ' content(text) }"
             "section { bookmark-level: 2; bookmark-label: 'Part'; bookmark-state: closed }"),
        PIECES,
    ),
    "style in the body": (
        page(FIXED, before="<div class='x'><style>td { color: red } .x { color: lime }</style>x</div>"),
        PIECES,
    ),
    "breaks to avoid": (
        page(FIXED + "tr.mark { break-before: avoid } section, table { break-inside: avoid }"
             "h2 { break-after: avoid }"),
        PIECES,
    ),
    "blank pages' rules": (page(FIXED + "* { break-after: auto } div, p { min-height: 20px }"), PIECES),
    "automatic columns": (page(""), "table-layout"),
    "fixed element": (page(FIXED + ".toc { position: fixed; bottom: 0 }"), "position: fixed"),
    "running element": (
        page(FIXED + "h2 { position: running(head) } @page { @top-left { content: element(head) } }"),
        "running()",
    ),
    "named string": (
        page(FIXED + "h2 { string-set: s content() } @page { @top-left { content: string(s) } }"),
        "string-set",
    ),
    "page counter in text": (page(FIXED + ".toc::after { content: counter(page) }"), "counter()"),
    "own counters": (
        page(FIXED + "tbody tr { counter-increment: n } td:first-child::before { content: counter(n)"
             " '. ' }"),
        "counter-increment",
    ),
    "target counters": (
        page(FIXED + ".toc a::after { content: target-counter(attr(href), page) }"),
        "target-counter()",
    ),
    "left and right": (page(FIXED + "@page :left { margin-left: 40mm }"), "@page :left"),
    "named pages": (
        page(FIXED + ".last { page: wide } @page wide { size: A4 landscape }"),
        "uses page",
    ),
    "footnotes": (page(FIXED + ".toc { float: footnote }"), "float: footnote"),
    "later siblings": (page(FIXED + "tr.mark ~ tr { color: red }"), "selector ~"),
    "columns of text": (page(FIXED + "section { columns: 2 }"), "column"),
    "least height": (page(FIXED + "section { min-height: 100mm }"), "min-height"),
    "flexible box": (page(FIXED + "section { display: flex }"), "no plain block"),
    "everywhere": (page(FIXED + "*::before { content: '*' }"), "pages without content"),
    "a list around": (
        page(FIXED, "<ol><li>" + TABLE.format(caption="", foot="") + "</li></ol>"),
        "no plain block",
    ),
    "a table around": (
        page("", "<table><tr><td>{{ table(sources.trades) }}</td></tr></table>"
             "{{ table(sources.trades) }}"),
        "inside of another table",
    ),
    "two rows a page": (page(FIXED + "td { height: 75mm }"), PIECES),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_pieces_are_as_the_whole(
    name: str,
    tmp_path: Path,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    template, reason = OWN[name]
    pieces, whole, said = both(template, tmp_path, worker, monkeypatch, caplog)
    assert (AT_ONCE in said) == bool(reason), said
    assert reason in said
    ours, theirs = content(pieces), content(whole)
    assert len(theirs["boxes"]) > 4
    assert all(theirs[what] for what in ("outline", "links", "targets"))
    for what in theirs:
        assert ours[what] == theirs[what], what
    for number, (one, other) in enumerate(zip(pictures(pieces), pictures(whole), strict=True), 1):
        extent = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).getextrema()
        assert max(high for _, high in extent) < 40, f"page {number}"


class _Small:
    """A worker that has too little memory."""

    def ask(self, _: object) -> None:
        raise RunError(Reason.RESOURCE_EXHAUSTED, "the PDF: needs too much memory")


def test_want_of_memory_says_what_a_document_is_printed_at_once_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "LONG_TABLE", 60)
    monkeypatch.setattr(split, "LONG_TABLE", 60)
    template, _ = OWN["named string"]
    with pytest.raises(RunError, match=r"too much memory; .* because its style sheet uses string"):
        write_pdf(rendered(template), tmp_path / "a.pdf", NOW, _Small())  # type: ignore[arg-type]
