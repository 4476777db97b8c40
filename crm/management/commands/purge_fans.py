"""Answers which deleted fans are past being restored, and erases them. Touches what crm/fan_services.py does."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from crm import selectors
from crm.fan_services import fans_purge


class Command(BaseCommand):
    help = "Erase the fans who were deleted so long ago that they cannot be restored. Each sweep does it, too."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count the fans and erase none")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        count = selectors.fans_due_to_be_erased().count() if dry_run else self._all()
        if options["json"]:
            self.stdout.write(json.dumps({"dryRun": dry_run, "erased": count}))
            return
        days = selectors.RESTORABLE_FOR.days
        self.stdout.write(
            f"{count} fans, deleted more than {days} days ago, {'would be' if dry_run else 'were'} erased."
        )

    def _all(self) -> int:
        total = 0
        while count := fans_purge():
            total += count
        return total
