"""A run's log becomes text: a line for each record, its traceback behind it."""

from __future__ import annotations

import json

import pytest

from report_runner.contract.logs import as_text, folded

ERROR = {
    "time": "2026-11-24T05:00:10.123+00:00",
    "level": "error",
    "run": "daily/20261124",
    "message": "unexpected",
    "traceback": 'Traceback (most recent call last):\n  File "x.py", line 1\nKeyError: 7',
}


def test_records_and_other_lines() -> None:
    lines = [json.dumps({**ERROR, "level": "info", "message": "begins", "traceback": None}),
             json.dumps(ERROR), "Fontconfig warning", '{"time": "cut o']  # fmt: skip
    told = as_text(lines)
    assert told == [
        "2026-11-24T05:00:10.123+00:00 info: begins",
        "2026-11-24T05:00:10.123+00:00 error: unexpected",
        "    Traceback (most recent call last):",
        '      File "x.py", line 1',
        "    KeyError: 7",
        "Fontconfig warning",
        '{"time": "cut o',
    ]
    assert folded(told) == [
        (told[0], []), (told[1], told[2:5]), (told[5], []), (told[6], []),
    ]  # fmt: skip
    assert folded(told[3:5]) == [("", told[3:5])]


@pytest.mark.parametrize(
    "line", ["", "{}", "[1]", '{"message": 1}', "{" * 5000, '{"a":' * 2000, '{"message": NaN}']
)
def test_what_is_no_record_stays(line: str) -> None:
    assert as_text([line]) == [line]


def test_a_message_of_several_lines_is_one_record() -> None:
    assert as_text([json.dumps({"message": "a\nb", "level": 3})]) == ["3: a", "    b"]
