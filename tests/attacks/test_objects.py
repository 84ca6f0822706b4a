"""Objects that a team may write: none stops the operator, blinds it, or goes without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from hack.testbed.namespace import SCHEDULES, Body
from hack.testbed.waiting import UnexpectedError, wait_for
from tests.attacks import specs
from tests.attacks.arena import ATTACKERS, Arena, send
from tests.attacks.vectors import Attacks, Vector

REFUSED = (400, 403, 404, 405, 409, 413, 422)
WORD_SECONDS = 90.0  # for many at once
DEEP_SECONDS = 20.0  # for one


def _has_a_word(body: Body) -> bool:
    """Whether its status says anything of what it is now."""
    status = body.get("status") or {}
    return bool(status.get("observedGeneration") == body["metadata"]["generation"])


def _silent(arena: Arena, kind: str, wanted: Mapping[str, Vector]) -> dict[str, str]:
    """Those of these names that have no word still, when the time is over."""
    silent = dict.fromkeys(wanted, "no word in its status")

    def over() -> bool:
        for body in arena.attackers.list(SCHEDULES, specs.PATHS[kind]):
            if _has_a_word(body):
                silent.pop(body["metadata"]["name"], None)
        return not silent or arena.operator.exit_code is not None

    with suppress(UnexpectedError):  # who is silent still is what is asked for
        wait_for("a word of each", over, WORD_SECONDS)
    if arena.operator.exit_code is not None:
        return dict.fromkeys(silent, "the operator died")
    return silent


def _still_serves(arena: Arena, seconds: float = 60) -> None:
    """The other team's schedule is seen to when it is changed."""
    victims = arena.victims
    late = victims.schedule("steady")["spec"]["lateAfter"]
    victims.apply("steady", lateAfter="31m" if late != "31m" else "32m")
    victims.wait_until_observed("steady", seconds)


def _try(arena: Arena, attacks: Attacks, kind: str, vectors: Sequence[Vector]) -> None:
    arena.victims.apply("steady")
    arena.victims.wait_until_observed("steady", 120)
    accepted: dict[str, Vector] = {}
    for vector in vectors:
        answer = arena.author.call("POST", specs.path_of(kind, ATTACKERS), vector.data)
        if answer.code == 201:
            accepted[answer.body["metadata"]["name"]] = vector
        else:
            unexpected = f"{answer.code} {answer.message}"
            attacks.record(vector, None if answer.code in REFUSED else unexpected)
    silent = _silent(arena, kind, accepted)
    for name, vector in accepted.items():
        attacks.record(vector, silent.get(name))
        arena.plane.api.call("DELETE", specs.path_of(kind, ATTACKERS, name))
    arena.revive_operator()
    _still_serves(arena)
    attacks.judge(vectors)


def test_schedules(running: Arena, attacks: Attacks) -> None:
    """Each is refused at apply, or its status says what became of it."""
    _try(running, attacks, "ReportSchedule", [*specs.SPECS, *specs.NAMES])


def test_backfills(running: Arena, attacks: Attacks) -> None:
    _try(running, attacks, "ReportBackfill", specs.BACKFILLS)


def test_deep_schedules(running: Arena, attacks: Attacks) -> None:
    """One at a time: each may end the operator for all that come after it."""
    running.victims.apply("steady")
    running.victims.wait_until_observed("steady", 120)
    for vector in specs.DEEP:
        name, text = vector.data
        answer = send(running.author, "POST", specs.path_of("ReportSchedule", ATTACKERS), text)
        attacks.record(vector, _depth_effect(running, name) if answer.code == 201 else None)
        if answer.code == 201:
            send(running.plane.api, "DELETE", specs.path_of("ReportSchedule", ATTACKERS, name))
        running.revive_operator()
    _still_serves(running)
    attacks.judge(specs.DEEP)


def _depth_effect(arena: Arena, name: str) -> str | None:
    path = specs.path_of("ReportSchedule", ATTACKERS, name)

    def word() -> str:
        if arena.operator.exit_code is not None:
            return "the operator died"
        return "it has a word" if _has_a_word(arena.plane.api.call("GET", path).body) else ""

    try:
        said = wait_for("a word", word, DEEP_SECONDS)
    except (AssertionError, RecursionError):
        return "no word in its status"
    return said if said == "the operator died" else None
