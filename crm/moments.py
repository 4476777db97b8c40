"""Moments in words, on the reader's clock: today's by the time, this week's by the weekday, others by the date.

static/moments.js says the same words for the same moment; tests/test_browser_moments.py holds the two together. Both
follow the formats of CLDR, here by Babel and there by the browser.

The clock is the reader's own: their browser names its time zone in a cookie. Before it has (the first page, or no
scripts), the creator's zone stands in. Reports count days in the creator's zone and say so.
"""

import re
from collections.abc import Callable
from contextvars import ContextVar
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time, get_datetime_format
from django.utils.translation import get_language, gettext

ZONE_COOKIE = "zone"
# Offsets and old spellings too: whatever a browser may call its own.
_ZONES = frozenset(available_timezones())


def zone_named(name: str) -> ZoneInfo | None:
    """The zone that a browser named; None for what is no zone's name."""
    return ZoneInfo(name) if name in _ZONES else None


@lru_cache(maxsize=1_000)
def locale_of(language: str, accepted: str) -> str:
    """The variety of the page's language that a browser asks for (en-GB of `fr, en-GB;q=0.9`), else the language."""
    wishes = []
    for part in accepted.split(",")[:20]:
        name, _, rest = part.strip().partition(";")
        weight = re.fullmatch(r"\s*q=(0(?:\.\d{1,3})?|1(?:\.0{1,3})?)\s*", rest)
        wishes.append((-(float(weight[1]) if weight else 1.0), name.strip()))
    for _, name in sorted(wishes, key=lambda wish: wish[0]):
        if name.partition("-")[0].lower() == language:
            try:
                return str(Locale.parse(name, sep="-")).replace("_", "-")
            except (UnknownLocaleError, ValueError):
                continue
    return language


_variety: ContextVar[str] = ContextVar("variety", default="")


def variety_activate(language: str, accepted: str) -> None:
    """Take what a request asks for as the variety of its language from now on, as Django does with the language."""
    _variety.set(locale_of(language, accepted))


def reader_locale() -> str:
    """The variety of the active language that this request's browser asks for, else the language: en-GB, fr."""
    language, variety = get_language() or "en", _variety.get()
    return variety if variety.partition("-")[0] == language else language


def _clock(when: datetime, locale: str) -> str:
    # CLDR has a narrow space before PM, Chromium an ordinary one.
    return format_time(when, "short", tzinfo=when.tzinfo, locale=locale).replace("\N{NARROW NO-BREAK SPACE}", " ")


def day_words(day: date, locale: str) -> str:
    """A day of a calendar: 30 Nov 2026."""
    return format_date(day, "medium", locale=locale.replace("-", "_"))


def month_words(day: date, locale: str) -> str:
    """The month of a day: Nov 2026."""
    return format_skeleton("yMMM", day, locale=locale.replace("-", "_"))


def _moment(when: datetime, locale: str, today: date) -> str:
    pattern = str(get_datetime_format("medium", locale=locale)).replace("'", "")
    return pattern.replace("{0}", _clock(when, locale)).replace("{1}", format_date(when, "medium", locale=locale))


def _near(ago: int) -> str:
    return {0: gettext("Today"), 1: gettext("Yesterday"), -1: gettext("Tomorrow")}.get(ago, "")


def _short(when: datetime, locale: str, today: date) -> str:
    ago = (today - when.date()).days
    if ago == 0:
        return _clock(when, locale)
    if near := _near(ago):
        return near
    if 1 < ago < 7:
        return format_date(when, "ccc", locale=locale)
    return format_skeleton("MMMd" if when.year == today.year else "yMMMd", when, locale=locale)


def _heading(when: datetime, locale: str, today: date) -> str:
    if near := _near((today - when.date()).days):
        return near
    return format_skeleton("MMMEd" if when.year == today.year else "yMMMd", when, locale=locale)


def _clock_or_moment(when: datetime, locale: str, today: date) -> str:
    return _clock(when, locale) if when.date() == today else _moment(when, locale, today)


KINDS: dict[str, Callable[[datetime, str, date], str]] = {
    # In a list, where a name needs the room: the time, the weekday, or the date.
    "short": _short,
    # Date and time.
    "moment": _moment,
    # When something is expected, mostly today: the time, else date and time.
    "clock": _clock_or_moment,
    # Under a heading that has the day.
    "time": lambda when, locale, today: _clock(when, locale),
    # That heading.
    "heading": _heading,
}


def moment_words(when: datetime, kind: str, *, locale: str, zone: ZoneInfo, now: datetime) -> str:
    """The words of this kind for a moment; `locale` as locale_of gives it."""
    return _words(when.replace(second=0, microsecond=0), kind, locale, zone, now.astimezone(zone).date())


# A list is asked for anew every few seconds, and Babel takes as long for a moment as PostgreSQL for a row.
@lru_cache(maxsize=20_000)
def _words(minute: datetime, kind: str, locale: str, zone: ZoneInfo, today: date) -> str:
    return KINDS[kind](minute.astimezone(zone), locale.replace("-", "_"), today)
