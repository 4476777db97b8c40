"""Answers how the OnlyFans boundary's tables change; the only writer of them. Touches the database alone."""

import json
import re
from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from crm.errors import Conflict, FieldError, InvalidInput
from crm.fan_undo import FanUndo, fan_batch_undo
from crm.models import Creator, FanBatch, User
from onlyfans.models import Account, AccountState, ImportBatch, ImportRow, ImportStatus

ACCOUNT_ID = re.compile(r"acct_[A-Za-z0-9_-]{1,59}")
# What an HTTP header can carry, without blanks.
API_KEY = re.compile(r"[!-~]{1,500}")


def account_connect(*, creator: Creator, account_id: str, api_key: str) -> Account:
    """Connect the creator to the vendor, or put a new id or key in the place of the old; the state is connected after.

    Raises InvalidInput, or Conflict (`account_taken`) where another creator holds the vendor account.
    """
    account_id, api_key = account_id.strip(), api_key.strip()
    errors: list[FieldError] = []
    if not ACCOUNT_ID.fullmatch(account_id):
        errors.append(FieldError("account_id", "invalid", "The vendor's account ids look like acct_1a2b3c."))
    if not API_KEY.fullmatch(api_key):
        errors.append(FieldError("api_key", "invalid", "A key is 1 to 500 printable ASCII characters without blanks."))
    if errors:
        raise InvalidInput("The account cannot be connected with these details.", errors=tuple(errors))
    try:
        with transaction.atomic():
            account, _ = Account.objects.update_or_create(
                creator=creator,
                defaults={"account_id": account_id, "api_key": api_key, "state": AccountState.CONNECTED},
            )
    except IntegrityError as error:
        raise Conflict("Another creator is connected to this vendor account.", code="account_taken") from error
    return account


def account_disconnect(*, creator: Creator) -> None:
    """Nothing more is sent for the creator until the account is connected again."""
    Account.objects.filter(creator=creator).update(state=AccountState.DISCONNECTED)


def import_begin(
    *, creator: Creator, user: User | None, filename: str, dry_run: bool, mapping: dict[str, str], header: list[str]
) -> ImportBatch:
    """The record of a file that is about to be imported, in the transaction that imports it."""
    return ImportBatch.objects.create(
        fan_batch=None if dry_run else FanBatch.objects.create(creator=creator),
        creator=creator,
        created_by=user,
        filename=filename,
        status=ImportStatus.DRY_RUN if dry_run else ImportStatus.DONE,
        mapping=mapping,
        header=header,
    )


def import_rows_add(*, batch: ImportBatch, rows: Iterable[ImportRow]) -> None:
    """Keep rows that are not stored as fans."""
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY onlyfans_importrow (batch_id, line, overtaken_by, problems, cells) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row((batch.pk, row.line, row.overtaken_by, json.dumps(row.problems), json.dumps(row.cells)))


def import_finish(
    *, batch: ImportBatch, counts: dict[str, int], rejected_rows: int, notices: list[dict[str, Any]]
) -> None:
    """Say what became of the file; `counts` has inserted, updated, unchanged and skipped rows."""
    for name, count in counts.items():
        setattr(batch, name, count)
    batch.rejected_rows = rejected_rows
    batch.total_rows = sum(counts.values()) + rejected_rows
    batch.notices = notices
    batch.save(update_fields=[*counts, "rejected_rows", "total_rows", "notices"])


@transaction.atomic
def import_undo(*, batch: ImportBatch) -> FanUndo:
    """Take an import back as crm.fan_undo does.

    Raises Conflict with the reason: it was a dry run, was undone already, or its fans are in use by now.
    """
    batch = ImportBatch.objects.select_for_update(of=("self",)).select_related("fan_batch").get(pk=batch.pk)
    if batch.status == ImportStatus.DRY_RUN:
        raise Conflict("A dry run changed nothing, so there is nothing to undo.", code="import_dry_run")
    if batch.status == ImportStatus.UNDONE:
        raise Conflict("This import was undone already.", code="import_undone")
    if batch.fan_batch is None:
        raise Conflict("This import is older than undoing; what it changed is not known.", code="import_too_old")
    undone = fan_batch_undo(batch=batch.fan_batch)
    ImportBatch.objects.filter(pk=batch.pk).update(
        status=ImportStatus.UNDONE,
        undone_at=timezone.now(),
        notices=[*batch.notices, {"row": None, "text": undo_sentence(undone)}],
    )
    return undone


def undo_sentence(undone: FanUndo) -> str:
    kept = f" {undone.kept:,} were changed since and stay as they are." if undone.kept else ""
    return f"Undone: {undone.deleted:,} fans deleted, {undone.restored:,} put back.{kept}"
