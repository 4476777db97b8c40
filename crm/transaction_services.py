"""Answers how money becomes rows: each transaction counted once, whichever way it was told. The only writer of them.

Four sources tell of the same money: the platform's list (LEDGER), its event of a transaction (EVENT), a notification of
a tip or a purchase (NOTICE) and a file (FILE). A report is about a stored row, in this order of preference, when

1. it carries the same key: the platform's id, also where an event told of it, or the key of its own source; else
2. the row has no key of the report's source yet, and currency, kind (a first and a recurring subscription count as one
   kind) and fan are the same (a fan that one side does not know is no objection; two different names are), gross or net
   are equal, and the times lie within a tolerance; of several rows the nearest in time, each taken by one report.

The tolerance is two seconds between list and event, which show one ledger's time, and ten minutes otherwise: a
notification is stamped when it is shown, and files leave the seconds out. Two equal tips of one fan within ten minutes
stay two, because each report takes a row that its source has not spoken of.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from crm import fan_values
from crm.models import Creator, Transaction, TransactionKind, TransactionSource, TransactionStatus
from crm.wake_ups import ANYTHING, wake

# Rows that one statement names.
CHUNK = 1_000
TOLERANCE = timedelta(minutes=10)
LEDGER_TOLERANCE = timedelta(seconds=2)
# Whose figures count, the best first: a notification does not know the fee, a file may be rounded.
AUTHORITY = (TransactionSource.LEDGER, TransactionSource.EVENT, TransactionSource.FILE, TransactionSource.NOTICE)
LEDGERS = frozenset({TransactionSource.LEDGER, TransactionSource.EVENT})
KEY_OF = {
    TransactionSource.LEDGER: "platform_transaction_id",
    TransactionSource.EVENT: "event_id",
    TransactionSource.NOTICE: "notice_id",
    TransactionSource.FILE: "file_key",
}
FIGURES = ("kind", "status", "gross_cents", "fee_cents", "net_cents", "vat_cents", "currency", "occurred_at", "source")
WRITTEN = (*FIGURES, "fan_id", "fan_name", "message_id", *KEY_OF.values(), "updated_at")
# A status under which the creator keeps the money.
EARNED = (TransactionStatus.LOADING, TransactionStatus.DONE)


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """One report of money; amounts in cents, none negative, `net_cents` at most `gross_cents`.

    key: the report's id at its source. Of LEDGER it is the platform's id. Of FILE leave it empty: it is made from the
    row itself, and the second of two equal rows of one file gets another one; `platform_id` is a file's own column of
    the platform's ids, if it has one.
    """

    kind: TransactionKind
    gross_cents: int
    net_cents: int
    occurred_at: datetime
    source: TransactionSource
    key: str = ""
    platform_id: str = ""
    fee_cents: int = 0
    vat_cents: int = 0
    currency: str = "USD"
    status: TransactionStatus = TransactionStatus.DONE
    fan_id: int | None = None
    fan_name: str = ""
    message_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class TransactionOutcome:
    """How many reports were new money, told more of a stored row, or nothing new."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class _Stored:
    """The creator's rows that a batch may be about, and which of them are taken."""

    rows: dict[int, Transaction] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)


