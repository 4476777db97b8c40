"""Answers `manage.py import_earnings`: a file of transactions becomes money. Touches earnings_import alone."""

from collections.abc import Callable
from typing import IO, Any

from crm.models import Creator
from onlyfans.earnings_import import earnings_import
from onlyfans.earnings_payloads import FIELDS
from onlyfans.management.import_command import ImportCommand
from onlyfans.models import ImportBatch


class Command(ImportCommand):
    help = (
        "Import the transactions of a creator from a CSV file, each counted once. Ends with 1 when it cannot be read."
    )
    fields = FIELDS

    def bring_in(
        self,
        *,
        creator: Creator,
        file: IO[bytes],
        progress: Callable[[int, int], None],
        writing: Callable[[int, int], None],
        options: dict[str, Any],
    ) -> ImportBatch:
        return earnings_import(
            creator=creator,
            user=None,
            filename=options["file"].name,
            content=file,
            mapping=self.mapping(options["map"]),
            day_first=options["day_first"],
            dry_run=options["dry_run"],
            progress=progress,
        )
