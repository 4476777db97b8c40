"""Answers `manage.py import_earnings`: a file of transactions becomes money. Touches earnings_import alone."""

from collections.abc import Callable
from typing import Any

from onlyfans.earnings_import import earnings_import
from onlyfans.earnings_payloads import FIELDS
from onlyfans.management.import_command import ImportCommand
from onlyfans.models import ImportBatch


class Command(ImportCommand):
    help = (
        "Import the transactions of a creator from a CSV file, each counted once. Ends with 1 when it cannot be read."
    )
    fields = FIELDS

    def bring_in(self, *, options: dict[str, Any], writing: Callable[[int, int], None], **asked: Any) -> ImportBatch:
        return earnings_import(**asked)
