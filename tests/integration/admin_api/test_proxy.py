"""The API behind an authenticating proxy: the process, headers, a real API server's RBAC."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from hack.testbed.admin_api import SCHEDULER, Api, fail_once
from hack.testbed.namespace import CORE
from hack.testbed.waiting import wait_for
from tests.support.behind import HOST, NAMED, SECRET, STATUS, Behind, Pairs, bind


def test_who_is_let_in_may_do_what_is_bound_to_his_name_or_groups(
    behind: Behind, team: str
) -> None:
    refused = behind.by("kim", groups=f"{team}-readers,{team}-on-call")
    assert refused.status == 403
    assert "oidc:kim may not get /report-scheduler/api/admin/scheduler/status" in refused.text
    # Names of the cluster's own are names of the provider's here.
    for user, groups in (("system:admin", "system:masters"), ("kim", "oidc:system:masters")):
        refused = behind.by(user, groups=groups)
        assert (refused.status, f"oidc:{user} may not" in refused.text) == (403, True)
    bind(behind.namespace, f"oidc:{team}-readers", ["get"])
    bind(behind.namespace, f"{team}-on-call", ["get", "post"])  # without the prefix: of no use
    wait_for("readers are let in", lambda: behind.by("kim", groups=f"{team}-readers").status == 200)
    assert behind.by("kim", groups=f"{team}-on-call").status == 403
    assert behind.by("eve", groups="others").status == 403
    # The pages show all teams' reports, which is a right of its own.
    page = behind.by("kim", path="/", groups=f"{team}-readers")
    assert (page.status, "reportschedules/files" in page.text) == (403, True)
    act = behind.by(
        "kim", "POST", f"{SCHEDULER}/shutdown?graceful=true", groups=f"{team}-readers",
        origin=f"https://{HOST}",
    )  # fmt: skip
    assert (act.status, "oidc:kim may not post" in act.text) == (403, True)


def test_nobody_but_the_proxy_is_believed(behind: Behind, team: str) -> None:
    group = f"{team}-readers"
    bind(behind.namespace, f"oidc:{group}", ["get", "post"])
    wait_for("readers are let in", lambda: behind.by("kim", groups=group).status == 200)
    user, groups = ("X-Forwarded-User", "kim"), ("X-Forwarded-Groups", group)
    wrong = ("X-Report-Proxy-Secret", SECRET[:-1] + "0")
    assert SECRET[-1] != "0"
    spoofed: list[tuple[int, Pairs]] = [
        (403, [user, groups]),
        (403, [("X-Auth-Request-User", "kim"), ("X-Auth-Request-Groups", group)]),
        (403, [wrong, user, groups]),
        (403, [("X-Report-Proxy-Secret", ""), user, groups]),
        (400, [wrong, NAMED, user, groups]),
        (400, [NAMED, user, user, groups]),
        (400, [NAMED, user, ("X-Forwarded-Groups", "others"), groups]),
        (400, [NAMED, ("X_Forwarded_User", "kim"), groups]),
        (400, [NAMED, user, ("X_Forwarded_Groups", group)]),
        (400, [("X_Report_Proxy_Secret", SECRET), user, groups]),
        (401, [NAMED, groups]),
        (401, [NAMED, ("X-Auth-Request-User", "kim")]),
        (401, [NAMED]),
    ]
    for status, pairs in spoofed:
        # Over loopback too, where a plain call may do everything: a proxy beside the API in its
        # pod that has lost its secret lets nobody in.
        for address in (None, "127.0.0.1"):
            answer = behind.send("GET", STATUS, pairs, address=address)
            assert answer.status == status, (pairs, address, answer)
            assert SECRET not in answer.text
    assert behind.send("GET", STATUS, [], host="localhost", address="127.0.0.1").status == 200
    # What the proxy itself says over loopback is judged as what it says elsewhere.
    loopback = [NAMED, user, ("X-Forwarded-Groups", "others")]
    assert behind.send("GET", STATUS, loopback, address="127.0.0.1").status == 403
    assert SECRET not in behind.process.log_file.read_text()


def test_token_is_the_way_beside_it(behind: Behind, team: str) -> None:
    namespace, account = behind.namespace, "dashboards"
    namespace.call("POST", namespace.path(CORE, "serviceaccounts"), {"metadata": {"name": account}})
    bind(namespace, f"system:serviceaccounts:{team}", ["get"])
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = namespace.call("POST", namespace.path(CORE, "serviceaccounts", account, "token"), review)
    token = ("Authorization", f"Bearer {made['status']['token']}")
    host = "scheduler.svc:3000"
    wait_for(
        "the token is let in", lambda: behind.send("GET", STATUS, [token], host=host).status == 200
    )
    # The name in the headers is not a way to another's rights, nor to another name in the record.
    user = ("X-Forwarded-User", "kim")
    assert behind.send("GET", STATUS, [token, user], host=host).status == 403
    assert behind.send("GET", STATUS, [token, NAMED, user]).status == 400
    # A proxy that lets calls with a token through names nobody.
    assert behind.send("GET", STATUS, [token, NAMED]).status == 200
    assert behind.send("GET", STATUS, [NAMED, ("Authorization", "Bearer made-up")]).status == 401
    assert (
        behind.send("GET", STATUS, [NAMED, ("Authorization", "Basic a2ltOmtpbQ==")]).status == 401
    )


def test_forms_hold_behind_the_proxy_and_the_record_has_the_name(behind: Behind, team: str) -> None:
    group, namespace = f"{team}-on-call", behind.namespace
    bind(namespace, f"oidc:{group}", ["get", "post"], files=True)
    fail_once(namespace)
    own = Api(behind.process.api.port)
    wait_for("its reason is known", lambda: any(j["reason"] for j in own.jobs(status="failed")))
    path = f"/runs/{own.jobs(status='failed')[0]['id']}/retry"
    wait_for("the page", lambda: behind.by("kim", path=path, groups=group).status == 200)
    form = behind.by("kim", path=path, groups=group)
    cookie, *flags = form.headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=strict", "Secure"} <= set(flags)
    body = urlencode(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form.text))
    assert "token=" in body, form.text
    origin = f"https://{HOST}"

    def sent(user: str = "kim", **more: str) -> int:
        given = {"groups": group, "cookie": cookie, "origin": origin, "body": body} | more
        return behind.by(user, "POST", path, **{k: v for k, v in given.items() if v}).status

    assert sent(origin="") == 403
    assert sent(origin="https://evil.example") == 403
    assert sent(origin=f"http://{HOST}") == 403
    assert sent(cookie="") == 403
    assert sent("eve") == 403  # who may do the same, but has not filled in this form
    cross = [NAMED, ("X-Forwarded-User", "kim"), ("X-Forwarded-Groups", group), ("Cookie", cookie)]
    for host, more in (("evil.example", [("Origin", "https://evil.example")]),
                       (HOST, [("Origin", origin), ("Sec-Fetch-Site", "cross-site")])):  # fmt: skip
        answer = behind.send("POST", path, [*cross, *more], body, host=host)
        assert answer.status in (403, 421), answer
    assert [job["metadata"]["name"] for job in namespace.jobs()] == ["run-1"]
    # Another replica, or this one after its restart, takes the form as well.
    behind.process.kill()
    behind.process.start()
    assert sent() == 303
    (attempt,) = [job for job in namespace.jobs() if job["metadata"]["name"] != "run-1"]
    assert "oidc:kim" in attempt["metadata"]["annotations"].values()
    assert any("retry by oidc:kim: " in line for line in behind.process.audit())
    events = [event["message"] for event in namespace.list(CORE, "events")]
    assert any("requested by oidc:kim" in message for message in events), events
    (job,) = [job for job in own.jobs() if job["requested_by"]]
    assert job["requested_by"] == "oidc:kim"