def transaction_bulk_record(
    *, creator: Creator, rows: Iterable[TransactionRow], raise_values: bool = False
) -> TransactionOutcome:
    """Store reports of money, each counted once (the rule stands above); the same reports again change nothing.

    The rows of a call are of one source, and those of one file belong into one call, because equal rows are told apart
    by their order. In one transaction and a few statements per thousand rows; two calls for one creator wait for each
    other.

    A better source's figures replace a lesser one's; fan and message are filled in where they are missing.
    The fans' values follow (crm/fan_values.py). raise_values: the money is news, as live events are, so that no value
    that a file or a person gave has it already.
    """
    keyed = _keyed(rows)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('crm.transaction_bulk_record', %s))", [creator.pk]
        )
        matches = _match(creator, keyed)
        new, changed, unchanged = [], {}, 0
        paid: list[tuple[Transaction, int]] = []
        for row, stored in zip(keyed, matches, strict=True):
            if stored is None:
                new.append(_new(creator, row))
                paid.append((new[-1], _earned(new[-1])))
                continue
            before = _earned(stored)
            if _tell(stored, row):
                changed[stored.pk] = stored
                paid.append((stored, _earned(stored) - before))
            else:
                unchanged += 1
        now = timezone.now()
        for stored in changed.values():
            stored.updated_at = now
        Transaction.objects.bulk_create(new, batch_size=CHUNK)
        Transaction.objects.bulk_update(list(changed.values()), WRITTEN, batch_size=CHUNK)
        changes = [
            fan_values.ValueChange(each.fan_id, each.occurred_at, cents)
            for each, cents in paid
            if cents and each.fan_id is not None
        ]
        fan_values.fan_values_follow(changes=changes, live=raise_values)
        if changes:
            wake(ANYTHING, creator_id=creator.pk)
    return TransactionOutcome(inserted=len(new), updated=len(keyed) - len(new) - unchanged, unchanged=unchanged)


def _keyed(rows: Iterable[TransactionRow]) -> list[TransactionRow]:
    """The rows with keys, one of each key (the last), in the order of time."""
    keyed: dict[str, TransactionRow] = {}
    counts: dict[str, int] = {}
    sources = set()
    for row in rows:
        sources.add(row.source)
        if len(sources) > 1 or (row.source != TransactionSource.FILE and not row.key):
            raise ValueError("The rows of a call are of one source, and only those of a file may lack a key.")
        named = row if row.key else replace(row, key=row.platform_id or _file_key(row, counts))
        keyed[named.key] = named
    return sorted(keyed.values(), key=lambda row: row.occurred_at)


def _file_key(row: TransactionRow, counts: dict[str, int]) -> str:
    """The same for the same row in another file; the n-th of equal rows has n in it."""
    said = (
        row.occurred_at.astimezone(UTC).isoformat(),
        row.kind,
        str(row.gross_cents),
        str(row.net_cents),
        row.currency,
        row.fan_name.lower() or str(row.fan_id or ""),
    )
    text = "\0".join(said)
    counts[text] = counts.get(text, 0) + 1
    return hashlib.sha256(f"{text}\0{counts[text]}".encode()).hexdigest()[:40]


def _match(creator: Creator, rows: Sequence[TransactionRow]) -> list[Transaction | None]:
    """The stored row of each report, None for new money: the same keys first, then the nearest that fits."""
    stored = _Stored()
    matches: list[Transaction | None] = [None] * len(rows)
    for start in range(0, len(rows), CHUNK):
        for offset, found in enumerate(_by_key(creator, rows[start : start + CHUNK], stored)):
            matches[start + offset] = found
    for start in range(0, len(rows), CHUNK):
        left = [place for place in range(start, min(start + CHUNK, len(rows))) if matches[place] is None]
        if left:
            near = _near(creator, [rows[place] for place in left], stored)
            for place in left:
                matches[place] = _nearest(rows[place], near, stored)
    return matches


def _by_key(creator: Creator, rows: Sequence[TransactionRow], stored: _Stored) -> list[Transaction | None]:
    wanted = Q()
    for source, column in KEY_OF.items():
        keys = {row.key for row in rows if row.source == source}
        if source in LEDGERS:
            keys |= {row.key for row in rows if row.source in LEDGERS}
            keys |= {row.platform_id for row in rows if row.platform_id}
        if keys:
            wanted |= Q(**{f"{column}__in": keys})
    found: dict[tuple[str, str], Transaction] = {}
    for each in Transaction.objects.filter(wanted, creator=creator):
        row = stored.rows.setdefault(each.pk, each)
        for source, column in KEY_OF.items():
            if key := getattr(row, column):
                found[(source, key)] = row
    answers: list[Transaction | None] = []
    for report in rows:
        names = [(report.source, report.key)]
        if platform_id := report.platform_id or (report.key if report.source in LEDGERS else ""):
            names += [(source, platform_id) for source in AUTHORITY if source in LEDGERS]
        match = next((found[name] for name in names if name in found), None)
        if match is not None:
            stored.taken.add(match.pk)
        answers.append(match)
    return answers


