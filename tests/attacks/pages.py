"""HTML and PDF: what a template of a report, or its data, would have a reader's program do."""

from __future__ import annotations

from collections.abc import Mapping

from tests.attacks.vectors import Vector, Who

SCRIPT = '<script>document.title="JS-RAN"</script>'
FILE_CANARY = "CANARY-of-a-file"

# URL is a server that counts (each vector has a path of its own), FILE a file with the canary.
_LOADS: Mapping[str, str] = {
    "img-http": '<img src="URL">',
    "img-file": '<img src="file://FILE">',
    "img-path": '<img src="FILE">',
    "img-srcset": '<img srcset="URL 2x" src="data:,">',
    "img-protocol-relative": '<img src="URL_RELATIVE">',
    "img-upper": '<IMG SRC="URL">',
    "img-entity": '<img src="&#104;ttp&#58;//URL_HOST">',
    "picture": '<picture><source srcset="URL"><img src="data:,"></picture>',
    "link-style": '<link rel="stylesheet" href="URL">',
    "link-style-file": '<link rel="stylesheet" href="file://FILE">',
    "link-attachment": '<link rel="attachment" href="file://FILE" title="x">',
    "link-attachment-http": '<link rel="attachment" href="URL">',
    "a-attachment": '<a rel="attachment" href="file://FILE">x</a>',
    "a-attachment-http": '<a rel="attachment" href="URL">x</a>',
    "link-icon": '<link rel="icon" href="URL">',
    "link-import": '<link rel="import" href="URL">',
    "link-preload": '<link rel="preload" as="image" href="URL">',
    "link-prefetch": '<link rel="prefetch" href="URL">',
    "link-dns-prefetch": '<link rel="preconnect" href="URL">',
    "link-manifest": '<link rel="manifest" href="URL">',
    "style-import": "<style>@import 'URL';</style>",
    "style-import-url": "<style>@import url(URL);</style>",
    "style-import-file": "<style>@import url(file://FILE);</style>",
    "style-import-escape": "<style>@\\69mport 'URL';</style>",
    "style-background": '<p style="background: url(URL)">x</p>',
    "style-background-file": '<p style="background: url(file://FILE)">x</p>',
    "style-content": "<style>p::before { content: url(URL) }</style><p>x</p>",
    "style-list": '<ul style="list-style-image: url(URL)"><li>x</li></ul>',
    "style-font": "<style>@font-face { font-family: f; src: url(URL) } p { font-family: f }"
    "</style><p>x</p>",
    "style-font-file": "<style>@font-face { font-family: f; src: url(file://FILE) }"
    "p { font-family: f }</style><p>x</p>",
    "style-cursor": '<p style="cursor: url(URL), auto">x</p>',
    "style-border": '<p style="border: 9px solid; border-image: url(URL) 3">x</p>',
    "style-image-set": '<p style="background: image-set(url(URL) 1x)">x</p>',
    "style-page": "<style>@page { background: url(URL) }</style>",
    "style-page-margin": "<style>@page { @top-left { content: url(URL) } }</style>",
    "style-attr": '<p data-u="URL" style="background: attr(data-u url)">x</p>',
    "style-target-text": "<style>p::after { content: target-text(url(URL#x)) }</style><p>x</p>",
    "style-filter": '<p style="filter: url(URL#f)">x</p>',
    "style-mask": '<p style="mask: url(URL)">x</p>',
    "iframe": '<iframe src="URL"></iframe>',
    "iframe-file": '<iframe src="file://FILE"></iframe>',
    "iframe-srcdoc": '<iframe srcdoc="<img src=URL>"></iframe>',
    "object": '<object data="URL"></object>',
    "object-file": '<object data="file://FILE" type="text/plain"></object>',
    "embed": '<embed src="URL">',
    "embed-file": '<embed src="file://FILE">',
    "frame": '<frameset><frame src="URL"></frameset>',
    "video": '<video src="URL" autoplay></video>',
    "video-poster": '<video poster="URL"></video>',
    "audio": '<audio src="URL" autoplay></audio>',
    "track": '<video><track src="URL" default></video>',
    "input-image": '<input type="image" src="URL">',
    "body-background": '<table background="URL"><tr><td>x</td></tr></table>',
    "svg-image": '<svg width="9" height="9"><image href="URL" width="9" height="9"/></svg>',
    "svg-image-file": '<svg width="9" height="9"><image href="file://FILE" width="9" height="9"/>'
    "</svg>",
    "svg-image-xlink": '<svg xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">'
    '<image xlink:href="URL" width="9" height="9"/></svg>',
    "svg-use": '<svg width="9" height="9"><use href="URL#a"/></svg>',
    "svg-use-file": '<svg width="9" height="9"><use href="file://FILE#a"/></svg>',
    "svg-fe-image": '<svg width="9" height="9"><filter id="f"><feImage href="URL"/></filter>'
    '<rect width="9" height="9" filter="url(#f)"/></svg>',
    "svg-style": '<svg width="9" height="9"><style>@import "URL";</style></svg>',
    "svg-entity": '<img src="data:image/svg+xml,%3C!DOCTYPE s [%3C!ENTITY x SYSTEM '
    "'file://FILE'%3E]%3E%3Csvg xmlns='http://www.w3.org/2000/svg' width='99' height='99'%3E"
    "%3Ctext y='20'%3E&x;%3C/text%3E%3C/svg%3E\">",
    "svg-data-image": "<img src=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' "
    "width='9' height='9'%3E%3Cimage href='URL' width='9' height='9'/%3E%3C/svg%3E\">",
    "data-style": '<link rel="stylesheet" href="data:text/css,@import url(URL);">',
    "meta-refresh": '<meta http-equiv="refresh" content="0; url=URL">',
    "base": '<base href="URL_BASE"><img src="base-img">',
    "form-auto": '<form action="URL"><input autofocus onfocus="form.submit()"></form>',
    "ping": '<a ping="URL" href="#x">x</a>',
    "math": '<math><mtext href="URL">x</mtext></math>',
}
_RUNS: Mapping[str, str] = {
    "script": SCRIPT,
    "script-src": '<script src="URL"></script>',
    "script-module": '<script type="module">document.title="JS-RAN"</script>',
    "script-svg": '<svg><script>document.title="JS-RAN"</script></svg>',
    "script-data": "<script src=\"data:text/javascript,document.title='JS-RAN'\"></script>",
    "img-onerror": "<img src=x onerror=\"document.title='JS-RAN'\">",
    "body-onload": "<body onload=\"document.title='JS-RAN'\">",
    "svg-onload": "<svg onload=\"document.title='JS-RAN'\"></svg>",
    "svg-animate": "<svg><animate onbegin=\"document.title='JS-RAN'\" attributeName=x dur=1s />"
    "</svg>",
    "details-ontoggle": "<details open ontoggle=\"document.title='JS-RAN'\">x</details>",
    "input-onfocus": "<input autofocus onfocus=\"document.title='JS-RAN'\">",
    "iframe-srcdoc": "<iframe srcdoc=\"<script>parent.document.title='JS-RAN'</script>\"></iframe>",
    "iframe-javascript": "<iframe src=\"javascript:parent.document.title='JS-RAN'\"></iframe>",
    "object-data": '<object data="data:text/html,<script>top.document.title=1</script>"></object>',
    "meta-refresh-data": '<meta http-equiv="refresh" content="0;url=data:text/html,'
    "<script>document.title='JS-RAN'</script>\">",
    "meta-policy-later": '<meta http-equiv="Content-Security-Policy" '
    "content=\"script-src 'unsafe-inline'\">" + SCRIPT,
    "style-expression": "<p style=\"x: expression(document.title='JS-RAN')\">x</p>",
    "video-onerror": "<video><source onerror=\"document.title='JS-RAN'\"></video>",
    "marquee": "<marquee onstart=\"document.title='JS-RAN'\">x</marquee>",
    "noscript": '<noscript><p title="</noscript>' + SCRIPT + '"></noscript>',
}
# A document whose head is not where a careless reader of it looks for it.
_HEADS: Mapping[str, str] = {
    "normal": f"<html><head><title>x</title>{SCRIPT}</head><body></body></html>",
    "comment": f"<!-- <head> --><html><head></head><body>{SCRIPT}</body></html>",
    "comment-short": f"<!--><head>--><html><head></head><body>{SCRIPT}</body></html>",
    "comment-bang": f"<!-- x --!> <head> --><html><head>{SCRIPT}</head></html>",
    "comment-bogus": f"<!x <head> ><html><head>{SCRIPT}</head></html>",
    "comment-question": f"<? <head> ?><html><head>{SCRIPT}</head></html>",
    "comment-end-tag": f"</ <head> ><html><head>{SCRIPT}</head></html>",
    "attribute": f'<html data-x="<head>"><head></head><body>{SCRIPT}</body></html>',
    "attribute-single": f"<html data-x='<head>'><head></head><body>{SCRIPT}</body></html>",
    "attribute-of-head": f'<html><head data-x=">">{SCRIPT}</head></html>',
    "late": f"<!--{'x' * 100_001}--><html><head>{SCRIPT}</head></html>",
    "svg": f"<svg><head></head></svg>{SCRIPT}",
    "math": f"<math><head></head></math>{SCRIPT}",
    "script-first": f"{SCRIPT}<html><head></head></html>",
    "script-in-html": f"<html>{SCRIPT}<head></head></html>",
    "script-before-doctype": f"{SCRIPT}<!doctype html><html><head></head></html>",
    "byte-order-mark": f"\ufeff<html><head>{SCRIPT}</head>",
    "two-byte-order-marks": f"\ufeff\ufeff<html><head>{SCRIPT}</head>",
    "header": f"<header>x</header>{SCRIPT}",
    "no-head": f"<p>x</p>{SCRIPT}",
    "template": f"<template><head></template>{SCRIPT}",
    "textarea": f"<textarea><head></textarea>{SCRIPT}",
    "title": f"<title><head></title>{SCRIPT}",
    "style": f"<style><head></style>{SCRIPT}",
    "xmp": f"<xmp><head></xmp>{SCRIPT}",
    "plaintext-later": f"<noembed><head></noembed>{SCRIPT}",
    "noframes": f"<noframes><head></noframes>{SCRIPT}",
    "iframe": f"<iframe><head></iframe>{SCRIPT}",
    "select": f"<select><head></select>{SCRIPT}",
    "frameset": f"<html><frameset><head></frameset>{SCRIPT}",
    "cdata": f"<svg><![CDATA[<head>]]></svg>{SCRIPT}",
    "doctype-internal": f'<!doctype html SYSTEM "<head>"><html><head>{SCRIPT}</head></html>',
    "two-heads": f"<html><head></head><head>{SCRIPT}</head></html>",
    "upper": f"<HTML><HEAD>{SCRIPT}</HEAD></HTML>",
    "slash": f"<html><head/>{SCRIPT}</html>",
    "null-byte": f"<html><he\x00ad>{SCRIPT}</html>",
    "form-feed": f"<html><head\x0c>{SCRIPT}</head></html>",
    "control": f"\x01<html><head>{SCRIPT}</head></html>",
    "text-first": f"x<html><head>{SCRIPT}</head></html>",
    "entity-first": f"&nbsp;<html><head>{SCRIPT}</head></html>",
    "meta-charset": f'<meta charset="utf-7">+ADw-head+AD4-{SCRIPT}',
    "handler-of-html": '<html onclick="1" onload="document.title=\'JS-RAN\'"><head></head></html>',
    "handler-of-body": "<body onload=\"document.title='JS-RAN'\"><head></head>",
    "own-policy": '<html><head><meta http-equiv=Content-Security-Policy content="script-src '
    f"'unsafe-inline'\">{SCRIPT}</head></html>",
    "empty-start": f"\n\n\t<html>\n<head>\n{SCRIPT}</head></html>",
}
_DATA: Mapping[str, str] = {
    "script": SCRIPT,
    "script-closed": f"</td></table>{SCRIPT}",
    "attribute": '" onmouseover="document.title=\'JS-RAN\'" autofocus onfocus="document.title='
    "'JS-RAN'",
    "img": "<img src=x onerror=\"document.title='JS-RAN'\">",
    "template": "{{ ''.__class__ }}",
    "statement": "{% for x in range(9) %}JS{% endfor %}",
    "placeholder": '<table data-table="0-0"></table>',
    "comment": "<!--",
    "cdata": "]]><script>1</script>",
    "entity": "&lt;script&gt;",
    "null": f"\x00{SCRIPT}",
    "style": "</style>" + SCRIPT,
    "textarea": "</textarea>" + SCRIPT,
}

LOADS = [Vector("page-load", name, Who.AUTHOR, text) for name, text in _LOADS.items()]
PRINTED = [Vector("pdf-load", name, Who.AUTHOR, text) for name, text in _LOADS.items()]
RUNS = [Vector("page-run", name, Who.AUTHOR, text) for name, text in _RUNS.items()]
HEADS = [Vector("page-head", name, Who.AUTHOR, text) for name, text in _HEADS.items()]
DATA = [Vector("page-data", name, Who.DATA, text) for name, text in _DATA.items()]
