"""An OpenTelemetry Collector, built from its Go modules, that keeps the spans it is sent.

It takes OTLP as any collector does; what it read goes on as JSON to a receiver in this process.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hack.image.programs import go_program
from hack.testbed.controlplane import free_port
from hack.testbed.waiting import wait_for

SOURCE = Path(__file__).resolve().parents[1] / "services" / "otelcol"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class ReceivedSpan:
    """A span, and the attributes of its resource."""

    wire: dict[str, Any]
    resource: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.wire["name"])

    @property
    def attributes(self) -> dict[str, Any]:
        return plain(self.wire.get("attributes", []))


def plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Attributes as OTLP's JSON has them, by key; an integer is text there."""
    found = {}
    for item in attributes:
        ((kind, value),) = item["value"].items()
        found[item["key"]] = int(value) if kind == "intValue" else value
    return found


@dataclass
class Collector:
    """`endpoint` is its base URL."""

    endpoint: str
    bodies: list[bytes] = field(default_factory=list)

    def spans(self, trace: str | None = None) -> list[ReceivedSpan]:
        """What has come so far, of one trace or of all."""
        return [
            ReceivedSpan(span, plain(group["resource"].get("attributes", [])))
            for body in list(self.bodies)
            for group in json.loads(body)["resourceSpans"]
            for scope in group["scopeSpans"]
            for span in scope["spans"]
            if trace in (None, span["traceId"])
        ]


@contextmanager
def collector() -> Iterator[Collector]:
    """It serves OTLP over HTTP on loopback."""
    port = free_port()
    made = Collector(f"http://{HOST}:{port}")
    program = go_program(SOURCE)
    with _receiver(made.bodies) as back, tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")
        command = [program, "--config", f"yaml:{json.dumps(_config(port, back))}"]
        with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            try:
                wait_for(
                    "the collector serves",
                    lambda: "is ready" in log.read_text() or process.poll() is not None,
                    60,
                    log.read_text,
                )
                assert process.poll() is None, log.read_text()
                yield made
            finally:
                process.terminate()


def _config(port: int, back: int) -> dict[str, Any]:
    return {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"{HOST}:{port}"}}}},
        "exporters": {
            "otlphttp": {
                "endpoint": f"http://{HOST}:{back}",
                "encoding": "json",
                "compression": "none",
                "sending_queue": {"enabled": False},
                "retry_on_failure": {"enabled": False},
            }
        },
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlphttp"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }


@contextmanager
def _receiver(bodies: list[bytes]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
