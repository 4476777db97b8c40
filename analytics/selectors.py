"""Answers what a creator's fans are worth, in the shapes the dashboard shows. Only reads, by the CRM's selectors."""

from dataclasses import dataclass

from crm import selectors as crm_selectors
from crm.models import Creator, Fan
from crm.selectors import FanTotals

TOP_FANS = 10


@dataclass(frozen=True, slots=True)
class TopFan:
    """A fan and the length of their bar: value in percent of the highest value."""

    fan: Fan
    percent: float


def overview(*, creator: Creator) -> FanTotals:
    return crm_selectors.fan_totals(creator=creator)


def top_fans(*, creator: Creator, limit: int = TOP_FANS) -> list[TopFan]:
    """The fans of the highest value, those who never spent anything left out."""
    fans = [fan for fan in crm_selectors.fan_top(creator=creator, limit=limit) if fan.value_cents > 0]
    highest = fans[0].value_cents if fans else 0
    return [TopFan(fan=fan, percent=round(100 * fan.value_cents / highest, 1)) for fan in fans]
