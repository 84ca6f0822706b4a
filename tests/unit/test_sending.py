"""Whole runs: checks before anything is made, sendIf, onlyIfChanged, and what they compare with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from factories import PATIENT
from hypothesis import given
from hypothesis import strategies as st

from report_operator.domain.runs.attempts import parameters_text
from report_runner.contract import pod
from report_runner.contract.delivery import EmailDelivery
from report_runner.contract.moments import FarMoment, MomentKind
from report_runner.contract.reasons import Reason
from report_runner.contract.result import RunResult
from report_runner.delivery import CHANNELS, DeliveryContext
from report_runner.delivery.channel import AnswerKind, DeliveryAnswer, DeliveryTarget
from report_runner.delivery.message import email_bodies
from report_runner.environment import Paths, read_overrides
from report_runner.manifest import Manifest
from report_runner.models import RunError, RunSkipped
from report_runner.mounted import Secrets
from report_runner.progress import RunProgress
from report_runner.rows_digest import canonical, key_digest
from report_runner.run import make_report
from tests.support.http_api import Reply, http_api

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DATE = MomentKind.DATE
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.decimals(), st.floats(), st.text(), st.dates()
)
EMPTY: list[dict[str, Any]] = []


@dataclass
class Post:
    """The mail that was sent, and who is refused."""

    sent: list[tuple[str, str]] = field(default_factory=list)  # recipient, text
    refused: set[str] = field(default_factory=set)


class PostChannel:
    def __init__(self, post: Post, spec: EmailDelivery, context: DeliveryContext) -> None:
        self.post, self.spec, self.context = post, spec, context

    def plan(self) -> list[DeliveryTarget]:
        return [DeliveryTarget(name, f"<{name}>") for name in self.spec.targets()]

    def deliver(
        self, targets: Sequence[DeliveryTarget], begin: Callable[[DeliveryTarget], None]
    ) -> Iterator[DeliveryAnswer]:
        for target in targets:
            begin(target)
            if target.name in self.post.refused:
                yield DeliveryAnswer(target, AnswerKind.REFUSED, "no such mailbox")
            else:
                self.post.sent.append((target.name, email_bodies(self.context.data)[0]))
                yield DeliveryAnswer(target, AnswerKind.ACCEPTED)

    def verify(self, target: DeliveryTarget) -> DeliveryAnswer:
        return DeliveryAnswer(target, AnswerKind.UNKNOWN)


@dataclass
class Runs:
    """Runs of one schedule, which mails to a@ and b@example.com."""

    root: Path
    post: Post
    report: dict[str, Any] = field(default_factory=dict)
    to: list[str] = field(default_factory=lambda: ["a@example.com", "b@example.com"])
    retention: str = "3650d"
    attempt: int = 1
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def volume(self) -> Path:
        return self.root / "volume"

    def run(
        self,
        rows: list[dict[str, Any]],
        slot: datetime = NOON,
        report_date: str = "",
        now: datetime | None = None,
        overrides: dict[str, str] | None = None,
        **report: Any,
    ) -> RunResult:
        definition = {
            "namespace": "reports",
            "name": "positions",
            "uid": "u1",
            "reportType": "positions",
            "timeZone": "Europe/Madrid",
            "report": {
                "title": "Positions",
                "sources": [{"name": "positions", "inline": {"rows": rows}}],
                "template": {"builtin": "executive_dashboard"},
                "formats": ["html"],
                **self.report,
                **report,
            },
            "delivery": {
                "email": {"to": self.to, "attach": ["html"], "smtp": {"secretRef": {"name": "s"}}}
            }
            if self.to
            else {},
            "output": {"retention": self.retention},
        }
        paths = Paths(self.root / "d.json", self.root / "secrets", self.volume, self.root / "log")
        paths.definition.write_text(json.dumps(definition))
        paths.output.mkdir(exist_ok=True)
        stamps = {
            pod.ENV_SLOT: slot.isoformat(),
            pod.ENV_REPORT_DATE: report_date or str(slot.date()),
            pod.ENV_RUN_ID: f"positions.{slot:%Y%m%dT%H%M%SZ}.{self.attempt}",
            pod.ENV_DEFINITION_SHA256: hashlib.sha256(paths.definition.read_bytes()).hexdigest(),
        }
        stamps |= self.environment
        if overrides is not None:
            stamps[pod.ENV_PARAMETERS] = parameters_text(overrides)
        made_at = now or slot + timedelta(minutes=1)
        secrets = Secrets(paths.secrets)
        return make_report(paths, stamps, secrets, RunProgress(), lambda: made_at)

    def skipped(self, rows: list[dict[str, Any]], *given: Any, **more: Any) -> RunSkipped:
        before = len(self.post.sent)
        with pytest.raises(RunSkipped) as caught:
            self.run(rows, *given, **more)
        assert len(self.post.sent) == before
        return caught.value

    def files(self, suffix: str = "html") -> list[Path]:
        return sorted(self.volume.rglob(f"*.{suffix}"))

    def manifest(self) -> Manifest:
        """The newest."""
        return Manifest.model_validate_json(self.files("manifest.json")[-1].read_text())


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    post = Post()
    monkeypatch.setitem(CHANNELS, "email", lambda spec, context: PostChannel(post, spec, context))
    return Runs(tmp_path, post)


def day(number: int) -> datetime:
    return NOON + timedelta(days=number)


# --- sendIf -----------------------------------------------------------------------------------


def test_nothing_is_sent_when_nothing_is_there_and_that_is_fine(runs: Runs) -> None:
    runs.report = {"sendIf": "positions | length > 0"}
    skipped = runs.skipped(EMPTY)
    assert skipped.reason is Reason.CONDITION_FALSE
    assert skipped.message == "spec.report.sendIf is false: positions | length > 0"
    assert not runs.files()
    runs.run([{"a": 1}])
    assert len(runs.post.sent) == 2


def test_a_report_that_is_wanted_and_empty_still_fails(runs: Runs) -> None:
    with pytest.raises(RunError) as caught:
        runs.run(EMPTY, sendIf="report_date.year == 2026")
    assert caught.value.reason is Reason.EMPTY_REPORT


def test_wrong_rows_fail_before_the_condition_is_asked(runs: Runs) -> None:
    """A source that broke must not pass for "there is nothing to send"."""
    checks = [{"name": "some", "source": "positions", "rows": {"min": 1}}]
    with pytest.raises(RunError) as caught:
        runs.run(EMPTY, sendIf="positions | length > 0", checks=checks)
    assert caught.value.reason is Reason.DATA_CHECK_FAILED


def test_a_condition_knows_the_parameters_of_the_run(runs: Runs) -> None:
    values = {"first": "{{ report_date | month_start }}"}
    assert runs.run([{"a": 1}], sendIf="parameters.first.day == 1", parameters=values)
    runs.skipped([{"a": 1}], day(1), sendIf="parameters.first == report_date", parameters=values)


# --- checks -----------------------------------------------------------------------------------

PRICED = {"name": "priced", "source": "positions", "notNull": ["price"]}


def test_a_failed_check_keeps_the_rows_in_a_file_and_sends_nothing(runs: Runs) -> None:
    rows = [{"isin": "=A", "price": None}, {"isin": "B", "price": 1.5}]
    with pytest.raises(RunError) as caught:
        runs.run(rows, checks=[PRICED])
    error = caught.value
    assert error.reason is Reason.DATA_CHECK_FAILED
    (file,) = runs.files("csv")
    assert error.message == (
        "check priced: expected no NULL in price, found 1 in price; 1 row breaks it; "
        f"the rows are in {file.relative_to(runs.volume)}"
    )
    assert file.name == "reports_positions_20261124T120000Z-check-priced.csv"
    assert file.read_text("utf-8-sig").split() == ["isin,price", "'=A,"]
    assert (runs.post.sent, runs.files()) == ([], [])
    runs.run(rows[1:], checks=[PRICED])  # the retry, with right rows
    assert (len(runs.post.sent), runs.files("csv")) == (2, [])


def test_a_try_after_a_failed_check_asks_the_source_anew(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data that were still loading must not be kept for as long as the cache's `ttl`."""
    monkeypatch.setattr("report_runner.sources.cache.FULL_PERCENT", 100)
    runs.environment[pod.ENV_EGRESS_ALLOW] = "127.0.0.1/32"
    with http_api() as api:
        source = {"name": "facts", "http": {"url": f"{api.url}/rows"}, "cache": {"ttl": "1h"}}
        given: dict[str, Any] = {
            "sources": [source], "checks": [{"name": "all", "source": "facts", "rows": {"min": 2}}]
        }  # fmt: skip
        api.on("/rows", Reply([{"a": 1}]))
        with pytest.raises(RunError) as caught:
            runs.run([], **given)
        assert caught.value.reason is Reason.DATA_CHECK_FAILED
        api.on("/rows", Reply([{"a": 1}, {"a": 2}]))
        assert runs.run([], **given).cache_misses == 1
        later = NOON + timedelta(minutes=30)
        assert runs.run([], later, **given).cache_hits == 1  # right rows are kept
        assert len(api.requests) == 2


