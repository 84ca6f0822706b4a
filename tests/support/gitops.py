"""Every state of a ReportSchedule and a ReportBackfill, as the operator's own code writes it.

With the tools' intended answer beside each. `PYTHONPATH=tests/unit python -m tests.support.gitops`
writes the test data of gitops/argocd anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from factories import MINUTE, SLOT, make_entry, make_run, merged, schedule_body, update_at
from test_backfill_decision import observe
from test_schedules_status import SITUATIONS

from hack.gitops import ask
from report_operator.api.v1alpha1.backfill_status import ReportBackfillStatus
from report_operator.api.v1alpha1.conditions import UNSEEN, BackfillReason, ReadyReason
from report_operator.api.v1alpha1.status import MissedSlots, ReportScheduleStatus
from report_operator.domain.backfills.decision import decide
from report_operator.domain.backfills.planning import HeldUpError
from report_operator.domain.convergence import BACKFILL_PATIENCE, SCHEDULE_PATIENCE
from report_operator.domain.names import ANNOTATION_RETRY_REQUESTED, ANNOTATION_RUN_REQUESTED
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.schedules.acknowledgement import Acknowledgement
from report_operator.domain.schedules.observation import ReadyProblem
from report_operator.domain.schedules.problems import brief_of
from report_operator.domain.schedules.status import undecided
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

Body = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
ARGOCD = ROOT / "gitops" / "argocd" / "reports.adaf.io"
SCHEDULE, BACKFILL = "ReportSchedule", "ReportBackfill"
QUIET = SLOT - 30 * MINUTE
LONG = timedelta(hours=1)  # longer than any patience


@dataclass(frozen=True)
class State:
    """`kstatus` is what Helm and Flux say, `argocd` the health there."""

    kind: str
    name: str
    body: Body
    kstatus: str
    argocd: str

    @property
    def id(self) -> str:
        return f"{self.kind}: {self.name}"

    @property
    def shipped(self) -> bool:
        """Whether it is test data of the scripts: of the reasons two stand for all."""
        word, _, when = self.name.partition(" ")
        of_a_reason = when in ("at once", "for long")
        return not of_a_reason or word in ("InvalidSpec", "TemplateNotFound", "NoSchedule")

    @property
    def file(self) -> str:
        """Its test data, in the form of Argo CD's repository."""
        return f"testdata/{self.name.lower().replace(' ', '-').replace(',', '')}.yaml"


OK = ("Current", "Healthy")
BAD_RUN = ("Current", "Degraded")  # the definition is in effect, its readers lack a report
MOVING = ("InProgress", "Progressing")
STALLED = ("Failed", "Degraded")
INTENDED = {
    "new": OK,
    "no CronJob yet": OK,
    "refused": STALLED,
    "due": OK,
    "never created": BAD_RUN,
    "queued": BAD_RUN,
    "pending": BAD_RUN,
    "secret missing": MOVING,
    "retrying": BAD_RUN,
    "succeeded": OK,
    "failed": BAD_RUN,
    "suspended": OK,
}


def states() -> list[State]:
    return [*_schedules(), *_backfills()]


def _schedule(name: str, status: Body, intended: tuple[str, str], **changes: Any) -> State:
    body = {**_body(**changes), "status": status}
    return State(SCHEDULE, name, body, *intended)


def _body(**changes: Any) -> Body:
    return schedule_body(changes.get("spec"), **changes.get("meta", {}))


def _status(
    now: datetime, previous: ReportScheduleStatus | None = None, **seen: Any
) -> ReportScheduleStatus:
    return update_at(now, previous, **{"brief": brief_of(_body()), **seen}).status


