"""Answers how imports of files change; the only writer of their tables. Touches the database alone."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import IO, Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext

from crm.errors import Conflict, HuntazeError
from crm.fan_undo import FanUndo, fan_batch_undo
from crm.models import Creator, FanBatch, TransactionBatch, User
from crm.stored_words import kept_sentence
from crm.transaction_undo import TransactionUndo, transaction_batch_undo
from onlyfans.models import ImportBatch, ImportJob, ImportKind, ImportPart, ImportRow, ImportStatus

# A file is kept in rows of this size until its job has ended.
PART_BYTES = 1_000_000
# A job that ends its worker so often ends it again.
ATTEMPTS_MAX = 5
BROKEN_OFF = kept_sentence("The import was begun %(times)s times and broken off each time. Split the file.")
UNDONE = kept_sentence("Undone: %(deleted)s fans deleted, %(restored)s put back.")
UNDONE_IN_PART = kept_sentence(
    "Undone: %(deleted)s fans deleted, %(restored)s put back. %(kept)s were changed since and stay as they are."
)
MONEY_UNDONE = kept_sentence("Undone: %(deleted)s transactions deleted, %(restored)s put back.")
MONEY_UNDONE_IN_PART = kept_sentence(
    "Undone: %(deleted)s transactions deleted, %(restored)s put back. Another source told of %(kept)s since; they stay."
)


class KeptRow(NamedTuple):
    """A row for ImportRow, whose fields these are. There may be 100,000, and a model takes ten times as long."""

    line: int
    overtaken_by: int | None = None
    fan_deleted: bool = False
    problems: Sequence[Mapping[str, str]] = ()
    cells: Sequence[str] = ()


def import_begin(
    *,
    creator: Creator,
    user: User | None,
    filename: str,
    dry_run: bool,
    mapping: dict[str, str],
    header: list[str],
    overwrite: Collection[str],
    day_first: bool | None,
    kind: ImportKind = ImportKind.FANS,
    batch: ImportBatch | None = None,
) -> ImportBatch:
    """The record of a file that is about to be imported, in the transaction that imports it.

    `batch` is the record that waited for it, where it was left to a job.
    """
    if batch is None:
        batch = ImportBatch(creator=creator, created_by=user, filename=filename, kind=kind)
    if not dry_run and kind is ImportKind.FANS:
        batch.fan_batch = FanBatch.objects.create(creator=creator)
    elif not dry_run:
        batch.transaction_batch = TransactionBatch.objects.create(creator=creator, written_at=timezone.now())
    batch.status = ImportStatus.DRY_RUN if dry_run else ImportStatus.DONE
    batch.mapping, batch.header = mapping, header
    batch.overwrite, batch.day_first = sorted(overwrite), day_first
    batch.save()
    return batch


def import_row_emptied(*, row: ImportRow) -> None:
    """Forget what stood in a rejected row; it still counts as one, and for what."""
    ImportRow.objects.filter(pk=row.pk).update(
        cells=["" for _ in row.cells], problems=[{**problem, "value": ""} for problem in row.problems]
    )


def import_rows_add(*, batch: ImportBatch, rows: Iterable[KeptRow]) -> None:
    """Keep rows that are not stored as fans."""
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY onlyfans_importrow (batch_id, line, overtaken_by, fan_deleted, problems, cells) FROM STDIN"
        ) as copy,
    ):
        for row in rows:
            problems, cells = json.dumps(row.problems), json.dumps(row.cells)
            copy.write_row((batch.pk, row.line, row.overtaken_by, row.fan_deleted, problems, cells))


def import_finish(
    *,
    batch: ImportBatch,
    counts: dict[str, int],
    rejected_rows: int,
    notices: list[dict[str, Any]],
    reading: dict[str, Any],
    contents: dict[str, Any],
) -> None:
    """Say what became of the file; `counts` has inserted, updated, unchanged and skipped rows.

    `reading` and `contents` are import_summary's.
    """
    for name, count in counts.items():
        setattr(batch, name, count)
    batch.rejected_rows = rejected_rows
    batch.total_rows = sum(counts.values()) + rejected_rows
    batch.notices, batch.reading, batch.contents = notices, reading, contents
    batch.save(update_fields=[*counts, "rejected_rows", "total_rows", "notices", "reading", "contents"])


@transaction.atomic
def import_undo(*, batch: ImportBatch) -> FanUndo | TransactionUndo:
    """Take an import back as crm.fan_undo or, of transactions, crm.transaction_undo does.

    Raises Conflict with the reason: it was a dry run, was undone already, or its fans are in use by now.
    """
    batch = (
        ImportBatch.objects.select_for_update(of=("self",))
        .select_related("fan_batch", "transaction_batch")
        .get(pk=batch.pk)
    )
    if batch.status == ImportStatus.DRY_RUN:
        raise Conflict(gettext("A dry run changed nothing, so there is nothing to undo."), code="import_dry_run")
    if batch.status in (ImportStatus.QUEUED, ImportStatus.RUNNING, ImportStatus.FAILED):
        raise Conflict(gettext("This import has changed nothing, so there is nothing to undo."), code="import_not_done")
    if batch.status == ImportStatus.UNDONE:
        raise Conflict(gettext("This import was undone already."), code="import_undone")
    undone: FanUndo | TransactionUndo
    if batch.fan_batch is not None:
        undone = fan_batch_undo(batch=batch.fan_batch)
    elif batch.transaction_batch is not None:
        undone = transaction_batch_undo(batch=batch.transaction_batch)
    else:
        raise Conflict(
            gettext("This import is older than undoing; what it changed is not known."), code="import_too_old"
        )
    ImportBatch.objects.filter(pk=batch.pk).update(
        status=ImportStatus.UNDONE,
        undone_at=timezone.now(),
        notices=[*batch.notices, {"row": None, "text": undo_sentence(undone)}],
    )
    return undone


def undo_sentence(undone: FanUndo | TransactionUndo) -> str:
    """In English, as a row keeps it."""
    told = {name: f"{number:,}" for name, number in asdict(undone).items()}
    if isinstance(undone, TransactionUndo):
        return (MONEY_UNDONE_IN_PART if undone.kept else MONEY_UNDONE) % told
    return (UNDONE_IN_PART if undone.kept else UNDONE) % told


@transaction.atomic
def import_job_create(
    *,
    creator: Creator,
    user: User | None,
    filename: str,
    content: IO[bytes],
    mapping: Mapping[str, str | None] | None,
    overwrite: Collection[str] | None,
    day_first: bool | None,
    remembered: bool,
    dry_run: bool,
    kind: ImportKind,
    layout: dict[str, Any],
    decimal_mark: str,
) -> ImportJob:
    """Keep a file and what is to be done with it until a worker has time for it."""
    batch = ImportBatch.objects.create(
        creator=creator, created_by=user, filename=filename, kind=kind, status=ImportStatus.QUEUED
    )
    job = ImportJob.objects.create(
        batch=batch,
        mapping=None if mapping is None else dict(mapping),
        overwrite=None if overwrite is None else sorted(overwrite),
        day_first=day_first,
        remembered=remembered,
        dry_run=dry_run,
        layout=layout,
        decimal_mark=decimal_mark,
    )
    content.seek(0)
    for number, part in enumerate(iter(lambda: content.read(PART_BYTES), b"")):
        ImportPart.objects.create(job=job, number=number, content=part)
    return job


@transaction.atomic
def import_job_start(*, import_id: int) -> ImportJob | None:
    """Begin the job, or begin it again where its worker died; None where the import has ended or is gone."""
    job = (
        ImportJob.objects.select_for_update(of=("self", "batch"))
        .select_related("batch__creator", "batch__created_by")
        .filter(pk=import_id, batch__status__in=(ImportStatus.QUEUED, ImportStatus.RUNNING))
        .first()
    )
    if job is None:
        return None
    if job.attempts >= ATTEMPTS_MAX:
        _fail(job, BROKEN_OFF % {"times": job.attempts}, "broken_off")
        return None
    job.attempts += 1
    job.rows_done = job.rows_total = job.fans_done = job.fans_total = 0
    job.save(update_fields=["attempts", "rows_done", "rows_total", "fans_done", "fans_total"])
    job.batch.status = ImportStatus.RUNNING
    job.batch.save(update_fields=["status"])
    return job


def import_job_take(*, job: ImportJob) -> bool:
    """Whether the job is this transaction's until it ends: nobody else is at it, and it has not ended."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('onlyfans.import_job', %s))", [job.batch_id])
        [alone] = cursor.fetchone()
    return alone and ImportBatch.objects.filter(pk=job.batch_id, status=ImportStatus.RUNNING).exists()


