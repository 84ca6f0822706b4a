"""Images, style sheets and fonts that stand in the page as data: URIs."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

_IMAGES = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\1\0",
)  # fmt: skip
_FONTS = (b"wOFF", b"wOF2", b"\0\1\0\0", b"OTTO", b"true", b"ttcf")
_SVG = "image/svg+xml"
_START = 32  # bytes


@dataclass(frozen=True, slots=True)
class DataUri:
    """The content of a data: URI. `text` is what of it may name something else: SVG or CSS."""

    media_type: str
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    @property
    def is_svg(self) -> bool:
        return self.media_type == _SVG and b"<svg" in self.content


def read_data_uri(uri: str) -> DataUri:
    """Raises ValueError that says what is wrong with it."""
    head, comma, body = uri.strip()[len("data:") :].partition(",")
    if not comma:
        raise ValueError("has no comma between type and content")
    kind, *options = (part.strip().lower() for part in head.split(";"))
    content = unquote_to_bytes(body)
    if "base64" in options:
        try:
            bare = re.sub(rb"\s", b"", content).rstrip(b"=")
            content = base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True)
        except binascii.Error:
            raise ValueError("is not base64 after the comma") from None
    if not content.strip():
        raise ValueError("is empty")
    return DataUri(kind or "text/plain", content)


def image_problem(uri: DataUri) -> str | None:
    start = uri.content[:_START]
    known = start.startswith(_IMAGES) or start[8:12] == b"WEBP" or start[4:8] == b"ftyp"
    if known or uri.is_svg:
        return None
    if not uri.media_type.startswith("image/"):
        return f"has the type {uri.media_type}, which is no image"
    return "holds no image that can be read (PNG, JPEG, GIF, WebP, SVG)"


def font_problem(uri: DataUri) -> str | None:
    return None if uri.content.startswith(_FONTS) else "holds no font (WOFF, WOFF2, TTF, OTF)"


def style_problem(uri: DataUri) -> str | None:
    if uri.media_type == "text/css":
        return None
    return f"has the type {uri.media_type}, which is no style sheet (text/css)"
