"""Answers how days fall into weeks and months, and which questions are refused. Touches nothing."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.periods import PERIODS_MAX, Days, Interval, days_asked, quick_ranges
from crm.errors import InvalidInput

TODAY = date(2026, 11, 18)
A_DAY = st.dates(date(2011, 1, 1), date(2099, 1, 1))


@given(begin=A_DAY, length=st.integers(0, 400), interval=st.sampled_from(Interval))
def test_the_periods_hold_each_day_once(begin: date, length: int, interval: Interval) -> None:
    days = Days(begin, begin + timedelta(days=length))
    periods = list(days.split(interval))
    assert (periods[0].begin, periods[-1].end) == (days.begin, days.end)
    assert all(a.end + timedelta(days=1) == b.begin for a, b in pairwise(periods))
    assert all(interval.begin(each.begin) == interval.begin(each.end) for each in periods)


def test_the_days_before_are_as_many_and_end_where_these_begin() -> None:
    assert Days(date(2026, 3, 1), date(2026, 3, 31)).before() == Days(date(2026, 1, 29), date(2026, 2, 28))


@pytest.mark.parametrize(
    ("interval", "begin", "periods"),
    [
        (Interval.DAY, date(2026, 10, 20), 30),
        (Interval.WEEK, date(2026, 8, 31), 12),
        (Interval.MONTH, date(2025, 12, 1), 12),
    ],
)
def test_unasked_it_is_until_today_in_whole_periods(interval: Interval, begin: date, periods: int) -> None:
    days = days_asked(interval=interval, begin=None, end=None, today=TODAY)
    assert days == Days(begin, TODAY)
    assert len(list(days.split(interval))) == periods


@pytest.mark.parametrize(
    ("begin", "end", "field", "code"),
    [
        (date(2026, 11, 19), None, "from", "after_end"),
        (date(1, 1, 1), None, "from", "out_of_range"),
        (None, date(9999, 12, 31), "to", "out_of_range"),
        (TODAY - timedelta(days=PERIODS_MAX), TODAY, "from", "too_long"),
    ],
)
def test_a_question_that_makes_no_sense_names_its_parameter(begin, end, field: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        days_asked(interval=Interval.DAY, begin=begin, end=end, today=TODAY)
    assert [(each.field, each.code) for each in refused.value.errors] == [(field, code)]


def test_the_usual_ranges_end_today_but_for_the_last_month() -> None:
    assert dict(quick_ranges(date(2026, 1, 18))) == {
        "This month": Days(date(2026, 1, 1), date(2026, 1, 18)),
        "Last month": Days(date(2025, 12, 1), date(2025, 12, 31)),
        "Last 30 days": Days(date(2025, 12, 20), date(2026, 1, 18)),
        "Last 90 days": Days(date(2025, 10, 21), date(2026, 1, 18)),
        "This year": Days(date(2026, 1, 1), date(2026, 1, 18)),
    }


@given(today=A_DAY)
def test_every_usual_range_can_be_asked_for_day_by_day(today: date) -> None:
    for _, days in quick_ranges(today):
        assert days_asked(begin=days.begin, end=days.end, today=today) == days
