"""Answers the queue: sends what is due until it is told to stop. Touches what messaging/worker.py touches."""

import signal
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError

from messaging import connectivity, metrics
from messaging.sending_needs import needs_log, not_set, sending_lacks
from messaging.worker import Worker, knobs_check

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Send queued messages until SIGTERM or Ctrl-C; then finish what is in flight and end."

    def handle(self, *args: Any, **options: Any) -> None:
        needs_log()
        # While the limiter is off nothing is received, and nothing of the two need be there.
        if settings.RATE_LIMITER_ENABLED and (missing := sending_lacks()):
            raise CommandError(f"The worker cannot start: {not_set(missing)}.")
        try:
            knobs = knobs_check()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        worker = Worker()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        logger.info("worker started", **knobs)
        connectivity.connectivity_start()
        metrics.start()
        worker.run()
        logger.info("worker stopped")
