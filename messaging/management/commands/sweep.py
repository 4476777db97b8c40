"""Answers what was left lying: puts it back on its way, once or for ever. Touches what messaging/sweeper.py does.

A sweep also erases what is kept for a time alone: it is what runs by the clock wherever the product runs.
"""

import json
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, close_old_connections

from messaging import heartbeat, metrics, sweeper, vitals
from messaging.errors import QueueError, SendingDisabled
from messaging.gateways import Gateway, gateway_load
from messaging.management.progress import Progress
from messaging.sending_needs import needs_log

logger = structlog.get_logger(__name__)


def _try(step: Callable[[], object]) -> bool:
    """Whether it went well. What goes wrong, in a round or in half of one, stops no other: this is who goes on."""
    try:
        step()
    except (DatabaseError, QueueError, SendingDisabled) as error:
        logger.warning("sweep not possible now", error=str(error))
    except Exception:
        logger.exception("sweep broke; trying again in the next round")
    else:
        return True
    return False


class Command(BaseCommand):
    help = "Put messages back on their way whose process died or whose time has come."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forever", action="store_true", help="go on every SWEEP_EVERY_SECONDS until SIGTERM")
        parser.add_argument("--dry-run", action="store_true", help="count what a sweep would take up and move nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["forever"] and (options["dry_run"] or options["json"]):
            raise CommandError("--forever prints nothing but its log; --dry-run and --json are for one sweep.")
        gateway = gateway_load()
        if not options["forever"]:
            self._once(gateway, dry_run=options["dry_run"], as_json=options["json"])
            return
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        metrics.start()
        needs_log()
        logger.info(
            "sweeper started",
            every_seconds=settings.SWEEP_EVERY_SECONDS,
            pending_after_seconds=settings.SWEEP_PENDING_AFTER_SECONDS,
            overdue_after_seconds=settings.SWEEP_OVERDUE_AFTER_SECONDS,
            rate_limiter_enabled=settings.RATE_LIMITER_ENABLED,
        )
        while not stopping.wait(settings.SWEEP_EVERY_SECONDS):
            close_old_connections()
            # First: it needs neither SQS nor Redis.
            _try(sweeper.purge)
            if _try(lambda: sweeper.sweep(gateway=gateway)):
                vitals.swept()
            vitals.vitals_measure()
            heartbeat.heartbeat_file_touch()
        metrics.flush()
        logger.info("sweeper stopped")

    def _once(self, gateway: Gateway, *, dry_run: bool, as_json: bool) -> None:
        progress = Progress(self.stderr, "steps", total=len(asdict(sweeper.SweepReport())))
        if not dry_run:
            sweeper.purge()
        try:
            if dry_run:
                report = sweeper.sweep_preview(gateway=gateway)
            else:
                report = sweeper.sweep(gateway=gateway, progress=progress)
        except SendingDisabled as error:
            raise CommandError(error.detail) from error
        finally:
            progress.close()
        counts = asdict(report)
        if as_json:
            self.stdout.write(json.dumps({"dryRun": dry_run, "total": report.total, **counts}, indent=2))
            return
        done = "would be looked at" if dry_run else "moved"
        details = ", ".join(f"{number} {name}" for name, number in counts.items())
        self.stdout.write(f"{report.total} messages {done}: {details}")
