"""Which style sheets may be split, and what takes the place of rows that are left out."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report_runner.render.split_check import Siblings, WholeError, sibling_rules


def document(css: str, *styles: str) -> Element:
    root = Element("html")
    SubElement(SubElement(root, "head"), "style").text = css
    body = SubElement(root, "body")
    for style in styles:
        SubElement(body, "p", {"style": style})
    return root


@pytest.mark.parametrize(
    ("css", "said"),
    [
        ("p { p\\6fsition: FIXED }", "position: fixed"),
        ("/* a */ p { --x: fixed; position: var(--x) }", "--x: fixed"),
        ("@media print { p { q { float: footnote } } }", "float: footnote"),
        ("@layer a { p { color: red } }", "@layer"),
        ("@import 'data:text/css,p{position:fixed}';", "@import"),
        ("@page :first { } @page :left { }", "@page :left"),
        (":is(a ~ b) { color: red }", "selector ~"),
        ("a:not(b:has(c)) { color: red }", ":has()"),
        ("tr:nth-child(2 of .x) { color: red }", ":nth-child() of some"),
        ("tr:nth-child(999n) { color: red }", "large numbers"),
        ("p::after { content: counters(section, '.') }", "counters()"),
        ("[style] { color: red }", "[style]"),
        ("a { b: " + "(" * 5000, "nested deeply"),
    ],
)
def test_what_is_of_the_whole_is_found(css: str, said: str) -> None:
    with pytest.raises(WholeError) as caught:
        sibling_rules(document(css))
    assert said in str(caught.value)


def test_style_attributes_count() -> None:
    with pytest.raises(WholeError, match="position: fixed"):
        sibling_rules(document("", "color: red", "position: fixed"))
    with pytest.raises(WholeError, match="thousands"):
        sibling_rules(document("", *(f"width: {n}px" for n in range(3000))))


@pytest.mark.parametrize(
    ("css", "siblings"),
    [
        ("tr:nth-child(even) { color: red } td.empty, [x~=y] { color: red }", Siblings(2, 1)),
        ("tr:nth-child(3n + 2), tr:nth-last-child(-2n + 7) { color: red }", Siblings(6, 8)),
        (
            "@page { @top-left { content: counter(page) } } table { table-layout: fixed }",
            Siblings(),
        ),
        ("@font-face { font-family: x } a + b, c + d { color: red }", Siblings()),
    ],
)
def test_what_is_alike_in_pieces_passes(css: str, siblings: Siblings) -> None:
    assert sibling_rules(document(css)) == siblings


@given(st.integers(0, 5000), st.integers(1, 12), st.integers(1, 12), st.integers(0, 12))
def test_rows_are_counted_alike_behind_stand_ins(
    rows: int, step: int, fixed: int, offset: int
) -> None:
    few = Siblings(step, fixed).stand_ins(rows)
    assert few <= min(rows, fixed + step)
    assert few % step == rows % step
    if offset < fixed:
        assert (few < offset) == (rows < offset)
        assert (few == offset) == (rows == offset)
