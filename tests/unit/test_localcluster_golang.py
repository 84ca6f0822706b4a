"""A `go` that is too old fetches the version that the modules want; a new one is used as it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.localcluster.cluster import ClusterError
from hack.localcluster.golang import go_command, numbers
from hack.localcluster.versions import GO_TOOLCHAIN

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "hack").rglob("go.mod"))
# As Go answers (Debian 12's, in an empty module cache), but for the files of the toolchain.
GO = """#!/bin/sh
[ "$PWD" = / ] || { echo "errors parsing go.mod" >&2; exit 1; }
case $*:$GOFLAGS in
"env GOVERSION:") echo @version ;;
"env GOHOSTOS GOHOSTARCH:") printf 'linux\\namd64\\n' ;;
"mod download -json golang.org/toolchain@v0.0.1-go@wanted.linux-amd64:")
    @answer ;;
*) echo "unexpected: $*" >&2; exit 2 ;;
esac
"""


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    go_command.cache_clear()
    yield
    go_command.cache_clear()


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A toolchain as the module cache has it: nothing in it is executable."""
    place = tmp_path / "toolchain"
    for file in ("bin/go", "bin/gofmt", "pkg/tool/linux_amd64/compile", "VERSION"):
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).touch(mode=0o444)
    return place


def install(
    directory: Path, monkeypatch: pytest.MonkeyPatch, version: str, answer: str = "exit 1"
) -> Path:
    program = directory / "bin" / "go"
    program.parent.mkdir()
    text = GO.replace("@version", version).replace("@wanted", GO_TOOLCHAIN)
    program.write_text(text.replace("@answer", answer))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    return program


@pytest.mark.parametrize("version", [f"go{GO_TOOLCHAIN}", "go1.27rc1", "go2.0"])
def test_go_that_is_new_enough_is_used(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = install(tmp_path, monkeypatch, version)
    assert go_command() == str(program)


@pytest.mark.parametrize("version", ["go1.19.8", "go1.26.7", "go1.26", "devel +0a1b2c"])
def test_older_go_fetches_what_the_modules_want(
    version: str, module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOROOT", "/usr/lib/go-1.19")
    install(tmp_path, monkeypatch, version, f"""echo '{{"Dir": "{module}"}}'""")
    assert go_command() == str(module / "bin" / "go")
    executable = {p.name for p in module.rglob("*") if p.is_file() and p.stat().st_mode & 0o111}
    assert executable == {"go", "gofmt", "compile"}
    assert "GOROOT" not in os.environ


def test_what_cannot_be_fetched_is_said_with_the_version_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = "echo 'dial tcp: no route to host' >&2; exit 1"
    install(tmp_path, monkeypatch, "go1.19.8", refused)
    with pytest.raises(ClusterError, match=rf"Go {GO_TOOLCHAIN} or newer.*\n.*no route to host"):
        go_command()


def test_no_go_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=rf"install Go {GO_TOOLCHAIN}.*golang-go"):
        go_command()


@pytest.mark.parametrize("go_mod", MODULES, ids=lambda path: path.parent.name)
def test_no_module_wants_a_newer_go(go_mod: Path) -> None:
    (wanted,) = (line for line in go_mod.read_text().splitlines() if line.startswith("go "))
    assert numbers(wanted.replace(" ", "")) <= numbers(f"go{GO_TOOLCHAIN}")


def test_some_module_wants_exactly_that() -> None:
    assert any(f"\ngo {GO_TOOLCHAIN}\n" in path.read_text() for path in MODULES)
