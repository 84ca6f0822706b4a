"""Lengths of time as a person says them."""

from datetime import timedelta

import pytest

from report_operator.domain.times import spoken


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.4, "0 s"), (45, "45 s"), (60, "1 min"), (90, "1 min 30 s"), (1200, "20 min"),
     (7500, "2 h 5 min"), (7530, "2 h 5 min"), (86400, "24 h"), (-3, "0 s")],
)  # fmt: skip
def test_spoken(seconds: float, text: str) -> None:
    assert spoken(timedelta(seconds=seconds)) == text
