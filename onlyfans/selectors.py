"""Answers what the OnlyFans boundary has stored, one creator at a time. Touches the database to read."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from crm.errors import NotFound
from crm.models import Creator
from crm.statements import statement_run
from messaging.gateways import Unready
from messaging.reasons import BlockCode
from onlyfans import csv_headers, csv_layout, import_summary
from onlyfans.event_payloads import deletion_line
from onlyfans.models import (
    Account,
    AccountState,
    ImportBatch,
    ImportJob,
    ImportKind,
    ImportPart,
    ImportRow,
    ImportStatus,
    Resource,
    SyncState,
    WebhookEvent,
)

ROWS_AT_A_TIME = 2_000
# So much of a key says which one it is, and opens nothing.
KEY_ENDING = 4


def account_for_creator(creator_id: int) -> Account | None:
    """The creator's vendor account with its key decrypted, connected or not."""
    return Account.objects.filter(creator_id=creator_id).first()


@dataclass(frozen=True, slots=True)
class Synced:
    """When the last finished sync of a resource began; None where none has finished."""

    resource: Resource
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Connection:
    """What a creator's people may know of their account: `state` is None where there never was one.

    `key_ending` tells owners and managers which key it is; empty for a key too short to show a part of.
    """

    state: AccountState | None
    account_id: str = ""
    key_ending: str = ""
    connected_at: datetime | None = None
    webhook_registered_at: datetime | None = None
    last_event_at: datetime | None = None
    synced: tuple[Synced, ...] = ()


def connection_get(*, creator: Creator) -> Connection:
    account = account_for_creator(creator.pk)
    if account is None:
        return Connection(state=None)
    states = sync_states(account=account)
    return Connection(
        state=AccountState(account.state),
        account_id=account.account_id,
        key_ending=account.api_key[-KEY_ENDING:] if len(account.api_key) >= 3 * KEY_ENDING else "",
        connected_at=account.created_at,
        webhook_registered_at=account.webhook_registered_at,
        last_event_at=(
            WebhookEvent.objects.filter(account=account).order_by("-pk").values_list("received_at", flat=True).first()
        ),
        synced=tuple(
            Synced(resource, states[resource].finished_at if resource in states else None) for resource in Resource
        ),
    )


def account_state(creator_id: int) -> AccountState | None:
    """None where there never was an account."""
    rows = statement_run("SELECT state FROM onlyfans_account WHERE creator_id = %s", [creator_id])
    return AccountState(rows[0][0]) if rows else None


def account_unready(creator_id: int) -> Unready | None:
    """What both gateways say of an account that they cannot send for."""
    state = account_state(creator_id)
    if state is None:
        return Unready(BlockCode.NO_ACCOUNT, gettext_noop("No OnlyFans account is connected."))
    if state is AccountState.DISCONNECTED:
        return Unready(BlockCode.NO_ACCOUNT, gettext_noop("The OnlyFans account is disconnected."))
    if state is AccountState.SESSION_EXPIRED:
        return Unready(BlockCode.SESSION_EXPIRED, gettext_noop("The OnlyFans session ended."))
    return None


def account_list(*, creator_ids: Collection[int] | None = None) -> list[Account]:
    """The connected accounts, of these creators or of all, in a fixed order; for operators' commands.

    Raises NotFound that names the creators which have none.
    """
    accounts = Account.objects.exclude(state=AccountState.DISCONNECTED).select_related("creator").order_by("pk")
    if creator_ids is None:
        return list(accounts)
    found = list(accounts.filter(creator__in=creator_ids))
    if missing := set(creator_ids) - {account.creator_id for account in found}:
        raise NotFound(f"No connected account belongs to creator {', '.join(map(str, sorted(missing)))}.")
    return found


def account_by_key(account_key: str) -> Account:
    """The account that an event's address names: the vendor's id. Of any creator, since the vendor signs in by it."""
    account = Account.objects.select_related("creator").filter(account_id=account_key).first()
    if account is None:
        raise NotFound("There is no such account.", code="account_not_found")
    return account


def deletion_known(*, account: Account, message_id: str) -> bool:
    """Whether the vendor told that this message was taken back, possibly before it told of the message."""
    return WebhookEvent.objects.filter(account=account, line=deletion_line(message_id)).exists()


def webhook_event_next() -> WebhookEvent | None:
    """The next event whose turn it is, locked until the caller's transaction ends; those that others hold are left out.

    In order within a line: an event waits while an earlier one of its line has not been tried. One that was tried and
    failed lets the later ones pass.
    """
    earlier = WebhookEvent.objects.filter(
        account=OuterRef("account"), line=OuterRef("line"), pk__lt=OuterRef("pk"), applied_at=None, attempts=0
    ).exclude(line="")
    return (
        WebhookEvent.objects.filter(applied_at=None)
        .filter(Q(attempts=0) | Q(retry_at__lte=timezone.now()))
        .exclude(Exists(earlier))
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
        .select_related("account__creator")
        .first()
    )


def webhook_event_list(*, failed: bool = False, event_id: str = "") -> QuerySet[WebhookEvent]:
    """Events that are not applied, in their order, for an operator; `failed`: only those that were tried."""
    events = WebhookEvent.objects.filter(applied_at=None).select_related("account").order_by("pk")
    if event_id:
        events = events.filter(event_id=event_id)
    return events.filter(attempts__gt=0) if failed else events


