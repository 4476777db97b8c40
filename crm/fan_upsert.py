"""Answers how many fans become rows at once: a file's or a sync's. Touches the fans of one creator, set by set."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from django.db import connection, transaction

from crm.models import Creator
from crm.payloads import FanRow


class FanOutcome(StrEnum):
    """What became of one row.

    Overtaken: a later row of the same batch is about the same fan. Deleted: somebody deleted the fan, and only a person
    brings them back.
    """

    INSERTED = "inserted"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    OVERTAKEN = "overtaken"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class FanUpsert:
    """One outcome per row, in their order; `overtaken_by` says for an overtaken row which one it was."""

    outcomes: list[FanOutcome]
    overtaken_by: dict[int, int] = field(default_factory=dict)

    def count(self, outcome: FanOutcome) -> int:
        return self.outcomes.count(outcome)


_CREATE = """
CREATE TEMPORARY TABLE fan_upsert_row (
    ord integer PRIMARY KEY,
    platform_id text NOT NULL,
    handle text NOT NULL,
    by_handle boolean NOT NULL,
    name text,
    email text,
    tags text[],
    notes text,
    value_cents bigint,
    last_seen_at timestamptz,
    stand_in bigint,
    overtaken_by integer,
    outcome text
) ON COMMIT DROP
"""
_COPY = """
COPY fan_upsert_row (ord, platform_id, handle, by_handle, name, email, tags, notes, value_cents, last_seen_at)
FROM STDIN
"""
_COPY_TYPES = ("int4", "text", "text", "bool", "text", "text", "text[]", "text", "int8", "timestamptz")

# A row that knows the handle alone is about the fan whose id another row of the batch tells, ...
_JOIN_WITHIN = """
UPDATE fan_upsert_row AS r
SET platform_id = known.platform_id, by_handle = false
FROM (
    SELECT DISTINCT ON (handle) handle, platform_id
    FROM fan_upsert_row
    WHERE NOT by_handle AND handle <> ''
    ORDER BY handle, ord DESC
) AS known
WHERE r.by_handle AND r.handle = known.handle
"""
# ... else about the fan who has the handle here: one whose id is known before one who is known by handle, too.
_JOIN_STORED = """
UPDATE fan_upsert_row AS r
SET platform_id = known.platform_id
FROM (
    SELECT DISTINCT ON (lower(f.handle)) lower(f.handle) AS handle, f.platform_id
    FROM crm_fan AS f
    WHERE f.creator_id = %(creator)s AND f.platform = %(platform)s
        AND lower(f.handle) IN (SELECT handle FROM fan_upsert_row WHERE by_handle)
    ORDER BY lower(f.handle), (f.deleted_at IS NOT NULL), (f.platform_id = lower(f.handle)),
        f.last_seen_at DESC NULLS LAST, f.id DESC
) AS known
WHERE r.by_handle AND r.handle = known.handle
"""
_OVERTAKE = """
UPDATE fan_upsert_row AS r
SET overtaken_by = latest.ord, outcome = 'overtaken'
FROM (SELECT platform_id, max(ord) AS ord FROM fan_upsert_row GROUP BY platform_id) AS latest
WHERE r.platform_id = latest.platform_id AND r.ord < latest.ord
"""
# A row that knows the id finds the fan for whom the handle stood in; where both are stored, both stay (crm.services).
_FIND_STAND_INS = """
UPDATE fan_upsert_row AS r
SET stand_in = found.id
FROM (
    SELECT DISTINCT ON (f.id) f.id, row.ord
    FROM fan_upsert_row AS row
    JOIN crm_fan AS f
        ON f.creator_id = %(creator)s AND f.platform = %(platform)s AND f.platform_id = row.handle
    WHERE row.outcome IS NULL AND row.handle <> row.platform_id AND row.handle !~ '^[0-9]*$'
        AND NOT EXISTS (
            SELECT FROM crm_fan AS stored
            WHERE stored.creator_id = %(creator)s AND stored.platform = %(platform)s
                AND stored.platform_id = row.platform_id
        )
        AND NOT EXISTS (
            SELECT FROM fan_upsert_row AS other WHERE other.outcome IS NULL AND other.platform_id = f.platform_id
        )
    ORDER BY f.id, row.ord DESC
) AS found
WHERE r.ord = found.ord
"""
# A deleted fan is neither changed nor brought back by a file that was written without knowing of it.
_LEAVE_DELETED = """
UPDATE fan_upsert_row AS r
SET outcome = 'deleted', stand_in = NULL
FROM crm_fan AS f
WHERE r.outcome IS NULL AND f.creator_id = %(creator)s AND f.platform = %(platform)s AND f.deleted_at IS NOT NULL
    AND (f.platform_id = r.platform_id OR f.id = r.stand_in)
