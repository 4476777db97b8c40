"""Answers whether the kept sums of revenue are right, and mends them. Touches what analytics/services.py does."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from analytics.services import rollups_rebuild
from crm.models import Creator


class Command(BaseCommand):
    help = "Count the revenue of each day anew from the transactions, and mend what is not the same to the cent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--creator", type=int, action="append", metavar="ID", help="repeatable; by default all")
        parser.add_argument("--dry-run", action="store_true", help="compare and mend nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        creators = Creator.objects.order_by("pk")
        if wanted := options["creator"]:
            creators = creators.filter(pk__in=wanted)
            if missing := set(wanted) - {creator.pk for creator in creators}:
                raise CommandError(f"There is no creator {', '.join(map(str, sorted(missing)))}.")
        dry_run = options["dry_run"]
        done = [rollups_rebuild(creator=creator, dry_run=dry_run) for creator in creators]
        if options["json"]:
            self.stdout.write(json.dumps({"dryRun": dry_run, "creators": [asdict(each) for each in done]}))
            return
        for each in done:
            mended = "would be mended" if dry_run else "were mended"
            self.stdout.write(f"Creator {each.creator}: {each.rows} rows, {each.different} {mended}.")
