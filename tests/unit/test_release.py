"""What a release says of its images is read from them; equal inputs give equal bytes."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from hack.image.oci import ImageConfig, layer_of_tree, write_archive
from hack.image.recipe import HERE, ROOT, SERVICES
from hack.image.reproduce import differences, image_digest
from hack.release import __main__ as release
from hack.release.audit import make_database
from hack.release.inventory import debian_licences, read_image
from hack.release.licences import TABLE, table, texts
from hack.release.plugin import APP, LAUNCHER, LAUNCHERS, LIBRARIES, make_app, manifest
from hack.release.sbom import make_sbom

STATUS = """\
Package: libfoo1
Status: install ok installed
Architecture: amd64
Version: 1:2.0-3+deb12u1

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
"""
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Files: *
License: MIT

License: GPL-2+
 On Debian systems see /usr/share/common-licenses/GPL-2
"""
METADATA = (
    "Metadata-Version: 2.4\nName: Some_Package\nVersion: 1.2\nLicense-Expression: {}\n\nText\n"
)
SITE = "opt/venv/lib/python3.11/site-packages"


def image(folder: Path, licence: str = "MIT") -> Path:
    root = folder / "root"
    files = {
        "var/lib/dpkg/status": STATUS,
        "usr/share/doc/libfoo1/copyright": COPYRIGHT,
        f"{SITE}/some_package-1.2.dist-info/METADATA": METADATA.format(licence),
        f"{SITE}/some_package-1.2.dist-info/licenses/LICENSE": "Do as you like.",
        f"{SITE}/some_package.libs/libbar-1a2b.so.3": "ELF",
        f"{SITE}/admin_api/web/static/htmx.min.js": 'var a={version:"2.0.11"}',
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    layers = [
        layer_of_tree(root, ["usr", "var"], folder / "system.tar"),
        layer_of_tree(root, ["opt"], folder / "python.tar"),
    ]
    write_archive(folder / "image.tar", "localhost/some:1", layers, ImageConfig(), "amd64")
    return folder / "image.tar"


def test_what_is_in_an_image_is_read_from_it(tmp_path: Path) -> None:
    debian, script, python = read_image(image(tmp_path))
    assert (debian.name, debian.version, debian.licences) == (
        "libfoo1", "1:2.0-3+deb12u1", ("GPL-2+", "MIT"),
    )  # fmt: skip
    assert (script.kind, script.name, script.version) == ("npm", "htmx.org", "2.0.11")
    assert (python.name, python.version, python.licences) == ("some-package", "1.2", ("MIT",))
    digest = hashlib.sha256(b"ELF").hexdigest()
    assert python.bundled == (("libbar-1a2b.so.3", digest),)
    written = texts([debian, script, python])
    assert written.count("Do as you like.") == 1
    assert "GPL-2" in written


def test_licences_of_an_old_copyright_file_are_those_it_points_to() -> None:
    text = "This is free; see `/usr/share/common-licenses/LGPL-2.1'.\nLicense: whatever I say"
    assert debian_licences(text) == ("LGPL-2.1",)


def test_sbom_names_every_component_once(tmp_path: Path) -> None:
    archive = image(tmp_path, "MPL-2.0 AND (Apache-2.0 OR MIT)")
    digest = image_digest(archive)
    components = read_image(archive)
    bom = make_sbom("some", digest, "1", "2026-01-05T06:00:00Z", components)
    assert [one["purl"] for one in bom["components"]] == [
        "pkg:deb/debian/libfoo1@1%3A2.0-3%2Bdeb12u1?arch=amd64&distro=bookworm",
        "pkg:npm/htmx.org@2.0.11",
        "pkg:pypi/some-package@1.2",
    ]
    (_, _, python) = bom["components"]
    assert python["licenses"] == [{"expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}]
    references = [one["bom-ref"] for one in bom["components"]]
    assert bom["dependencies"][0]["dependsOn"] == references
    assert len(set(references)) == len(references)
    again = make_sbom("some", digest, "1", "2026-01-05T06:00:00Z", components)
    assert again == bom


def test_a_difference_between_two_builds_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, same = image(tmp_path / "a"), image(tmp_path / "b")
    assert image_digest(one) == image_digest(same)
    assert differences(one, same) == []
    (tmp_path / "c").mkdir()
    other = image(tmp_path / "c", "BSD-2-Clause")
    assert image_digest(one) != image_digest(other)
    (told,) = differences(one, other)
    assert told == f"  layer 2: 1 files: {SITE}/some_package-1.2.dist-info/METADATA"


def packed(moment: float) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name in ("chart/values.yaml", "chart/Chart.yaml"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = 4, moment, "somebody"
            tar.addfile(info, io.BytesIO(b"a: 1"))
    return gzip.compress(plain.getvalue(), mtime=moment)


def test_a_chart_is_the_same_each_time() -> None:
    first, second = packed(1.0), packed(time.time())
    assert first != second
    made = release.same_every_time(first)
    assert made == release.same_every_time(second)
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        assert tar.getnames() == ["chart/Chart.yaml", "chart/values.yaml"]


@pytest.mark.skipif(shutil.which("gpg") is None, reason="no gpg")
def test_sums_are_signed_by_the_key_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "g"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    quick = [
        "gpg",
        "--batch",
        "--passphrase",
        "",
        "--quick-generate-key",
        "r@example.com",
        "ed25519",
    ]
    try:
        subprocess.run(quick, check=True, capture_output=True)
        (tmp_path / release.SUMS).write_text("0  image\n")
        assert release.sign(tmp_path, None, None) is None
        assert release.sign(tmp_path, "r@example.com", None) == "SHA256SUMS is signed by gpg"
        verify = ["gpg", "--verify", tmp_path / "SHA256SUMS.asc", tmp_path / release.SUMS]
        assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
        (tmp_path / release.SUMS).write_text("1  image\n")
        assert subprocess.run(verify, check=False, capture_output=True).returncode == 1
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=False, env=os.environ)


def test_a_key_without_its_program_is_no_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(release.ReleaseError, match="no cosign on PATH"):
        release.sign(tmp_path, None, "key.pem")


def test_the_go_database_is_indexed_by_module(tmp_path: Path) -> None:
    reports, made = tmp_path / "osv", tmp_path / "db"
    reports.mkdir()
    made.mkdir()
    report = {
        "id": "GO-2026-0001",
        "modified": "2026-01-02T00:00:00Z",
        "affected": [
            {
                "package": {"name": "example.com/m", "ecosystem": "Go"},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.3"}]}],
            }
        ],
    }
    (reports / "GO-2026-0001.json").write_text(json.dumps(report))
    make_database(reports, made)
    assert json.loads((made / "index/modules.json").read_bytes()) == [
        {
            "path": "example.com/m",
            "vulns": [{"id": "GO-2026-0001", "modified": "2026-01-02T00:00:00Z", "fixed": "1.2.3"}],
        }
    ]
    assert json.loads((made / "ID/GO-2026-0001.json").read_bytes()) == report


def rows(title: str) -> set[str]:
    _, _, rest = TABLE.read_text().partition(f"\n## {title}\n")
    section = rest.partition("\n## ")[0]
    return set(re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)) - {"package", "---"}


def test_the_table_of_licences_has_all_that_is_locked() -> None:
    locked = re.findall(
        r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements/image.txt").read_text(), re.MULTILINE
    )
    assert rows("Python packages") == {f"{name} {version}" for name, version in locked}
    asked = {
        line
        for folder in (HERE, SERVICES)
        for line in (folder / "packages.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    assert asked <= rows("Debian packages")
    assert "htmx.org 2.0.11" in rows("Scripts")
    assert not [line for line in TABLE.read_text().splitlines() if line.endswith("|  |")]


def test_the_table_is_of_one_line_for_each_package(tmp_path: Path) -> None:
    components = read_image(image(tmp_path))
    assert table([*components, *components]).count("| libfoo1 |") == 1


# --- the plugin of kubectl --------------------------------------------------------------------


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Krew installs it: the files of the archive, and a link to the launcher elsewhere."""
    root = tmp_path_factory.mktemp("krew")
    for name in LIBRARIES:
        source = Path(importlib.import_module(name).__file__ or "").parent
        shutil.copytree(source, root / "libraries" / name)
    installed = root / "libraries" / "idna-1.dist-info"
    installed.mkdir()
    for name in ("RECORD", "LICENSE"):
        (installed / name).write_text(str(root))
    store = root / "store"
    store.mkdir()
    (store / APP).write_bytes(make_app(root / "libraries"))
    (root / "bin").mkdir()
    for name in LAUNCHERS:
        (store / name).write_text(LAUNCHER)
        (store / name).chmod(0o755)
        (root / "bin" / name).symlink_to(Path("..", "store", name))
    return root


def run_plugin(command: Sequence[str | Path], path: str = "/usr/bin:/bin") -> tuple[int, str]:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={"PATH": path}, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_the_plugin_needs_nothing_but_python(plugin: Path) -> None:
    """Every module of the command, without one package of this machine."""
    modules = sorted(path.stem for path in (ROOT / "operator" / "admin_cli").glob("*.py"))
    names = ", ".join(f"admin_cli.{name}" for name in modules if name != "__init__")
    code = f"import sys; sys.path.insert(0, sys.argv[1]); import {names}"
    isolated = [sys.executable, "-I", "-S", "-c", code, str(plugin / "store" / APP)]
    assert run_plugin(isolated) == (0, "")
    again = make_app(plugin / "libraries")
    assert again == (plugin / "store" / APP).read_bytes()
    with zipfile.ZipFile(io.BytesIO(again)) as archive:
        # The file that names the directory of an installation would be another each time.
        told = {name for name in archive.namelist() if "dist-info" in name}
    assert told == {"idna-1.dist-info/LICENSE"}


def test_the_plugin_speaks_as_kubectl_calls_it(plugin: Path) -> None:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    command, complete = (plugin / "bin" / name for name in LAUNCHERS)
    code, text = run_plugin([command, "--help"], path)
    assert (code, text.split()[:3]) == (0, ["usage:", "kubectl", "reports"])
    code, text = run_plugin([complete, "ret"], path)
    assert (code, text.split("\t")[0]) == (0, "retry")
    code, text = run_plugin([command, "--url", "http://127.0.0.1:9", "status"], path)
    assert (code, text.startswith("kubectl reports: ")) == (69, True)
    code, text = run_plugin([command, "run"], path)
    assert (code, text) == (1, "kubectl reports: run: the operator is in the image alone\n")


def test_the_plugin_says_which_python_it_needs(plugin: Path, tmp_path: Path) -> None:
    """macOS has a Python of its own that is older."""
    for name in ("readlink", "dirname", "basename", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    code, text = run_plugin([plugin / "bin" / LAUNCHERS[0], "status"], str(tmp_path))
    assert code == 69
    assert "needs Python 3.11 or newer" in text


def test_the_manifest_of_krew_names_the_archive_and_its_sum() -> None:
    made = yaml.safe_load(manifest("0.1.0", "https://example.com/a.tar.gz", "0" * 64))
    (platform,) = made["spec"]["platforms"]
    assert (platform["uri"], platform["sha256"]) == ("https://example.com/a.tar.gz", "0" * 64)
    assert (made["metadata"]["name"], platform["bin"]) == ("reports", LAUNCHERS[0])
    assert made["spec"]["version"] == "v0.1.0"
