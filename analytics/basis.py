"""Answers on what a creator's figures stand: whose calendar, which currency, as of when. Touches the clock alone."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils import timezone

from analytics.periods import Days
from crm.models import Creator

# The platform pays in it; other currencies come with files.
CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class Basis:
    """Days, months and hours are those of `time_zone`; only money in `currency` counts; `as_of` is when it was read."""

    time_zone: str
    currency: str
    as_of: datetime

    @property
    def day(self) -> date:
        """The creator's own on which it was read."""
        return self.as_of.astimezone(ZoneInfo(self.time_zone)).date()


def basis_of(creator: Creator, *, currency: str = CURRENCY) -> Basis:
    return Basis(time_zone=zone_of(creator).key, currency=currency, as_of=timezone.now())


def zone_of(creator: Creator) -> ZoneInfo:
    """The creator's time zone; UTC where it is none, as in the database."""
    try:
        return ZoneInfo(creator.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def today_of(creator: Creator) -> date:
    return timezone.now().astimezone(zone_of(creator)).date()


def moments_of(creator: Creator, days: Days) -> tuple[datetime, datetime]:
    """The first moment of these days of the creator's, and the first one after them."""
    zone = zone_of(creator)
    begin, after = (datetime.combine(day, time(), zone) for day in (days.begin, days.end + timedelta(days=1)))
    return begin, after
