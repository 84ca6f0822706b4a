"""What a page would have loaded is an error that says how to bring it."""

from __future__ import annotations

import pytest

from report_runner.models import RunError
from report_runner.render.references import check_references

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SVG = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'%3E{}%3C/svg%3E"


@pytest.mark.parametrize(
    "markup",
    [
        f'<img src="{PNG}">',
        f'<img src="{PNG}" srcset="{PNG} 2x">'.replace("==", "%3D%3D"),
        f'<img src="{SVG.format("")}">',
        '<svg><defs><linearGradient id="g"/></defs><rect fill="url(#g)"/><use href="#g"/></svg>',
        '<a href="https://example.com/">x</a>',
        "<style>/* url(a.png) */ p{color:red}</style>",
        '<!-- <img src="a.png"> -->',
        '<style>@namespace svg url("http://www.w3.org/2000/svg");</style>',
        '<style>@import url("data:text/css,p%7Bcolor:red%7D");</style>',
        "<style>@font-face{font-family:F;src:url(data:font/woff2;base64,d09GMg==)}</style>",
        '<p title="see url(a.png)">url(a.png)</p>',
        '<link rel="canonical" href="https://example.com/">',
        '<img alt="none">',
    ],
)
def test_what_stands_in_the_page_is_shown(markup: str) -> None:
    check_references(markup, markup, "f")


IMAGE, FONT, STYLE, OTHER = "images have to", "fonts have to", "style sheets have to", "take it out"


@pytest.mark.parametrize(
    ("markup", "reference", "remedy"),
    [
        ("<img src=logo.png>", "logo.png", IMAGE),
        ('<img src="//x/logo.png">', "//x/logo.png", IMAGE),
        ('<img src="cid:logo">', "cid:logo", IMAGE),
        ('<img src="file:///etc/hostname">', "file:///etc/hostname", IMAGE),
        (f'<img src="{PNG}" srcset="a.png 1x, big.png 2x">', "a.png", IMAGE),
        ('<img srcset="a.png 1x">', "a.png", IMAGE),
        ('<img src="">', "", IMAGE),
        ('<picture><source srcset="a.webp"></picture>', "a.webp", IMAGE),
        ("<input type=image src=a.png>", "a.png", IMAGE),
        ("<table background=a.png><tr><td>", "a.png", IMAGE),
        ('<svg><image href="a.png"/></svg>', "a.png", IMAGE),
        ('<svg><image xlink:href="a.png"/></svg>', "a.png", IMAGE),
        ('<svg><filter><feImage href="a.png"/></filter></svg>', "a.png", IMAGE),
        ('<svg><rect fill="url(a.svg#g)"/></svg>', "a.svg#g", IMAGE),
        ('<svg><rect style="mask:url(a.svg#g)"/></svg>', "a.svg#g", IMAGE),
        ('<svg><style>rect{fill:url(a.svg#g)}</style></svg>', "a.svg#g", IMAGE),
        (f'<img src="{SVG.format("%3Cimage href=%27a.png%27/%3E")}">', "a.png", IMAGE),
        ('<p style="background:url(a.png)">', "a.png", IMAGE),
        ("<p style=\"background:url('a.png')\">", "a.png", IMAGE),
        ("<p style=\"background:image-set('a.png' 1x)\">", "a.png", IMAGE),
        ("<style>p{background:u\\72l(a.png)}</style>", "a.png", IMAGE),
        ("<style>:root{--u:url(a.png)}</style>", "a.png", IMAGE),
        ("<style>@media print{@page{background:url(a.png)}}</style>", "a.png", IMAGE),
        ("<style>@media print{p{background:url(a.png)}}</style>", "a.png", IMAGE),
        ("<style>p{background:url(a.png)}", "a.png", IMAGE),
        ('<style>@import "a.css";</style>', "a.css", STYLE),
        ('<style>@import"a.css";</style>', "a.css", STYLE),
        ("<style>@import url(a.css) print;</style>", "a.css", STYLE),
        ('<style>@\\69mport "a.css";</style>', "a.css", STYLE),
        ('<style>@import/**/"a.css";</style>', "a.css", STYLE),
        ('<style>@import "data:text/css,p%7Bbackground:url(b.png)%7D";</style>', "b.png", IMAGE),
        ("<link rel=stylesheet href=a.css>", "a.css", STYLE),
        ('<link rel="alternate stylesheet" href=a.css>', "a.css", STYLE),
        ('<link rel=stylesheet href="data:text/html,x">', "data:text/html,x", STYLE),
        ("<style>@font-face{src:url(a.woff2)}</style>", "a.woff2", FONT),
        ('<style>@font-face{src:local("x"),url("a.woff2")}</style>', "a.woff2", FONT),
        ("<style>@font-face{src:url(data:font/woff2;base64,AAAA)}</style>",
         "data:font/woff2;base64,AAAA", FONT),
        ("<object data=a.svg></object>", "a.svg", OTHER),
        ("<embed src=a.svg>", "a.svg", OTHER),
        ("<iframe src=a.html></iframe>", "a.html", OTHER),
        ("<video src=a.mp4></video>", "a.mp4", OTHER),
        ("<video poster=a.png></video>", "a.png", IMAGE),
        ("<script src=a.js></script>", "a.js", OTHER),
        ('<svg><use href="a.svg#x"/></svg>', "a.svg#x", OTHER),
        ('<img src="data:text/html,<b>x</b>">', "data:text/html,<b>x</b>", IMAGE),
        ('<img src="data:image/png;base64,!!!!">', "data:image/png;base64,!!!!", IMAGE),
        ('<img src="data:image/png;base64">', "data:image/png;base64", IMAGE),
        ('<img src="data:image/png;base64,AAAA">', "data:image/png;base64,AAAA", IMAGE),
        ('<img src="data:,">', "data:,", IMAGE),
    ],
)  # fmt: skip
def test_what_would_be_missing_is_told(markup: str, reference: str, remedy: str) -> None:
    template = f"<h1>\n</h1>\n{markup}"
    with pytest.raises(RunError) as caught:
        check_references(template, template, "spec.report.template")
    message = caught.value.message
    assert message.startswith("spec.report.template: line 3")
    assert f"{reference!r} in <" in message
    assert remedy in message


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("data:text/html,x", "has the type text/html, which is no image"),
        ("data:image/png;base64,!!", "is not base64"),
        ("data:image/png;base64,", "is empty"),
        ("data:image/png;base64,AAAA", "holds no image that can be read"),
        ("data:image/png", "has no comma"),
    ],
)
def test_an_image_that_is_none_says_why(uri: str, problem: str) -> None:
    with pytest.raises(RunError, match=problem):
        check_references(f'<img src="{uri}">', "", "f")