"""
_LOCK_STAND_INS = """
SELECT f.id FROM crm_fan AS f JOIN fan_upsert_row AS r ON r.stand_in = f.id ORDER BY f.id FOR UPDATE OF f
"""
_IDENTIFY = """
UPDATE crm_fan AS f SET platform_id = r.platform_id, updated_at = now() FROM fan_upsert_row AS r WHERE r.stand_in = f.id
"""
# The outer statement sees the fans as they were before the inner one wrote: that tells inserted from updated.
# `excluded` cannot say whether the source gave a value (the column is not nullable), so that is looked up.
_WRITE = """
WITH written AS (
    INSERT INTO crm_fan AS fan
        (creator_id, platform, platform_id, handle, name, email, avatar, tags, notes, value_cents, last_seen_at)
    SELECT %(creator)s, %(platform)s, r.platform_id, r.handle, COALESCE(r.name, ''), COALESCE(r.email, ''), '',
        COALESCE(r.tags, '{}'), COALESCE(r.notes, ''), COALESCE(r.value_cents, 0), r.last_seen_at
    FROM fan_upsert_row AS r
    WHERE r.outcome IS NULL
    ORDER BY r.platform_id
    ON CONFLICT (creator_id, platform, platform_id) DO UPDATE SET
        handle = CASE WHEN excluded.handle IN ('', lower(fan.handle)) THEN fan.handle ELSE excluded.handle END,
        name = CASE WHEN fan.name = '' THEN excluded.name ELSE fan.name END,
        email = CASE WHEN fan.email = '' THEN excluded.email ELSE fan.email END,
        tags = CASE WHEN fan.tags = '{}' THEN excluded.tags ELSE fan.tags END,
        notes = CASE WHEN fan.notes = '' THEN excluded.notes ELSE fan.notes END,
        value_cents = COALESCE(
            (SELECT g.value_cents FROM fan_upsert_row AS g WHERE g.outcome IS NULL AND g.platform_id = fan.platform_id),
            fan.value_cents
        ),
        last_seen_at = GREATEST(fan.last_seen_at, excluded.last_seen_at),
        updated_at = now()
    WHERE fan.deleted_at IS NULL AND (
        excluded.handle NOT IN ('', lower(fan.handle))
        OR (fan.name = '' AND excluded.name <> '')
        OR (fan.email = '' AND excluded.email <> '')
        OR (fan.tags = '{}' AND excluded.tags <> '{}')
        OR (fan.notes = '' AND excluded.notes <> '')
        OR excluded.last_seen_at > COALESCE(fan.last_seen_at, '-infinity')
        OR fan.value_cents <> (
            SELECT g.value_cents FROM fan_upsert_row AS g WHERE g.outcome IS NULL AND g.platform_id = fan.platform_id
        )
    )
    RETURNING fan.platform_id
)
UPDATE fan_upsert_row AS r
SET outcome = CASE
    WHEN EXISTS (
        SELECT FROM crm_fan AS f
        WHERE f.creator_id = %(creator)s AND f.platform = %(platform)s AND f.platform_id = r.platform_id
    ) THEN 'updated' ELSE 'inserted' END
FROM written
WHERE r.outcome IS NULL AND r.platform_id = written.platform_id
"""
_READ = """
SELECT COALESCE(outcome, CASE WHEN stand_in IS NULL THEN 'unchanged' ELSE 'updated' END), overtaken_by
FROM fan_upsert_row ORDER BY ord
"""


def fan_bulk_upsert(*, creator: Creator, rows: Iterable[FanRow]) -> FanUpsert:
    """Store validated rows as the creator's fans, in one transaction and a fixed number of statements.

    A row's key is its `platform_id`. Where that is the handle (the source knows no id), the row joins the fan who has
    this handle, in the batch or stored; and a row with an id takes over the fan for whom its handle stood in.
    Of several rows about one fan the last is stored, as a whole.

    What a stored fan keeps: name, e-mail, tags and notes are filled where they are empty here and never overwritten,
    for people edit them here. The value is the source's wherever it gives one. `last_seen_at` only moves forward. The
    handle follows the source. Nothing is written, `updated_at` included, to a fan for whom nothing changes, or who was
    deleted.

    Batches of one creator wait for each other; rows are written in the order of their keys, so that a batch and another
    writer of several fans lock them in the same order.
    """
    scope: dict[str, int | str] = {"creator": creator.pk, "platform": creator.platform}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('crm.fan_bulk_upsert', %(creator)s))",
            {"creator": creator.pk},
        )
        cursor.execute(_CREATE)
        with cursor.copy(_COPY) as copy:
            copy.set_types(_COPY_TYPES)
            for ord_, row in enumerate(rows):
                handle = row.handle.removeprefix("@").lower()
                copy.write_row(
                    (
                        ord_,
                        row.platform_id,
                        handle,
                        row.platform_id == handle,
                        row.name,
                        row.email,
                        list(row.tags) if row.tags else None,
                        row.notes,
                        row.value_cents,
                        row.last_seen_at,
                    )
                )
        cursor.execute("CREATE INDEX ON fan_upsert_row (platform_id)")
        cursor.execute("CREATE INDEX ON fan_upsert_row (handle)")
        cursor.execute("ANALYZE fan_upsert_row")
        cursor.execute(_JOIN_WITHIN)
        cursor.execute(_JOIN_STORED, scope)
        cursor.execute(_OVERTAKE)
        cursor.execute(_FIND_STAND_INS, scope)
        cursor.execute(_LEAVE_DELETED, scope)
        cursor.execute(_LOCK_STAND_INS)
        cursor.execute(_IDENTIFY)
        cursor.execute(_WRITE, scope)
        cursor.execute(_READ)
        found = cursor.fetchall()
        # Dropped here, not left to the commit: an outer transaction may store a second batch.
        cursor.execute("DROP TABLE fan_upsert_row")
    return FanUpsert(
        outcomes=[FanOutcome(outcome) for outcome, _ in found],
        overtaken_by={index: by for index, (_, by) in enumerate(found) if by is not None},
    )
