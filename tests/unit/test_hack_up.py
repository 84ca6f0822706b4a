"""What `make up` and `make mail` do beside the cluster."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tarfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from vega_datasets import local_data

from hack import mail, up
from hack.image.rootfs import extract
from hack.localcluster.cluster import ROOT

RUNTIME = ROOT / "hack" / "engine" / "runtime"


def test_market_data_are_those_of_the_package() -> None:
    assert up.STOCKS.read_bytes() == Path(local_data.stocks.filepath).read_bytes()


def test_make_up_needs_no_package_of_python() -> None:
    script = "import hack.up, hack.mail, hack.localcluster.__main__, hack.image.__main__"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = [{str(ROOT)!r}]; {script}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "reports@example.com", "board@example.com"
    message["Subject"] = "Posición del día"
    message.set_content("Two pages.\n")
    message.add_alternative("<p>Two pages.</p>", subtype="html")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="a.pdf")
    message.add_attachment(b"x", maintype="text", subtype="csv", filename="../../outside.csv")
    return message


def test_mail_is_shown_with_headers_and_text() -> None:
    message = letter()
    assert mail.headers(message).splitlines() == [
        "From: reports@example.com", "To: board@example.com", "Subject: Posición del día",
    ]  # fmt: skip
    assert mail.text(message) == "Two pages."


def test_attachments_are_written_into_one_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "ROOT", tmp_path)
    written = mail.save(b"whole", letter())
    assert {path.name: path.read_bytes() for path in written} == {
        "newest.eml": b"whole", "a.pdf": b"%PDF-", "outside.csv": b"x",
    }  # fmt: skip
    assert {path.parent for path in written} == {tmp_path / "out" / "mail"}


@pytest.mark.parametrize("option", ["--bundle", "--process"])
def test_container_is_not_given_what_this_machine_lacks(tmp_path: Path, option: str) -> None:
    """runc refuses a container with a capability that it cannot give."""
    status = Path("/proc/self/status").read_text()
    bounding = int(next(x for x in status.splitlines() if x.startswith("CapBnd:")).split()[1], 16)
    wanted = {"CAP_CHOWN": 0, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24, "CAP_BPF": 39}
    process = {"args": ["true"], "capabilities": {"bounding": list(wanted), "ambient": []}}
    bundle = tmp_path / "config.json"
    file = bundle if option == "--bundle" else tmp_path / "process.json"
    file.write_text(json.dumps({"process": process} if option == "--bundle" else process))
    (tmp_path / "runc").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "runc").chmod(0o755)

    argument = str(tmp_path if option == "--bundle" else file)
    done = subprocess.run(
        [sys.executable, str(RUNTIME), "--root", "/run/x", "create", option, argument, "id"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.split() == ["--root", "/run/x", "create", option, argument, "id"]
    content = json.loads(file.read_text())
    given = content["process"] if option == "--bundle" else content
    assert given["capabilities"] == {
        "bounding": [name for name, number in wanted.items() if bounding >> number & 1],
        "ambient": [],
    }
    assert given["args"] == ["true"]


@pytest.mark.parametrize(
    ("docker", "code", "said"),
    [
        (None, 1, ""),
        ("echo of the server; echo 'WARNING: no swap' >&2", 0, ""),
        ("echo of the client; printf 'ERROR: permission denied: sock\\nerrors\\n' >&2; exit 1", 1,
         "docker is installed, but no engine answers; going on without one: "
         "ERROR: permission denied: sock\n"),
        ("exit 1", 1, "docker is installed, but no engine answers; going on without one: \n"),
    ],
)  # fmt: skip
def test_engine_that_does_not_answer_is_told(
    docker: str | None, code: int, said: str, tmp_path: Path
) -> None:
    for tool in ("sh", "grep"):
        (tmp_path / tool).symlink_to(f"/bin/{tool}")
    if docker is not None:
        (tmp_path / "docker").write_text(f"#!/bin/sh\n{docker}\n")
        (tmp_path / "docker").chmod(0o755)
    done = subprocess.run(
        [str(ROOT / "hack" / "with-docker")],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, "", said)


def test_layer_is_unpacked_whole_by_the_python_of_debian_12(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its 3.11.2 has no filters; a newer one's default filter would take out what is asked here."""
    of_now = tarfile.TarFile.extractall

    def extractall(
        archive: tarfile.TarFile, path: Path, members: None = None, *, numeric_owner: bool = False
    ) -> None:
        of_now(archive, path, members, numeric_owner=numeric_owner)

    monkeypatch.setattr(tarfile.TarFile, "extractall", extractall)
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as written:
        link = tarfile.TarInfo("etc/localtime")
        link.type, link.linkname = tarfile.SYMTYPE, "/usr/share/zoneinfo/Etc/UTC"
        written.addfile(link)
        program = tarfile.TarInfo("usr/bin/su")
        program.mode, program.uid, program.gid = 0o4755, os.getuid(), os.getgid()
        written.addfile(program)
    extract(layer, tmp_path / "root")
    assert str((tmp_path / "root/etc/localtime").readlink()) == "/usr/share/zoneinfo/Etc/UTC"
    assert stat.S_IMODE((tmp_path / "root/usr/bin/su").stat().st_mode) == 0o4755
