"""Answers `manage.py import_fans`: a file of any size becomes a creator's fans. Touches fans_import alone."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from crm.fan_upsert import EDITED_HERE
from onlyfans.csv_import import fans_import
from onlyfans.management.import_command import ImportCommand
from onlyfans.models import ImportBatch
from onlyfans.payloads import FIELDS


class Command(ImportCommand):
    help = "Import the fans of a creator from a CSV file. Ends with 1 when the file cannot be read."
    fields = FIELDS

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--overwrite",
            action="append",
            choices=EDITED_HERE,
            help="let this field follow the file even where people edited it here",
        )
        parser.add_argument(
            "--remembered",
            action="store_true",
            help="what is not given of --map, --overwrite and --day-first: as in the last import of the same columns",
        )

    def bring_in(self, *, options: dict[str, Any], writing: Callable[[int, int], None], **asked: Any) -> ImportBatch:
        return fans_import(
            overwrite=options["overwrite"], remembered=options["remembered"], writing=writing, **asked
        ).batch