def test_all_checks_that_fail_are_told(runs: Runs) -> None:
    checks = [PRICED, {"name": "many", "source": "positions", "rows": {"min": 9}}]
    with pytest.raises(RunError, match=r"check priced: .*\. check many: expected at least 9 rows"):
        runs.run([{"price": None}], checks=checks)


def test_a_warning_is_in_document_mail_status_and_manifest(runs: Runs) -> None:
    rows = [{"isin": "A", "price": None, "b": "<b>"}]
    result = runs.run(rows, checks=[{**PRICED, "severity": "warn"}], formats=["html", "csv"])
    told = "check priced: expected no NULL in price, found 1 in price; 1 row breaks it; the rows"
    assert result.warnings == 1
    assert result.message.startswith(f"1 rows, sent to 2 recipients, 1 warning. {told}")
    (page,) = runs.files()
    assert told in page.read_text()
    assert page.read_text().index("Mind these figures") < page.read_text().index("Positions</h1>")
    assert all(told in text for _, text in runs.post.sent)
    assert runs.manifest().warnings[0].startswith(told)
    # The file with the rows is the owner's: no output, so no mail has it.
    assert [output.source for output in result.outputs] == [None, None]
    assert len(runs.files("csv")) == 2


def test_a_template_of_the_author_may_place_warnings_itself(runs: Runs) -> None:
    from report_runner.render.banner import names_warnings, with_banner

    assert names_warnings("<p>{% for w in warnings %}{{ w }}{% endfor %}</p>")
    assert not names_warnings("<p>our warnings</p>")
    assert with_banner("<!doctype html><p>x</p>", ["<a>"]).startswith("<!doctype html><div")
    assert "&lt;a&gt;" in with_banner("<p>x</p>", ["<a>"])
    assert with_banner("<BODY class='a'>x", ["w"]).startswith("<BODY class='a'><div")


