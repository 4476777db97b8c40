"""Answers which time zones a creator can have, and gives a creator another one. Writes the creator's row alone."""

from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from babel.core import get_global
from babel.dates import get_timezone_location
from django.db import DataError, connection, transaction
from django.utils import timezone
from django.utils.translation import get_language, gettext

from crm.errors import FieldError, InvalidInput
from crm.models import Creator
from crm.wake_ups import ANYTHING, wake

# The other names of the database are old spellings, or offsets without a summer time.
REGIONS = frozenset(
    ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"),
)


class Zone(NamedTuple):
    """One to choose: its name, its place in the reader's language, and its offset at the moment (`+02:00`)."""

    name: str
    place: str
    offset: str


@cache
def _places(language: str) -> list[tuple[str, str]]:
    """Names and places, by place; of several names for one zone (Belfast, London) the one it goes by."""
    others = get_global("zone_aliases")
    names = {name for name in available_timezones() if name.partition("/")[0] in REGIONS and name not in others}
    places = [(name, get_timezone_location(name, locale=language, return_city=True)) for name in names]
    return sorted(places, key=lambda each: each[1])


def zone_choices(*, chosen: str) -> list[Zone]:
    """UTC, then every zone by its name; `chosen` among them, whatever it is called."""
    now = timezone.now()
    places = _places((get_language() or "en").partition("-")[0])
    named = [("UTC", "UTC"), *places]
    if all(name != chosen for name, _ in named):
        named.insert(0, (chosen, chosen))
    return [Zone(name, place, _offset(name, now)) for name, place in named]


def _offset(name: str, now: datetime) -> str:
    try:
        away = now.astimezone(ZoneInfo(name)).utcoffset() or timedelta()
    except (KeyError, ValueError, OSError):
        return ""
    minutes = round(away.total_seconds() / 60)
    return f"{'−' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def creator_time_zone_set(*, creator: Creator, name: str) -> Creator:
    """Give the creator another time zone: their days begin at its midnight, those that are past as well.

    What other packages count by those days PostgreSQL counts anew in the same transaction, so that no figure is ever of
    both zones. Raises InvalidInput for a zone that Python or PostgreSQL does not know.
    """
    if not _known(name):
        wrong = FieldError("time_zone", "unknown_time_zone", gettext("There is no such time zone."))
        raise InvalidInput(wrong.detail, errors=(wrong,))
    with transaction.atomic():
        Creator.objects.filter(pk=creator.pk).update(time_zone=name)
        wake(ANYTHING, creator_id=creator.pk)
    creator.time_zone = name
    return creator


def _known(name: str) -> bool:
    if name not in available_timezones():
        return False
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT now() AT TIME ZONE %s", [name])
    except DataError:
        return False
    return True
