"""Answers a campaign's ledger as a CSV file: a line per recipient. Touches nothing but the rows it is given."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from crm.csv_lines import csv_lines
from messaging.models import Delivery

HEADER = ["fan_id", "handle", "name", "status", "reason", "attempts", "due_at", "queued_at", "sent_at", "finished_at"]


def ledger_csv(deliveries: Iterable[Delivery]) -> Iterator[str]:
    """The file line by line; times in UTC. A cell that a spreadsheet would take for a formula is written as text."""
    return csv_lines(HEADER, map(_row, deliveries))


def _row(delivery: Delivery) -> list[Any]:
    times = (delivery.due_at, delivery.queued_at, delivery.message.sent_at, delivery.finished_at)
    return [
        delivery.fan.platform_id,
        delivery.fan.handle,
        delivery.fan.name,
        delivery.state,
        delivery.reason,
        delivery.attempts,
        *(_moment(time) for time in times),
    ]


def _moment(time: datetime | None) -> str:
    return time.isoformat(timespec="seconds") if time else ""
