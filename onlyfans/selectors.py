"""Answers what the OnlyFans boundary has stored, one creator at a time. Touches the database to read."""

from collections.abc import Collection, Iterator

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from crm.errors import NotFound
from crm.models import Creator
from onlyfans.models import Account, ImportBatch


def account_for_creator(creator_id: int) -> Account | None:
    """The creator's vendor account with its key decrypted, connected or not."""
    return Account.objects.filter(creator_id=creator_id).first()


def import_list(*, creator: Creator) -> QuerySet[ImportBatch]:
    """The creator's imports without their rejected rows, unordered: a page or a paginator orders them."""
    return (
        ImportBatch.objects.filter(creator=creator).select_related("created_by").defer("rejected", "notices", "header")
    )


def import_get(*, creator: Creator, import_id: int) -> ImportBatch:
    batch = ImportBatch.objects.filter(creator=creator, pk=import_id).select_related("created_by").first()
    if batch is None:
        raise NotFound("There is no such import.", code="import_not_found")
    return batch


def import_list_naming(*, creator: Creator, texts: Collection[str]) -> QuerySet[ImportBatch]:
    """The imports with a rejected row in which one of the texts stands somewhere, in any case."""
    found = Q(pk__in=[])
    for text in texts:
        found |= Q(rejected_text__icontains=text)
    batches = ImportBatch.objects.filter(creator=creator, rejected_rows__gt=0)
    return batches.annotate(rejected_text=Cast("rejected", TextField())).filter(found).order_by("pk")


def import_problems(batch: ImportBatch) -> Iterator[dict[str, object]]:
    """`{row, column, value, error}` of each problem, in the order of the file; a row may have several."""
    for rejected in batch.rejected:
        for problem in rejected["problems"]:
            yield {"row": rejected["row"], **problem}
