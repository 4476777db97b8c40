"""Answers on a port of this machine in the vendor's place until told to stop. Touches the simulator's own file."""

import logging
import signal
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from onlyfans.simulator.server import SAMPLE_FANS, Options, serve
from onlyfans.simulator.store import Limits

logger = logging.getLogger(__name__)


def not_negative(value: str) -> float:
    number = float(value)
    if not 0 <= number < 86_400:
        raise ArgumentTypeError("a number from 0 to 86400")
    return number


def at_least_one(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ArgumentTypeError("a whole number from 1")
    return number


def days(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 730:
        raise ArgumentTypeError("a number of days from 0 to 730")
    return number


class Command(BaseCommand):
    help = (
        "Stand in for the vendor: the same HTTP contract, three accounts, fans from a file, nothing sent to OnlyFans."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=at_least_one, default=8090)
        parser.add_argument(
            "--data", type=Path, default=Path(settings.BASE_DIR) / ".local" / "simulator.sqlite3", metavar="FILE"
        )
        parser.add_argument("--fans", type=Path, default=SAMPLE_FANS, metavar="CSV", help="Username, Display Name, …")
        parser.add_argument("--limit", type=at_least_one, default=10, help="messages in one window, for each account")
        parser.add_argument("--window", type=not_negative, default=60, help="seconds")
        parser.add_argument("--min-gap", type=not_negative, default=3, help="seconds between two messages")
        parser.add_argument("--latency-ms", type=not_negative, default=0)
        parser.add_argument("--seed", type=int, default=1, help="another seed gives the fans other ids and ideas")
        parser.add_argument(
            "--life", type=not_negative, default=0, help="how fast fans write, buy and tip; 1 is one a minute, 0 none"
        )

        parser.add_argument(
            "--past", type=days, default=0, metavar="DAYS", help="payments of so many days, for accounts without any"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["fans"].is_file():
            raise CommandError(f"There is no file {options['fans']}.")
        # uvicorn stops on these and raises them again when all is closed; by then there is nothing left to end.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        logger.info("simulator listening host=%s port=%s data=%s", options["host"], options["port"], options["data"])
        serve(
            Options(
                host=options["host"],
                port=options["port"],
                data=options["data"],
                fans_csv=options["fans"],
                limits=Limits(options["limit"], options["window"], options["min_gap"]),
                latency_ms=round(options["latency_ms"]),
                seed=options["seed"],
                life=options["life"],
                past_days=options["past"],
            )
        )
