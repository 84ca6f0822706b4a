"""Reports as files: opened in Chromium from a disk, as a recipient does it; printed as PDF."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pypdf import PdfReader

from report_runner.contract.report import BuiltinTemplate
from report_runner.render.documents import builtin_template
from tests.attacks import pages
from tests.attacks.batch import run_batch
from tests.attacks.listener import Listener, listening
from tests.attacks.test_templates import DRIVER
from tests.attacks.vectors import Attacks, Vector
from tests.support.browser import Browser

IN_ONE_PDF = 12  # vectors


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser.open("file://", tmp_path_factory.mktemp("profile"))
    made.driver.set_page_load_timeout(20)
    yield made
    made.driver.quit()


def _filled(vector: Vector, listener: Listener, file: Path) -> str:
    host = listener.url.removeprefix("http://")
    path = f"{vector.area}/{vector.name}"
    text = str(vector.data)
    for place, value in (
        ("URL_RELATIVE", f"//{host}/{path}"),
        ("URL_HOST", f"{host}/{path}"),
        ("URL_BASE", f"{listener.url}/{path}/"),
        ("URL", f"{listener.url}/{path}"),
        ("FILE", str(file)),
    ):
        text = text.replace(place, value)
    return text


def _raw(text: str) -> str:
    """As a template that says just this."""
    return "{% raw %}" + text + "{% endraw %}"


def _open(browser: Browser, path: str) -> str:
    """The title that a reader sees when all is loaded."""
    browser.driver.get("about:blank")
    browser.driver.get(f"file://{path}")
    return str(browser.driver.title)


def _heard(vector: Vector, listener: Listener) -> str | None:
    path = f"/{vector.area}/{vector.name}"
    return "it called a server" if any(h.startswith(path) for h in listener.paths) else None


def test_html_neither_loads_nor_runs(attacks: Attacks, browser: Browser, tmp_path: Path) -> None:
    """Whatever the document looks like, a browser reads the policy first."""
    file = tmp_path / "canary"
    file.write_text(pages.FILE_CANARY)
    vectors = [*pages.LOADS, *pages.RUNS, *pages.HEADS]
    with listening() as listener:
        cases = [
            {
                "format": "html",
                "directory": str(tmp_path),
                "template": _raw(_document(vector, listener, file)),
            }
            for vector in vectors
        ]
        done = run_batch(DRIVER, "make_document", cases)
        titles = [
            _open(browser, found.said["path"]) if found.said and "path" in found.said else ""
            for found in done
        ]
        for vector, title, found in zip(vectors, titles, done, strict=True):
            how = "a script ran" if title == "JS-RAN" else _heard(vector, listener)
            if found.said is None:
                how = "it killed the run's own process"
            attacks.record(vector, how)
    attacks.judge(vectors)


def _document(vector: Vector, listener: Listener, file: Path) -> str:
    text = _filled(vector, listener, file)
    if vector.area == "page-head":
        return text
    return f"<html><head><title>x</title></head><body>{text}</body></html>"


def test_pdf_holds_nothing_from_elsewhere(attacks: Attacks, tmp_path: Path) -> None:
    """Several in one document: each has a path and a file of its own."""
    groups = [
        pages.PRINTED[start : start + IN_ONE_PDF]
        for start in range(0, len(pages.PRINTED), IN_ONE_PDF)
    ]
    files = {vector.key: tmp_path / f"canary-{n}.txt" for n, vector in enumerate(pages.PRINTED)}
    for n, file in enumerate(files.values()):
        file.write_text(f"{pages.FILE_CANARY}-{n}-")
    with listening() as listener:
        outcomes = _print(groups, listener, files, tmp_path)
        alone = [
            [v] for group, found in zip(groups, outcomes, strict=True) for v in group if not found
        ]
        outcomes = [found for found in outcomes if found]
        outcomes += _print(alone, listener, files, tmp_path)
        printed = [group for group in groups if group[0] not in [v for (v,) in alone]]
        for group, found in zip([*printed, *alone], outcomes, strict=True):
            for vector in group:
                own = files[vector.key].read_text()
                how = _heard(vector, listener)
                if found is None:
                    how = "no file is made, and no reason is given that an author understands"
                elif own in found:
                    how = "it holds the file"
                attacks.record(vector, how)
    attacks.judge(pages.PRINTED)


def _print(
    groups: Sequence[Sequence[Vector]], listener: Listener, files: dict[str, Path], root: Path
) -> list[str | None]:
    """What is in the document of each group; None where there is none and no word why."""
    cases = [
        {
            "format": "pdf",
            "directory": str(root),
            "template": _raw(_together(group, listener, files)),
        }
        for group in groups
    ]
    found = []
    for done in run_batch(DRIVER, "make_document", cases) if cases else []:
        said = done.said or {"reason": "InternalError"}
        if "path" in said:
            found.append(_inside(Path(said["path"])) or " ")
        else:
            found.append(None if said["reason"] == "InternalError" else " ")
    return found


def _together(group: Sequence[Vector], listener: Listener, files: dict[str, Path]) -> str:
    texts = "\n".join(f"<div>{_filled(v, listener, files[v.key])}</div>" for v in group)
    return f"<html><head><title>x</title></head><body>{texts}</body></html>"


def _inside(path: Path) -> str:
    """Text, attachments and decoded streams."""
    reader = PdfReader(path)
    found = [page.extract_text() for page in reader.pages]
    found += [str(content) for contents in reader.attachments.values() for content in contents]
    for number in range(1, len(reader.xref[0]) + 1 if reader.xref else 0):
        try:
            found.append(reader.get_object(number).get_data().decode("latin-1"))  # type: ignore[union-attr]
        except Exception:  # noqa: BLE001, S112 - most objects are no streams
            continue
    return "\n".join(found)


def test_data_stays_data(attacks: Attacks, browser: Browser, tmp_path: Path) -> None:
    """In cells, column names, titles of the builtin templates, and in a template's own output."""
    own = '<html><head></head><body><p title="{{ sources.a.rows[0].x }}">{{ sources.a.rows[0].x }}'
    own += "</p>{{ table(sources.a) }}</body></html>"
    templates = [builtin_template(BuiltinTemplate.EXECUTIVE_DASHBOARD), own]
    cases = [
        {
            "format": "html",
            "directory": str(tmp_path),
            "template": template,
            "title": vector.data,
            "columns": ["x", vector.data],
            "rows": [[vector.data, vector.data]],
        }
        for vector in pages.DATA
        for template in templates
    ]
    done = run_batch(DRIVER, "make_document", cases)
    for index, vector in enumerate(pages.DATA):
        how = None
        for found in done[index * 2 : index * 2 + 2]:
            assert found.said is not None
            if "path" not in found.said:
                continue
            text = Path(found.said["path"]).read_text()
            if _open(browser, found.said["path"]) == "JS-RAN":
                how = "a script ran"
            elif re.search(r"<class |JSJSJS", text):
                how = "data was read as a template"
        attacks.record(vector, how)
    attacks.judge(pages.DATA)