def _schedules() -> Iterator[State]:
    yield _schedule("unseen", UNSEEN, MOVING)
    for name, (now, seen) in SITUATIONS.items():
        spec = {"suspend": True} if name == "suspended" else None
        yield _schedule(name, _status(now, **seen).to_wire(), INTENDED[name], spec=spec)
    healthy = _status(QUIET)
    yield _schedule("edited", healthy.to_wire(), MOVING, meta={"generation": 4})
    for reason, patience in SCHEDULE_PATIENCE.items():
        problem = ReadyProblem(reason, "spec.report: so it is")
        at_once = _status(QUIET, problem=problem)
        intended = STALLED if patience == timedelta(0) else MOVING
        yield _schedule(f"{reason.value} at once", at_once.to_wire(), intended)
        later = _status(QUIET + LONG, at_once, problem=problem)
        yield _schedule(f"{reason.value} for long", later.to_wire(), STALLED)
    cannot = undecided(healthy, 3, "KeyError: 'x'", SLOT)
    yield _schedule("undecided", cannot.to_wire(), STALLED)
    # What was refused works again: nothing is left of it.
    mended = _status(
        QUIET + MINUTE, _status(QUIET, problem=ReadyProblem(ReadyReason.API_ERROR, "x"))
    )
    yield _schedule("mended", mended.to_wire(), OK)
    late_too = _status(SLOT + 40 * MINUTE, history=_history(_failed(-1)), runs=(make_run(),))
    yield _schedule("failed and late", late_too.to_wire(), BAD_RUN)
    both = _status(
        QUIET, history=_history(_failed(-1)), problem=ReadyProblem(ReadyReason.INVALID_SPEC, "no")
    )
    yield _schedule("failed and refused", both.to_wire(), STALLED)
    missed = MissedSlots(count=3, first=SLOT - LONG, last=SLOT, at=SLOT)
    before = ReportScheduleStatus(last_missed=missed, last_schedule_time=SLOT)
    yield _schedule("missed", _status(SLOT + MINUTE, before).to_wire(), BAD_RUN)
    since = ReportScheduleStatus(
        last_missed=missed, last_schedule_time=SLOT, last_success_time=SLOT + MINUTE
    )
    yield _schedule("missed and made since", _status(SLOT + 2 * MINUTE, since).to_wire(), OK)
    told = Acknowledgement(through=SLOT)
    known = _status(SLOT + 6 * MINUTE, history=_history(_failed(0)), acknowledgement=told)
    yield _schedule("failed and acknowledged", known.to_wire(), OK)
    skipped = make_entry("s", Reason.UNCHANGED, outcome=Outcome.SKIPPED)
    yield _schedule("skipped", _status(SLOT + 6 * MINUTE, history=_history(skipped)).to_wire(), OK)


def _failed(days: int) -> Any:
    at = SLOT + timedelta(days=days)
    reason = Reason.DATABASE_UNAVAILABLE
    return make_entry("bad", reason, slot=at, finished_at=at + 5 * MINUTE)


def _history(*entries: Any) -> RunHistory:
    return RunHistory(entries, {})


def _backfill(name: str, status: Body, intended: tuple[str, str], **spec: Any) -> State:
    body = {
        "apiVersion": "reports.adaf.io/v1alpha1",
        "kind": BACKFILL,
        "metadata": {"name": "november", "namespace": "reports", "generation": 1},
        "spec": {
            "startDate": "2026-11-24",
            "endDate": "2026-11-27",
            "everySchedule": True,
            "maxConcurrent": 2,
            **spec,
        },
        "status": status,
    }
    return State(BACKFILL, name, body, *intended)


def _backfills() -> Iterator[State]:
    yield _backfill("unseen", UNSEEN, MOVING)
    running = decide(observe())
    yield _backfill("running", running.to_wire(), ("Current", "Progressing"))
    halted = decide(observe(spec={"suspend": True}))
    yield _backfill("suspended", halted.to_wire(), OK, suspend=True)
    for word, reason in (("succeeded", None), ("failed", Reason.TIMEOUT)):
        ended = {run.job: make_entry(run.job, reason) for run in running.in_flight}
        status = decide(observe(previous=running, outcomes=ended, slots=[], looked_up=0))
        yield _backfill(word, status.to_wire(), BAD_RUN if reason else OK)
    dry = decide(observe(spec={"dryRun": True}))
    yield _backfill("dry run", dry.to_wire(), OK, dryRun=True)
    nothing = decide(observe(slots=[], looked_up=0))
    yield _backfill("NoSlot", nothing.to_wire(), STALLED)
    for held, patience in BACKFILL_PATIENCE.items():
        at_once = _held_up(held, timedelta(0), ReportBackfillStatus())
        intended = STALLED if patience == timedelta(0) else MOVING
        yield _backfill(f"{held.value} at once", at_once.to_wire(), intended)
        later = _held_up(held, LONG, at_once)
        intended = MOVING if patience is None else STALLED
        yield _backfill(f"{held.value} for long", later.to_wire(), intended)
    resumed = decide(observe(previous=_held_up(BackfillReason.NO_SCHEDULE, LONG, running)))
    yield _backfill("held up no more", resumed.to_wire(), ("Current", "Progressing"))


def _held_up(
    reason: BackfillReason, after: timedelta, previous: ReportBackfillStatus
) -> ReportBackfillStatus:
    error = HeldUpError(reason, "so it is")
    return decide(observe(now=SLOT + after, previous=previous, held_up=error, slots=None))


def lua(kind: str, script: str, body: Body, now: int = 0) -> Body:
    """A question about Argo CD's answer."""
    return {"do": "lua", "object": body, "script": (ARGOCD / kind / script).read_text(), "now": now}


