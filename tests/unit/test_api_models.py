"""Rules and models by themselves; the corpus in tests/contract has the whole."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from report_operator.api.v1alpha1.placement import parse_quantity
from report_operator.api.v1alpha1.resource import parse_status
from report_operator.api.v1alpha1.status import Condition, LastFailure, ReportScheduleStatus
from report_runner.contract.delivery import EmailDelivery
from report_runner.contract.reasons import Reason
from report_runner.contract.rules import bounds, matches, parse_duration, quoted


@given(st.integers(0, 9999), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_a_duration_is_the_sum_of_its_parts(days, hours, minutes, seconds):
    told = parse_duration(f"{days}d{hours}h{minutes}m{seconds}s")
    assert told == timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "5x", "1m1h", "-1h", "1.5h", " 1h", "1h\n", "١h"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
    assert not bounds("1s", "9999d").holds(text)


def test_bounds_include_both_ends():
    rule = bounds("1m", "1d")
    assert [rule.holds(text) for text in ("59s", "60s", "1m", "24h", "1d", "1d1s")] == [
        *(False, True, True, True, True, False)
    ]


def test_a_pattern_has_to_match_the_whole_text():
    rule = matches("[a-z]+", "letters")
    assert rule.holds("abc")
    assert not rule.holds("abc\n")
    assert not rule.holds("é")


def test_a_literal_of_cel_survives_quotes_and_backslashes():
    assert quoted(r"it's \d") == r"'it\'s \\d'"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        ("1.5Gi", 3 * 2**29),
        ("1Ki", 1024),
        ("3M", 3000000),
        ("1k", 1000),
    ],
)
def test_a_quantity(text, value):
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "1,5Gi", "1gi", "-1", "1e3", "1 Gi", "Ki", "1mi"])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="write a quantity"):
        parse_quantity(text)


def test_a_subject_has_to_compile():
    mail = {"to": ["a@example.com"], "smtp": {"secretRef": {"name": "mail"}}}
    assert EmailDelivery.model_validate(mail).attach == ["pdf"]
    with pytest.raises(ValidationError, match="no Jinja2 template"):
        EmailDelivery.model_validate({**mail, "subject": "{% if %}"})


def test_instants_of_a_status_are_utc_in_whole_seconds():
    madrid = timezone(timedelta(hours=1))
    failure = LastFailure(
        time=datetime(2026, 3, 1, 7, 0, 5, 999_999, tzinfo=madrid),
        reason=Reason.TIMEOUT,
        message="took too long",
        job="daily-29500000",
        report_date=date(2026, 2, 28),
        slot=datetime(2026, 3, 1, 6, tzinfo=UTC),
    )
    assert failure.to_wire() == {
        "time": "2026-03-01T06:00:05Z",
        "reason": "Timeout",
        "message": "took too long",
        "job": "daily-29500000",
        "reportDate": "2026-02-28",
        "slot": "2026-03-01T06:00:00Z",
    }
    with pytest.raises(ValidationError, match="zone"):
        LastFailure.model_validate({**failure.to_wire(), "time": datetime(2026, 3, 1)})  # noqa: DTZ001


def test_a_status_survives_the_way_to_the_api_server_and_back():
    status = ReportScheduleStatus(
        observed_generation=3,
        conditions=[
            Condition(
                type="Ready",
                status="True",
                reason="Ready",
                message="up to date",
                last_transition_time=datetime(2026, 3, 1, tzinfo=UTC),
            )
        ],
        active=0,
        run_counts={"Succeeded": 12, "DatabaseUnavailable": 1},
    )
    wire = status.to_wire()
    assert wire["active"] == 0
    assert "delay" not in wire
    assert parse_status({"status": wire}) == status


def test_a_status_of_a_newer_operator_is_read_and_a_broken_one_is_begun_anew():
    assert parse_status({"status": {"active": 2, "fromTheFuture": True}}).active == 2
    assert parse_status({"status": {"active": "many"}}) == ReportScheduleStatus()
    assert parse_status({}) == ReportScheduleStatus()
