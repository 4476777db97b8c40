"""Answers what a file of fans changes and what became of each row. Touches fans and imports by their services."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from defusedcsv import csv
from django.db import transaction
from django.utils import timezone

from crm.errors import TooLarge
from crm.fan_upsert import FanOutcome, FanUpsert, fan_bulk_upsert
from crm.models import Creator, User
from crm.payloads import FanRow
from onlyfans import payloads, services
from onlyfans.csv_reader import Sheet, sheet_read
from onlyfans.models import ImportBatch

ERROR_COLUMN = "error"


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row that was not rejected: its line in the file and what became of it."""

    line: int
    row: FanRow
    outcome: FanOutcome


@dataclass(frozen=True, slots=True)
class FanImport:
    """What is kept of an import, and what is not: its good rows one by one."""

    batch: ImportBatch
    rows: list[ImportedRow] = field(default_factory=list)


def fans_import(
    *,
    creator: Creator,
    user: User | None,
    filename: str,
    content: bytes | IO[bytes],
    mapping: Mapping[str, str | None] | None = None,
    dry_run: bool = False,
    max_bytes: int | None = None,
    on_stored: Callable[[int], None] | None = None,
) -> FanImport:
    """Import a CSV file of fans; crm.fan_upsert says what a stored fan keeps. A dry run counts the same, keeps nothing.

    `mapping` is `{field of payloads.FIELDS: column header}` for what the headers' names do not say by themselves.
    Every row of the file is inserted, updated, unchanged, skipped (overtaken by a later row about the same fan, or
    about one who was deleted) or rejected with the reason. Raises Unreadable, TooLarge (over `max_bytes`) or
    InvalidInput (a mapping that does not fit), and then nothing is stored. `on_stored` is called with the import's id
    in the transaction that keeps it.
    """
    sheet = sheet_read(_bytes(content, max_bytes), recognised=payloads.headers_known)
    columns = payloads.columns_match(sheet.header, mapping)
    values = payloads.fan_values(cells=sheet.cells, columns=columns, ragged=sheet.ragged, now=timezone.now())
    lines = [sheet.lines[position] for position in values.positions]
    with transaction.atomic():
        with transaction.atomic():
            upsert = fan_bulk_upsert(creator=creator, rows=values.rows)
            # The dry run is the import itself, taken back: it cannot count otherwise than the import would.
            transaction.set_rollback(dry_run)
        batch = services.import_record(
            creator=creator,
            user=user,
            filename=filename_clean(filename),
            dry_run=dry_run,
            mapping=columns.mapping(),
            header=sheet.header,
            counts={
                "inserted": upsert.count(FanOutcome.INSERTED),
                "updated": upsert.count(FanOutcome.UPDATED),
                "unchanged": upsert.count(FanOutcome.UNCHANGED),
                "skipped": upsert.count(FanOutcome.OVERTAKEN) + upsert.count(FanOutcome.DELETED),
            },
            rejected=_rejected(sheet, values),
            notices=_notices(values, upsert, lines),
        )
        if on_stored is not None:
            on_stored(batch.pk)
    return FanImport(
        batch=batch,
        rows=[
            ImportedRow(line, row, outcome)
            for line, row, outcome in zip(lines, values.rows, upsert.outcomes, strict=True)
        ],
    )


def size_check(size: int, *, max_bytes: int | None) -> None:
    """Raise TooLarge for a file over the limit."""
    if max_bytes is not None and size > max_bytes:
        limit = f"{max_bytes / 1_000_000:,.1f}".removesuffix(".0")
        raise TooLarge(
            f"The file is larger than {limit} MB. Split it, or import it with the command `import_fans`.",
            code="file_too_large",
        )


def _bytes(content: bytes | IO[bytes], max_bytes: int | None) -> bytes:
    if not isinstance(content, bytes):
        content = content.read() if max_bytes is None else content.read(max_bytes + 1)
    size_check(len(content), max_bytes=max_bytes)
    return content


def filename_clean(filename: str) -> str:
    """The name without folders and control characters, in what the column holds."""
    name = re.split(r"[/\\]", filename.encode("utf-8", "replace").decode())[-1]
    return re.sub(r"[\x00-\x1f\x7f]", "", name).strip()[:255] or "fans.csv"


def _rejected(sheet: Sheet, values: payloads.FanValues) -> list[dict[str, Any]]:
    raw = sheet.raw(list(values.problems))
    return [
        {"row": sheet.lines[position], "problems": [problem.as_dict() for problem in problems], "raw": cells}
        for (position, problems), cells in zip(values.problems.items(), raw, strict=True)
    ]


def _notices(values: payloads.FanValues, upsert: FanUpsert, lines: list[int]) -> list[dict[str, Any]]:
    skipped = {
        index: f"Skipped: line {lines[by]} is about the same fan, and the last one counts."
        for index, by in upsert.overtaken_by.items()
    } | {
        index: "Skipped: this fan was deleted. Restore the fan first to import the row."
        for index, outcome in enumerate(upsert.outcomes)
        if outcome is FanOutcome.DELETED
    }
    return [{"row": None, "text": text} for text in values.notices] + [
        {"row": lines[index], "text": text} for index, text in sorted(skipped.items())
    ]


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def rejected_csv(batch: ImportBatch) -> Iterator[str]:
    """The rejected rows as a CSV file, line by line: the cells as they were, behind a column that says what is wrong.

    The errors stand first because a row may have more cells than the header. Text that a spreadsheet would run is
    escaped, and payloads undo that; so a file mended in a spreadsheet can be imported as it is.
    """
    writer = csv.writer(_Echo())
    # A file that came from here once has such a column already.
    old = batch.header.index(ERROR_COLUMN) if ERROR_COLUMN in batch.header else None

    def without_old(cells: list[str]) -> list[str]:
        return [cell for index, cell in enumerate(cells) if index != old]

    yield "\ufeff"  # by which Excel knows UTF-8
    yield writer.writerow([ERROR_COLUMN, *without_old(batch.header)])
    for rejected in batch.rejected:
        reasons = "; ".join(f"{p['column']}: {p['error']}" if p["column"] else p["error"] for p in rejected["problems"])
        yield writer.writerow([reasons, *without_old(rejected["raw"])])
