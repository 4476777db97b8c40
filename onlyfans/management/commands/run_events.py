"""Answers the vendor's events as they come, until told to stop. Touches what onlyfans/events.py does."""

import signal
import threading
import time
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from messaging.heartbeat import heartbeat_file_touch
from onlyfans.events import EventsReport, events_apply
from onlyfans.services import CHANNEL, webhook_event_prune

logger = structlog.get_logger(__name__)
# Events are announced by NOTIFY; this long is waited where it is not heard (behind a pooler, say) and for retries.
POLL_SECONDS = 2.0
# Between two looks at whether to stop.
BATCH = 50
PRUNE_EVERY_SECONDS = 3_600.0


class Command(BaseCommand):
    help = "Apply the vendor's events as they come, until SIGTERM or Ctrl-C. Several may run side by side."

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        logger.info("events are applied", keep_days=settings.WEBHOOK_KEEP_DAYS)
        pruned_at = float("-inf")
        while not stopping.is_set():
            try:
                busy = events_apply(limit=BATCH) != EventsReport()
                if time.monotonic() - pruned_at > PRUNE_EVERY_SECONDS:
                    webhook_event_prune(applied_before=timezone.now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS))
                    pruned_at = time.monotonic()
                heartbeat_file_touch()
                if not busy:
                    event_wait(POLL_SECONDS)
            except DatabaseError as error:
                logger.warning("events not possible now", error=type(error).__name__)
                close_old_connections()
                stopping.wait(POLL_SECONDS)
        logger.info("events stopped")


def event_wait(seconds: float) -> None:
    """Until an event is announced, or so many seconds. One that was announced before the call may be waited out."""
    with connection.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
    for _ in connection.connection.notifies(timeout=seconds, stop_after=1):
        return
