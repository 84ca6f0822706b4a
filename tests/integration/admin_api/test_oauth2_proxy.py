"""A real oauth2-proxy, with the configuration of the docs, before a real API."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from hack.image.programs import build
from hack.testbed.admin_api import SCHEDULER, Api, fail_once
from hack.testbed.controlplane import free_port
from hack.testbed.go_programs import OAUTH2_PROXY
from hack.testbed.waiting import wait_for
from tests.support.behind import HOST, SECRET, STATUS, Behind, bind, own_address
from tests.support.docs import blocks

MOUNTED = "/etc/report-proxy/secret"  # in the docs
USER, WORD = "kim", "a-password-of-the-tests"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Visit:
    """A browser before the proxy: one answer, and the cookies so far."""

    port: int
    cookies: dict[str, str]
    status: int = 0
    text: str = ""

    def __call__(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            sent = {name.replace("__", "-"): value for name, value in headers.items()}
            if self.cookies:
                sent["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
            given = {"Host": HOST, **(FORM if body is not None else {}), **sent}
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            for text in answer.headers.get_all("Set-Cookie") or []:
                name, _, value = text.split(";")[0].partition("=")
                self.cookies[name] = value
            self.status, self.text = answer.status, answer.read().decode()
            return self.status, self.text
        finally:
            connection.close()


def configuration(behind: Behind, secret: Path, port: int) -> dict[str, Any]:
    """What docs/installing.md says, with the places of this test."""
    (block,) = (b for b in blocks("text") if "injectRequestHeaders" in b.text)
    told = re.sub(
        r"http://[^\"]+:3000", f"http://{own_address()}:{behind.process.api.port}", block.text
    )
    assert MOUNTED in told
    return {
        **yaml.safe_load(told.replace(MOUNTED, str(secret))),
        "server": {"bindAddress": f"127.0.0.1:{port}"},
        # Nobody asks it: the user logs in by a password of the proxy's own.
        "providers": [{"id": "a", "provider": "github", "clientID": "a", "clientSecret": "a"}],
    }


@pytest.fixture
def visit(behind: Behind, team: str, tmp_path: Path) -> Iterator[Visit]:
    port, secret = free_port(), tmp_path / "report-proxy"
    secret.write_text(SECRET)
    config, words, log = tmp_path / "proxy.yaml", tmp_path / "htpasswd", tmp_path / "proxy.log"
    config.write_text(yaml.safe_dump(configuration(behind, secret, port)))
    digest = base64.b64encode(hashlib.sha1(WORD.encode()).digest()).decode()  # noqa: S324
    words.write_text(f"{USER}:{{SHA}}{digest}\n")
    command = [
        build(OAUTH2_PROXY), f"--alpha-config={config}",
        f"--cookie-secret={'0' * 32}", "--email-domain=*", f"--htpasswd-file={words}",
        f"--htpasswd-user-group={team}-on-call", "--htpasswd-user-group=others",
        f"--redirect-url=https://{HOST}/oauth2/callback",
    ]  # fmt: skip
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as proxy:
        try:
            made = Visit(port, {})
            wait_for("the proxy", lambda: answers(made), 60, log.read_text)
            yield made
        finally:
            proxy.terminate()


def answers(visit: Visit) -> bool:
    try:
        return visit("GET", "/ping")[0] == 200
    except OSError:
        return False


def log_in(visit: Visit) -> None:
    body = urlencode({"username": USER, "password": WORD})
    status, text = visit("POST", "/oauth2/sign_in", body)
    assert (status, bool(visit.cookies)) == (302, True), text


def test_who_logs_in_at_the_proxy_works_the_page_by_his_own_name(
    behind: Behind, team: str, visit: Visit
) -> None:
    spoofed = {
        "X__Forwarded__User": "eve", "X__Forwarded__Groups": f"{team}-on-call",
        "X__Report__Proxy__Secret": SECRET,
    }  # fmt: skip
    bind(behind.namespace, f"oidc:{team}-on-call", ["get", "post"], files=True)
    assert visit("GET", STATUS)[0] == 403  # the proxy's own: a log-in
    assert "oidc:" not in visit.text
    assert visit("GET", STATUS, **spoofed)[0] == 403
    log_in(visit)
    wait_for("kim is let in", lambda: visit("GET", STATUS)[0] == 200, 60, lambda: visit.text)
    fail_once(behind.namespace)
    own = Api(behind.process.api.port)
    wait_for("its reason is known", lambda: any(j["reason"] for j in own.jobs(status="failed")))
    path = f"/runs/{own.jobs(status='failed')[0]['id']}/retry"
    wait_for("the question", lambda: visit("GET", path)[0] == 200, 60, lambda: visit.text)
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', visit.text)
    form, origin = urlencode(fields), f"https://{HOST}"
    assert visit("POST", path, form)[0] == 403
    assert visit("POST", path, form, Origin="https://evil.example")[0] == 403
    # Of what the browser says about who it is nothing arrives.
    assert visit("POST", path, form, Origin=origin, **spoofed)[0] == 303
    (job,) = [job for job in own.jobs() if job["requested_by"]]
    assert job["requested_by"] == f"oidc:{USER}"
    assert any(f"retry by oidc:{USER}: " in line for line in behind.process.audit())
    assert visit("GET", f"{SCHEDULER}/status", Host="evil.example")[0] == 421
    assert visit("GET", STATUS, Authorization="Bearer made-up")[0] == 400
