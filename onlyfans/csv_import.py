"""Answers what a file of fans changes and what became of each row. Touches fans and imports by their services."""

import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from crm.csv_lines import csv_file
from crm.errors import FieldError, InvalidInput, TooLarge, Unreadable
from crm.fan_upsert import EDITED_HERE, FanOutcome, FanUpsertion, fan_upsert_open
from crm.models import Creator, User
from crm.payloads import FanRow
from crm.stored_words import in_words
from onlyfans import csv_headers, csv_layout, earnings_payloads, import_services, import_summary, payloads, selectors
from onlyfans.csv_choices import Choices, choices_settle, mapping_mended
from onlyfans.csv_layout import Found, Layout
from onlyfans.csv_reader import Chunk, Sheet, sheet_open
from onlyfans.import_services import KeptRow
from onlyfans.models import ImportBatch, ImportKind, ImportRow

# How many of the rows that were taken an answer shows one by one.
PREVIEW_MAX = 200
# How many rows of a file are shown before anything is decided about it.
FIRST_ROWS = 5
# The counts of an ImportBatch.
COUNTED = {
    "inserted": (FanOutcome.INSERTED,),
    "updated": (FanOutcome.UPDATED,),
    "unchanged": (FanOutcome.UNCHANGED,),
    "skipped": (FanOutcome.OVERTAKEN, FanOutcome.DELETED),
}


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row that was not rejected: its line in the file and what became of it."""

    line: int
    row: FanRow
    outcome: FanOutcome


@dataclass(frozen=True, slots=True)
class FanImport:
    """What is kept of an import, and what is not: the first of its good rows one by one."""

    batch: ImportBatch
    rows: list[ImportedRow] = field(default_factory=list)


def fans_import(
    *,
    creator: Creator,
    user: User | None,
    filename: str,
    content: bytes | IO[bytes] | Sheet,
    mapping: Mapping[str, str | None] | None = None,
    overwrite: Collection[str] | None = None,
    day_first: bool | None = None,
    decimal_mark: str | None = None,
    layout: Layout | None = None,
    remembered: bool = False,
    dry_run: bool = False,
    max_bytes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    writing: Callable[[int, int], None] | None = None,
    on_stored: Callable[[int], None] | None = None,
    batch: ImportBatch | None = None,
) -> FanImport:
    """Import a file of fans; crm.fan_upsert says what a stored fan keeps. A dry run counts the same, keeps nothing.

    `mapping` is `{field of payloads.FIELDS: column header}` for what the headers' names do not say by themselves; the
    fields of crm.fan_upsert.EDITED_HERE named in `overwrite` follow the file. `day_first` says how to read 3/4/2026,
    `decimal_mark` 1,234 and `layout` where the table is, as far as the file leaves it open.
    With `remembered`, what of these is None is as in the creator's last import of the same columns (csv_choices).
    `content` is bytes, a file that can be gone through more than once, or the sheet of one. `progress` is called with
    the rows read so far
    and all of them, and then `writing` with the fans made so far and all that will be.

    Every row of the file is inserted, updated, unchanged, skipped (overtaken by a later row about the same fan, or
    about one who was deleted) or rejected with the reason. Raises Unreadable, TooLarge (over `max_bytes`) or
    InvalidInput (a mapping that does not fit), and then nothing is stored. `on_stored` is called with the import's id
    in the transaction that keeps it. `batch` is the import that waited for this, where one did.
    """
    if not isinstance(content, Sheet):
        size_check(size_of(content), max_bytes=max_bytes)
    overwrite_check(overwrite)
    with sheet_open(content, recognised=headers_known, asked=layout) as sheet:
        choices = choices_settle(
            creator=creator,
            header=sheet.header,
            mapping=mapping,
            overwrite=overwrite,
            day_first=day_first,
            decimal_mark=decimal_mark,
            remembered=remembered,
        )
        reading = _reading(sheet, choices, creator)
        with transaction.atomic(), ExitStack() as stack:
            batch = import_services.import_begin(
                creator=creator,
                user=user,
                filename=filename_clean(filename),
                dry_run=dry_run,
                mapping=reading.columns.mapping(),
                header=sheet.header,
                overwrite=choices.overwrite,
                day_first=choices.day_first_before if choices.day_first is None else choices.day_first,
                batch=batch,
            )
            upsertion = stack.enter_context(
                fan_upsert_open(creator=creator, overwrite=choices.overwrite, batch=batch.fan_batch)
            )
            sums = import_summary.FanSums()
            first, rejected, others = _collect(sheet, reading, batch, upsertion, sums, progress)
            with transaction.atomic():
                counts = upsertion.write(writing)
                outcomes = upsertion.outcomes(len(first))
                overtaken, deleted = upsertion.overtaken(), upsertion.deleted()
                # The dry run is the import itself, taken back: it cannot count otherwise than the import would.
                transaction.set_rollback(dry_run)
            import_services.import_rows_add(batch=batch, rows=_skipped(overtaken, deleted))
            left_out = import_summary.columns_left_out(sheet, reading.columns)
            left_out_told = import_summary.left_out_told(left_out)
            told = (*sheet.notices, *choices.notices, *reading.notices, *left_out_told)
            import_services.import_finish(
                batch=batch,
                counts={
                    name: sum(counts[outcome] for outcome in became) + (others if name == "skipped" else 0)
                    for name, became in COUNTED.items()
                },
                rejected_rows=rejected,
                notices=[{"row": None, "text": text} for text in told],
                reading=import_summary.reading_kept(sheet, reading),
                contents=import_summary.kept_contents(left_out, sums.kept()),
            )
            if on_stored is not None:
                on_stored(batch.pk)
    return FanImport(
        batch=batch,
        rows=[ImportedRow(line, row, outcome) for (line, row), outcome in zip(first, outcomes, strict=True)],
    )


@dataclass(frozen=True, slots=True)
class FilePreview:
    """What a file holds and what would be made of it: `mapping` has every field, None where no column is known for it.

    The fields are those of `kind`. `remembered` is the import whose choices these are; None where they come from the
    headers' names.
    """

    kind: ImportKind
    header: list[str]
    first_rows: list[list[str]]
    total_rows: int
    mapping: dict[str, str | None]
    overwrite: list[str]
    remembered: ImportBatch | None
    found: Found
    notices: tuple[str, ...]


def file_preview(
    *,
    creator: Creator,
    content: bytes | IO[bytes] | Sheet,
    kind: ImportKind | None = None,
    layout: Layout | None = None,
    max_bytes: int | None = None,
) -> FilePreview:
    """Look into a file and store nothing. Raises Unreadable or TooLarge (over `max_bytes`).

    Without a `kind` it is that of the last import of such columns, else what the headers look like.
    """
    if not isinstance(content, Sheet):
        size_check(size_of(content), max_bytes=max_bytes)
    with sheet_open(content, recognised=headers_known, asked=layout) as sheet:
        first = next(sheet.chunks())
        rows = first.raw(range(min(len(first.cells), FIRST_ROWS)))
        last = selectors.import_mended(creator=creator, header=sheet.header)
        if last is None or kind not in (None, last.kind):
            last = selectors.import_remembered(creator=creator, header=sheet.header, kind=kind)
        if kind is None and last is not None:
            kind = ImportKind(last.kind)
        if kind is None:
            kind = ImportKind.EARNINGS if earnings_payloads.is_earnings(sheet.header) else ImportKind.FANS
        words = earnings_payloads.VOCABULARY if kind is ImportKind.EARNINGS else payloads.VOCABULARY
        by_name: dict[str, str | None] = {**words.columns_find(sheet.header).mapping()}
        return FilePreview(
            kind=kind,
            header=sheet.header,
            first_rows=rows,
            total_rows=sheet.rows,
            mapping={name: by_name.get(name) for name in words.fields}
            if last is None
            else mapping_mended(last, sheet.header),
            overwrite=[] if last is None else last.overwrite,
            remembered=last,
            found=sheet.found,
            notices=sheet.notices,
        )


def headers_known(header: Sequence[str]) -> int:
    """How many of the headers mean something in a file of fans or, where those are more, of transactions."""
    return max(payloads.headers_known(header), earnings_payloads.VOCABULARY.headers_known(header))


def _reading(sheet: Sheet, choices: Choices, creator: Creator) -> payloads.Reading:
    """How the cells are read. Raises Unreadable for a list of transactions whose columns nobody called a fan's."""
    if choices.mapping is None and earnings_payloads.is_earnings(sheet.header):
        raise Unreadable(
            gettext(
                "This is a list of transactions, not of fans. Import it as transactions, or say which column is what."
            ),
            code="transactions_file",
        )
    if not choices.mapping:
        csv_layout.header_needed(sheet.found, sheet.header)
    return payloads.reading_decide(
        columns=payloads.columns_match(sheet.header, choices.mapping),
        pieces=sheet.columns,
        now=timezone.now(),
        day_first=choices.day_first,
        day_first_before=choices.day_first_before,
        decimal_mark=choices.decimal_mark,
        zone=creator.time_zone,
        creator=creator.name,
    )


