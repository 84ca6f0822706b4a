"""The schedule dialect against what robfig/cron itself says (hack/crontable makes the table)."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from report_operator.domain.cron.rules import Calendar
from report_operator.domain.cron.schedule import ScheduleError, load_zone, parse, schema_pattern

TABLE = Path(__file__).parents[1] / "data" / "cron" / "truth.jsonl"
HEADER, *ROWS = (json.loads(line) for line in TABLE.read_text("utf-8").split("\n") if line)
VALID = [row for row in ROWS if "error" not in row]
REFUSED = [row for row in ROWS if "error" in row]
MADE_WITH = f"table made with robfig {HEADER['robfig']} and tzdata {HEADER['tzdata']}"


def follow(row: dict[str, Any]) -> list[int]:
    schedule, zone = parse(row["e"]), load_zone(row["z"])
    instant: datetime | None = datetime.fromtimestamp(row["s"], UTC)
    found = []
    while instant and len(found) < 5:
        instant = schedule.next_after(instant, zone)
        if instant:
            found.append(int(instant.timestamp()))
    return found


def test_the_table_is_as_large_as_it_is_meant_to_be() -> None:
    assert len(VALID) >= 5000
    assert len({row["e"] for row in VALID}) >= 1500
    assert len({row["z"] for row in VALID}) >= 30
    assert len(REFUSED) >= 400


def test_every_slot_is_the_one_that_robfig_computes() -> None:
    different = [
        (row, found)
        for row in VALID
        if not row.get("hangs") and (found := follow(row)) != row.get("n", [])
    ]
    assert not different, f"{len(different)} of {len(VALID)} differ ({MADE_WITH}): {different[:5]}"


def test_where_robfig_hangs_the_answer_is_a_later_moment() -> None:
    hanging = [row for row in VALID if row.get("hangs")]
    assert hanging
    for row in hanging:
        found = follow(row)
        assert found == sorted(set(found))
        assert found[0] > row["s"]


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: repr(row["e"])[:60])
def test_what_kubernetes_refuses_is_refused_with_a_message(row: dict[str, Any]) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse(row["e"])
    assert len(str(caught.value)) > 20


def test_the_schema_lets_every_valid_expression_pass() -> None:
    pattern = re.compile(schema_pattern())
    stopped = {row["e"] for row in VALID if not pattern.search(row["e"])}
    assert not stopped


def test_the_schema_stops_nearly_everything_that_is_refused() -> None:
    pattern = re.compile(schema_pattern())
    passed = [row["e"] for row in REFUSED if pattern.search(row["e"])]
    assert len(passed) <= 0.1 * len(REFUSED), passed


def test_the_table_reaches_the_walk_around_a_change_of_the_clocks() -> None:
    """Slots that the calendar alone would not give: otherwise the table proves too little."""
    surprising = 0
    for row in VALID:
        rule = parse(row["e"]).rule
        if isinstance(rule, Calendar):
            zone = load_zone(row["z"])
            for slot in row.get("n", []):
                local = datetime.fromtimestamp(slot, zone)
                surprising += local.hour * 60 + local.minute not in rule.times
                surprising += not rule.day_matches(local.day, local.isoweekday() % 7)
    assert surprising >= 10