# Pressed on these states; what they make of the object, and at which second.
PRESSED_AT = SLOT + timedelta(hours=3)
ANNOTATIONS = ANNOTATION_RUN_REQUESTED, ANNOTATION_RETRY_REQUESTED
ACTIONS: dict[str, dict[str, tuple[str, Body]]] = {
    SCHEDULE: {
        "run-now": (
            "succeeded",
            {"metadata": {"annotations": {ANNOTATIONS[0]: "2026-11-24T08:00:00Z"}}},
        ),
        "retry": ("failed", {"metadata": {"annotations": {ANNOTATIONS[1]: "daily-bad"}}}),
        "suspend": ("succeeded", {"spec": {"suspend": True}}),
        "resume": ("suspended", {"spec": {"suspend": False}}),
    },
    BACKFILL: {
        "suspend": ("running", {"spec": {"suspend": True}}),
        "resume": ("suspended", {"spec": {"suspend": False}}),
    },
}  # fmt: skip
# Which buttons cannot be pressed.
DISABLED = {
    (SCHEDULE, "succeeded"): {"retry", "resume"},
    (SCHEDULE, "failed"): {"resume"},
    (SCHEDULE, "suspended"): {"retry", "suspend"},
    (SCHEDULE, "unseen"): {"retry", "resume"},
    (BACKFILL, "running"): {"resume"},
    (BACKFILL, "suspended"): {"suspend"},
    (BACKFILL, "succeeded"): {"suspend", "resume"},
}


def press(kind: str, action: str, body: Body, now: datetime = PRESSED_AT) -> Body:
    """The object as Argo CD would write it after the action."""
    question = lua(kind, f"actions/{action}/action.lua", body, int(now.timestamp()))
    (answer,) = ask([question])
    if "error" in answer:
        raise ValueError(answer["error"])
    cleaned: Body = as_before(answer["value"], body)
    return cleaned


def as_before(new: Any, old: Any) -> Any:
    """Lua has one kind of empty table: what was an empty object stays one, as in Argo CD."""
    if new == [] and old == {}:
        return {}
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: as_before(value, old.get(key)) for key, value in new.items()}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [as_before(a, b) for a, b in zip(new, old, strict=True)]
    return new


def _write_actions(kind: str, known: dict[str, State]) -> None:
    place = ARGOCD / kind / "actions"
    pressed = []
    for action, (name, change) in ACTIONS[kind].items():
        target = f"testdata/{action}.yaml"
        text = yaml.safe_dump(merged(known[name].body, change), sort_keys=False, width=100)
        (place / target).write_text(text)
        pressed.append(
            {
                "action": action,
                "inputPath": f"../{known[name].file}",
                "expectedOutputPath": target,
            }
        )
    shown = []
    for (of, name), disabled in DISABLED.items():
        if of == kind:
            (found,) = ask([lua(kind, "actions/discovery.lua", known[name].body)])
            result = [
                {"name": action, **described, "disabled": action in disabled}
                for action, described in sorted(found["value"].items())
            ]
            shown.append({"inputPath": f"../{known[name].file}", "result": result})
    tests = {"discoveryTests": shown, "actionTests": pressed}
    (place / "action_test.yaml").write_text(yaml.safe_dump(tests, sort_keys=False, width=100))


def customizations() -> str:
    """A patch of Argo CD's ConfigMap argocd-cm that holds all of the scripts."""
    data: dict[str, str] = {}
    for kind, actions in ACTIONS.items():
        place = ARGOCD / kind
        key = f"reports.adaf.io_{kind}"
        data[f"resource.customizations.health.{key}"] = (place / "health.lua").read_text()
        scripts = {
            "discovery.lua": (place / "actions" / "discovery.lua").read_text(),
            "definitions": [
                {
                    "name": action,
                    "action.lua": (place / "actions" / action / "action.lua").read_text(),
                }
                for action in actions
            ],
        }
        data[f"resource.customizations.actions.{key}"] = _yaml(scripts)
    return _yaml({"data": data})


def _yaml(value: Body) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=100)


class _Dumper(yaml.SafeDumper):
    """Scripts stay readable: texts of several lines are written as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def main() -> None:
    found = [state for state in states() if state.shipped]
    answers = ask([lua(state.kind, "health.lua", state.body) for state in found])
    tests: dict[str, list[Body]] = {SCHEDULE: [], BACKFILL: []}
    for state, answer in zip(found, answers, strict=True):
        path = ARGOCD / state.kind / state.file
        path.write_text(yaml.safe_dump(state.body, sort_keys=False, width=100))
        health = {"status": state.argocd, "message": answer["value"]["message"]}
        tests[state.kind].append({"healthStatus": health, "inputPath": state.file})
    (ROOT / "gitops/argocd/argocd-cm.yaml").write_text(customizations())
    for kind, listed in tests.items():
        text = yaml.safe_dump({"tests": listed}, sort_keys=False, width=100)
        (ARGOCD / kind / "health_test.yaml").write_text(text)
        _write_actions(kind, {state.name: state for state in found if state.kind == kind})


if __name__ == "__main__":
    main()