def test_a_passed_check_leaves_no_word_but_in_the_manifest(runs: Runs) -> None:
    result = runs.run([{"price": 1}], checks=[PRICED])
    assert (result.message, result.warnings) == ("1 rows, sent to 2 recipients", None)
    assert "Mind these figures" not in runs.files()[0].read_text()
    assert [check.passed for check in runs.manifest().checks] == [True]


CHANGE = {
    "name": "steady",
    "source": "positions",
    "change": {"column": "a", "tolerancePercent": 10},
}


def test_a_change_is_judged_against_the_last_delivered_run(runs: Runs) -> None:
    runs.report = {"checks": [CHANGE]}
    runs.run([{"a": 100}])
    assert "nothing to compare with" in runs.manifest().checks[0].message
    with pytest.raises(RunError, match=r"sum of positions\.a of 100 ± 10%.*2026-11-24.*found 111"):
        runs.run([{"a": 111}], day(1))
    runs.run([{"a": 110}], day(2))  # still against 100: the failed run was not delivered
    runs.run([{"a": 120}], day(3))


# --- onlyIfChanged ----------------------------------------------------------------------------

UNCHANGED = {"onlyIfChanged": {"sources": ["positions"]}}


def test_what_was_delivered_is_not_sent_again_until_it_changes(runs: Runs) -> None:
    runs.report = UNCHANGED
    runs.run([{"a": 1, "b": "x"}, {"a": 2, "b": None}])
    skipped = runs.skipped([{"a": 2.0, "b": None}, {"a": 1, "b": "x"}], day(1))
    assert skipped.reason is Reason.UNCHANGED
    assert skipped.message == (
        "the rows are those of the report of 2026-11-24 (slot 2026-11-24T12:00:00Z), "
        "which was delivered"
    )
    for number, rows in enumerate(
        (
            [{"a": 1, "b": "x"}, {"a": 2, "b": ""}],
            [{"a": 1, "b": "x"}],
            [{"a": 1, "b": "x"}, {"a": 1, "b": "x"}],
            [{"a": "1", "b": "x"}],
            [{"a": "1", "c": "x"}],
        ),
        2,
    ):
        runs.run(rows, day(number))
        runs.skipped(rows, day(number) + timedelta(hours=1))


