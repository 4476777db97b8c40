"""How a file of transactions is taken back. Touches the transactions that its batch wrote, and their fans' values."""

from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from crm import fan_values
from crm.models import Transaction, TransactionBatch
from crm.wake_ups import ANYTHING, wake

# A writer of a creator's transactions holds it until the end of the database's transaction.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('crm.transaction_bulk_record', %(creator)s))"


@dataclass(frozen=True, slots=True)
class TransactionUndo:
    """How many transactions went, how many are as before, and how many stay because another source told of them too."""

    deleted: int
    restored: int
    kept: int


_CREATE = """
CREATE TEMPORARY TABLE transaction_undo_row ON COMMIT DROP AS
SELECT t.id, true AS inserted
FROM crm_transactionbatch AS b
CROSS JOIN unnest(b.first_ids, b.last_ids) AS made(first, last)
JOIN crm_transaction AS t ON t.id BETWEEN made.first AND made.last AND t.creator_id = b.creator_id
WHERE b.id = %(batch)s
UNION ALL
SELECT transaction_id, before IS NULL OR before = 'null' FROM crm_transactionbefore WHERE batch_id = %(batch)s
"""
# A file that changed what this one had written is to bring back, when it is undone itself, what was before both.
_HAND_DOWN = """
UPDATE crm_transactionbefore AS later SET before = mine.before
FROM transaction_undo_row AS r
LEFT JOIN crm_transactionbefore AS mine ON mine.batch_id = %(batch)s AND mine.transaction_id = r.id
WHERE later.transaction_id = r.id AND later.batch_id <> %(batch)s
    AND (later.before->>'updated_at')::timestamptz = %(written)s
"""
# Every write of a transaction moves `updated_at`.
_KEEP = """
DELETE FROM transaction_undo_row AS r USING crm_transaction AS t WHERE t.id = r.id AND t.updated_at <> %(written)s
"""
_COUNTED = "t.fan_id IS NOT NULL AND t.status IN ('loading', 'done') AND t.currency = %(currency)s"
# What each row adds to its fan's value, now and once it is undone.
_CHANGES = f"""
SELECT t.fan_id, t.occurred_at, -t.gross_cents FROM transaction_undo_row AS r JOIN crm_transaction AS t USING (id)
WHERE {_COUNTED}
UNION ALL
SELECT t.fan_id, t.occurred_at, t.gross_cents
FROM transaction_undo_row AS r
JOIN crm_transactionbefore AS b ON b.batch_id = %(batch)s AND b.transaction_id = r.id
CROSS JOIN LATERAL jsonb_populate_record(NULL::crm_transaction, b.before) AS t
WHERE NOT r.inserted AND {_COUNTED}
UNION ALL
-- A fan whom only the money before knew, or only the money now, is settled too.
SELECT t.fan_id, t.occurred_at, 0 FROM transaction_undo_row AS r JOIN crm_transaction AS t USING (id)
WHERE t.fan_id IS NOT NULL
"""  # noqa: S608  parts of this module
_DELETE = "DELETE FROM crm_transaction AS t USING transaction_undo_row AS r WHERE t.id = r.id AND r.inserted"
_RESTORE = """
UPDATE crm_transaction AS t
SET {columns}
FROM transaction_undo_row AS r
JOIN crm_transactionbefore AS b ON b.batch_id = %(batch)s AND b.transaction_id = r.id
CROSS JOIN LATERAL jsonb_populate_record(NULL::crm_transaction, b.before) AS was
WHERE t.id = r.id AND NOT r.inserted
"""
# All that a report may change; `updated_at` too, by which the file that wrote it before knows it again.
_COLUMNS = [
    field.column
    for field in Transaction._meta.concrete_fields  # noqa: SLF001  Django's documented way to a model's fields
    if field.name not in ("id", "creator", "created_at")
]


@transaction.atomic
def transaction_batch_undo(*, batch: TransactionBatch) -> TransactionUndo:
    """Delete the transactions that the file made and put back those that it changed; the fans' values follow.

    What another source told of since stays as it is. Where a later file changed it, that one puts back what was before
    both. The batch is gone afterwards, and with it what it remembered.
    """
    values: dict[str, Any] = {"batch": batch.pk, "written": batch.written_at, "currency": fan_values.CURRENCY}
    with connection.cursor() as cursor:
        cursor.execute(LOCK, {"creator": batch.creator_id})
        cursor.execute(_CREATE, values)
        cursor.execute("SELECT count(*) FROM transaction_undo_row")
        [count] = cursor.fetchone()
        cursor.execute(_HAND_DOWN, values)
        cursor.execute(_KEEP, values)
        cursor.execute(_CHANGES, values)
        changes = [fan_values.ValueChange(*row) for row in cursor.fetchall()]
        columns = ", ".join(f"{name} = was.{name}" for name in _COLUMNS)
        cursor.execute(_RESTORE.format(columns=columns), values)
        restored = cursor.rowcount
        cursor.execute("DELETE FROM crm_transactionbefore WHERE batch_id = %(batch)s", values)
        cursor.execute(_DELETE)
        deleted = cursor.rowcount
        cursor.execute("DROP TABLE transaction_undo_row")
    batch.delete()
    fan_values.fan_values_fall_back(changes=changes)
    wake(ANYTHING, creator_id=batch.creator_id)
    return TransactionUndo(deleted=deleted, restored=restored, kept=count - deleted - restored)
