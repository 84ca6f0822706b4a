"""What is in an image: its Debian packages, Python distributions and vendored scripts.

All of it is read from the image's archive itself, whoever built it, and not from lock files.
"""

from __future__ import annotations

import email
import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

# Path in the image, name on npm, licence, and what tells the version.
SCRIPTS = (("htmx.min.js", "htmx.org", "0BSD", re.compile(rb'version:"([0-9.]+)"')),)
_DPKG_STATUS = "var/lib/dpkg/status"
_COPYRIGHT = re.compile(r"usr/share/doc/([^/]+)/copyright")
_DISTRIBUTION = re.compile(r"(.*/site-packages/[^/]+\.dist-info)/(METADATA|.*licen[cs]e.*|.*notice.*|.*copying.*)", re.I)  # fmt: skip  # noqa: E501
_SHARED_OBJECT = re.compile(r".*/site-packages/([^/]+)\.libs/([^/]+\.so[^/]*)")
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9.+-]+[A-Za-z0-9])")
_LICENSE_FIELD = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)
_CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True, slots=True)
class Component:
    """`licences` are names or SPDX expressions as the package has them, `texts` the whole."""

    kind: str  # deb, pypi or npm
    name: str
    version: str
    licences: tuple[str, ...]
    texts: tuple[str, ...] = ()
    architecture: str = ""
    sha256: str = ""  # of a single file
    bundled: tuple[tuple[str, str], ...] = ()  # shared objects in its wheel: name, SHA-256


@dataclass(slots=True)
class _Found:
    status: str = ""
    copyrights: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)  # by the dist-info directory
    texts: dict[str, list[str]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)  # of copyright directories
    shared: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    scripts: list[Component] = field(default_factory=list)


def read_image(archive: Path) -> list[Component]:
    """Sorted by kind and name. The layers of our images only add files."""
    found = _Found()
    for path, item, content in _files(archive):
        _take(found, path, item, content)
    made = [*_debian(found), *_python(found), *found.scripts]
    return sorted(made, key=lambda one: (one.kind, one.name.lower(), one.version))


def _files(archive: Path) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    with tarfile.open(archive) as tar:
        (entry,) = json.loads(_read(tar, "manifest.json"))
        for name in entry["Layers"]:
            blob = tar.extractfile(name)
            assert blob is not None
            with tarfile.open(fileobj=blob) as layer:
                for item in layer:
                    path = item.name.removeprefix("./").lstrip("/")
                    wanted = item.isreg() and _is_wanted(path)
                    file = layer.extractfile(item) if wanted else None
                    yield path, item, file.read() if file else b""


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def _is_wanted(path: str) -> bool:
    return path == _DPKG_STATUS or path.endswith(tuple(name for name, *_ in SCRIPTS)) or any(
        pattern.fullmatch(path) for pattern in (_COPYRIGHT, _DISTRIBUTION, _SHARED_OBJECT)
    )  # fmt: skip


def _take(found: _Found, path: str, item: tarfile.TarInfo, content: bytes) -> None:
    if item.issym() and re.fullmatch(r"usr/share/doc/[^/]+", path):
        found.links[PurePosixPath(path).name] = PurePosixPath(item.linkname).name
    if item.issym() and (match := _COPYRIGHT.fullmatch(path)):
        found.links[match[1]] = PurePosixPath(item.linkname).parent.name
    if not item.isreg() or not _is_wanted(path):
        return
    if path == _DPKG_STATUS:
        found.status = content.decode()
    elif match := _COPYRIGHT.fullmatch(path):
        found.copyrights[match[1]] = content.decode(errors="replace")
    elif match := _SHARED_OBJECT.fullmatch(path):
        digest = hashlib.sha256(content).hexdigest()
        found.shared.setdefault(_normal(match[1]), []).append((match[2], digest))
    elif match := _DISTRIBUTION.fullmatch(path):
        text = content.decode(errors="replace")
        if match[2] == "METADATA":
            found.metadata[match[1]] = text
        else:
            found.texts.setdefault(match[1], []).append(text)
    else:
        found.scripts += _script(path, content)


def _script(path: str, content: bytes) -> Iterator[Component]:
    for file, name, licence, version in SCRIPTS:
        told = version.search(content)
        if path.endswith(file) and told is not None:
            digest = hashlib.sha256(content).hexdigest()
            yield Component("npm", name, told[1].decode(), (licence,), sha256=digest)


def _debian(found: _Found) -> Iterator[Component]:
    for paragraph in found.status.split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name = fields["Package"]
        text = found.copyrights.get(name) or found.copyrights.get(found.links.get(name, ""), "")
        yield Component(
            "deb",
            name,
            fields["Version"],
            debian_licences(text),
            (text,) if text else (),
            fields["Architecture"],
        )


def debian_licences(text: str) -> tuple[str, ...]:
    """Of a copyright file: its fields in the machine-readable form, else the licences it points to.

    Source: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/.
    """
    names = _LICENSE_FIELD.findall(text) if "Format:" in text[:2000] else []
    names = names or _COMMON.findall(text)
    return tuple(sorted({" ".join(name.split())[:80] for name in names}))


def _python(found: _Found) -> Iterator[Component]:
    for place, text in found.metadata.items():
        metadata = email.message_from_string(text)
        name = _normal(str(metadata["Name"]))
        yield Component(
            "pypi",
            name,
            str(metadata["Version"]),
            python_licences(metadata),
            tuple(found.texts.get(place, ())),
            bundled=tuple(sorted(found.shared.get(name, ()))),
        )


def python_licences(metadata: email.message.Message) -> tuple[str, ...]:
    """The SPDX expression, else the classifiers, else the one line of the old field."""
    expression = metadata["License-Expression"]
    if expression:
        return (str(expression),)
    classifiers = metadata.get_all("Classifier") or []
    named = [text.removeprefix(_CLASSIFIER) for text in classifiers if text.startswith(_CLASSIFIER)]
    old = str(metadata["License"] or "").strip()
    if not named and old:
        named = [old.splitlines()[0][:80]]
    return tuple(sorted(named))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