def test_columns_and_sources_that_differ_each_time_are_left_out(runs: Runs) -> None:
    runs.report = {"onlyIfChanged": {"sources": ["positions"], "ignore": ["at"]}}
    runs.run([{"a": 1, "at": "12:00"}])
    runs.skipped([{"a": 1, "at": "13:00"}], day(1))
    with pytest.raises(RunError, match=r"onlyIfChanged\.ignore: no source .* column 'at'"):
        runs.run([{"a": 1}], day(2))


def test_a_source_without_rows_may_not_know_its_columns(runs: Runs) -> None:
    runs.report = {
        "onlyIfChanged": {"sources": ["positions"], "ignore": ["at"]},
        "checks": [PRICED],
        "allowEmpty": True,
    }
    runs.run(EMPTY)
    runs.skipped(EMPTY, day(1))


def test_another_choice_of_sources_is_a_change(runs: Runs) -> None:
    runs.run([{"a": 1}], **UNCHANGED)
    runs.run([{"a": 1}], day(1), onlyIfChanged={"sources": ["positions"], "ignore": ["a"]})
    assert len(runs.post.sent) == 4


def test_a_retry_goes_on_with_a_delivery_that_was_half_done(runs: Runs) -> None:
    runs.report = UNCHANGED | {"sendIf": "positions | length > 0"}
    runs.run([{"a": 1}])
    runs.post.refused = {"b@example.com"}
    with pytest.raises(RunError):
        runs.run([{"a": 2}], day(1))
    runs.post.refused = set()
    runs.run([{"a": 2}], day(1))
    assert [name for name, _ in runs.post.sent].count("b@example.com") == 2
    # Also where the rows are those of the day before, or gone, by then: `a` has the report.
    runs.post.refused = {"b@example.com"}
    with pytest.raises(RunError):
        runs.run([{"a": 3}], day(2))
    runs.post.refused = set()
    runs.run([{"a": 2}], day(2))
    assert [name for name, _ in runs.post.sent].count("b@example.com") == 3


def test_what_not_everybody_got_is_sent_again(runs: Runs) -> None:
    runs.report = UNCHANGED
    runs.post.refused = {"b@example.com"}
    with pytest.raises(RunError):
        runs.run([{"a": 1}])
    runs.post.refused = set()
    runs.run([{"a": 1}], day(1))
    runs.skipped([{"a": 1}], day(2))
    runs.to = ["A@EXAMPLE.com", "c@example.com"]  # a recipient who has never had it
    runs.run([{"a": 1}], day(3))
    runs.to = ["c@example.com"]
    runs.skipped([{"a": 1}], day(4))


def test_a_run_for_an_older_date_is_not_compared_with_today(runs: Runs) -> None:
    runs.report = UNCHANGED
    runs.run([{"a": 1}])
    # By hand, today, for October: with the slot of now, or of that day.
    runs.run([{"a": 9}], NOON + timedelta(hours=1), report_date="2026-10-01")
    runs.run([{"a": 8}], NOON - timedelta(days=30), report_date="2026-10-25")
    runs.skipped([{"a": 1}], day(1))
    runs.run([{"a": 9}], day(2))
    # And a backfill is compared with what was before its date.
    runs.skipped([{"a": 8}], NOON - timedelta(days=29), report_date="2026-10-26")


def test_a_skipped_run_is_nothing_to_compare_with(runs: Runs) -> None:
    runs.report = UNCHANGED
    runs.run([{"a": 1}])
    runs.skipped([{"a": 2}], day(1), sendIf="false")
    runs.run([{"a": 2}], day(2))


def test_what_is_compared_with_outlives_the_retention(runs: Runs) -> None:
    runs.report, runs.retention = UNCHANGED, "7d"
    runs.run([{"a": 1}])
    for number in range(1, 30):
        runs.skipped([{"a": 1}], day(number))
    runs.run([{"a": 2}], day(30))
    assert len(runs.files("manifest.json")) == 2
    runs.run([{"a": 3}], day(40))
    assert len(runs.files("manifest.json")) == 2


