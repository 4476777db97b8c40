"""Answers which days a question of revenue is about, and how they fall into days, weeks and months. Touches nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from django.utils.translation import gettext

from crm.errors import FieldError, InvalidInput

ONE_DAY = timedelta(days=1)
# Nothing was sold on the platform before; and a question of a century is a mistake.
EARLIEST, LATEST = date(2010, 1, 1), date(2100, 1, 1)
# What one answer holds: two years of days.
PERIODS_MAX = 732


class Interval(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def begin(self, day: date) -> date:
        """The first day of the period in which a day lies; weeks begin on Monday."""
        if self is Interval.WEEK:
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self is Interval.MONTH else day

    def following(self, begin: date) -> date:
        """The first day of the period after the one that begins so."""
        return self.begin(begin + _LONGEST[self])


_LONGEST = {Interval.DAY: ONE_DAY, Interval.WEEK: timedelta(days=7), Interval.MONTH: timedelta(days=31)}
# What is shown where nobody says from when on: 30 days, and 12 weeks or months with the one that goes on.
_DEFAULT_DAYS = {Interval.DAY: 29, Interval.WEEK: 77, Interval.MONTH: 334}


@dataclass(frozen=True, slots=True)
class Days:
    """From one day to another, both of them in it."""

    begin: date
    end: date

    def before(self) -> "Days":
        """As many days, right before these."""
        return Days(self.begin - (self.end - self.begin) - ONE_DAY, self.begin - ONE_DAY)

    def split(self, interval: Interval) -> Iterator["Days"]:
        """The periods in their order; the first and the last are cut where they reach beyond."""
        begin = self.begin
        while begin <= self.end:
            following = interval.following(interval.begin(begin))
            yield Days(begin, min(following - ONE_DAY, self.end))
            begin = following


def days_asked(
    *, begin: date | None, end: date | None, today: date, interval: Interval = Interval.DAY, usual: int | None = None
) -> Days:
    """The days that somebody asked for: without an end until today, without a beginning the usual number.

    usual: how many days that is, where it does not follow from the interval.
    Raises InvalidInput that names `from` or `to`: out of range, the wrong way round, more than PERIODS_MAX periods.
    """
    for name, day in (("from", begin), ("to", end)):
        if day is not None and not EARLIEST <= day <= LATEST:
            raise _refused(
                name,
                "out_of_range",
                gettext("Name a day between %(first)s and %(last)s.") % {"first": EARLIEST, "last": LATEST},
            )
    last = end or today
    back = _DEFAULT_DAYS[interval] if usual is None else usual - 1
    first = begin or max(interval.begin(last - timedelta(days=back)), EARLIEST)
    if first > last:
        raise _refused(
            "from", "after_end", gettext("The first day may not be after the last one, %(last)s.") % {"last": last}
        )
    if sum(1 for _ in Days(first, last).split(interval)) > PERIODS_MAX:
        raise _refused(
            "from",
            "too_long",
            gettext("At most %(most)s periods at once; choose a longer interval.") % {"most": PERIODS_MAX},
        )
    return Days(first, last)


def quick_ranges(today: date) -> list[tuple[str, Days]]:
    """What people mostly ask for, with its name; what goes on ends today, so that the days before are as many."""
    this_month = Interval.MONTH.begin(today)
    last_month_end = this_month - ONE_DAY
    return [
        (gettext("This month"), Days(this_month, today)),
        (gettext("Last month"), Days(Interval.MONTH.begin(last_month_end), last_month_end)),
        (gettext("Last 30 days"), Days(today - timedelta(days=29), today)),
        (gettext("Last 90 days"), Days(today - timedelta(days=89), today)),
        (gettext("This year"), Days(today.replace(month=1, day=1), today)),
    ]


def months_until(today: date, count: int) -> list[date]:
    """The first days of so many months, the one of today the last."""
    first = today.year * 12 + today.month - count
    return [date(number // 12, number % 12 + 1, 1) for number in range(first, first + count)]


def months_between(begin: date, end: date) -> int:
    return 12 * (end.year - begin.year) + end.month - begin.month


def _refused(field: str, code: str, detail: str) -> InvalidInput:
    return InvalidInput(f"{field}: {detail}", errors=(FieldError(field, code, detail),))
