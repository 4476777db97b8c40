"""Answers a container's health check: does a worker live. Touches the heartbeat file or the cache, reading."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging import heartbeat


class Command(BaseCommand):
    help = (
        "End with 0 where a worker has shown itself lately, else with 1 and the reason. Reads WORKER_HEARTBEAT_FILE "
        "where it is set, so that each container answers for its own worker, else the heartbeat that all share."
    )
    # A health check runs every few seconds and asks one thing.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--max-age", type=float, default=heartbeat.HEARTBEAT_STALE_SECONDS, help="seconds; default: %(default)s"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        trouble = heartbeat.heartbeat_trouble(max_age_seconds=options["max_age"])
        if options["json"]:
            self.stdout.write(json.dumps({"alive": not trouble, "trouble": trouble}, ensure_ascii=False))
            if not trouble:
                return
        if trouble:
            raise CommandError(trouble)
        self.stdout.write("A worker lives.")
