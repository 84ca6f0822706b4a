"""The schedule dialect of Kubernetes' CronJob: text to rules.

The dialect is robfig/cron v3 ``ParseStandard``, quirks included (``+5``, ``007``, ``1,,2`` and
``*-anything`` are accepted there), and Kubernetes' own refusal of ``TZ`` anywhere in the text.
Compared case by case with the original by tests/data/cron/truth.jsonl.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from report_operator.domain.cron.rules import Calendar, Every, ScheduleError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

# What Go's unicode.IsSpace takes for white space; str.split() would also split at \x1c-\x1f.
_SPACES = re.compile("[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_INTEGER = re.compile(r"([+-]?)([0-9]+)", re.ASCII)
# Go lowers these two letters outside ASCII to i and k; Python lowers the first one to two letters.
_LIKE_GO = str.maketrans({"\u0130": "i", "\u212a": "k"})
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five fields: its name, its bounds and the words that stand for numbers."""

    name: str
    low: int
    high: int
    remedy: str
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59, "minutes are 0-59"),
    _Field("hour", 0, 23, "hours are 0-23"),
    _Field("day of month", 1, 31, "days of the month are 1-31"),
    _Field("month", 1, 12, "months are 1-12 or jan-dec", MONTHS),
    _Field("day of week", 0, 6, "weekdays are 0-6 or sun-sat, Sunday is 0", WEEKDAYS),
)


