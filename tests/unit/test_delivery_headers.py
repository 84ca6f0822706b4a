"""Headers outside of ASCII are read back as they were written."""

from __future__ import annotations

import email
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from report_runner.delivery.message import EncodedHeader

WORDS = st.sampled_from(["Rückstände", "über", "12", "500", "Köln", "a", "日本語", "€", "3,5", "-"])


def read_back(subject: str) -> tuple[str, int]:
    """The subject as a mail program reads it, and the longest line."""
    message = EmailMessage(policy=policy.SMTP.clone(cte_type="7bit"))
    message["Subject"] = EncodedHeader("Subject", subject)
    message.set_content("x")
    raw = message.as_bytes()
    read = email.message_from_bytes(raw, policy=policy.default)["Subject"]
    return str(read), max(map(len, raw.splitlines()))


@pytest.mark.parametrize(
    "subject",
    [
        "Rückstände Österreich Süd über 12 500 über März",
        "Rückstände 10 20 30 40 50 60 für Köln März",
        "Übersicht Erträge der Filialen in Geschäft Süd 12 500 Stück",
    ],
)
def test_subject_keeps_its_blanks(subject: str) -> None:
    """Python's own writer loses one at the end of a line."""
    assert read_back(subject)[0] == subject
    assert read_back(subject)[1] <= 78


@given(st.lists(WORDS, min_size=1, max_size=40).map(" ".join))
def test_any_subject_is_read_back(words: str) -> None:
    subject = f"ü {words}"
    assert read_back(subject)[0] == subject
