"""What a drawing needs so that WeasyPrint prints it as a browser shows it."""

from __future__ import annotations

import re
from itertools import pairwise
from unicodedata import bidirectional

_TEXT = re.compile(r"(<text[^>]*>)([^<]*)(</text>)")
_GRADIENT = re.compile(r'<linearGradient id="([^"]+)"([^>]*)>(.*?)</linearGradient>', re.DOTALL)
_STOP = re.compile(r'<stop offset="([\d.]+)" stop-color="([^"]+)"')
_FILLED = re.compile(r'<path d="M0,0h([\d.]+)v([\d.]+)h-[\d.]+Z" fill="url\(#([^)]+)\)"[^>]*/>')
_OVERLAP = 0.5  # pixels, so that no line shows between two bands


def right_to_left(svg: str) -> str:
    """Each text that begins in Hebrew, Arabic or the like, as a paragraph of that direction."""

    def isolated(match: re.Match[str]) -> str:
        first = next((d for c in match[2] if (d := bidirectional(c)) in ("L", "R", "AL")), "L")
        return match[0] if first == "L" else f"{match[1]}\u2067{match[2]}\u2069{match[3]}"

    return _TEXT.sub(isolated, svg)


def without_gradients(svg: str) -> str:
    """The colour scale of a legend as bands: WeasyPrint 70 prints nothing for a gradient."""
    gradients = {
        match[1]: ('y1="1"' in match[2], _STOP.findall(match[3]))
        for match in _GRADIENT.finditer(svg)
    }

    def bands(match: re.Match[str]) -> str:
        width, height = float(match[1]), float(match[2])
        upright, stops = gradients.get(match[3], (False, []))
        if len(stops) < 2:
            return match[0]
        rects = []
        for (begin, colour), (end, _) in pairwise(stops):
            start, length = float(begin), float(end) - float(begin)
            if upright:
                top, size = (1 - start - length) * height, length * height + _OVERLAP
                box = f'y="{top:.2f}" width="{width:g}" height="{size:.2f}"'
            else:
                size = length * width + _OVERLAP
                box = f'x="{start * width:.2f}" width="{size:.2f}" height="{height:g}"'
            rects.append(f'<rect {box} fill="{colour}"/>')
        return "".join(rects)

    return _FILLED.sub(bands, svg)
