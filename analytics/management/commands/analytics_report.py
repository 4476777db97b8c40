"""Answers what a creator earned in a month, day by day and by kind. Touches selectors alone."""

import json
import re
from argparse import ArgumentTypeError
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.basis import CURRENCY
from analytics.csv_tables import decimal, revenue_table
from analytics.figures import Figures
from analytics.periods import Interval
from analytics.selectors import Revenue, revenue
from crm.errors import InvalidInput
from crm.models import Creator


def a_month(value: str) -> date:
    """The first day of 2026-11."""
    try:
        return date.fromisoformat(f"{value}-01")
    except ValueError as error:
        raise ArgumentTypeError(f"{value} is no month such as 2026-11") from error


def a_currency(value: str) -> str:
    if not re.fullmatch("[A-Z]{3}", value):
        raise ArgumentTypeError(f"{value} is no currency such as {CURRENCY}")
    return value


class Command(BaseCommand):
    help = "Print the revenue of a month by the days of the creator's own calendar, and by kind."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--creator", type=int, required=True, metavar="ID")
        parser.add_argument("--month", type=a_month, required=True, metavar="YYYY-MM")
        parser.add_argument(
            "--currency", type=a_currency, default=CURRENCY, help=f"{CURRENCY} by default; nothing is converted"
        )
        form = parser.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="print one JSON object, amounts in cents")
        form.add_argument("--csv", action="store_true", help="print a line per day, amounts in whole units")

    def handle(self, *args: Any, **options: Any) -> None:
        creator = Creator.objects.filter(pk=options["creator"]).first()
        if creator is None:
            raise CommandError(f"There is no creator {options['creator']}.")
        begin = options["month"]
        try:
            found = revenue(
                creator=creator,
                begin=begin,
                end=Interval.MONTH.following(begin) - timedelta(days=1),
                currency=options["currency"],
            )
        except InvalidInput as error:
            raise CommandError(f"--month: {error.detail}") from error
        if options["json"]:
            self.stdout.write(json.dumps({"creator": creator.pk, **asdict(found)}, default=str, indent=2))
        elif options["csv"]:
            for line in revenue_table(found).lines():
                self.stdout.write(line, ending="")
        else:
            self._table(creator, found)

    def _table(self, creator: Creator, found: Revenue) -> None:
        days = found.whole.days
        self.stdout.write(f"{creator.name}: {days.begin} to {days.end}, {found.time_zone}, {found.currency}")
        self.stdout.write(_line("", "gross", "fee", "net", "count"))
        for period in found.periods:
            self._figures(str(period.days.begin), period.total)
        self._figures("all days", found.whole.total)
        for kind, figures in found.whole.kinds.items():
            self._figures(str(kind), figures)
        total = found.whole.total
        synced = "never" if found.last_sync_at is None else f"{found.last_sync_at:%Y-%m-%d %H:%M} UTC"
        self.stdout.write(f"As of {found.as_of:%Y-%m-%d %H:%M} UTC, last synced: {synced}")
        self.stdout.write(f"On its way, net, counted above: {decimal(total.loading_net_cents)}")
        self.stdout.write(f"Taken back, net, not counted: {decimal(total.taken_back_net_cents)}")

    def _figures(self, name: str, figures: Figures) -> None:
        amounts = (decimal(cents) for cents in (figures.gross_cents, figures.fee_cents, figures.net_cents))
        self.stdout.write(_line(name, *amounts, str(figures.count)))


def _line(name: str, *cells: str) -> str:
    return f"{name:<14}" + "".join(f"{cell:>14}" for cell in cells)
