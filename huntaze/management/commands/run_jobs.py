"""Answers every app's jobs (its jobs.py) until told to stop. Touches what they touch, and procrastinate's tables."""

import asyncio
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from procrastinate.contrib.django import app
from procrastinate.contrib.django.utils import connector_params
from procrastinate.psycopg_connector import PsycopgConnector

from messaging.heartbeat import heartbeat_file_touch
from messaging.sending_needs import needs_log

logger = structlog.get_logger(__name__)
BEAT_SECONDS = 20


class Command(BaseCommand):
    help = "Do the jobs that were left to a worker, and those of a time, until SIGTERM or Ctrl-C. Several may run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="end as soon as nothing waits")

    def handle(self, *args: Any, **options: Any) -> None:
        needs_log()
        logger.info("jobs are done", concurrency=settings.JOBS_CONCURRENCY, stop_seconds=settings.JOBS_STOP_SECONDS)
        asyncio.run(_work(wait=not options["once"]))
        logger.info("jobs stopped")


async def _work(*, wait: bool) -> None:
    # Beside Django's connections, on which the jobs work: one to listen, one to fetch and end jobs and to stay known.
    connector = PsycopgConnector(kwargs=connector_params(), min_size=1, max_size=3)
    with app.replace_connector(connector) as own:
        async with own.open_async(), asyncio.TaskGroup() as both:
            beat = both.create_task(_beat())
            await own.run_worker_async(
                wait=wait,
                listen_notify=wait,
                concurrency=settings.JOBS_CONCURRENCY,
                shutdown_graceful_timeout=settings.JOBS_STOP_SECONDS,
                name="jobs",
            )
            beat.cancel()


async def _beat() -> None:
    """Jobs run in threads, so that this loop goes on however long one takes; it stops where the loop hangs."""
    while True:
        heartbeat_file_touch()
        await asyncio.sleep(BEAT_SECONDS)
