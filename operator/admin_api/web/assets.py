"""Style, script and icon, under names that change with their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

TYPES = {
    "htmx.min.js": "text/javascript; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Asset:
    url: str
    content: bytes
    media_type: str


def _read(name: str, media_type: str) -> Asset:
    content = files("admin_api.web").joinpath("static", name).read_bytes()
    stem, _, suffix = name.rpartition(".")
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Asset(f"/static/{stem}.{digest}.{suffix}", content, media_type)


ASSETS = {name: _read(name, media_type) for name, media_type in TYPES.items()}
_BY_URL = {asset.url: asset for asset in ASSETS.values()}

router = APIRouter()


def url(name: str) -> str:
    """The path under which a file is served."""
    return ASSETS[name].url


@router.get("/static/{name}", include_in_schema=False)
async def static(name: str) -> Response:
    asset = _BY_URL.get(f"/static/{name}")
    if asset is None:
        raise HTTPException(404)
    return Response(asset.content, media_type=asset.media_type, headers=HEADERS)


@router.get("/favicon.ico", include_in_schema=False)
async def favicon() -> Response:
    """Browsers ask for it by themselves where they show a PDF."""
    icon = ASSETS["icon.svg"]
    headers = HEADERS | {"Cache-Control": "public, max-age=86400"}
    return Response(icon.content, media_type=icon.media_type, headers=headers)
