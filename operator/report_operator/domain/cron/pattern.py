"""The schedule as a regular expression, for the schema of the CRD."""

from __future__ import annotations

from report_operator.domain.cron.parser import DESCRIPTORS, MONTHS, WEEKDAYS

# Written for RE2 and ECMA-262 alike: no flags, no look-around, ASCII only. What is not printable
# ASCII stands for white space: neither dialect names Unicode's spaces as the other does.
_SPACE = "[^!-~]"
# The second unit is the micro sign, spelled with either of two letters outside ASCII.
_UNIT = f"([num]s|{_SPACE}s|[smh])"
_EVERY = f"every [+-]?(0|(([0-9]+[.]?[0-9]*|[.][0-9]+){_UNIT})+)"
_STEP = "(/[+]?0*[1-9][0-9]*)?"


def schema_pattern() -> str:
    """An anchored pattern that every expression matches which ``parse`` accepts.

    It refuses nearly all others (a value out of range, a wrong number of fields, ``@reboot``,
    weekday 7, a ``TZ=`` in front). Left to ``parse``: a range that begins after it ends, ``TZ``
    after ``*-``, numbers of more than 63 bits. Its text says little to a person: in a schema it is
    best used in a CEL rule, ``self.matches(...)``, with a message.
    """
    fields = (
        "[1-5]?[0-9]",
        "1?[0-9]|2[0-3]",
        "[1-9]|[12][0-9]|3[01]",
        "[1-9]|1[0-2]",
        "[0-6]",
    )
    words: tuple[tuple[str, ...], ...] = ((), (), (), MONTHS, WEEKDAYS)
    five = f"{_SPACE}+".join(
        _field(number, names) for number, names in zip(fields, words, strict=True)
    )
    named = "|".join(name.removeprefix("@") for name in DESCRIPTORS)
    return f"^({_SPACE}*{five}{_SPACE}*|@({named}|{_EVERY}))$"


def every_pattern() -> str:
    """An anchored pattern of ``@every`` and what Go takes for a duration."""
    return f"^@{_EVERY}$"


def _field(number: str, names: tuple[str, ...]) -> str:
    """A list of ranges; commas may be doubled, first and last, as in the original."""
    value = "|".join([f"[+]?0*({number})", *(_any_case(name) for name in names)])
    item = f"([*?](-[^,/ ]*)?|({value})(-({value}))?){_STEP}"
    return f"(,+|,*{item}(,+{item})*,*)"


def _any_case(name: str) -> str:
    # Go lowers a dotted capital I to i as well.
    return "".join(
        f"([Ii]|{_SPACE})" if letter == "i" else f"[{letter.upper()}{letter}]" for letter in name
    )