def _collect(
    sheet: Sheet,
    reading: payloads.Reading,
    batch: ImportBatch,
    upsertion: FanUpsertion,
    sums: import_summary.FanSums,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[tuple[int, FanRow]], int, int]:
    """Hand the right rows on and keep the others.

    Returns the first right ones with their lines, how many are wrong, and how many are other creators'.
    """
    first: list[tuple[int, FanRow]] = []
    rejected = done = left_out = 0
    for chunk, values, csv in _typed(sheet, reading):
        lines = chunk.lines[values.positions]
        upsertion.copy_csv([csv])
        sums.add(values.fans["value_cents"])
        if len(first) < PREVIEW_MAX:
            more = values.rows(PREVIEW_MAX - len(first))
            first += zip(lines.tolist(), more, strict=False)
        rejected += len(values.problems)
        left_out += len(chunk.cells) - len(values.positions) - len(values.problems)
        import_services.import_rows_add(batch=batch, rows=rejected_rows(chunk, values.problems))
        done += len(chunk.cells)
        if progress is not None:
            progress(done, sheet.rows)
    return first, rejected, left_out


def _skipped(overtaken: Iterable[tuple[int, int]], deleted: Iterable[int]) -> Iterator[KeptRow]:
    """The lines that a later one overtook, and those about a fan who was deleted."""
    for line, by in overtaken:
        yield KeptRow(line=line, overtaken_by=by)
    for line in deleted:
        yield KeptRow(line=line, fan_deleted=True)


