"""A real redis-server on loopback, with its files in a directory of the test."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from hack.testbed.controlplane import free_port
from hack.testbed.waiting import wait_for

QUEUE = "report_scheduler_queue"
DEAD_LETTERS = "report_scheduler_dead_letter"
PASSWORD = "not-a-real-one"


@dataclass
class RedisServer:
    """Can be killed, paused, and restarted with or without its data."""

    directory: Path
    password: str = ""
    tls: bool = False
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self, *, keep_data: bool = True) -> None:
        program = shutil.which("redis-server")
        assert program, "no `redis-server` on PATH: run `make packages`"
        self.directory.mkdir(exist_ok=True)
        data = self.directory / "data"
        if not keep_data:
            shutil.rmtree(data, ignore_errors=True)
        data.mkdir(exist_ok=True)
        plain, secure = (0, self.port) if self.tls else (self.port, 0)
        options = [
            "--bind 127.0.0.1", f"--port {plain}", f"--tls-port {secure}", f"--dir {data}",
            "--save", "--appendonly yes", "--daemonize no",
        ]  # fmt: skip
        if self.password:
            options.append(f"--requirepass {self.password}")
        if self.tls:
            self._make_certificate()
            options += [
                f"--tls-cert-file {self.certificate}", f"--tls-key-file {self.directory / 'key'}",
                "--tls-auth-clients no", f"--tls-ca-cert-file {self.certificate}",
            ]  # fmt: skip
        command = [word for option in options for word in option.split(" ")]
        command.insert(command.index("--save") + 1, "")
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen([program, *command], stdout=log, stderr=log)
        wait_for("Redis serves", self._serves, 30, self.log)

    @property
    def certificate(self) -> Path:
        return self.directory / "ca.crt"

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it accepts connections and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def log(self) -> str:
        return (self.directory / "log").read_text()[-3000:]

    def client(self) -> redis.Redis:
        """A client, which the caller closes."""
        return redis.Redis(
            host="127.0.0.1",
            port=self.port,
            password=self.password or None,
            ssl=self.tls,
            ssl_ca_certs=str(self.certificate) if self.tls else None,
            decode_responses=True,
            socket_timeout=10,
        )

    def call(self, *command: str) -> Any:
        """Run one command, as redis-cli."""
        with self.client() as client:
            return client.execute_command(*command)

    def elements(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.call("LRANGE", name, "0", "-1")]

    def write_secret(self, directory: Path, **changes: str) -> Path:
        """Write the server's Secret as the kubelet mounts it."""
        keys = {
            "host": "127.0.0.1",
            "port": str(self.port),
            "password": self.password,
            "tls": str(self.tls).lower(),
        }
        if self.tls:
            keys["ca.crt"] = self.certificate.read_text()
        directory.mkdir(exist_ok=True)
        for key, value in (keys | changes).items():
            (directory / key).write_text(value)
        return directory

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            return bool(self.call("PING"))
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def _make_certificate(self) -> None:
        if self.certificate.exists():
            return
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", "2", "-subj", "/CN=redis", "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-keyout", str(self.directory / "key"), "-out", str(self.certificate),
            ],
            check=True, capture_output=True,
        )  # fmt: skip
