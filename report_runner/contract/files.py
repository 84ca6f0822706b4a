"""Finished files over HTTP: the permitted paths and the headers.

The file server in a team's namespace and the admin API in front of it keep to the same rules.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from pydantic import AwareDatetime, BaseModel, Field

from report_runner.contract.report import Format

FILES_PATH = "/files/"  # of the file server
HEALTH_PATH = "/healthz"
LIST_LIMIT = 500  # entries in one answer
PATH_LIMIT = 1024  # characters
TEMPORARY_SUFFIX = ".tmp"
MIB = 1024 * 1024
# The volume is the whole namespace's: one report must not take the space of the others. Both are
# below the pod's scratch space (config.runner.scratchSizeLimit), beyond which it is evicted.
OUTPUT_FILE_LIMIT = 100 * MIB  # bytes of one file
OUTPUT_RUN_LIMIT = 200 * MIB  # bytes of all files of a run
MANIFEST_LIMIT = MIB  # bytes; 50 sources and the recipients of some dozen definitions need less

JSON = "application/json"
_OTHER = "application/octet-stream"  # of what teams put there themselves
MEDIA_TYPES = frozenset(
    kind.partition(";")[0] for kind in (*(known.media_type for known in Format), _OTHER)
)
# A report is a team's work, and a page of it must not act as the person who looks at it. It may
# show what it brings along, and nothing else. (A browser's own PDF viewer does not run sandboxed.)
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
PDF_POLICY = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; base-uri 'none'"
# Of each answer that says nothing else.
STRICT_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class FileEntry(BaseModel):
    """One entry of a directory."""

    name: str
    directory: bool = False
    bytes: int | None = Field(default=None, description="Of a file.")
    modified: AwareDatetime


class Listing(BaseModel):
    """A directory by name, in pages."""

    entries: list[FileEntry] = Field(max_length=LIST_LIMIT)
    next: str | None = Field(default=None, description="`after` of the next page, if there is one.")


def parts_of(path: str) -> tuple[str, ...] | None:
    """`2026/11/24/x.pdf` → its parts; None where it cannot be the path of a finished file.

    Names with a dot in front are the runner's own (locks, drafts).
    """
    parts = tuple(path.removesuffix("/").split("/")) if path else ()
    if len(path) > PATH_LIMIT or not all(map(is_public, parts)):
        return None
    return parts


def is_public(name: str) -> bool:
    """Whether a file or directory of this name is served."""
    return (
        name != ""
        and name.isprintable()
        and not name.startswith(".")
        and not name.endswith(TEMPORARY_SUFFIX)
    )


def media_type(suffix: str) -> str:
    """The media type of files with this suffix (`.pdf`)."""
    types = {known.suffix: known.media_type for known in Format}
    return types.get(suffix, _OTHER)


def headers_of(name: str) -> dict[str, str]:
    """The HTTP headers of a file."""
    suffix = PurePosixPath(name).suffix
    ascii_name = "".join(c if c.isascii() and c not in '"\\' else "_" for c in name)
    headers = {
        "Content-Type": media_type(suffix),
        "Content-Disposition": f'inline; filename="{ascii_name}"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",  # a further attempt replaces it
    }
    headers["Content-Security-Policy"] = PDF_POLICY if suffix == Format.PDF.suffix else SANDBOX
    return STRICT_HEADERS | headers