def _typed(sheet: Sheet, reading: payloads.Reading) -> Iterator[tuple[Chunk, payloads.FanValues, memoryview]]:
    """Each chunk with its values, and these as COPY takes them, made while the database has the chunk before it."""

    def typed(chunk: Chunk) -> tuple[Chunk, payloads.FanValues, memoryview]:
        values = payloads.fan_values(cells=chunk.cells, ragged=chunk.ragged, reading=reading)
        return chunk, values, payloads.fans_csv(values.fans, chunk.lines[values.positions])

    with ThreadPoolExecutor(max_workers=1) as thread:
        coming: Future[tuple[Chunk, payloads.FanValues, memoryview]] | None = None
        for chunk in sheet.chunks():
            now, coming = coming, thread.submit(typed, chunk)
            if now is not None:
                yield now.result()
        if coming is not None:
            yield coming.result()


def size_check(size: int, *, max_bytes: int | None) -> None:
    """Raise TooLarge for a file over the limit."""
    if max_bytes is not None and size > max_bytes:
        limit = f"{max_bytes / 1_000_000:,.1f}".removesuffix(".0")
        raise TooLarge(
            gettext("The file is larger than %(limit)s MB. Split it, or import it with the command `import_fans`.")
            % {"limit": limit},
            code="file_too_large",
        )


def overwrite_check(overwrite: Collection[str] | None) -> None:
    """Raise InvalidInput for a field that no file may overwrite."""
    if unknown := sorted(set(overwrite or ()) - set(EDITED_HERE)):
        raise InvalidInput(
            gettext("Only fields that people edit here can be overwritten."),
            errors=(
                FieldError(
                    "overwrite",
                    "unknown_field",
                    gettext("There is no field %(name)s to overwrite.") % {"name": repr(unknown[0][:50])},
                ),
            ),
        )


def size_of(content: bytes | IO[bytes]) -> int:
    """How many bytes; a file is left at its end."""
    return len(content) if isinstance(content, bytes) else content.seek(0, io.SEEK_END)


def filename_clean(filename: str) -> str:
    """The name without folders and control characters, in what the column holds."""
    name = re.split(r"[/\\]", filename.encode("utf-8", "replace").decode())[-1]
    return re.sub(r"[\x00-\x1f\x7f]", "", name).strip()[:255] or "fans.csv"


def rejected_rows(chunk: Chunk, problems: Mapping[int, Sequence[payloads.Problem]]) -> Iterator[KeptRow]:
    """What is kept of the wrong rows of a chunk."""
    raw = chunk.raw(list(problems))
    for (position, wrong), cells in zip(problems.items(), raw, strict=True):
        yield KeptRow(line=int(chunk.lines[position]), problems=[problem.as_dict() for problem in wrong], cells=cells)


def rejected_csv(batch: ImportBatch) -> Iterator[str]:
    """The rejected rows as a CSV file, line by line: the cells as they were, behind a column that says what is wrong.

    The errors stand first because a row may have more cells than the header. The name of the column beside them says
    by which import the file was read, so that what is mended is read as it was. Text that a spreadsheet would run is
    escaped, and payloads undo that; so a file mended in a spreadsheet can be imported as it is.
    """
    # A file that came from here once has such columns already.
    old = {index for index, name in enumerate(batch.header) if import_summary.is_our_column(name)}

    def without_old(cells: list[str]) -> list[str]:
        return [cell for index, cell in enumerate(cells) if index not in old]

    def told(row: ImportRow) -> list[str]:
        reasons = "; ".join(
            f"{p['column']}: {in_words(p['error'])}{_unseen(p['value'])}" if p["column"] else in_words(p["error"])
            for p in row.problems
        )
        return [reasons, "", *without_old(row.cells)]

    ours = [import_summary.ERROR_COLUMN, import_summary.MENDED_COLUMN.format(batch.pk)]
    return csv_file([*ours, *without_old(batch.header)], map(told, selectors.import_rejected(batch)))


def _unseen(value: str) -> str:
    """The value with its characters that cannot be seen, where it has some."""
    shown = csv_headers.shown(value)
    return f" ({shown})" if shown != value else ""
