"""The private loopback on which the runbook's blocks run."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from hack.testbed.controlplane import ControlPlane
from tests.support.loopback import loopback_port, private_loopback

PORT = 3000  # of the admin API, in the runbook
CONNECT = f"import socket; socket.create_connection(('localhost', {PORT}), 5).close()"


def listen(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def test_taken_port_is_free_inside_and_taken_again_afterwards() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with listen(port):
        with private_loopback(), listen(port):
            socket.create_connection(("127.0.0.1", port), 5).close()
        with pytest.raises(OSError, match="in use"):
            listen(port)


def test_programs_started_inside_share_the_loopback() -> None:
    with private_loopback():
        assert subprocess.run([sys.executable, "-c", CONNECT], check=False).returncode != 0
        with listen(PORT) as listener:
            accepted = threading.Thread(target=lambda: listener.accept()[0].close())
            accepted.start()
            subprocess.run([sys.executable, "-c", CONNECT], check=True)
            accepted.join(20)


def test_api_server_of_the_machine_is_reached_from_inside(plane: ControlPlane) -> None:
    with private_loopback(), pytest.raises(OSError, match="refused"):
        plane.api.call("GET", "/api/v1/namespaces")
    with private_loopback([plane.port]):
        for _ in range(20):
            assert plane.api.call("GET", "/openapi/v2").code == 200  # some megabytes
    assert plane.api.call("GET", "/api/v1/namespaces").code == 200


def test_relayed_port_without_a_listener_is_closed_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with private_loopback([port]), socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(20)
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://127.0.0.1:20001", 20001),
        ("https://localhost", 443),
        ("https://10.0.0.1:6443", None),
        ("https://127.0.0.1.example.com:6443", None),
        ("https://[2001:db8::1]:6443", None),
    ],
)
def test_only_loopback_urls_have_a_loopback_port(url: str, port: int | None) -> None:
    assert loopback_port(url) == port
