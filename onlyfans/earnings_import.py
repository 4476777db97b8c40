"""Answers what a file of transactions adds, each counted once. Touches money and imports by their services."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from django.db import transaction
from django.db.models.functions import Lower
from django.utils import timezone

from crm.models import Creator, Fan, TransactionKind, TransactionSource, TransactionStatus, User
from crm.stored_words import kept_sentence
from crm.transaction_services import TransactionRow, transaction_bulk_record
from onlyfans import csv_layout, earnings_payloads, import_services, import_summary, payloads
from onlyfans.csv_choices import Choices, mended_settle
from onlyfans.csv_import import filename_clean, headers_known, rejected_rows, size_check, size_of
from onlyfans.csv_layout import Layout
from onlyfans.csv_reader import Sheet, sheet_open
from onlyfans.earnings_payloads import Earning
from onlyfans.import_services import KeptRow
from onlyfans.models import ImportBatch, ImportKind

# Fans that one query looks for.
CHUNK = 5_000
FANS_NOT_HERE = kept_sentence(
    "%(number)s rows name fans who are not here. Their money counts; to see it beside the fans, import the fans and "
    "then this file again."
)


def earnings_import(
    *,
    creator: Creator,
    user: User | None,
    filename: str,
    content: bytes | IO[bytes] | Sheet,
    mapping: Mapping[str, str | None] | None = None,
    day_first: bool | None = None,
    decimal_mark: str | None = None,
    layout: Layout | None = None,
    dry_run: bool = False,
    max_bytes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_stored: Callable[[int], None] | None = None,
    batch: ImportBatch | None = None,
) -> ImportBatch:
    """Import a file of transactions; crm.transaction_services says when two reports are of the same money.

    A transaction is known by its id, where the file has one, else by time, amounts and name; the same file again
    changes nothing. Every row is inserted, updated, unchanged, skipped (a later row has the same id) or rejected with
    the reason. A fan who is stored here is linked by id or handle, and worth at least what they paid.

    The arguments are those of fans_import, with the fields of earnings_payloads.FIELDS. All rows of the file are in
    memory at once, some 1 kB each. Raises as fans_import does, and then nothing is stored.
    """
    if not isinstance(content, Sheet):
        size_check(size_of(content), max_bytes=max_bytes)
    with sheet_open(content, recognised=headers_known, asked=layout) as sheet:
        given = Choices(mapping, (), day_first, decimal_mark=decimal_mark)
        choices = mended_settle(creator=creator, header=sheet.header, kind=ImportKind.EARNINGS, given=given) or given
        if not choices.mapping:
            csv_layout.header_needed(sheet.found, sheet.header)
        columns = earnings_payloads.columns_match(sheet.header, choices.mapping)
        reading = payloads.reading_decide(
            columns=columns,
            pieces=sheet.columns,
            now=timezone.now(),
            day_first=choices.day_first,
            decimal_mark=choices.decimal_mark,
            dates_in="occurred_at",
            amounts_in=next(name for name in earnings_payloads.AMOUNTS if name in columns.positions),
        )
        with transaction.atomic():
            batch = import_services.import_begin(
                creator=creator,
                user=user,
                filename=filename_clean(filename),
                dry_run=dry_run,
                mapping=columns.mapping(),
                header=sheet.header,
                overwrite=(),
                day_first=day_first,
                kind=ImportKind.EARNINGS,
                batch=batch,
            )
            earnings, rejected = _collect(sheet, reading, batch, progress)
            last, overtaken = _last(earnings)
            with transaction.atomic():
                counts, unknown = _store(creator, last)
                # The dry run is the import itself, taken back: it cannot count otherwise than the import would.
                transaction.set_rollback(dry_run)
            import_services.import_rows_add(batch=batch, rows=overtaken)
            left_out = import_summary.columns_left_out(sheet, columns)
            told = [
                *sheet.notices,
                *choices.notices,
                *reading.notices,
                *import_summary.left_out_told(left_out),
                *([_unknown_told(unknown)] if unknown else []),
            ]
            sums = import_summary.MoneySums(creator.time_zone)
            for _, each in earnings:
                sums.add(
                    occurred_at=each.occurred_at,
                    currency=each.currency,
                    gross=each.gross_cents,
                    fee=each.fee_cents,
                    net=each.net_cents,
                )
            import_services.import_finish(
                batch=batch,
                counts={**counts, "skipped": len(earnings) - len(last)},
                rejected_rows=rejected,
                notices=[{"row": None, "text": text} for text in told],
                reading=import_summary.reading_kept(sheet, reading),
                contents=import_summary.kept_contents(left_out, sums.kept()),
            )
            if on_stored is not None:
                on_stored(batch.pk)
    return batch


def _collect(
    sheet: Sheet, reading: payloads.Reading, batch: ImportBatch, progress: Callable[[int, int], None] | None
) -> tuple[list[tuple[int, Earning]], int]:
    """The right rows with their lines, and how many are wrong; those are kept."""
    found: list[tuple[int, Earning]] = []
    rejected = done = 0
    for chunk in sheet.chunks():
        values = earnings_payloads.earning_values(cells=chunk.cells, ragged=chunk.ragged, reading=reading)
        found += ((int(chunk.lines[position]), earning) for position, earning in values.earnings.items())
        rejected += len(values.problems)
        import_services.import_rows_add(batch=batch, rows=rejected_rows(chunk, values.problems))
        done += len(chunk.cells)
        if progress is not None:
            progress(done, sheet.rows)
    return found, rejected


def _last(earnings: list[tuple[int, Earning]]) -> tuple[list[Earning], Iterator[KeptRow]]:
    """The last row of each id, and those before it; rows without one are of different money."""
    last = {earning.transaction_id: line for line, earning in earnings if earning.transaction_id}
    kept = [each for line, each in earnings if not each.transaction_id or last[each.transaction_id] == line]
    overtaken = (
        KeptRow(line=line, overtaken_by=last[earning.transaction_id])
        for line, earning in earnings
        if earning.transaction_id and last[earning.transaction_id] != line
    )
    return kept, overtaken


def _store(creator: Creator, earnings: list[Earning]) -> tuple[dict[str, int], int]:
    """What became of the rows, and how many are of fans who are not stored here though the file names them."""
    by_id, by_handle = _fans(creator, earnings)
    fans = [by_id.get(each.fan_id) or by_handle.get(each.handle) for each in earnings]
    outcome = transaction_bulk_record(
        creator=creator,
        rows=(
            TransactionRow(
                kind=TransactionKind(each.kind),
                status=TransactionStatus(each.status),
                gross_cents=each.gross_cents,
                fee_cents=each.fee_cents,
                net_cents=each.net_cents,
                vat_cents=each.vat_cents,
                currency=each.currency,
                occurred_at=each.occurred_at,
                source=TransactionSource.FILE,
                platform_id=each.transaction_id,
                fan_id=fan,
                fan_name=each.fan_name or each.handle or each.fan_id,
            )
            for each, fan in zip(earnings, fans, strict=True)
        ),
    )
    counts = Counter(inserted=outcome.inserted, updated=outcome.updated, unchanged=outcome.unchanged)
    unknown = sum(fan is None and bool(each.fan_id or each.handle) for each, fan in zip(earnings, fans, strict=True))
    return dict(counts), unknown


def _fans(creator: Creator, earnings: list[Earning]) -> tuple[dict[str, int], dict[str, int]]:
    """The stored fans whom the file names, by id and by handle; of two with one handle the newer."""
    ids = sorted({each.fan_id for each in earnings if each.fan_id} | {each.handle for each in earnings if each.handle})
    handles = sorted({each.handle for each in earnings if each.handle})
    mine = Fan.objects.filter(creator=creator, deleted_at=None)
    by_id: dict[str, int] = {}
    by_handle: dict[str, int] = {}
    for start in range(0, len(ids), CHUNK):
        found = mine.filter(platform_id__in=ids[start : start + CHUNK])
        by_id |= dict(found.values_list("platform_id", "pk"))
    for start in range(0, len(handles), CHUNK):
        found = mine.annotate(plain=Lower("handle")).filter(plain__in=handles[start : start + CHUNK]).order_by("pk")
        by_handle |= dict(found.values_list("plain", "pk"))
    # A handle stands for an id that nobody knows yet.
    return by_id, {handle: by_id[handle] for handle in handles if handle in by_id} | by_handle


def _unknown_told(count: int) -> str:
    return FANS_NOT_HERE % {"number": f"{count:,}"}
