"""Money as rows: each transaction counted once, whichever way it was told. The only writer of them.

Four sources tell of the same money: the platform's list (LEDGER), its event of a transaction (EVENT), a notification of
a tip or a purchase (NOTICE) and a file (FILE). A report is about a stored row, in this order of preference, when

1. it carries the same key: the platform's id, also where an event told of it, or the key of its own source; else
2. the row has no key of the report's source yet, and currency, kind (a first and a recurring subscription count as one
   kind) and fan are the same (a fan that one side does not know is no objection; two different names are), gross or net
   are equal, and the times lie within a tolerance; of several rows the nearest in time, each taken by one report.

The tolerance is two seconds between list and event, which show one ledger's time, and ten minutes otherwise: a
notification is stamped when it is shown, and files leave the seconds out. Two equal tips of one fan within ten minutes
stay two, because each report takes a row that its source has not spoken of.

A file is saved in between by a spreadsheet, which may drop the seconds, the time or the ids. So a row of a file may be
about a row that another file told of, where they do not both have an id of the platform's: when they are of the same
time, to the minute where one of them has no seconds, to the day in the creator's zone where one has no time.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from psycopg.types.json import Jsonb

from crm import fan_values
from crm.models import (
    Creator,
    Transaction,
    TransactionBatch,
    TransactionKind,
    TransactionSource,
    TransactionStatus,
)
from crm.transaction_undo import LOCK
from crm.wake_ups import ANYTHING, wake

# Rows that one statement names.
CHUNK = 1_000
VALUES_CHUNK = 20_000
TOLERANCE = timedelta(minutes=10)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
WRITTEN = (*FIGURES, "fan_id", "fan_name", "message_id", *KEY_OF.values(), "taken_back_key", "updated_at")
# A status under which the creator keeps the money.
EARNED = (TransactionStatus.LOADING, TransactionStatus.DONE)


class TransactionRow(NamedTuple):
    """One report of money; amounts in cents, none negative, `net_cents` at most `gross_cents`.

    day_only: the source has no time of the day. takes_back: the row is no payment, it takes an earlier one back.

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
    day_only: bool = False
    takes_back: bool = False


@dataclass(frozen=True, slots=True)
class TransactionOutcome:
    """How many reports were new money, told more of a stored row, or nothing new."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(slots=True)
class _Stored:
    """The creator's rows that some reports may be about, and which of them are taken."""

    rows: dict[int, Transaction] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)


def transaction_bulk_record(
    *, creator: Creator, rows: Iterable[TransactionRow], raise_values: bool = False
) -> TransactionOutcome:
    """Store reports of money, each counted once (the rule stands above); the same reports again change nothing.

    The rows of a call are of one source. In one transaction and a few statements per thousand rows; two calls for one
    creator wait for each other.

    A better source's figures replace a lesser one's; fan and message are filled in where they are missing.
    The fans' values follow (crm/fan_values.py). raise_values: the money is news, as live events are, so that no value
    that a file or a person gave has it already.
    """
    with transaction_recording(creator=creator, raise_values=raise_values) as recording:
        recording.record(rows)
    return recording.outcome()


