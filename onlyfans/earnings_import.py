"""Imports a file of transactions, each counted once. Touches money and imports by their services."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO

from django.db import transaction
from django.db.models.functions import Lower
from django.utils import timezone

from crm.models import Creator, Fan, TransactionKind, TransactionSource, TransactionStatus, User
from crm.stored_words import kept_sentence
from crm.transaction_services import TransactionRecording, TransactionRow, transaction_recording
from onlyfans import csv_columns, csv_layout, earnings_payloads, import_services, import_summary, payloads
from onlyfans.csv_choices import Choices, mended_settle
from onlyfans.csv_import import filename_clean, headers_known, rejected_rows, size_check, size_of
from onlyfans.csv_layout import Layout
from onlyfans.csv_reader import Chunk, Sheet, sheet_open
from onlyfans.earnings_values import READ_AS, Earning, earning_values
from onlyfans.import_services import KeptRow
from onlyfans.models import ImportBatch, ImportKind

# Rows that are in memory as such, and fans that one query looks for.
CHUNK = 5_000
FANS_NOT_HERE = kept_sentence(
    "%(number)s rows name fans who are not here. Their money counts; to see it beside the fans, import the fans and "
    "then this file again."
)
NOT_PAID_HERE = kept_sentence(
    "This takes back a payment that is not known here: no earlier one of the same fan and amount. Import the file that "
    "has it first."
)
PAYOUTS_LEFT_OUT = kept_sentence("Rows of payouts were left out, as they are no payments of fans: %(lines)s.")


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
    changes nothing. Every row is inserted, updated, unchanged, skipped (a later row has the same id; it is a payout
    or another creator's) or rejected with the reason. A row with negative amounts takes an earlier payment back.
    A fan who is stored here is linked by id or handle, and worth at least what they paid.

    The arguments are those of fans_import, with the fields of earnings_payloads.FIELDS. Raises as fans_import does, and
    then nothing is stored.
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
            zone=creator.time_zone,
            creator=creator.name,
            dates_in="occurred_at",
            amounts_in=(*earnings_payloads.AMOUNTS, "vat_cents"),
            ids_in="transaction_id",
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
            with transaction.atomic():
                with transaction_recording(creator=creator, batch=batch.transaction_batch) as recording:
                    rows = _Rows(creator, batch, sheet, reading, recording)
                    rows.record(progress)
                # The dry run is the import itself, taken back: it cannot count otherwise than the import would.
                transaction.set_rollback(dry_run)
            import_services.import_rows_add(batch=batch, rows=rows.rejected)
            import_services.import_rows_add(batch=batch, rows=rows.overtaken)
            outcome = recording.outcome()
            left_out = import_summary.columns_left_out(sheet, columns)
            told = [
                *sheet.notices,
                *choices.notices,
                *reading.notices,
                *import_summary.left_out_told(left_out),
                *rows.notices(),
            ]
            import_services.import_finish(
                batch=batch,
                counts={
                    "inserted": outcome.inserted,
                    "updated": outcome.updated,
                    "unchanged": outcome.unchanged,
                    "skipped": len(rows.overtaken) + rows.left_out,
                },
                rejected_rows=len(rows.rejected),
                notices=[{"row": None, "text": text} for text in told],
                reading=import_summary.reading_kept(sheet, reading),
                contents=import_summary.kept_contents(left_out, rows.sums.kept()),
            )
            if on_stored is not None:
                on_stored(batch.pk)
    return batch


class _Rows:
    """The rows of a file on their way into money; what is kept here is of those that are not stored as the others."""

    def __init__(
        self,
        creator: Creator,
        batch: ImportBatch,
        sheet: Sheet,
        reading: payloads.Reading,
        recording: TransactionRecording,
    ) -> None:
        self._creator, self._batch, self._sheet, self._reading = creator, batch, sheet, reading
        self._recording = recording
        self._repeated = _repeated_ids(sheet, reading)
        # Rows of an id that several rows have, `{id: [(line, row)]}`, and those that take payments back.
        self._several: dict[str, list[tuple[int, Earning]]] = {}
        self._back: list[tuple[int, Earning, list[str]]] = []
        self.rejected: list[KeptRow] = []
        self.overtaken: list[KeptRow] = []
        self.left_out = self._unknown = 0
        self.sums = import_summary.MoneySums(creator.time_zone)
        self._payouts: list[int] = []

    def record(self, progress: Callable[[int, int], None] | None) -> None:
        done = 0
        for chunk in self._sheet.chunks():
            for start in range(0, len(chunk.cells), CHUNK):
                part = chunk.part(start, start + CHUNK)
                self._record_part(part)
                done += len(part.cells)
                if progress is not None:
                    progress(done, self._sheet.rows)
        for number, rows in self._several.items():
            last = rows[-1][0]
            self.overtaken += (KeptRow(line=line, overtaken_by=last) for line, _ in rows[:-1])
            self._several[number] = rows[-1:]
        self._store([earning for rows in self._several.values() for _, earning in rows])
        self._take_back()
        self.rejected.sort(key=lambda row: row.line)

    def _record_part(self, chunk: Chunk) -> None:
        found = earning_values(cells=chunk.cells, ragged=chunk.ragged, reading=self._reading)
        self.rejected += rejected_rows(chunk, found.problems)
        self.left_out += len(chunk.cells) - len(found.earnings) - len(found.problems)
        self._payouts += (int(chunk.lines[position]) for position in found.payouts)
        plain = []
        for position, earning in found.earnings.items():
            sign = -1 if earning.takes_back else 1
            self.sums.add(
                occurred_at=earning.occurred_at,
                currency=earning.currency,
                gross=sign * earning.gross_cents,
                fee=sign * earning.fee_cents,
                net=sign * earning.net_cents,
            )
            if earning.takes_back:
                self._back.append((int(chunk.lines[position]), earning, chunk.raw([position])[0]))
            elif earning.transaction_id in self._repeated:
                self._several.setdefault(earning.transaction_id, []).append((int(chunk.lines[position]), earning))
            else:
                plain.append(earning)
        self._store(plain)

    def _store(self, earnings: list[Earning]) -> None:
        if earnings:
            rows = self._transactions(earnings)
            self._unknown += sum(
                row.fan_id is None and bool(each.fan_id or each.handle)
                for each, row in zip(earnings, rows, strict=True)
            )
            self._recording.record(rows)

    def _take_back(self) -> None:
        rows = self._transactions([earning for _, earning, _ in self._back])
        for (line, _, cells), found in zip(self._back, self._recording.take_back(rows), strict=True):
            if not found:
                problem = {"column": "", "value": "", "error": NOT_PAID_HERE}
                self.rejected.append(KeptRow(line=line, problems=[problem], cells=cells))

    def _transactions(self, earnings: list[Earning]) -> list[TransactionRow]:
        by_id, by_handle = _fans(self._creator, earnings)
        return [
            TransactionRow(
                kind=KINDS[each.kind],
                status=STATUSES[each.status],
                gross_cents=each.gross_cents,
                fee_cents=each.fee_cents,
                net_cents=each.net_cents,
                vat_cents=each.vat_cents,
                currency=each.currency,
                occurred_at=each.occurred_at,
                source=TransactionSource.FILE,
                platform_id=each.transaction_id,
                fan_id=by_id.get(each.fan_id) or by_handle.get(each.handle),
                fan_name=each.fan_name or each.handle or each.fan_id,
                day_only=each.day_only,
                takes_back=each.takes_back,
            )
            for each in earnings
        ]

    def notices(self) -> Iterator[str]:
        """What a person should know of the file as a whole."""
        if self._payouts:
            yield PAYOUTS_LEFT_OUT % payloads.lines_told(self._payouts)
        if self._unknown:
            yield FANS_NOT_HERE % {"number": f"{self._unknown:,}"}


KINDS = {kind.value: kind for kind in TransactionKind}
STATUSES = {status.value: status for status in TransactionStatus}


def _repeated_ids(sheet: Sheet, reading: payloads.Reading) -> set[str]:
    """The ids that several rows have."""
    import pyarrow as pa
    import pyarrow.compute as pc

    position = reading.columns.positions.get("transaction_id")
    if position is None:
        return set()
    read_as = READ_AS["transaction_id"]
    ids = pa.chunked_array(
        [
            pa.array(csv_columns.parse("transaction_id", series, reading.manner, read_as=read_as).values)
            for [series] in sheet.columns([position])
        ],
        pa.string(),
    )
    counts = pc.value_counts(ids.drop_null())
    several = pc.greater(counts.field("counts"), 1)
    return set(counts.field("values").filter(several).to_pylist())


def _fans(creator: Creator, earnings: Iterable[Earning]) -> tuple[dict[str, int], dict[str, int]]:
    """The stored fans whom the file names, by id and by handle; of two with one handle the newer."""
    earnings = list(earnings)
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
