"""Answers what was left lying: puts it back on its way, once or for ever. Touches what messaging/sweeper.py does."""

import signal
import threading
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, close_old_connections

from messaging import metrics, sweeper
from messaging.errors import QueueError, SendingDisabled
from messaging.gateways import gateway_load

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Put messages back on their way whose process died or whose time has come."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forever", action="store_true", help="go on every SWEEP_EVERY_SECONDS until SIGTERM")

    def handle(self, *args: Any, **options: Any) -> None:
        gateway = gateway_load()
        if not options["forever"]:
            try:
                report = sweeper.sweep(gateway=gateway)
            except SendingDisabled as error:
                raise CommandError(error.detail) from error
            self.stdout.write(f"{report.total} messages moved: {report}")
            return
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        metrics.start()
        logger.info("sweeper started", every_seconds=settings.SWEEP_EVERY_SECONDS)
        while not stopping.wait(settings.SWEEP_EVERY_SECONDS):
            close_old_connections()
            try:
                sweeper.sweep(gateway=gateway)
            except (DatabaseError, QueueError, SendingDisabled) as error:
                logger.warning("sweep not possible now", error=str(error))
        metrics.flush()
        logger.info("sweeper stopped")
