"""What a parsed schedule is: plain data shared by the modules of the schedule dialect."""

from __future__ import annotations

from dataclasses import dataclass, field

MINUTES_PER_DAY = 24 * 60


class ScheduleError(ValueError):
    """A schedule or time zone that Kubernetes would refuse.

    The message names the field, the value, what is wrong with it and the remedy.
    """


@dataclass(frozen=True, slots=True)
class Calendar:
    """Five cron fields as bit sets: bit N is set where the value N matches.

    ``days_open`` and ``weekdays_open`` say that the field holds an unstepped ``*`` or ``?``. When
    neither is open, a day matches if either field does; otherwise both have to (as robfig/cron).
    """

    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int
    days_open: bool
    weekdays_open: bool
    times: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """Matching times of a day in minutes after midnight, ascending."""

    def __post_init__(self) -> None:
        object.__setattr__(
            self,
            "times",
            tuple(
                minute
                for minute in range(MINUTES_PER_DAY)
                if self.hours >> minute // 60 & 1 and self.minutes >> minute % 60 & 1
            ),
        )

    def day_matches(self, day: int, weekday: int) -> bool:
        """Whether a day of the month (1-31) that is a weekday (0-6, Sunday is 0) matches."""
        by_day = bool(self.days >> day & 1)
        by_weekday = bool(self.weekdays >> weekday & 1)
        if self.days_open or self.weekdays_open:
            return by_day and by_weekday
        return by_day or by_weekday


@dataclass(frozen=True, slots=True)
class Every:
    """``@every``: a fixed number of whole seconds (at least 1) after the previous instant."""

    seconds: int


# Of a ReportSchedule. The CronJob controller takes less, and makes one Job a minute at most: it
# names Jobs by the minute (`getJobFromTemplate2`). It computes in nanoseconds, 63 bits of them.
SHORTEST_EVERY = 60  # seconds
LONGEST_EVERY = 366 * 86_400


def interval_problem(rule: Calendar | Every) -> str:
    """What is wrong with the interval of an ``@every``, and what to write; '' where nothing is."""
    if not isinstance(rule, Every) or SHORTEST_EVERY <= rule.seconds <= LONGEST_EVERY:
        return ""
    return EVERY_MESSAGE


EVERY_MESSAGE = (
    "@every takes from 1m (Kubernetes starts a schedule once a minute at most) to 8784h (366 days):"
    " write a longer or shorter duration, or the times of the day as five fields, such as "
    "'0 6 * * *'"
)