def test_a_report_that_is_only_stored_is_compared_as_well(runs: Runs) -> None:
    runs.report, runs.to = UNCHANGED, []
    runs.run([{"a": 1}])
    runs.skipped([{"a": 1}], day(1))


def test_the_same_slot_made_again_is_not_compared_with_itself(runs: Runs) -> None:
    runs.report = UNCHANGED
    runs.run([{"a": 1}])
    runs.attempt = 2
    result = runs.run([{"a": 1}])
    assert [item.status.value for item in result.deliveries] == ["alreadySent", "alreadySent"]


WAIT = {
    "waitFor": {
        "source": "positions",
        "until": "positions | length > 9",
        "onDeadline": "SendMarked",
    }
}


def late(number: int) -> datetime:
    """After the deadline of a wait."""
    return day(number) + timedelta(hours=3)


def test_rows_that_nobody_was_sent_are_nothing_to_compare_with(runs: Runs) -> None:
    """Its slot was made anew with other rows, while everybody kept those of before."""
    runs.report = {"onlyIfChanged": {"sources": ["positions"]}}
    runs.run([{"a": 1}])
    runs.attempt = 2
    assert "2 had it" in runs.run([{"a": 2}], title="Other").message
    runs.attempt = 1
    runs.run([{"a": 2}], day(1))
    assert [name for name, _ in runs.post.sent].count("a@example.com") == 2


def test_one_who_has_later_rows_is_told_that_they_are_as_before(runs: Runs) -> None:
    runs.report = {"onlyIfChanged": {"sources": ["positions"]}}
    runs.run([{"a": 1}])
    runs.post.refused = {"b@example.com"}
    with pytest.raises(RunError):
        runs.run([{"a": 2}], day(1))
    runs.post.refused = set()
    runs.run([{"a": 1}], day(2))
    assert [name for name, _ in runs.post.sent].count("a@example.com") == 3


def test_rows_that_were_not_ready_are_not_unchanged(runs: Runs) -> None:
    runs.report = {"onlyIfChanged": {"sources": ["positions"]}}
    runs.run([{"a": 1}])
    result = runs.run([{"a": 1}], day(1), now=late(1), **WAIT)
    assert "the data were not ready by" in result.message
    assert len(runs.post.sent) == 4
    runs.run([{"a": 1}], day(2))  # ready, and the last that everybody has says that it is not
    assert len(runs.post.sent) == 6


def test_a_skip_says_that_the_data_were_not_ready(runs: Runs) -> None:
    found = runs.skipped(
        EMPTY, day(1), now=late(1), sendIf="positions | length > 0", allowEmpty=True, **WAIT
    )
    assert found.reason is Reason.CONDITION_FALSE
    assert "the data were not ready by" in found.message


def test_half_a_delivery_is_not_ended_as_a_skip(runs: Runs) -> None:
    runs.post.refused = {"b@example.com"}
    with pytest.raises(RunError):
        runs.run([{"a": 1}])
    runs.attempt = 2
    wait = {"waitFor": {**WAIT["waitFor"], "onDeadline": "Skip"}}
    with pytest.raises(RunError) as caught:
        runs.run([{"a": 1}], now=late(0), **wait)
    assert caught.value.reason is Reason.DATA_NOT_READY


def test_a_damaged_manifest_sends_rather_than_compares(runs: Runs) -> None:
    runs.report = UNCHANGED
    runs.run([{"a": 1}])
    runs.run([{"a": 2}], day(1))
    runs.files("manifest.json")[-1].write_text("{")
    runs.run([{"a": 1}], day(2))


def test_an_unchanged_report_with_a_wrong_check_fails(runs: Runs) -> None:
    runs.report = UNCHANGED
    runs.run([{"a": 1, "at": "2026-11-24"}])
    fresh = {"name": "f", "source": "positions", "fresh": {"column": "at", "within": "1d"}}
    with pytest.raises(RunError, match="check f"):
        runs.run([{"a": 1, "at": "2026-11-24"}], day(3), checks=[fresh])
    skipped = runs.skipped(
        [{"a": 1, "at": "2026-11-24"}], day(3), checks=[{**fresh, "severity": "warn"}]
    )
    assert "which was delivered. check f: expected" in skipped.message


# --- parameters of one run --------------------------------------------------------------------

