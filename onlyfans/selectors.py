"""Answers what the OnlyFans boundary has stored, one creator at a time. Touches the database to read."""

from collections.abc import Iterator

from django.db.models import QuerySet

from crm.errors import NotFound
from crm.models import Creator
from onlyfans.models import Account, ImportBatch, ImportRow

ROWS_AT_A_TIME = 2_000


def account_for_creator(creator_id: int) -> Account | None:
    """The creator's vendor account with its key decrypted, connected or not."""
    return Account.objects.filter(creator_id=creator_id).first()


def import_list(*, creator: Creator) -> QuerySet[ImportBatch]:
    """The creator's imports without their rejected rows, unordered: a page or a paginator orders them."""
    return ImportBatch.objects.filter(creator=creator).select_related("created_by").defer("notices", "header")


def import_get(*, creator: Creator, import_id: int) -> ImportBatch:
    batch = ImportBatch.objects.filter(creator=creator, pk=import_id).select_related("created_by").first()
    if batch is None:
        raise NotFound("There is no such import.", code="import_not_found")
    return batch


def import_rejected(batch: ImportBatch) -> Iterator[ImportRow]:
    """The rejected rows, in the order of the file and a few at a time."""
    return batch.rows.filter(overtaken_by=None).order_by("line").iterator(chunk_size=ROWS_AT_A_TIME)


def import_problems(batch: ImportBatch) -> Iterator[dict[str, object]]:
    """`{row, column, value, error}` of each problem, in the order of the file; a row may have several."""
    for row in import_rejected(batch):
        for problem in row.problems:
            yield {"row": row.line, **problem}


def import_notices(batch: ImportBatch) -> Iterator[dict[str, object]]:
    """`{row, text}` of what a person should know beside the problems: of the file first, then of each skipped row."""
    yield from batch.notices
    skipped = batch.rows.exclude(overtaken_by=None).order_by("line").values_list("line", "overtaken_by")
    for line, by in skipped.iterator(chunk_size=ROWS_AT_A_TIME):
        yield {"row": line, "text": f"Skipped: line {by} is about the same fan, and the last one counts."}
