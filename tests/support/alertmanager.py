"""A real Alertmanager with a configuration of the docs, and the pager at its end."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hack.testbed.controlplane import free_port
from tests.support.chart import ROOT, Object
from tests.support.monitoring_server import MonitoringServer

EXAMPLES = ROOT / "docs" / "examples" / "alertmanager"
PLACEHOLDER = "http://pager.example.com"
# The waits of the docs are for people.
QUICK = {"group_wait: 30s": "group_wait: 1s", "group_interval: 5m": "group_interval: 2s"}


class Pager:
    """A webhook receiver: every notification by the name of its receiver, as it came."""

    def __init__(self) -> None:
        self.received: list[Object] = []
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                pager.received.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def pages(self, receiver: str, status: str = "firing") -> list[Object]:
        """Notifications that a receiver got, of this status."""
        found = list(self.received)
        return [p for p in found if p["receiver"] == receiver and p["status"] == status]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class AlertmanagerProcess(MonitoringServer):
    """Notifies the pager, by an example of the docs with shorter waits."""

    directory: Path
    example: str
    pager: Pager
    name: str = "prometheus-alertmanager"
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        text = (EXAMPLES / f"{self.example}.yaml").read_text()
        for old, new in {**QUICK, PLACEHOLDER: self.pager.url}.items():
            assert old in text, old
            text = text.replace(old, new)
        path = self.directory / "alertmanager.yaml"
        path.write_text(text)
        storage = self.directory / "alertmanager"
        self.launch(
            f"--config.file={path}", f"--storage.path={storage}", "--cluster.listen-address="
        )

    def alerts(self, state: str, **labels: str) -> list[Object]:
        """Alerts with these labels that are `active`, or `suppressed` by another."""
        filters = [("filter", f'{name}="{value}"') for name, value in labels.items()]
        query = urllib.parse.urlencode(filters)
        with self.open(f"/api/v2/alerts?{query}") as answer:
            found: list[Object] = json.load(answer)
        return [alert for alert in found if alert["status"]["state"] == state]
