"""Bearer tokens: a real API server decides whose a token is, and its rights."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from admin_api.auth.access import AccessMiddleware
from admin_api.auth.tokens import ALL_NAMESPACES, Tokens, User
from hack.testbed.controlplane import ControlPlane
from hack.testbed.namespace import CORE, Namespace
from hack.testbed.waiting import until
from report_operator.adapters.kube.client import KubeClient
from report_operator.api.v1alpha1.resource import GROUP, PLURAL
from tests.support.asgi import Reply, reply_of

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ANOTHER_POD = "10.244.0.7"
PATH = "/api/admin/scheduler/status"


async def who_called(scope: Scope, receive: Receive, send: Send) -> None:
    """The application behind the guard."""
    await PlainTextResponse(Request(scope).state.caller.name)(scope, receive, send)


@pytest.fixture
async def guarded(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ASGIApp]:
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    async with await KubeClient.connect() as kube:
        yield AccessMiddleware(who_called, Tokens(kube))


def token_of(namespace: Namespace, account: str, *verbs: str) -> str:
    """A token of a new service account with these rights, bound by the chart's roles."""
    role = f"{namespace.name}-{account}"
    rule = {"nonResourceURLs": ["/report-scheduler/*"], "verbs": list(verbs)}
    namespace.call("POST", namespace.path(CORE, "serviceaccounts"), {"metadata": {"name": account}})
    if verbs:
        namespace.call(
            "POST", f"{RBAC}/clusterroles", {"metadata": {"name": role}, "rules": [rule]}
        )
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace.name}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        namespace.call(
            "POST",
            f"{RBAC}/clusterrolebindings",
            {"metadata": {"name": role}, "subjects": [subject], "roleRef": reference},
        )
    path = namespace.path(CORE, "serviceaccounts", account, "token")
    answer = namespace.call(
        "POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    )
    return str(answer["status"]["token"])


async def call(app: ASGIApp, method: str, token: str | None = None) -> Reply:
    more = {} if token is None else {"authorization": f"Bearer {token}"}
    return await reply_of(
        app, method, PATH, client=ANOTHER_POD, host="scheduler.svc:3000", accept="*/*", **more
    )


async def test_request_without_a_token_is_refused(guarded: ASGIApp) -> None:
    for token in (None, "", "made-up"):
        reply = await call(guarded, "GET", token)
        assert reply.status == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.headers["content-type"] == "application/problem+json"


async def test_reading_and_acting_are_separate_rights(
    guarded: ASGIApp, namespace: Namespace
) -> None:
    reader = token_of(namespace, "reader", "get")
    on_call = token_of(namespace, "on-call", "get", "post")
    stranger = token_of(namespace, "stranger")
    told = [
        ((await call(guarded, "GET", token)).status, (await call(guarded, "POST", token)).status)
        for token in (reader, on_call, stranger)
    ]
    assert told == [(200, 403), (200, 200), (403, 403)]
    reply = await call(guarded, "POST", on_call)
    assert reply.text == f"system:serviceaccount:{namespace.name}:on-call"
    refused = await call(guarded, "POST", reader)
    assert "may not post" in refused.text


async def test_token_does_not_allow_cross_site_requests_on_loopback(
    guarded: ASGIApp, namespace: Namespace
) -> None:
    token = token_of(namespace, "on-call", "get", "post")
    reply = await reply_of(
        guarded, "GET", PATH, host="evil.example", authorization=f"Bearer {token}"
    )
    assert reply.status == 421


async def test_report_contents_need_a_right_in_the_namespace(
    plane: ControlPlane, namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of(namespace, "dashboards", "get")
    rule = {"apiGroups": [GROUP], "resources": [f"{PLURAL}/files"], "verbs": ["get"]}
    subject = {"kind": "ServiceAccount", "name": "dashboards", "namespace": namespace.name}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "files"}
    metadata = {"name": "files"}
    roles = f"{RBAC}/namespaces/{namespace.name}"
    namespace.call("POST", f"{roles}/roles", {"metadata": metadata, "rules": [rule]})
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    async with await KubeClient.connect() as kube:
        before, tokens = Tokens(kube), Tokens(kube)
        user = await before.authenticate(f"Bearer {token}", "get", PATH)
        assert isinstance(user, User)
        assert not await before.may_read(user, namespace.name)
        namespace.call(
            "POST",
            f"{roles}/rolebindings",
            {"metadata": metadata, "subjects": [subject], "roleRef": reference},
        )

        async def bound() -> bool:  # the API server's own view of roles lags a little
            return await Tokens(kube).may_read(user, namespace.name)

        await until("the binding counts", bound)
        assert await tokens.may_read(user, namespace.name)
        assert not await tokens.may_read(user, "default")
        assert not await tokens.may_read(user, ALL_NAMESPACES)
