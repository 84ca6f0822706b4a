"""The licences of all that ships: a table in the repository, and all texts for a release.

`python3 -m hack.release.licences [--write]` compares THIRD_PARTY_LICENSES.md with the images, or
writes it.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence

from hack.image.recipe import ROOT, Progress, recipes
from hack.release.inventory import Component, read_image

TABLE = ROOT / "THIRD_PARTY_LICENSES.md"
SHIPPED = ("runner", "services")  # the images of a release, by their short names
OWN = "adaf-report-scheduler"

_HEAD = """\
# Licences of what ships

Made by `make licences` from the images themselves; `make check` compares the names and versions of
Python packages with the lock file. The whole texts are in the images (`/usr/share/doc/*/copyright`,
`*.dist-info`), and in one file of each release (`licences.txt`). No Go program ships: those of
`hack/` are of tests and of the local cluster.

Our own code is under Apache-2.0 ([LICENSE](LICENSE)). A licence is given as the package itself has
it; of a Debian package these are the licences of its source, with parts that are not installed.
"""
_TITLES = {
    "pypi": ("Python packages", "in the image of operator and runs"),
    "npm": ("Scripts", "of the admin page"),
    "deb": ("Debian packages", "fonts among them (`fonts-*`), of Debian 12"),
}


def table(components: Iterable[Component]) -> str:
    """The file's text. Debian's versions change with each security update, and are not in it."""
    known = {(one.kind, one.name): one for one in components if one.name != OWN}
    parts = [_HEAD]
    for kind, (title, note) in _TITLES.items():
        rows = sorted((one for one in known.values() if one.kind == kind), key=lambda o: o.name)
        parts.append(f"\n## {title}\n\n{title}, {note}.\n\n| package | licence |\n| --- | --- |\n")
        for one in rows:
            version = "" if kind == "deb" else f" {one.version}"
            parts.append(f"| {one.name}{version} | {_said(one)} |\n")
    return "".join(parts)


def _said(one: Component) -> str:
    said = "; ".join(one.licences) or "see its copyright file"
    return said.replace("|", "\\|")


def texts(components: Sequence[Component]) -> str:
    """Every licence's text once, after the packages that have it."""
    by_digest: dict[str, tuple[str, list[str]]] = {}
    for one in components:
        for text in one.texts:
            digest = hashlib.sha256(text.encode()).hexdigest()
            by_digest.setdefault(digest, (text, []))[1].append(f"{one.name} {one.version}")
    rule = "=" * 78
    return "\n".join(
        f"{rule}\n{', '.join(sorted(set(names)))}\n{rule}\n\n{text.strip()}\n"
        for text, names in sorted(by_digest.values(), key=lambda item: sorted(item[1]))
    )


def main() -> int:
    """Exit code 1 where the table does not agree with the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    known = recipes()
    images = [known[name].build(Progress()) for name in SHIPPED]
    made = table(one for image in images for one in read_image(image.archive))
    if arguments.write:
        TABLE.write_text(made)
    elif not TABLE.exists() or TABLE.read_text() != made:
        print(f"{TABLE.name} does not agree with the images: make licences", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