@contextmanager
def transaction_recording(
    *, creator: Creator, raise_values: bool = False, batch: TransactionBatch | None = None
) -> Iterator["TransactionRecording"]:
    """As transaction_bulk_record, of reports that come in pieces, each of which is in memory alone.

    The rows of one file belong into one recording, because equal rows are told apart by their order. With `batch` it is
    written down what this changes, so that crm.transaction_undo can take it back.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOCK, {"creator": creator.pk})
        recording = TransactionRecording(creator, batch)
        yield recording
        recording.values_follow(live=raise_values)


class TransactionRecording:
    """The reports of one source on their way into the creator's rows."""

    def __init__(self, creator: Creator, batch: TransactionBatch | None) -> None:
        self._creator = creator
        self._batch = batch
        self._zone = _zone_of(creator)
        self._now = timezone.now() if batch is None else batch.written_at
        # How many equal rows without an id there were, by the hash of what they say.
        self._equal: dict[int, int] = {}
        self._taken: set[int] = set()
        self._inserted = self._updated = self._unchanged = 0
        # By payment and not by fan: which money a value has already is told by its time.
        # Fan, microseconds since 1970 and cents in turn, 24 bytes for each of the hundred thousands of a file.
        self._paid = array("q")

    def outcome(self) -> TransactionOutcome:
        return TransactionOutcome(inserted=self._inserted, updated=self._updated, unchanged=self._unchanged)

    def record(self, rows: Iterable[TransactionRow]) -> None:
        """Store some reports of payments."""
        keyed = self._keyed(rows)
        new: list[TransactionRow] = []
        changed: list[Transaction] = []
        before: list[tuple[int, dict[str, Any]]] = []
        for start in range(0, len(keyed), CHUNK):
            part = keyed[start : start + CHUNK]
            for row, stored in zip(part, self._match(part), strict=True):
                if stored is None:
                    new.append(row)
                    self._pay(row.fan_id, row.occurred_at, _earned(row))
                    continue
                earned, was = _earned(stored), {name: getattr(stored, name) for name in WRITTEN}
                if _tell(stored, row, self._zone):
                    changed.append(stored)
                    before.append((stored.pk, was))
                    self._pay(stored.fan_id, stored.occurred_at, _earned(stored) - earned)
                else:
                    self._unchanged += 1
        self._insert(new)
        self._change(changed, before)
        self._inserted += len(new)

    def take_back(self, rows: Iterable[TransactionRow]) -> list[bool]:
        """Which of these reports, none of whom is a payment, found the payment that they take back.

        It is the latest one before with the same fan, gross and currency that was not taken back; for a report that was
        seen before, the same as then.
        """
        found: dict[str, bool] = {}
        keyed = [(row.platform_id or self._file_key(row), row) for row in rows]
        known = Transaction.objects.filter(creator=self._creator, taken_back_key__in=[key for key, _ in keyed])
        seen = set(known.values_list("taken_back_key", flat=True)) if keyed else set()
        for key, row in sorted(keyed, key=lambda each: each[1].occurred_at):
            if key in seen:
                self._unchanged += 1
                found[key] = True
                continue
            stored = self._payment_of(row)
            found[key] = stored is not None
            if stored is None:
                continue
            was, earned = {name: getattr(stored, name) for name in WRITTEN}, _earned(stored)
            stored.status, stored.taken_back_key = TransactionStatus.UNDO, key
            self._change([stored], [(stored.pk, was)])
            self._pay(stored.fan_id, stored.occurred_at, _earned(stored) - earned)
        return [found[key] for key, _ in keyed]

    def values_follow(self, *, live: bool) -> None:
        """The fans' values, once all is stored."""
        if self._batch is not None:
            self._batch.save()
        for start in range(0, len(self._paid), 3 * VALUES_CHUNK):
            part = self._paid[start : start + 3 * VALUES_CHUNK]
            changes = [
                fan_values.ValueChange(fan_id, EPOCH + timedelta(microseconds=at), cents)
                for fan_id, at, cents in zip(part[::3], part[1::3], part[2::3], strict=True)
            ]
            fan_values.fan_values_follow(changes=changes, live=live)
        if self._paid:
            wake(ANYTHING, creator_id=self._creator.pk)

    def _pay(self, fan_id: int | None, occurred_at: datetime, cents: int) -> None:
        if cents and fan_id is not None:
            self._paid.extend((fan_id, (occurred_at - EPOCH) // timedelta(microseconds=1), cents))

    def _keyed(self, rows: Iterable[TransactionRow]) -> list[TransactionRow]:
        """The rows with keys, one of each key (the last), in the order of time."""
        keyed: dict[str, TransactionRow] = {}
        sources = set()
        for row in rows:
            sources.add(row.source)
            if len(sources) > 1 or (row.source != TransactionSource.FILE and not row.key):
                raise ValueError("The rows of a call are of one source, and only those of a file may lack a key.")
            key = row.key or row.platform_id or self._file_key(row)
            keyed[key] = row if row.key else row._replace(key=key)
        return sorted(keyed.values(), key=lambda row: row.occurred_at)

    def _file_key(self, row: TransactionRow) -> str:
        """The same for the same row in another file; the n-th of equal rows has n in it."""
        said = (
            row.occurred_at.astimezone(UTC).isoformat(),
            row.kind,
            str(row.gross_cents),
            str(row.net_cents),
            row.currency,
            row.fan_name.lower() or str(row.fan_id or ""),
        )
        text = "\0".join(("-", *said) if row.takes_back else said)
        number = self._equal[hash(text)] = self._equal.get(hash(text), 0) + 1
        return hashlib.sha256(f"{text}\0{number}".encode()).hexdigest()[:40]

    def _match(self, rows: Sequence[TransactionRow]) -> list[Transaction | None]:
        """The stored row of each report, None for new money: the same keys first, then the nearest that fits."""
        stored = _Stored(taken=self._taken)
        matches = _by_key(self._creator, rows, stored)
        left = [place for place, match in enumerate(matches) if match is None]
        if left:
            near = self._near([rows[place] for place in left], stored)
            for place in left if near else ():
                matches[place] = self._nearest(rows[place], near, stored)
        return matches

    def _near(self, rows: Sequence[TransactionRow], stored: _Stored) -> dict[tuple[str, int], list[Transaction]]:
        """What lies within the tolerance of these rows, which are in the order of time, by gross and by net."""
        low, high = rows[0].occurred_at - DAY, rows[-1].occurred_at + DAY
        # Only rows of an amount that is told of, so that files in no order do not read all there is.
        found = Transaction.objects.filter(
            Q(gross_cents__in={row.gross_cents for row in rows}) | Q(net_cents__in={row.net_cents for row in rows}),
            creator=self._creator,
            occurred_at__range=(low, high),
            kind__in={kind for row in rows for kind in _kinds(row.kind)},
        ).order_by("pk")
        near: dict[tuple[str, int], list[Transaction]] = {}
        for each in found:
            if each.pk in stored.taken:
                continue
            known = stored.rows.setdefault(each.pk, each)
            near.setdefault(("gross", known.gross_cents), []).append(known)
            near.setdefault(("net", known.net_cents), []).append(known)
        return near

    def _nearest(
        self, row: TransactionRow, near: Mapping[tuple[str, int], Sequence[Transaction]], stored: _Stored
    ) -> Transaction | None:
        equal = [*near.get(("gross", row.gross_cents), ()), *near.get(("net", row.net_cents), ())]
        fitting = [each for each in equal if each.pk not in stored.taken and _fits(row, each, self._zone)]
        if not fitting:
            return None
        match = min(fitting, key=lambda each: (abs(each.occurred_at - row.occurred_at), each.pk))
        stored.taken.add(match.pk)
        return match

    def _payment_of(self, row: TransactionRow) -> Transaction | None:
        if row.fan_id is None and not row.fan_name:
            return None
        payments = Transaction.objects.filter(
            creator=self._creator, gross_cents=row.gross_cents, currency=row.currency, status__in=EARNED,
            occurred_at__lt=row.occurred_at + (DAY if row.day_only else timedelta(seconds=1)), taken_back_key=None,
        )  # fmt: skip
        if row.kind != TransactionKind.OTHER:
            payments = payments.filter(kind__in=_kinds(row.kind))
        if row.platform_id and (same := payments.filter(platform_transaction_id=row.platform_id).first()):
            return same
        return next((each for each in payments.order_by("-occurred_at", "-pk") if _same_fan_known(row, each)), None)

    def _insert(self, rows: Sequence[TransactionRow]) -> None:
        if not rows:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence('crm_transaction', 'id')) FROM generate_series(1, %s)",
                [len(rows)],
            )
            ids = sorted(number for (number,) in cursor.fetchall())
            with cursor.copy(_COPY) as copy:
                for number, row in zip(ids, rows, strict=True):
                    copy.write_row(_columns_of(row, number, self._creator.pk, self._now))
        self._taken.update(ids)
        if self._batch is not None:
            for first, last in _ranges(ids):
                self._batch.first_ids.append(first)
                self._batch.last_ids.append(last)

    def _change(self, changed: Sequence[Transaction], before: Sequence[tuple[int, dict[str, Any]]]) -> None:
        self._updated += len(changed)
        for stored in changed:
            stored.updated_at = self._now
        Transaction.objects.bulk_update(changed, WRITTEN, batch_size=CHUNK)
        if self._batch is not None and before:
            made = _Ranges(self._batch)
            # psycopg's own, which Django's types do not know.
            rows: list[Any] = [
                (self._batch.pk, number, Jsonb(was, dumps=_json)) for number, was in before if number not in made
            ]
            with connection.cursor() as cursor:
                # What was before the first change is what comes back.
                cursor.executemany(
                    "INSERT INTO crm_transactionbefore (batch_id, transaction_id, before) VALUES (%s, %s, %s) "
                    "ON CONFLICT DO NOTHING",
                    rows,
                )


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
    # Its values in the text: a plan made for any values would look through all of the creator's rows.
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