DECLARED = {"declaredParameters": [{"name": "floor", "type": "number", "default": 1}]}
TITLED = DECLARED | {"formats": ["json"], "sendIf": "parameters.floor < 100"}


def test_a_run_has_the_parameters_that_it_was_asked_for_with(runs: Runs) -> None:
    runs.report = TITLED
    result = runs.run([{"a": 1}], overrides={"floor": "2.50"})
    assert result.message == "1 rows, sent to 2 recipients, with floor=2.50"
    assert runs.manifest().parameters == {"floor": "2.50"}
    assert runs.skipped([{"a": 1}], day(1), overrides={"floor": "100"})
    runs.run([{"a": 1}], day(2))
    assert runs.manifest().parameters == {}


def test_files_with_other_parameters_are_made_anew(runs: Runs) -> None:
    runs.report = TITLED | {"checks": [CHANGE | {"severity": "warn"}]}
    runs.run([{"a": 1}])
    first = runs.manifest().definition
    runs.run([{"a": 1}], overrides={"floor": "2"})
    assert runs.manifest().definition != first
    runs.run([{"a": 1}])
    assert runs.manifest().definition == first


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"floor": "two"}, "parameter floor, as this run was asked for, is a text, not of type"),
        ({"flor": "2"}, "'flor' is none of spec.report.declaredParameters; did you mean 'floor'?"),
    ],
)
def test_a_parameter_that_is_not_declared_so_is_refused(
    runs: Runs, given: dict[str, str], told: str
) -> None:
    runs.report = TITLED
    with pytest.raises(RunError) as caught:
        runs.run([{"a": 1}], overrides=given)
    assert caught.value.reason is Reason.CONFIGURATION_ERROR
    assert told in caught.value.message


@pytest.mark.parametrize("text", ["[]", "{", "5", '{"a": "' + "x" * 5000 + '"}'])
def test_parameters_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(RunError, match="REPORT_PARAMETERS is no JSON object"):
        read_overrides({pod.ENV_PARAMETERS: text})


def test_a_run_with_its_own_parameters_is_nothing_to_compare_with(runs: Runs) -> None:
    runs.report = TITLED | UNCHANGED
    runs.run([{"a": 1}])
    runs.run([{"a": 2}], day(1))
    # Made again with other parameters, it stands for what was delivered without them.
    runs.run([{"a": 1}], day(1), overrides={"floor": "2"})
    runs.skipped([{"a": 2}], day(2))
    runs.run([{"a": 1}], day(2))
    # And it is not compared itself: somebody asked for it.
    runs.run([{"a": 1}], day(3), overrides={"floor": "3"})
    runs.skipped([{"a": 1}], day(4))


# --- rows by value ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "same",
    [
        [100, Decimal(100), Decimal("1E+2"), 100.0, Decimal("100.00")],
        [0, Decimal("-0.0"), 0.0, Decimal("0E+9")],
        [Decimal("0.10"), 0.1, Decimal("1E-1")],
        [10**120, Decimal("1E+120")],
        [Decimal("1E-120"), Decimal("10E-121")],
        [Decimal("-1.50"), -1.5],
        ["100"], ["0.1"], [None], [""], [True], [False], ["true"],
        [date(2026, 1, 1)], ["2026-01-01"], [datetime(2026, 1, 1, tzinfo=UTC)],
        [Decimal("NaN"), float("nan")], [Decimal("Infinity"), float("inf")],
        [{"a": [1, "x"]}], [["a", 1]], ["\ud800"], [time(1, 2)], [FarMoment("infinity", DATE)],
    ],
)  # fmt: skip
def test_equal_values_and_no_others_have_one_digest(same: list[Any]) -> None:
    assert len({key_digest([value]) for value in same}) == 1
    others = {key_digest([value]) for value in (1, 99, "99", 0.2, "x", date(2026, 1, 2), (1,))}
    assert key_digest([same[0]]) not in others
    assert key_digest([same[0], "a"]) != key_digest([same[0]])


@PATIENT
@given(st.lists(VALUES, min_size=2, max_size=2), st.lists(VALUES, min_size=2, max_size=2))
def test_the_cells_of_a_row_do_not_run_together(one: list[Any], other: list[Any]) -> None:
    equal = [canonical(value) for value in one] == [canonical(value) for value in other]
    assert (key_digest(one) == key_digest(other)) is equal
