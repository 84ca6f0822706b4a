"""Names that are made of others, and taken apart again."""

from __future__ import annotations

import pytest
from factories import SLOT
from hypothesis import given
from hypothesis import strategies as st

from report_operator.domain.names import job_id, schedule_of_job_id

LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)


@given(LABEL, st.lists(LABEL, min_size=1, max_size=4).map(".".join), st.integers(1, 99))
def test_the_schedule_of_a_run(namespace: str, schedule: str, attempt: int) -> None:
    assert schedule_of_job_id(job_id(namespace, schedule, SLOT, attempt)) == (namespace, schedule)


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "reports.daily", "reports.daily.20261124T050000Z", "reports..20261124T050000Z.1",
        "a/b.daily.20261124T050000Z.1", "reports.x/../y.20261124T050000Z.1",
        "reports.daily?a=b.20261124T050000Z.1", "reports.daily.20261124T050000Z.1\n",
        "Reports.daily.20261124T050000Z.1", "reports.daily.now.1",
    ],
)  # fmt: skip
def test_a_text_that_is_no_id(text: str) -> None:
    assert schedule_of_job_id(text) is None