def sync_states(*, account: Account) -> dict[str, SyncState]:
    """How far each resource is, by its name."""
    return {state.resource: state for state in SyncState.objects.filter(account=account)}


def money_synced_at(creator_id: int) -> datetime | None:
    """When the last finished sync of the creator's transactions began; None before the first."""
    states = SyncState.objects.filter(account__creator=creator_id, resource=Resource.TRANSACTIONS)
    return states.values_list("finished_at", flat=True).first()


def import_list(*, creator: Creator, dry_run: bool | None = None) -> QuerySet[ImportBatch]:
    """The creator's imports without their rejected rows, unordered: a paginator orders them.

    dry_run: the checks alone, which changed nothing, or all but those; None for both.
    """
    imports = ImportBatch.objects.filter(creator=creator).select_related("created_by", "job")
    # Of a job it is known before the end.
    checks = Q(status=ImportStatus.DRY_RUN) | Q(job__dry_run=True)
    if dry_run is not None:
        imports = imports.filter(checks) if dry_run else imports.exclude(checks)
    return imports.defer("notices", "header", "job__mapping", "job__overwrite")


def import_get(*, creator: Creator, import_id: int) -> ImportBatch:
    batch = ImportBatch.objects.filter(creator=creator, pk=import_id).select_related("created_by", "job").first()
    if batch is None:
        raise NotFound(gettext("There is no such import."), code="import_not_found")
    return batch


def import_parts(job: ImportJob) -> Iterator[bytes]:
    """The file of a job that has not ended, piece by piece."""
    parts = ImportPart.objects.filter(job=job).order_by("number").values_list("content", flat=True)
    for part in parts.iterator(chunk_size=1):
        yield bytes(part)


def import_remembered(*, creator: Creator, header: Sequence[str], kind: ImportKind | None = None) -> ImportBatch | None:
    """The creator's last import, of this kind, of a file with exactly these columns; an undone one was a mistake."""
    done = ImportBatch.objects.filter(creator=creator, status=ImportStatus.DONE, header=list(header))
    if kind is not None:
        done = done.filter(kind=kind)
    return done.order_by("-created_at", "-pk").first()


def import_mended(*, creator: Creator, header: Sequence[str]) -> ImportBatch | None:
    """The creator's import whose rejected rows a file with this header has; None where it is another file."""
    import_id = import_summary.mended_import(header)
    return None if import_id is None else ImportBatch.objects.filter(creator=creator, pk=import_id).first()


def import_place(batch: ImportBatch, line: int) -> tuple[int, str]:
    """The number of a row in its sheet, and the sheet's name where several were read."""
    sheets = batch.reading.get("sheetsRead", [])
    sheet, row = csv_layout.row_in_sheet(line, len(sheets))
    return row, sheets[sheet] if sheets else ""


def import_rows_naming(*, creator: Creator, texts: Collection[str]) -> QuerySet[ImportRow]:
    """The rejected rows in which one of the texts stands somewhere, in any case, with their imports."""
    found = Q(pk__in=[])
    for text in texts:
        found |= Q(text__icontains=text)
    rows = ImportRow.objects.filter(batch__creator=creator, overtaken_by=None, fan_deleted=False)
    return rows.annotate(text=Cast("cells", TextField())).filter(found).select_related("batch").order_by("pk")


def import_rejected(batch: ImportBatch) -> Iterator[ImportRow]:
    """The rejected rows, in the order of the file and a few at a time."""
    rejected = batch.rows.filter(overtaken_by=None, fan_deleted=False)
    return rejected.order_by("line").iterator(chunk_size=ROWS_AT_A_TIME)


def import_problems(batch: ImportBatch) -> Iterator[dict[str, object]]:
    """`{row, sheet, column, value, error}` of each problem, in the order of the file; a row may have several.

    What cannot be seen of a value is written as its code: `\\u200b`.
    """
    for row in import_rejected(batch):
        number, sheet = import_place(batch, row.line)
        for problem in row.problems:
            yield {"row": number, "sheet": sheet, **problem, "value": csv_headers.shown(problem["value"])}


def import_notices(batch: ImportBatch) -> Iterator[dict[str, object]]:
    """`{row, sheet, text}` of what a person should know beside the problems: of the file, then of each skipped row."""
    for notice in batch.notices:
        yield {"row": notice["row"], "sheet": "", "text": notice["text"]}
    skipped = batch.rows.exclude(overtaken_by=None, fan_deleted=False).order_by("line")
    for line, by in skipped.values_list("line", "overtaken_by").iterator(chunk_size=ROWS_AT_A_TIME):
        deleted = gettext("Skipped: this fan was deleted. Restore the fan first to import the row.")
        overtaken = gettext("Skipped: row %(row)s is about the same fan, and the last one counts.")
        row, sheet = import_place(batch, line)
        told = deleted if by is None else overtaken % {"row": _row_told(*import_place(batch, by))}
        yield {"row": row, "sheet": sheet, "text": told}


def _row_told(row: int, sheet: str) -> str:
    return f"{row} ({sheet})" if sheet else str(row)
