"""A report's HTML in a real browser, opened without any header: nothing of it runs or gets out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hack.testbed.waiting import wait_for
from report_runner.render.page import with_policy
from tests.support.browser import Browser

MARK = "JS-RAN"
SCRIPT = f'<script>document.title="{MARK}"</script>'
# Documents that tried to have the policy put where a browser does not look for it.
SAMPLES = {
    "normal": "<html><head><title>x</title></head><body>@</body></html>",
    "comment": "<!-- <head> --><html><head></head><body>@</body></html>",
    "attribute": '<html data-x="<head>"><head></head><body>@</body></html>',
    "late": "<!--" + "x" * 100_001 + "--><html><head>@</head></html>",
    "svg": "<svg><head></head></svg>@",
    "script-first": "@<html><head></head></html>",
    "bom": "\ufeff<html><head>@</head>",
    "header-tag": "<header>x</header>@",
    "no-head": "<p>x</p>@",
    "template": "<template><head></template>@",
    "title": "<title>&lt;<head></title>@",
}
EVASIONS = SAMPLES | {
    "textarea": "<textarea><head></textarea>@",
    "doctype-in-a-comment": "<!-- <!doctype html> -->@",
    "doctype-entity": '<!doctype html SYSTEM "<head>">@',
    "two-heads": "<head></head><body></body><head>@</head>",
    "closed": "</head></html>@",
    "frameset": "<frameset><frame src='$/frame'></frameset>@",
    "noscript": "<noscript><style></noscript>@",
    "noscript-body": "<body><noscript><p title='</noscript>@'>",
    "style": "<style></style>@<style>",
    "xmp": "<xmp></xmp>@",
    "plaintext": "@<plaintext>",
    "open-comment": "<!--><!-->@",
    "cdata": "<svg><![CDATA[<head>]]></svg>@",
    "math": "<math><mtext><table><mglyph><style></style></mglyph></table></mtext></math>@",
    "select": "<select><option></option></select>@",
    "null": "<he\0ad>@",
    "other-policy": "<meta http-equiv=Content-Security-Policy content=\"default-src *\">@",
    "other-charset": "<meta charset=iso-2022-jp><p>\x1b$B</p>@",
    "shadow": "<div><template shadowrootmode=open>@</template></div>",
}  # fmt: skip
# What would get out; "$" is the listener. Those before the line do so in this browser without the
# policy (the test shows it), the others may in another one.
GETS_OUT = {
    "script": "<script>fetch('$/script')</script>",
    "handler": "<img src=data: onerror=\"fetch('$/handler')\">",
    "image": "<img src='$/image'>",
    "sources": "<img srcset='$/srcset 1x'>",
    "stylesheet": "<link rel=stylesheet href='$/stylesheet'>",
    "import": "<style>@import '$/import';</style>",
    "background": "<p style=\"background:url('$/background')\">x</p>",
    "document": "<iframe srcdoc=\"<img src='$/srcdoc'>\"></iframe>",
    "object": "<object data='$/object'></object>",
    "embed": "<embed src='$/embed'>",
    "video": "<video poster='$/poster' src='$/video' autoplay></video>",
    "input": "<input type=image src='$/input'>",
    "svg-image": "<svg><image href='$/svg-image' width=9 height=9 /></svg>",
    "svg-script": "<svg><script>fetch('$/svg-script')</script></svg>",
    "base": "<base href='$/'><img src=base>",
    "preload": "<link rel=preload as=image href='$/preload'>",
    "module": "<link rel=modulepreload href='$/module'>",
    "preconnect": "<link rel=preconnect href='$/'>",
    "refresh": "<meta http-equiv=refresh content='0;url=$/refresh'>",
    "refresh-shouted": "<META\nHTTP-EQUIV='&#114;efresh' CONTENT='0; URL=$/shouted'>",
    "refresh-slash": "<meta/http-equiv='refresh'/content='0;url=$/slash'/>",
    "refresh-in-svg": "<svg><foreignObject><meta http-equiv=refresh content='0;url=$/svg'>",
    "form": "<form action='$/form'><button id=go>x</button></form>",
    "form-of-a-button": "<form><button id=go formaction='$/button'>x</button></form>",
}
MAY_GET_OUT = {
    "iframe": "<iframe src='$/iframe'></iframe>",
    "prefetch": "<link rel=prefetch href='$/prefetch'>",
    "icon": "<link rel=icon href='$/icon'>",
    "manifest": "<link rel=manifest href='$/manifest'>",
    "attribution": "<img src=data: attributionsrc='$/attribution'>",
    "speculation": '<script type=speculationrules>{"prefetch":[{"urls":["$/x"]}]}</script>',
    "cross-origin-import": "<svg><use href='$/use#a'/></svg>",
    "bgsound": "<bgsound src='$/bgsound'>",
    "noscript": "<noscript><meta http-equiv=refresh content='0;url=$/noscript'></noscript>",
    "body": "<body background='$/body'>",
}  # fmt: skip
DWELL = "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done, 300));"
CLICK = "document.getElementById('go')?.click()"


class Listener(ThreadingHTTPServer):
    """Counts whoever connects, also without a request; serves pages at another port."""

    def __init__(self) -> None:
        self.connections = 0
        self.asked: list[str] = []  # paths; a connection may ask for nothing
        super().__init__(("127.0.0.1", 0), _Nothing)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def get_request(self):
        self.connections += 1
        return super().get_request()

    @property
    def contacts(self) -> int:
        """Connections and requests: either may come without the other."""
        return self.connections + len(self.asked)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Nothing(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser.open("file://", tmp_path_factory.mktemp("profile"))
    yield opened
    opened.driver.quit()


def show(browser: Browser, path: Path, html: str) -> None:
    """Open the file as a person does, wait until it is loaded, and press its button."""
    path.write_text(html, encoding="utf-8")
    browser.go(str(path))
    if "id=go" in html:
        browser.driver.execute_script(CLICK)


def assert_nothing_gets_out(browser: Browser, listener: Listener, path: Path, html: str) -> None:
    before = listener.contacts
    show(browser, path, with_policy(html))
    browser.driver.execute_async_script(DWELL)
    assert listener.contacts == before, (listener.asked, browser.complaints())
    assert browser.driver.title != MARK
    assert browser.path.partition("?")[0] == str(path)


@pytest.mark.parametrize("shape", list(EVASIONS))
def test_no_shape_of_document_evades_the_policy(
    browser: Browser, listener: Listener, tmp_path: Path, shape: str
) -> None:
    everything = SCRIPT + "".join((GETS_OUT | MAY_GET_OUT).values())
    html = EVASIONS[shape].replace("@", everything).replace("$", listener.url)
    assert_nothing_gets_out(browser, listener, tmp_path / f"{shape}.html", html)


@pytest.mark.parametrize("payload", list(GETS_OUT))
def test_what_gets_out_without_the_policy_does_not_with_it(
    browser: Browser, listener: Listener, tmp_path: Path, payload: str
) -> None:
    html = f"<p>x</p>{GETS_OUT[payload]}".replace("$", listener.url)
    assert_nothing_gets_out(browser, listener, tmp_path / f"{payload}.html", html)
    before = listener.contacts
    show(browser, tmp_path / f"{payload}-bare.html", html)
    wait_for("it gets out without the policy", lambda: listener.contacts > before)


@pytest.mark.parametrize("payload", list(MAY_GET_OUT))
def test_nor_does_what_another_browser_may_let_out(
    browser: Browser, listener: Listener, tmp_path: Path, payload: str
) -> None:
    html = MAY_GET_OUT[payload].replace("$", listener.url)
    assert_nothing_gets_out(browser, listener, tmp_path / f"{payload}.html", html)


def test_the_rest_of_the_head_works_still(browser: Browser, tmp_path: Path) -> None:
    html = (
        "\ufeff\n<!DOCTYPE html>\n<html lang='de'><head><meta charset='latin-1'>"
        "<title>Ü</title><style>p { color: rgb(1, 2, 3) }</style></head>"
        "<body class='k'><p>x</p></body></html>"
    )
    show(browser, tmp_path / "whole.html", with_policy(html))
    script = (
        "return [document.title, document.compatMode, document.documentElement.lang, "
        "document.body.className, getComputedStyle(document.querySelector('p')).color, "
        "document.querySelector('title').parentNode.nodeName, document.characterSet]"
    )
    found = browser.driver.execute_script(script)
    assert found == ["Ü", "CSS1Compat", "de", "k", "rgb(1, 2, 3)", "HEAD", "UTF-8"]