def _kinds(kind: TransactionKind | str) -> tuple[str, ...]:
    subscriptions = (TransactionKind.SUBSCRIPTION, TransactionKind.RECURRING)
    return subscriptions if kind in subscriptions else (kind,)


def _fits(row: TransactionRow, stored: Transaction, zone: tzinfo) -> bool:
    """Whether a report may be about a row of an equal amount, of which its source has not spoken."""
    if row.platform_id and stored.platform_transaction_id:
        return False
    if stored.kind not in _kinds(row.kind) or stored.currency != row.currency or not _same_fan(row, stored):
        return False
    if _is_day(stored, zone) or (row.source == TransactionSource.FILE and (row.day_only or stored.file_key)):
        return _same_time(row, stored, zone)
    if getattr(stored, KEY_OF[row.source]):
        return False
    both_ledgers = row.source in LEDGERS and stored.source in LEDGERS
    return abs(stored.occurred_at - row.occurred_at) <= (LEDGER_TOLERANCE if both_ledgers else TOLERANCE)


def _same_time(row: TransactionRow, stored: Transaction, zone: tzinfo) -> bool:
    """Whether two files, or a file of days and any source, tell of one time, as exactly as both have it."""
    here, there = row.occurred_at.astimezone(zone), stored.occurred_at.astimezone(zone)
    if row.day_only or _is_day(stored, zone):
        return here.date() == there.date()
    if not here.second or not there.second:
        return here.replace(second=0, microsecond=0) == there.replace(second=0, microsecond=0)
    return here.replace(microsecond=0) == there.replace(microsecond=0)