def import_job_progress(*, job: ImportJob, done: int, total: int, writing: bool) -> None:
    """How many of the rows are read or, once all are and it is `writing`, how many of the new fans are written."""
    far = {"fans_done": done, "fans_total": total} if writing else {"rows_done": done, "rows_total": total}
    ImportJob.objects.filter(pk=job.pk).update(**far)


def import_job_end(*, job: ImportJob) -> None:
    """In the transaction that imported it: the file is not needed any more."""
    ImportPart.objects.filter(job=job).delete()


@transaction.atomic
def import_job_release(*, job: ImportJob) -> None:
    """Put back, because the worker was told to end; that counts as no attempt."""
    ImportJob.objects.filter(pk=job.pk).update(attempts=F("attempts") - 1)
    ImportBatch.objects.filter(pk=job.batch_id, status=ImportStatus.RUNNING).update(status=ImportStatus.QUEUED)


@transaction.atomic
def import_job_fail(*, job: ImportJob, error: HuntazeError) -> None:
    """Nothing was imported, and why; the file goes."""
    details = (each.detail for each in error.errors if each.detail != error.detail)
    _fail(job, " ".join([error.detail, *details]), error.code)


def _fail(job: ImportJob, sentence: str, code: str) -> None:
    import_job_end(job=job)
    ImportBatch.objects.filter(pk=job.batch_id, status__in=(ImportStatus.QUEUED, ImportStatus.RUNNING)).update(
        status=ImportStatus.FAILED, error=sentence, error_code=code
    )
