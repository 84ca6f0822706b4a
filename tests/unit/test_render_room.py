"""What does not fit is never cut: parts of a table, room on the page, and what leaves it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report_runner.contract.reasons import Reason
from report_runner.contract.report import Format
from report_runner.models import RunError, Table
from report_runner.render.documents import render
from report_runner.render.layout import PADDING, SIZES, ColumnNeeds, arrange
from report_runner.render.page_size import page_width
from report_runner.render.text_width import text_width
from tests.unit.test_render_documents import given as report

LONG = "https://example.com/" + "0123456789" * 12


def printed(template: str, tmp_path: Path, **changes: object) -> None:
    render(report(3, template, **changes), [Format.PDF], tmp_path)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (f"<p>{LONG}</p>", ["a text in <p>", "at the right"]),
        ('<div id="wide" style="width:900px"><p style="text-align:right">x</p></div>', ["right"]),
        (f'<table style="table-layout:fixed;width:100%"><tr><td>{LONG[:60]}</td><td>b</td></tr>'
         "</table>", ["column 1", "wider than its column"]),
        ('<div style="position:absolute;top:280mm">low<br>lower<br>lowest</div>', ["bottom"]),
        ('<div style="height:100mm">' + "<p>line" * 90 + "</div>", ["text in <p>", "min-height"]),
        ('<div style="height:9mm">' + "line<br>" * 90 + "</div>", ["text in <div>"]),
        ('<div style="height:9mm"><table>' + "<tr><td>row" * 90 + "</table></div>",
         ["text in <td>", "min-height"]),
    ],
)  # fmt: skip
def test_what_leaves_its_place_fails_the_run(
    template: str, words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(RunError) as caught:
        printed(template, tmp_path)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert all(word in caught.value.message for word in words)
    assert "0123456789" not in caught.value.message  # it may be data


@pytest.mark.parametrize(
    "template",
    [
        f'<p style="overflow-wrap:anywhere">{LONG}</p>',
        "<style>@page{size:A4 landscape;margin:10mm}</style>{{ table(sources.wide) }}",
        "<style>@page{size:A5;margin:20mm}</style>{{ table(sources.wide) }}",
        '<div style="columns:2">{{ table(sources.wide, width=220) }}</div>',
        "<table><tr><td>{{ table(sources.positions) }}</td><td>{{ title }}</td></tr></table>",
        '<p style="transform:rotate(90deg)">turned</p>',
        '<div style="height:10mm">' + "<p>line" * 9 + "</div>",
        '<div style="height:500mm;hyphens:auto" lang="en">' + "a docu\xadment hyphenation " * 900,
        '<div style="min-height:100mm">' + "<p>line" * 90 + "</div>",
    ],
)
def test_what_fits_is_printed(template: str, tmp_path: Path) -> None:
    wide = Table(
        ("name", *(f"amount_{n}" for n in range(30))),
        [("Some desk", *(Decimal(f"{n}234567.89") for n in range(30)))],
    )
    narrow = Table(("a", "b"), [(1, 2)])
    printed(template, tmp_path, tables={"wide": wide, "positions": narrow})


@pytest.mark.parametrize(
    ("template", "points"),
    [
        ("<p>no rule</p>", 595.3 - 2 * 56.25 - 12),
        ("@page { size: A4 {{ orientation }}; margin: 15mm } body { margin: 0 }", 841.9 - 85.0),
        ("@page { margin: 1in; @top-left { content: 'x' } }", 595.3 - 144 - 12),
        ("@page { size: 200mm 100mm; margin: 0 10mm 0 20mm } body{margin:0}", 566.9 - 85.0),
        ("@page { size: letter; margin-left: 36pt; margin-right: 36pt } body{margin:0}", 540.0),
        ("@page { {% if x %}size: A3;{% endif %} margin: 10mm } body{margin:0}", 841.9 - 56.7),
    ],
)
def test_page_width_is_read_from_the_page_rule(template: str, points: float) -> None:
    assert page_width(template, "landscape") == pytest.approx(points, abs=0.5)


columns = st.lists(
    st.builds(
        lambda natural, wraps, key: ColumnNeeds(
            "c", wraps, key, natural, min(natural, 8.0) if wraps else natural
        ),
        st.floats(1.5, 25.0), st.booleans(), st.booleans(),
    ),
    min_size=1, max_size=150,
)  # fmt: skip


@given(columns, st.floats(380, 1200))
@settings(max_examples=300, deadline=None)
def test_every_column_stands_once_and_has_its_room(
    needs: list[ColumnNeeds], available: float
) -> None:
    parts = arrange(needs, available)
    keys = set.intersection(*(set(part.columns) for part in parts)) if len(parts) > 1 else set()
    shown = [index for part in parts for index in part.columns if index not in keys]
    assert sorted([*shown, *keys]) == list(range(len(needs)))
    for part in parts:
        for index, share in zip(part.columns, part.shares, strict=True):
            if not needs[index].wraps:
                wanted = needs[index].natural * SIZES[part.size] + PADDING
                assert share * available / 100 >= wanted - 0.01


TEXTS = [
    ("1,104,729.01 −Wm{~é", 1.0),
    ("Société générale d'Électricité ÀÉÎÕÜ çñ", 1.0),
    ("Łódź, Škoda, Győr, Reykjavík, Ħamrun", 1.1),
    ("Выручка по Щербинскому району, ЮЖНЫЙ", 1.25),
    ("Έσοδα ανά περιοχή ΑΘΗΝΑ", 1.25),
    ("المبيعات حسب المنطقة", 1.6),
    ("הכנסות לפי אזור", 1.3),
    ("€ 1 000,00 — £5‰ …", 1.1),
]


@pytest.mark.parametrize(("text", "most"), TEXTS)
@pytest.mark.parametrize("bold", [False, True])
def test_text_width_is_that_of_the_font(text: str, most: float, bold: bool) -> None:
    """As Pango would set it: letters of Arabic are joined, which makes them narrower."""
    from fontTools.ttLib import TTFont

    name = "DejaVuSans-Bold" if bold else "DejaVuSans"
    with TTFont(f"/usr/share/fonts/truetype/dejavu/{name}.ttf") as font:
        widths, names = font["hmtx"], font.getBestCmap()
        real = sum(widths[names[ord(character)]][0] for character in text) / 2048
    assert real * 0.99 <= text_width(text, bold=bold) <= most * real * 1.01
