"""Answers what the commands that import a file share: arguments, errors, report. Touches the terminal and the file."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from crm.errors import HuntazeError
from crm.models import Creator
from messaging.management.progress import Progress
from onlyfans import selectors
from onlyfans.csv_encodings import ENCODINGS
from onlyfans.csv_import import rejected_csv
from onlyfans.csv_layout import Layout
from onlyfans.models import ImportBatch

# How many problems and notices are printed; --json prints all.
SHOWN_MAX = 50
AMOUNTS = ("valueCents", "grossCents", "feeCents", "netCents")


class ImportCommand(BaseCommand):
    """A command that hands a file to a use case; a subclass names the fields and the use case."""

    fields: tuple[str, ...]

    def bring_in(self, *, options: dict[str, Any], writing: Callable[[int, int], None], **asked: Any) -> ImportBatch:
        """Call the use case with `asked`, which both take, and what of the `options` is its own."""
        raise NotImplementedError

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--creator", type=int, required=True, help="the creator's id")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="FIELD=HEADER",
            help=f"the column of a field, where its header does not say so; fields: {', '.join(self.fields)}",
        )
        order = parser.add_mutually_exclusive_group()
        order.add_argument(
            "--day-first", dest="day_first", action="store_true", default=None, help="3/4/2026 is the third of April"
        )
        order.add_argument(
            "--month-first", dest="day_first", action="store_false", help="3/4/2026 is the fourth of March"
        )
        parser.add_argument("--decimal-mark", choices=(".", ","), help="what 1,234 and 1.234 mean")
        parser.add_argument("--sheet", help="the sheet of a workbook; * for all with the same columns")
        parser.add_argument("--header-row", type=int, metavar="ROW", help="the row of the header; 0 for no header")
        parser.add_argument("--encoding", help=f"of a text file: {', '.join(ENCODINGS)}")
        parser.add_argument("--delimiter", help="the character between the cells of a text file")
        parser.add_argument(
            "--rejected", type=Path, metavar="FILE", help="write the rejected rows to this file, ready to mend"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        creator = Creator.objects.filter(pk=options["creator"]).first()
        if creator is None:
            raise CommandError(f"There is no creator {options['creator']}.")
        reading, made = Progress(self.stderr, "rows read"), Progress(self.stderr, "new fans written")

        def writing(done: int, total: int) -> None:
            reading.close()
            made(done, total)

        try:
            with path.open("rb") as file:
                batch = self.bring_in(
                    options=options,
                    writing=writing,
                    creator=creator,
                    user=None,
                    filename=path.name,
                    content=file,
                    mapping=self._mapping(options["map"]),
                    day_first=options["day_first"],
                    decimal_mark=options["decimal_mark"],
                    layout=Layout(
                        sheet=options["sheet"],
                        header_row=options["header_row"],
                        encoding=options["encoding"],
                        delimiter=options["delimiter"],
                    ),
                    dry_run=options["dry_run"],
                    progress=reading,
                )
            reading.close()
            made.close()
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        except HuntazeError as error:
            details = [each.detail for each in error.errors if each.detail != error.detail]
            how = ["Use --day-first or --month-first."] if error.code == "date_order_unknown" else []
            raise CommandError(" ".join([error.detail, *details, *how])) from error
        if options["rejected"] is not None and batch.rejected_rows:
            self._rejected(batch, options["rejected"])
        if options["json"]:
            self._json(batch)
        else:
            self._text(batch, dry_run=options["dry_run"])

    def _mapping(self, pairs: list[str]) -> dict[str, str | None] | None:
        """An empty header leaves the field out."""
        for pair in pairs:
            if "=" not in pair:
                raise CommandError(f"--map wants FIELD=HEADER, not {pair!r}.")
        names = [pair.partition("=")[0] for pair in pairs]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise CommandError(f"--map names the column of {twice} more than once.")
        return {name: header or None for name, _, header in (pair.partition("=") for pair in pairs)} or None

    def _rejected(self, batch: ImportBatch, path: Path) -> None:
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                file.writelines(rejected_csv(batch))
        except OSError as error:
            raise CommandError(f"The import is done, but {path} cannot be written: {error.strerror}.") from error

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
            "reading": batch.reading,
            "contents": batch.contents,
            "errors": list(selectors.import_problems(batch)),
            "notices": list(selectors.import_notices(batch)),
        }
        self.stdout.write(json.dumps(report, ensure_ascii=False, indent=2))

    def _text(self, batch: ImportBatch, *, dry_run: bool) -> None:
        columns = ", ".join(f"{field} from {header!r}" for field, header in batch.mapping.items())
        self.stdout.write(f"Columns: {columns}")
        self.stdout.write(f"Read as: {self._reading(batch.reading)}")
        for each in batch.contents.get("sums", []):
            amounts = ", ".join(
                f"{name.removesuffix('Cents')} {each[name] / 100:,.2f}"
                for name in AMOUNTS
                if each.get(name) is not None
            )
            self.stdout.write(f"Sum{' of ' + each['month'] if each['month'] else ''}: {each['currency']} {amounts}")
        would = " would be" if dry_run else ""
        self.stdout.write(
            self.style.SUCCESS(
                f"{batch.total_rows} rows:{would} {batch.inserted} inserted, {batch.updated} updated, "
                f"{batch.unchanged} unchanged, {batch.skipped} skipped, {batch.rejected_rows} rejected."
            )
        )
        problems = list(islice(selectors.import_problems(batch), SHOWN_MAX + 1))
        for problem in problems[:SHOWN_MAX]:
            where = f"{problem['column']} '{problem['value']}': " if problem["column"] else ""
            self.stdout.write(self.style.ERROR(f"{self._row(problem)}: {where}{problem['error']}"))
        notices = list(islice(selectors.import_notices(batch), SHOWN_MAX + 1))
        for notice in notices[:SHOWN_MAX]:
            line = f"{self._row(notice)}: " if notice["row"] else ""
            self.stdout.write(self.style.WARNING(f"{line}{notice['text']}"))
        if len(problems) > SHOWN_MAX or len(notices) > SHOWN_MAX:
            self.stdout.write(f"The first {SHOWN_MAX} of each are shown; --json prints all.")

    def _row(self, told: dict[str, Any]) -> str:
        return f"Row {told['row']}{' of ' + told['sheet'] if told['sheet'] else ''}"

    def _reading(self, reading: dict[str, Any]) -> str:
        sheets = reading["sheetsRead"]
        parts = (
            reading["encoding"],
            f"delimiter {reading['delimiter']!r}" if reading["delimiter"] else "",
            f"sheets {', '.join(sheets)}" if sheets else "",
            f"header in row {reading['headerRow']}" if reading["headerRow"] else "no header",
            f"dates {reading['dateOrder']}",
            f"decimals behind {reading['decimalMark']!r}",
        )
        return ", ".join(part for part in parts if part)
