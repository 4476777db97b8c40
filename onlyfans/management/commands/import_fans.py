"""Answers `manage.py import_fans`: a file of any size becomes a creator's fans. Touches fans_import alone."""

import json
from argparse import ArgumentParser
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from crm.errors import HuntazeError
from crm.models import Creator
from onlyfans import selectors
from onlyfans.csv_import import fans_import
from onlyfans.models import ImportBatch

# How many problems and notices are printed; --json prints all.
SHOWN_MAX = 50


class Command(BaseCommand):
    help = "Import the fans of a creator from a CSV file. Ends with 1 when the file cannot be read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--creator", type=int, required=True, help="the creator's id")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        creator = Creator.objects.filter(pk=options["creator"]).first()
        if creator is None:
            raise CommandError(f"There is no creator {options['creator']}.")
        try:
            with path.open("rb") as file:
                batch = fans_import(
                    creator=creator, user=None, filename=path.name, content=file, dry_run=options["dry_run"]
                ).batch
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        except HuntazeError as error:
            raise CommandError(error.detail) from error
        if options["json"]:
            self._json(batch)
        else:
            self._text(batch, dry_run=options["dry_run"])

    def _json(self, batch: ImportBatch) -> None:
        report = {
            "importId": batch.pk,
            "summary": {
                "totalRows": batch.total_rows,
                "successfulInserts": batch.inserted,
                "updated": batch.updated,
                "unchanged": batch.unchanged,
                "skipped": batch.skipped,
                "errors": batch.rejected_rows,
            },
            "mapping": batch.mapping,
            "errors": list(selectors.import_problems(batch)),
            "notices": list(selectors.import_notices(batch)),
        }
        self.stdout.write(json.dumps(report, ensure_ascii=False, indent=2))

    def _text(self, batch: ImportBatch, *, dry_run: bool) -> None:
        columns = ", ".join(f"{field} from {header!r}" for field, header in batch.mapping.items())
        self.stdout.write(f"Columns: {columns}")
        would = " would be" if dry_run else ""
        self.stdout.write(
            self.style.SUCCESS(
                f"{batch.total_rows} rows:{would} {batch.inserted} inserted, {batch.updated} updated, "
                f"{batch.unchanged} unchanged, {batch.skipped} skipped, {batch.rejected_rows} rejected."
            )
        )
        problems = list(islice(selectors.import_problems(batch), SHOWN_MAX + 1))
        for problem in problems[:SHOWN_MAX]:
            where = f"{problem['column']} {problem['value']!r}: " if problem["column"] else ""
            self.stdout.write(self.style.ERROR(f"Line {problem['row']}: {where}{problem['error']}"))
        notices = list(islice(selectors.import_notices(batch), SHOWN_MAX + 1))
        for notice in notices[:SHOWN_MAX]:
            line = f"Line {notice['row']}: " if notice["row"] else ""
            self.stdout.write(self.style.WARNING(f"{line}{notice['text']}"))
        if len(problems) > SHOWN_MAX or len(notices) > SHOWN_MAX:
            self.stdout.write(f"The first {SHOWN_MAX} of each are shown; --json prints all.")