def _is_day(stored: Transaction, zone: tzinfo) -> bool:
    """Whether the row is of a file that had no time of the day, as far as the row shows it."""
    there = stored.occurred_at.astimezone(zone)
    return stored.source == TransactionSource.FILE and (there.hour, there.minute, there.second) == (0, 0, 0)


def _same_fan_known(row: TransactionRow, stored: Transaction) -> bool:
    """Whether both name a fan, and the same one."""
    if row.fan_id is not None and stored.fan_id is not None:
        return row.fan_id == stored.fan_id
    return bool(row.fan_name) and row.fan_name.lower() == stored.fan_name.lower()


def _same_fan(row: TransactionRow, stored: Transaction) -> bool:
    if row.fan_id is not None and stored.fan_id is not None:
        return row.fan_id == stored.fan_id
    if row.fan_name and stored.fan_name:
        return row.fan_name.lower() == stored.fan_name.lower()
    return True


_COPIED = ("id", "creator_id", "fan_id", "fan_name", "message_id", *FIGURES, *KEY_OF.values(), "updated_at")
_COPY = f"COPY crm_transaction ({', '.join(_COPIED)}) FROM STDIN"


def _columns_of(row: TransactionRow, number: int, creator_id: int, now: datetime) -> list[Any]:
    keys = {column: row.key if source == row.source else None for source, column in KEY_OF.items()}
    if row.platform_id:
        keys[KEY_OF[TransactionSource.LEDGER]] = row.platform_id
    figures = [getattr(row, name) for name in FIGURES]
    return [number, creator_id, row.fan_id, row.fan_name[:200], row.message_id, *figures, *keys.values(), now]


def _ranges(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = ids[0]
    for number in ids[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last


class _Ranges:
    """The ids that a batch made."""

    def __init__(self, batch: TransactionBatch | None) -> None:
        self._ranges = [] if batch is None else list(zip(batch.first_ids, batch.last_ids, strict=True))

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self._ranges)


def _json(value: object) -> str:
    # Times with their microseconds, which Django's encoder cuts off.
    return json.dumps(value, default=str)


def _zone_of(creator: Creator) -> tzinfo:
    try:
        return ZoneInfo(creator.time_zone)
    except (KeyError, ValueError, OSError):
        return UTC


def _tell(stored: Transaction, row: TransactionRow, zone: tzinfo) -> bool:
    """Put what the report knows better or alone into the row; whether that changed anything."""
    before = [getattr(stored, name) for name in WRITTEN]
    rank = {source: place for place, source in enumerate(AUTHORITY)}
    if rank[row.source] <= rank[TransactionSource(stored.source)]:
        told = {name: getattr(row, name) for name in FIGURES}
        if row.source == TransactionSource.FILE:
            told |= _kept_of(stored, row, zone)
        for name, value in told.items():
            setattr(stored, name, value)
    setattr(stored, KEY_OF[row.source], getattr(stored, KEY_OF[row.source]) or row.key)
    stored.platform_transaction_id = stored.platform_transaction_id or row.platform_id or None
    stored.fan_id = stored.fan_id or row.fan_id
    stored.fan_name = stored.fan_name or row.fan_name[:200]
    stored.message_id = stored.message_id or row.message_id
    return [getattr(stored, name) for name in WRITTEN] != before


def _kept_of(stored: Transaction, row: TransactionRow, zone: tzinfo) -> dict[str, Any]:
    """What a row of a file does not say anew: a time that it has less exactly, and that it was not taken back."""
    kept: dict[str, Any] = {}
    more_exact = not row.day_only and (_is_day(stored, zone) or not stored.occurred_at.second)
    if _same_time(row, stored, zone) and not more_exact:
        kept["occurred_at"] = stored.occurred_at
    if stored.taken_back_key:
        kept["status"] = stored.status
    return kept


def _earned(stored: Transaction | TransactionRow) -> int:
    """What the row adds to its fan's value."""
    counts = stored.fan_id is not None and stored.status in EARNED and stored.currency == fan_values.CURRENCY
    return stored.gross_cents if counts else 0
