"""Charts: specifications that would read something, act, or draw a wrong figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.attacks.vectors import Vector, Who

CANARY = "CANARY-of-a-file"
_XY = {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"}}
_POINT: dict[str, Any] = {"mark": "point", "encoding": _XY}


def _with(**more: Any) -> dict[str, Any]:
    return {**_POINT, **more}


def _computed(expression: str) -> dict[str, Any]:
    """Drawn from a calculated field; what it comes to is written into the chart."""
    text = {"field": "z", "type": "nominal"}
    return {
        "transform": [{"calculate": expression, "as": "z"}],
        "mark": "text",
        "encoding": {**_XY, "text": text},
    }


def _nested(depth: int) -> dict[str, Any]:
    spec: dict[str, Any] = _POINT
    for _ in range(depth):
        spec = {"layer": [spec]}
    return spec


# URL and FILE are put in by the driver's test: a server that counts, a file with the canary.
_READS: Mapping[str, Any] = {
    "data-url": _with(data={"url": "URL/data.json"}),
    "data-url-file": _with(data={"url": "file://FILE"}),
    "data-url-path": _with(data={"url": "FILE"}),
    "data-url-relative": _with(data={"url": "../../../../etc/passwd", "format": {"type": "csv"}}),
    "data-url-upper": _with(data={"URL": "URL/data.json"}),
    "data-url-topojson": _with(
        data={"url": "URL/t.json", "format": {"type": "topojson", "feature": "a"}}
    ),
    "data-inline": _with(data={"values": [{"x": 1, "y": 1}]}),
    "data-name": _with(data={"name": "other"}),
    "datasets": _with(datasets={"other": "URL/data.json"}),
    "layer-data-url": {"layer": [_with(data={"url": "URL/layer.json"})]},
    "concat-data-url": {"hconcat": [_with(data={"url": "file://FILE"})]},
    "repeat-data-url": {"repeat": ["x"], "spec": _with(data={"url": "URL/repeat.json"})},
    "facet-data-url": {
        "facet": {"field": "x", "type": "nominal"},
        "spec": _with(data={"url": "URL/facet.json"}),
    },
    "lookup-url": _with(
        transform=[
            {
                "lookup": "x",
                "from": {"data": {"url": "URL/lookup.json"}, "key": "x", "fields": ["y"]},
            }
        ]
    ),
    "lookup-file": _with(
        transform=[{"lookup": "x", "from": {"data": {"url": "FILE"}, "key": "x", "fields": ["y"]}}]
    ),
    "image-mark": {"mark": "image", "encoding": {**_XY, "url": {"value": "URL/image.png"}}},
    "image-mark-object": {"mark": {"type": "image", "url": "URL/image2.png"}, "encoding": _XY},
    "image-mark-file": {"mark": "image", "encoding": {**_XY, "url": {"value": "file://FILE"}}},
    "image-mark-layer": {
        "layer": [_POINT, {"mark": "image", "encoding": {"url": {"value": "URL/image3.png"}}}]
    },
    "image-mark-field": {
        "transform": [{"calculate": "'URL/image4.png'", "as": "u"}],
        "mark": {"type": "image"},
        "encoding": {**_XY, "url": {"field": "u"}},
    },
    "image-by-style": _with(config={"mark": {"type": "image", "url": "URL/style.png"}}),
    "shape-url": {"mark": {"type": "point", "shape": "url(URL/shape.svg)"}, "encoding": _XY},
    "fill-url": {"mark": {"type": "bar", "fill": "url(URL/fill.svg#a)"}, "encoding": _XY},
    "stroke-url": {"mark": {"type": "bar", "stroke": "url(file://FILE#a)"}, "encoding": _XY},
    "font-url": {
        "mark": {"type": "text", "font": "url(URL/font.woff)", "text": "x"},
        "encoding": _XY,
    },
    "geoshape-url": {
        "mark": "geoshape",
        "data": {"url": "URL/world.json", "format": {"type": "topojson", "feature": "land"}},
    },
    "usermeta-loader": _with(usermeta={"embedOptions": {"loader": {"baseURL": "URL/"}}}),
    "config-loader": _with(config={"loader": {"baseURL": "URL/"}}),
    "schema-url": _with(**{"$schema": "URL/schema/v5.json"}),
    "schema-file": _with(**{"$schema": "file://FILE"}),
    "schema-vega": _with(**{"$schema": "https://vega.github.io/schema/vega/v5.json"}),
    "locale-url": _with(config={"locale": {"number": "URL/number.json"}}),
    "background-url": _with(background="url(URL/background.png)"),
    "params-url": _with(params=[{"name": "p", "value": "URL/param.json"}]),
    "signal-url": _with(signals=[{"name": "s", "update": "load('URL/signal.json')"}]),
    "sequence": _with(data={"sequence": {"start": 0, "stop": 1000000000}}),
    "graticule": {"mark": "geoshape", "data": {"graticule": {"step": [0.0001, 0.0001]}}},
}
_RUNS: Mapping[str, Any] = {
    "expr-constructor": _computed("datum.constructor"),
    "expr-constructor-call": _computed("datum.constructor.constructor('return 1')()"),
    "expr-proto": _computed("datum.__proto__"),
    "expr-this": _computed("this"),
    "expr-global": _computed("globalThis"),
    "expr-window": _computed("window.location"),
    "expr-deno": _computed("Deno.readTextFileSync('FILE')"),
    "expr-process": _computed("process.env"),
    "expr-require": _computed("require('fs')"),
    "expr-import": _computed("import('fs')"),
    "expr-fetch": _computed("fetch('URL/expr.json')"),
    "expr-load": _computed("load('URL/expr2.json')"),
    "expr-function": _computed("Function('return 1')()"),
    "expr-eval": _computed("eval('1')"),
    "expr-arrow": _computed("(() => 1)()"),
    "expr-template": _computed("`${1}`"),
    "expr-new": _computed("new Date()"),
    "expr-assign": _computed("datum.x = 1"),
    "expr-regexp-function": _computed("replace('a', 'a', datum.constructor.constructor)"),
    "expr-tostring": _computed("toString({toString: 1})"),
    "expr-event": _computed("event.view"),
    "expr-item": _computed("item.mark"),
    "expr-warn": _computed("warn(datum)"),
    "expr-data": _computed("data('source_0')[0].constructor"),
    "href-javascript": {
        "mark": "point",
        "encoding": {**_XY, "href": {"value": "javascript:alert(1)"}},
    },
    "href-data": {
        "mark": "point",
        "encoding": {**_XY, "href": {"value": "data:text/html,<script>alert(1)</script>"}},
    },
    "title-markup": _with(title="</title><script>alert(1)</script>"),
    "description-markup": _with(description='"/><script>alert(1)</script>'),
    "axis-markup": {
        "mark": "point",
        "encoding": {**_XY, "x": {"field": "x", "title": "</text><script>alert(1)</script>"}},
    },
    "label-expr": {
        "mark": "point",
        "encoding": {**_XY, "x": {"field": "x", "axis": {"labelExpr": "'<script>' + 1"}}},
    },
    "name-markup": _with(name='x"><script>alert(1)</script>'),
    "aria-markup": {
        "mark": {"type": "point", "description": '"><script>alert(1)</script>'},
        "encoding": _XY,
    },
}
# What throws while it is drawn has to be an error: a chart without its figures is a wrong one.
_THROWS: Mapping[str, Any] = {
    "throws-calculate": _computed("datum.x.y.z"),
    "throws-calculate-null": _computed("null.x"),
    "throws-filter": _with(transform=[{"filter": "datum.nothing.here > 1"}]),
    "throws-time": _computed("datum.nothing.year"),
    "throws-invert": _computed("invert('nothing', 1).x"),
    "throws-label": {
        "mark": "point",
        "encoding": {**_XY, "x": {"field": "x", "axis": {"labelExpr": "datum.nothing.here"}}},
    },
    "throws-mark": {
        "mark": {"type": "point", "size": {"expr": "datum.nothing.here"}},
        "encoding": _XY,
    },
    "nan-position": {
        "mark": "point",
        "encoding": {"x": {"value": {"expr": "datum.x / 0"}}, "y": _XY["y"]},
    },
    "nan-size": {"mark": {"type": "point", "size": {"expr": "0 / 0"}}, "encoding": _XY},
    "throws-param": _with(params=[{"name": "p", "expr": "nothing.here"}]),
}
_BOMBS: Mapping[str, Any] = {
    "huge-width": _with(width=10**9, height=10**9),
    "huge-sequence": {
        "transform": [{"calculate": "sequence(0, 100000000)", "as": "s"}, {"flatten": ["s"]}],
        "mark": "point",
        "encoding": {"x": {"field": "s", "type": "quantitative"}},
    },
    "pad": _computed("pad('x', 1000000000, 'y')"),
    "repeat-fold": _with(transform=[{"fold": ["x", "y"]}] * 22),
    "flatten-product": _with(
        transform=[
            step
            for n in range(8)
            for step in ({"calculate": "sequence(0, 30)", "as": f"s{n}"}, {"flatten": [f"s{n}"]})
        ]
    ),
    "bin-maxbins": {"mark": "bar", "encoding": {"x": {"field": "x", "bin": {"step": 1e-9}}}},
    "ticks": {
        "mark": "point",
        "encoding": {**_XY, "x": {"field": "x", "axis": {"tickCount": 10**8}}},
    },
    "density": _with(transform=[{"density": "y", "steps": 10**8}]),
    "deep-layers": _nested(50),
    "deeper-layers": _nested(400),
    "regexp": _computed("test(/^(a+)+$/, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!')"),
    "wide-facet": {"facet": {"field": "x", "type": "nominal"}, "columns": 10**9, "spec": _POINT},
}

READS = [Vector("chart-read", name, Who.AUTHOR, spec) for name, spec in _READS.items()]
RUNS = [Vector("chart-run", name, Who.AUTHOR, spec) for name, spec in _RUNS.items()]
THROWS = [Vector("chart-throws", name, Who.AUTHOR, spec) for name, spec in _THROWS.items()]
BOMBS = [Vector("chart-bomb", name, Who.AUTHOR, spec) for name, spec in _BOMBS.items()]
