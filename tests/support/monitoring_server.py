"""What the servers of Debian's Prometheus packages have in common, as processes on loopback."""

from __future__ import annotations

import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from hack.testbed.waiting import wait_for


class LoopbackServer:
    """What answers HTTP on a port of this machine."""

    port: int

    def open(self, path: str) -> Any:
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10)


class MonitoringServer(LoopbackServer):
    """Subclasses are dataclasses with these fields; `name` is the program's."""

    name: str
    directory: Path
    _process: subprocess.Popen[bytes] | None

    def launch(self, *options: str) -> None:
        """Return once it serves; raises UnexpectedError, with its log, where it does not."""
        program = shutil.which(self.name)
        assert program, f"no `{self.name}` on PATH: run `make packages`"
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [program, *options, f"--web.listen-address=127.0.0.1:{self.port}"],
                stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(f"{self.name} is ready", self._ready, 60, self.log)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def log_file(self) -> Path:
        return self.directory / f"{self.name}.log"

    def log(self) -> str:
        return self.log_file.read_text()[-3000:]

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            with self.open("/-/ready"):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False
