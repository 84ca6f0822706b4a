"""Stolen tokens: each request that the operator or the admin API has no reason for is refused."""

from __future__ import annotations

from hack.testbed.namespace import BATCH, CORE
from hack.testbed.waiting import wait_for
from tests.attacks import token
from tests.attacks.arena import ATTACKERS, OUTSIDE, Arena, Impersonated
from tests.attacks.vectors import Attacks, Who

NOT_ALLOWED = (401, 403)


def _furnish(arena: Arena) -> None:
    """Objects of others, so that what is refused is refused and not merely missing."""
    api = arena.plane.api
    plain = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "other"}]}
    for namespace in (ATTACKERS, OUTSIDE):
        prefix = f"namespaces/{namespace}"
        api.call("POST", f"{CORE}/{prefix}/configmaps", {"metadata": {"name": "settings"}})
        spec = {"suspend": True, "template": {"spec": plain}}
        api.call("POST", f"{BATCH}/{prefix}/jobs", {"metadata": {"name": "other"}, "spec": spec})
        cron = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": spec}}
        api.call(
            "POST", f"{BATCH}/{prefix}/cronjobs", {"metadata": {"name": "other"}, "spec": cron}
        )
    arena.attackers.apply("x")


def _try(arena: Arena, client: Impersonated, attacks: Attacks, area: str, who: Who) -> None:
    _furnish(arena)
    allowed = [token.permitted(arena.image)]
    allowed += [token.permitted_cronjob(arena.image)] * (who is Who.OPERATOR_TOKEN)
    for request in allowed:
        answer = client.call(request.method, request.url, request.body)
        assert answer.code == 201, answer.message
    vectors = token.vectors(area, who, arena.image)
    for vector in vectors:
        request = vector.data
        answer = client.call(request.method, request.url, request.body, request.kind)
        if answer.code == 404 and "pods" in request.path:
            # No pod is there: who may is told that it is missing, who may not that he may not.
            attacks.record(vector, "it is allowed: 404")
        elif answer.code in NOT_ALLOWED or (answer.code == 422 and "denied" in answer.message):
            attacks.record(vector, None)
        else:
            attacks.record(vector, f"{answer.code} {answer.message[:120]}")
    attacks.judge(vectors)


def test_the_operators_token(arena: Arena, attacks: Attacks) -> None:
    """Outside of the teams' namespaces it opens nothing; there, only what runs are made of."""
    client = arena.as_account(arena.operator_account)
    _try(arena, client, attacks, "operator-token", Who.OPERATOR_TOKEN)


def test_the_admin_apis_token(arena: Arena, attacks: Attacks) -> None:
    """It has fewer rights than the operator's."""
    client = arena.as_account(arena.api_account)
    _try(arena, client, attacks, "api-token", Who.API_TOKEN)


def test_the_operator_can_still_work(running: Arena) -> None:
    """With these rights a schedule gets its CronJob, and a run is admitted and recorded."""
    running.victims.apply("works")
    running.victims.wait_for_ready("works", "Ready", 120)
    running.victims.start("works", "works-1")
    pod = running.victims.pod_of("works-1")
    running.victims.end_pod(pod)
    wait_for("its outcome", lambda: running.victims.status("works").get("runCounts"), 120)