def _near(
    creator: Creator, rows: Sequence[TransactionRow], stored: _Stored
) -> dict[tuple[str, int], list[Transaction]]:
    """What lies within the tolerance of these rows, which are in the order of time, by gross and by net."""
    between = (rows[0].occurred_at - TOLERANCE, rows[-1].occurred_at + TOLERANCE)
    kinds = {kind for row in rows for kind in _kinds(row.kind)}
    found = Transaction.objects.filter(creator=creator, occurred_at__range=between, kind__in=kinds).order_by("pk")
    near: dict[tuple[str, int], list[Transaction]] = {}
    for each in found:
        known = stored.rows.setdefault(each.pk, each)
        near.setdefault(("gross", known.gross_cents), []).append(known)
        near.setdefault(("net", known.net_cents), []).append(known)
    return near


def _nearest(
    row: TransactionRow, near: Mapping[tuple[str, int], Sequence[Transaction]], stored: _Stored
) -> Transaction | None:
    equal = [*near.get(("gross", row.gross_cents), ()), *near.get(("net", row.net_cents), ())]
    fitting = [each for each in equal if each.pk not in stored.taken and _fits(row, each)]
    if not fitting:
        return None
    match = min(fitting, key=lambda each: (abs(each.occurred_at - row.occurred_at), each.pk))
    stored.taken.add(match.pk)
    return match


def _kinds(kind: TransactionKind | str) -> tuple[str, ...]:
    subscriptions = (TransactionKind.SUBSCRIPTION, TransactionKind.RECURRING)
    return subscriptions if kind in subscriptions else (kind,)


def _fits(row: TransactionRow, stored: Transaction) -> bool:
    """Whether a report may be about a row of an equal amount, of which its source has not spoken."""
    both_ledgers = row.source in LEDGERS and stored.source in LEDGERS
    other_id = bool(row.platform_id and stored.platform_transaction_id)
    return (
        not getattr(stored, KEY_OF[row.source])
        and not other_id
        and stored.kind in _kinds(row.kind)
        and stored.currency == row.currency
        and _same_fan(row, stored)
        and abs(stored.occurred_at - row.occurred_at) <= (LEDGER_TOLERANCE if both_ledgers else TOLERANCE)
    )


def _same_fan(row: TransactionRow, stored: Transaction) -> bool:
    if row.fan_id is not None and stored.fan_id is not None:
        return row.fan_id == stored.fan_id
    if row.fan_name and stored.fan_name:
        return row.fan_name.lower() == stored.fan_name.lower()
    return True


def _new(creator: Creator, row: TransactionRow) -> Transaction:
    made = Transaction(
        creator=creator,
        fan_id=row.fan_id,
        fan_name=row.fan_name[:200],
        message_id=row.message_id,
        **{name: getattr(row, name) for name in FIGURES},
    )
    setattr(made, KEY_OF[row.source], row.key)
    if row.platform_id:
        made.platform_transaction_id = row.platform_id
    return made


def _tell(stored: Transaction, row: TransactionRow) -> bool:
    """Put what the report knows better or alone into the row; whether that changed anything."""
    before = [getattr(stored, name) for name in WRITTEN]
    rank = {source: place for place, source in enumerate(AUTHORITY)}
    if rank[row.source] <= rank[TransactionSource(stored.source)]:
        for name in FIGURES:
            setattr(stored, name, getattr(row, name))
    setattr(stored, KEY_OF[row.source], getattr(stored, KEY_OF[row.source]) or row.key)
    stored.platform_transaction_id = stored.platform_transaction_id or row.platform_id or None
    stored.fan_id = stored.fan_id or row.fan_id
    stored.fan_name = stored.fan_name or row.fan_name[:200]
    stored.message_id = stored.message_id or row.message_id
    return [getattr(stored, name) for name in WRITTEN] != before


def _earned(stored: Transaction) -> int:
    """What the row adds to its fan's value."""
    counts = stored.fan_id is not None and stored.status in EARNED and stored.currency == fan_values.CURRENCY
    return stored.gross_cents if counts else 0