def shown(text: str) -> str:
    """The text quoted for a message, cut where it is very long."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def parse_rule(expression: str) -> Calendar | Every:
    """Read an expression as the CronJob controller does.

    Raises:
        ScheduleError: the API server would refuse the expression in a CronJob.
    """
    if "TZ" in expression:
        raise ScheduleError(
            f"TZ= and CRON_TZ= are not allowed in the schedule {shown(expression)}: "
            "name the zone in the field timeZone"
        )
    if expression.startswith("@"):
        return _parse_descriptor(expression)
    texts = [text for text in _SPACES.split(expression) if text]
    if len(texts) != len(_FIELDS):
        raise ScheduleError(_wrong_count(expression, len(texts)))
    minutes, hours, days, months, weekdays = (
        _parse_field(text, spec, expression) for text, spec in zip(texts, _FIELDS, strict=True)
    )
    return Calendar(
        minutes=minutes[0],
        hours=hours[0],
        days=days[0],
        months=months[0],
        weekdays=weekdays[0],
        days_open=days[1],
        weekdays_open=weekdays[1],
    )


def _wrong_count(expression: str, found: int) -> str:
    want = "minute, hour, day of month, month, day of week"
    if not found:
        return f"the schedule is empty: write five fields ({want}) or @hourly, @daily, ..."
    message = f"expected five fields ({want}), found {found} in {shown(expression)}"
    if expression.lstrip().startswith("@"):
        return message + "; a name such as @daily stands alone, without white space before it"
    if found > len(_FIELDS):
        return message + "; seconds and years are not part of the CronJob dialect"
    return message


def _parse_field(text: str, spec: _Field, expression: str) -> tuple[int, bool]:
    """The bits of one field, and whether an unstepped * or ? is in it."""
    bits, is_open = 0, False
    for part in text.split(","):
        if part:  # the original drops what is empty between commas
            part_bits, part_open = _parse_range(part, spec, expression)
            bits |= part_bits
            is_open |= part_open
    return bits, is_open


def _parse_range(part: str, spec: _Field, expression: str) -> tuple[int, bool]:
    def refuse(problem: str, remedy: str = spec.remedy) -> ScheduleError:
        return ScheduleError(f"{spec.name} field: {problem} in {shown(expression)}; {remedy}")

    def number(text: str) -> int:
        word = text.translate(_LIKE_GO).lower()
        if word in spec.words:
            return spec.words.index(word) + spec.low
        kind = "is neither a number nor a name" if spec.words else "is not a number"
        return _integer(text, part, kind, refuse)

    span, *steps = part.split("/")
    ends = span.split("-")
    is_open = ends[0] in ("*", "?")
    if is_open:  # the original reads nothing that follows a hyphen here
        low, high = spec.low, spec.high
    else:
        low = number(ends[0])
        high = low if len(ends) == 1 else number(ends[1])
        if len(ends) > 2:
            raise refuse(f"{shown(part)} has too many hyphens", "a range is low-high, as 1-5")
    step = 1
    if len(steps) > 1:
        raise refuse(f"{shown(part)} has too many slashes", "a step is range/step, as */5")
    if steps:
        step = _integer(steps[0], part, "is not a number", refuse)
        if len(ends) == 1:
            high = spec.high  # N/step is N-max/step
        if step > 1:
            is_open = False
    if low < spec.low:
        raise refuse(f"{low} is below the minimum {spec.low}")
    if high > spec.high:
        raise refuse(f"{high} is above the maximum {spec.high}")
    if low > high:
        if low > spec.high:
            raise refuse(f"{low} is above the maximum {spec.high}")
        raise refuse(
            f"{shown(part)} begins after it ends",
            f"split it, as {low}-{spec.high},{spec.low}-{high}",
        )
    if step == 0:
        raise refuse(f"the step of {shown(part)} is 0", "a step is 1 or more")
    bits = 0
    for value in range(low, high + 1, step):
        bits |= 1 << value
    return bits, is_open


def _integer(text: str, part: str, otherwise: str, refuse: Callable[[str], ScheduleError]) -> int:
    match = _INTEGER.fullmatch(text)
    digits = match[2].lstrip("0") if match else ""
    if not match or len(digits) > 19 or int(digits or 0) >= 1 << 63:
        if not text:
            raise refuse(f"a number is missing in {shown(part)}")
        if re.fullmatch(r"(?i)[0-9a-z]*[#LW][0-9]*", text) and re.search(r"[0-9]|^[LW]+$", text):
            raise refuse(f"{shown(text)}: L, W and # are not part of the CronJob dialect")
        raise refuse(f"{shown(text)} {otherwise}")
    value = int(digits or 0)
    if match[1] == "-" and value:
        raise refuse(f"{shown(text)} is negative")
    return value


def _parse_descriptor(expression: str) -> Calendar | Every:
    if expression in DESCRIPTORS:
        return parse_rule(DESCRIPTORS[expression])
    prefix = "@every "
    if expression.startswith(prefix):
        nanoseconds = _go_duration(expression.removeprefix(prefix), expression)
        return Every(max(1, nanoseconds // 1_000_000_000))
    raise ScheduleError(
        f"{shown(expression)} is not part of the CronJob dialect: "
        "use five fields, @every DURATION or one of " + ", ".join(DESCRIPTORS)
    )


_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TERM = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^.0-9]+)", re.ASCII)
_MOST = 1 << 63


def _go_duration(text: str, expression: str) -> int:
    """Go's time.ParseDuration: nanoseconds, fractions computed in floating point as there."""
    bad = ScheduleError(
        f"@every: {shown(text)} is not a duration in {shown(expression)}; "
        "write numbers with the units h, m, s, as @every 1h30m"
    )
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise bad
    total = position = 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if not term or not (term[1] or term[2]) or term[3] not in _UNITS:
            raise bad
        total += _term_nanoseconds(term[1], term[2] or "", _UNITS[term[3]], bad)
        if total > _MOST:
            raise bad
        position = term.end()
    if negative:
        return -total
    if total > _MOST - 1:
        raise bad
    return total


def _term_nanoseconds(whole: str, decimals: str, unit: int, bad: ScheduleError) -> int:
    digits = whole.lstrip("0") or "0"
    if len(digits) > 19 or int(digits) > _MOST // unit:
        raise bad
    value = int(digits) * unit
    fraction, scale = 0, 1.0
    for digit in decimals:
        if fraction > (_MOST - 1) // 10 or fraction * 10 + int(digit) > _MOST:
            break
        fraction = fraction * 10 + int(digit)
        scale *= 10
    if fraction:
        value += int(float(fraction) * (unit / scale))
        if value > _MOST:
            raise bad
    return value
