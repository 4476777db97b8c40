"""Answers how many fans become rows at once: a file's or a sync's. Touches the fans of one creator, set by set."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from crm.acting import unrecorded
from crm.misread import is_misread
from crm.models import Creator, FanBatch
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


# Fields that people edit here; a source fills them where they are empty, and overwrites them only where it is told to.
EDITED_HERE = ("name", "email", "tags", "notes")

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('crm.fan_bulk_upsert', %(creator)s))"
_CREATE = """
CREATE TEMPORARY TABLE fan_upsert_row (
    ord integer NOT NULL,
    platform_id text NOT NULL,
    handle text NOT NULL,
    name text,
    email text,
    tags text[],
    notes text,
    value_cents bigint,
    last_seen_at timestamptz
) ON COMMIT DROP
"""
_COLUMNS = "ord, platform_id, handle, name, email, tags, notes, value_cents, last_seen_at"
_COPY_TYPES = ("int4", "text", "text", "text", "text", "text[]", "text", "int8", "timestamptz")
# More memory for one statement's sorts and joins than a web request gets; and a plan needs no better statistics than a
# few thousand rows give. Both are given back with the transaction.
_SETTINGS = "SET LOCAL work_mem = '256MB'; SET LOCAL default_statistics_target = 10"

# A row that knows the handle alone is about the fan whose id another row of the batch tells, ...
_JOIN_WITHIN = """
UPDATE fan_upsert_row AS r
SET platform_id = known.platform_id
FROM (
    SELECT DISTINCT ON (handle) handle, platform_id
    FROM fan_upsert_row
    WHERE platform_id <> handle AND handle <> ''
    ORDER BY handle, ord DESC
) AS known
WHERE r.platform_id = r.handle AND r.handle = known.handle
"""
# ... else about the fan who has the handle here: one whose id is known before one who is known by handle, too; and one
# who was deleted only where there is no other.
_JOIN_STORED = """
UPDATE fan_upsert_row AS r
SET platform_id = known.platform_id
FROM (
    SELECT DISTINCT ON (lower(f.handle)) lower(f.handle) AS handle, f.platform_id
    FROM crm_fan AS f
    WHERE f.creator_id = %(creator)s AND f.platform = %(platform)s AND f.platform_id <> lower(f.handle)
        AND lower(f.handle) IN (SELECT handle FROM fan_upsert_row WHERE platform_id = handle)
        AND (f.deleted_at IS NULL OR NOT EXISTS (
            SELECT FROM crm_fan AS there
            WHERE there.creator_id = f.creator_id AND there.platform = f.platform
                AND there.platform_id = lower(f.handle) AND there.deleted_at IS NULL
        ))
    ORDER BY lower(f.handle), (f.deleted_at IS NOT NULL), f.last_seen_at DESC NULLS LAST, f.id DESC
) AS known
WHERE r.platform_id = r.handle AND r.handle = known.handle
"""
# The last row about each fan, beside the fan that is stored; _INSERT needs them in the order of the keys.
_CREATE_LAST = """
CREATE TEMPORARY TABLE fan_upsert_last ON COMMIT DROP AS
SELECT r.*, f.id AS fan_id, NULL::bigint AS stand_in, false AS changed, f.deleted_at IS NOT NULL AS deleted,
    false AS misread
FROM (SELECT DISTINCT ON (platform_id) * FROM fan_upsert_row ORDER BY platform_id, ord DESC) AS r
LEFT JOIN crm_fan AS f
    ON f.creator_id = %(creator)s AND f.platform = %(platform)s AND f.platform_id = r.platform_id
ORDER BY r.platform_id
"""
_OVERTAKEN = """
SELECT r.ord, l.ord FROM fan_upsert_row AS r JOIN fan_upsert_last AS l USING (platform_id)
WHERE r.ord < l.ord ORDER BY r.ord
"""
# A row that knows the id finds the fan for whom the handle stood in; where both are stored, both stay (crm.services).
_FIND_STAND_INS = """
UPDATE fan_upsert_last AS l
SET stand_in = found.id, fan_id = found.id
FROM (
    SELECT DISTINCT ON (f.id) f.id, row.ord
    FROM fan_upsert_last AS row
    JOIN crm_fan AS f
        ON f.creator_id = %(creator)s AND f.platform = %(platform)s AND f.platform_id = row.handle
    WHERE row.fan_id IS NULL AND row.handle <> row.platform_id AND row.handle !~ '^[0-9]*$'
        AND NOT EXISTS (SELECT FROM fan_upsert_last AS other WHERE other.platform_id = f.platform_id)
    ORDER BY f.id, row.ord DESC
) AS found
WHERE l.ord = found.ord
"""
# A deleted fan is neither changed nor brought back by a file that was written without knowing of it.
_LEAVE_DELETED = """
UPDATE fan_upsert_last AS l SET deleted = true, stand_in = NULL
FROM crm_fan AS f WHERE f.id = l.stand_in AND f.deleted_at IS NOT NULL
"""
_LOCK_STAND_INS = """
SELECT f.id FROM crm_fan AS f JOIN fan_upsert_last AS l ON l.stand_in = f.id ORDER BY f.id FOR UPDATE OF f
"""
_IDENTIFY = """
UPDATE crm_fan AS f SET platform_id = l.platform_id, updated_at = now()
FROM fan_upsert_last AS l WHERE l.stand_in = f.id
"""
_BEFORE = ", ".join(
    f"'{name}', f.{name}"
    for name in (
        "platform_id",
        "handle",
        "name",
        "email",
        "tags",
        "notes",
        "value_cents",
        "value_lift_cents",
        "last_seen_at",
        "updated_at",
    )
)
_KEEP_STAND_INS = f"""
INSERT INTO crm_fanbefore (batch_id, fan_id, before, written_at)
SELECT %(batch)s, f.id, jsonb_build_object({_BEFORE}), now()
FROM fan_upsert_last AS l JOIN crm_fan AS f ON f.id = l.stand_in
"""  # noqa: S608  parts of this module
# So many rows are inserted by one statement: half a second's, so that it can be told how far it is.
_SLICE_ROWS = 20_000
_PAGES = "SELECT pg_relation_size('fan_upsert_last') / current_setting('block_size')::integer"
# In the order of the keys, which also spares the indexes: neighbours in the tree are written one after the other. The
# table was made in that order, so a range of its pages is one of keys.
_INSERT = """
WITH inserted AS (
INSERT INTO crm_fan
    (creator_id, platform, platform_id, handle, name, email, avatar, tags, notes, value_cents, last_seen_at)
SELECT %(creator)s, %(platform)s, platform_id, handle, COALESCE(name, ''), COALESCE(email, ''), '',
    COALESCE(tags, '{}'), COALESCE(notes, ''), COALESCE(value_cents, 0), last_seen_at
FROM fan_upsert_last
WHERE fan_id IS NULL AND ctid >= %(begin)s::tid AND ctid < %(end)s::tid
ORDER BY platform_id
ON CONFLICT (creator_id, platform, platform_id) DO NOTHING
RETURNING id
)
SELECT min(id), max(id) FROM (SELECT id, id - row_number() OVER (ORDER BY id) AS island FROM inserted) AS numbered
GROUP BY island ORDER BY 1
"""
# A fan that somebody else stored a moment ago was left alone by the insert and is a stored one now.
_FIND_LATECOMERS = """
UPDATE fan_upsert_last AS l SET fan_id = f.id, deleted = f.deleted_at IS NOT NULL
FROM crm_fan AS f
WHERE l.fan_id IS NULL AND f.creator_id = %(creator)s AND f.platform = %(platform)s AND f.platform_id = l.platform_id
    AND NOT EXISTS (
        SELECT FROM unnest(%(first)s::bigint[], %(last)s::bigint[]) AS ours(first, last)
        WHERE f.id BETWEEN ours.first AND ours.last
    )
"""
# Names that differ from the stored ones and are not of ASCII alone: the stored ones may have been read in the wrong
# encoding.
_OTHER_NAMES = """
SELECT l.fan_id, f.name, l.name FROM fan_upsert_last AS l JOIN crm_fan AS f ON f.id = l.fan_id
WHERE l.name ~ '[^\\x01-\\x7f]' AND f.name <> '' AND f.name <> l.name
"""
_MISREAD = "UPDATE fan_upsert_last SET misread = true WHERE fan_id = ANY(%s)"
# What the stored fan will be: one expression per column, and whether any of them says something new.
_NEW_VALUES = {
    "handle": "CASE WHEN l.handle IN ('', lower(f.handle)) THEN f.handle ELSE l.handle END",
    "value_cents": "COALESCE(l.value_cents, f.value_cents)",
    # A value that is told anew is no longer what files of transactions made of it (crm.fan_values).
    "value_lift_cents": "CASE WHEN l.value_cents <> f.value_cents THEN 0 ELSE f.value_lift_cents END",
    "last_seen_at": "GREATEST(f.last_seen_at, l.last_seen_at)",
}
_KEPT = "CASE WHEN f.{name} = {empty}{or_misread} THEN COALESCE(l.{name}, {empty}) ELSE f.{name} END"
# Tags come in as text[], which PostgreSQL does not compare with the fan's varchar[].
_OVERWRITTEN = "COALESCE(NULLIF(l.{name}, {empty}){cast}, f.{name})"
_UPDATE = """
WITH changed AS (
    SELECT f.id, jsonb_build_object({before}) AS before, {new_values}
    FROM fan_upsert_last AS l JOIN crm_fan AS f ON f.id = l.fan_id
    WHERE f.deleted_at IS NULL AND ({columns}) IS DISTINCT FROM ({expressions})
    ORDER BY l.platform_id
    FOR UPDATE OF f
), {keep}written AS (
    UPDATE crm_fan AS f SET {assignments}, updated_at = now()
    FROM changed AS n WHERE f.id = n.id
    RETURNING f.id
)
UPDATE fan_upsert_last AS l SET changed = true FROM written WHERE l.fan_id = written.id
"""
_KEEP = """kept AS (
    INSERT INTO crm_fanbefore (batch_id, fan_id, before, written_at)
    SELECT {batch:d}, id, before, now() FROM changed ON CONFLICT DO NOTHING
), """
_OUTCOME = """
CASE WHEN r.ord < l.ord THEN 'overtaken' WHEN l.deleted THEN 'deleted' WHEN l.fan_id IS NULL THEN 'inserted'
    WHEN l.changed OR l.stand_in IS NOT NULL THEN 'updated' ELSE 'unchanged' END
"""
_COUNT = """
SELECT (SELECT count(*) FROM fan_upsert_row), count(*), count(*) FILTER (WHERE fan_id IS NULL),
    count(*) FILTER (WHERE changed OR stand_in IS NOT NULL), count(*) FILTER (WHERE deleted)
FROM fan_upsert_last
"""
_READ = f"""
SELECT {_OUTCOME} FROM (SELECT ord, platform_id FROM fan_upsert_row ORDER BY ord LIMIT %s) AS r
JOIN fan_upsert_last AS l USING (platform_id) ORDER BY r.ord
"""  # noqa: S608  parts of this module


class FanUpsertion:
    """A batch of rows on its way into the table of fans; fan_upsert_open makes one."""

    def __init__(self, creator: Creator, overwrite: Collection[str], batch: FanBatch | None) -> None:
        self._scope: dict[str, int | str] = {"creator": creator.pk, "platform": creator.platform}
        self._overwrite = overwrite
        self._batch = batch
        # The ids of the fans that write() made, as ranges of the first and the last.
        self.inserted: list[tuple[int, int]] = []

    def copy_rows(self, rows: Iterable[FanRow]) -> None:
        """Add rows whose numbers are their places."""
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY fan_upsert_row ({_COLUMNS}) FROM STDIN") as copy,
        ):
            copy.set_types(_COPY_TYPES)
            for ord_, row in enumerate(rows):
                handle = row.handle.removeprefix("@").lower()
                tags = list(row.tags) if row.tags else None
                copy.write_row(
                    (
                        ord_,
                        row.platform_id,
                        handle,
                        row.name,
                        row.email,
                        tags,
                        row.notes,
                        row.value_cents,
                        row.last_seen_at,
                    )
                )

    def copy_csv(self, blocks: Iterable[bytes | memoryview]) -> None:
        """Add rows as PostgreSQL reads CSV: their ascending number, then FanRow's fields; handles in lower case."""
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY fan_upsert_row ({_COLUMNS}) FROM STDIN (FORMAT csv)") as copy,
        ):
            for block in blocks:
                copy.write(block)

    def write(self, progress: Callable[[int, int], None] | None = None) -> dict[FanOutcome, int]:
        """Store the rows; how many had which outcome. `progress` is called with the new fans so far and all of them."""
        with unrecorded(), connection.cursor() as cursor:
            cursor.execute(LOCK, self._scope)
            cursor.execute(_SETTINGS)
            # Of the columns that are joined by alone: of all of them it would take as long as the joins.
            cursor.execute("ANALYZE fan_upsert_row (platform_id, handle)")
            cursor.execute(_JOIN_WITHIN)
            cursor.execute(_JOIN_STORED, self._scope)
            cursor.execute(_CREATE_LAST, self._scope)
            cursor.execute("ANALYZE fan_upsert_last (platform_id, handle, fan_id)")
            cursor.execute(_FIND_STAND_INS, self._scope)
            if cursor.rowcount:
                cursor.execute(_LOCK_STAND_INS)
                cursor.execute(_LEAVE_DELETED)
                if self._batch is not None:
                    cursor.execute(_KEEP_STAND_INS, {"batch": self._batch.pk})
                cursor.execute(_IDENTIFY)
            cursor.execute("SELECT count(*), count(*) FILTER (WHERE fan_id IS NULL) FROM fan_upsert_last")
            every, new = cursor.fetchone()
            made = self._insert(cursor, new, progress)
            if made < new:
                first, last = zip(*self.inserted, strict=True) if self.inserted else ((), ())
                cursor.execute(_FIND_LATECOMERS, {**self._scope, "first": list(first), "last": list(last)})
            if self._batch is not None:
                self._batch.first_ids = [first for first, _ in self.inserted]
                self._batch.last_ids = [last for _, last in self.inserted]
                self._batch.save(update_fields=["first_ids", "last_ids"])
            if made < every:
                cursor.execute(_OTHER_NAMES)
                misread = [fan_id for fan_id, stored, name in cursor.fetchall() if is_misread(stored, name)]
                if misread:
                    cursor.execute(_MISREAD, [misread])
                cursor.execute(self._update())
            cursor.execute(_COUNT)
            rows, last_rows, inserted, updated, deleted = cursor.fetchone()
        return {
            FanOutcome.INSERTED: inserted,
            FanOutcome.UPDATED: updated,
            FanOutcome.UNCHANGED: last_rows - inserted - updated - deleted,
            FanOutcome.OVERTAKEN: rows - last_rows,
            FanOutcome.DELETED: deleted,
        }

    def _insert(self, cursor: CursorWrapper, new: int, progress: Callable[[int, int], None] | None) -> int:
        """Make the fans who are not stored, a range of pages at a time; how many it were."""
        cursor.execute(_PAGES)
        [pages] = cursor.fetchone()
        step = math.ceil(pages * _SLICE_ROWS / new) if new else 0
        made = 0
        for begin in range(0, pages, step) if new else ():
            cursor.execute(_INSERT, {**self._scope, "begin": f"({begin},0)", "end": f"({begin + step},0)"})
            for first, last in cursor.fetchall():
                made += last - first + 1
                if self.inserted and self.inserted[-1][1] == first - 1:
                    first = self.inserted.pop()[0]
                self.inserted.append((first, last))
            if progress is not None:
                progress(made, new)
        return made

    def _update(self) -> str:
        values = dict(_NEW_VALUES)
        for name in EDITED_HERE:
            template = _OVERWRITTEN if name in self._overwrite else _KEPT
            empty, cast = ("'{}'", "::varchar[]") if name == "tags" else ("''", "")
            or_misread = " OR l.misread" if name == "name" else ""
            values[name] = template.format(name=name, empty=empty, cast=cast, or_misread=or_misread)
        return _UPDATE.format(
            before=_BEFORE,
            keep="" if self._batch is None else _KEEP.format(batch=self._batch.pk),
            new_values=", ".join(f"{value} AS {name}" for name, value in values.items()),
            columns=", ".join(f"f.{name}" for name in values),
            expressions=", ".join(values.values()),
            assignments=", ".join(f"{name} = n.{name}" for name in values),
        )

    def overtaken(self) -> list[tuple[int, int]]:
        """`(a row's number, the number of the later row about the same fan)`, once written."""
        with connection.cursor() as cursor:
            cursor.execute(_OVERTAKEN)
            found: list[tuple[int, int]] = cursor.fetchall()
            return found

    def deleted(self) -> list[int]:
        """The numbers of the rows about fans who were deleted, once written."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT ord FROM fan_upsert_last WHERE deleted ORDER BY ord")
            return [ord_ for (ord_,) in cursor.fetchall()]

    def outcomes(self, most: int | None = None) -> list[FanOutcome]:
        """What became of the first rows, in their order, once written."""
        with connection.cursor() as cursor:
            cursor.execute(_READ, [most])
            return [FanOutcome(outcome) for (outcome,) in cursor.fetchall()]


@contextmanager
def fan_upsert_open(
    *, creator: Creator, overwrite: Collection[str] = (), batch: FanBatch | None = None
) -> Iterator[FanUpsertion]:
    """Collect validated rows and then store them as the creator's fans, in one transaction.

    A row's key is its `platform_id`. Where that is the handle (the source knows no id), the row joins the fan who has
    this handle, in the batch or stored; and a row with an id takes over the fan for whom its handle stood in.
    Of several rows about one fan the last is stored, as a whole.

    What a stored fan keeps: name, e-mail, tags and notes are filled where they are empty here and never overwritten,
    for people edit them here; a stored name that is the source's, read in the wrong encoding, is mended. Those named in
    `overwrite` follow the source wherever it gives one. The value is the source's wherever it gives one. `last_seen_at`
    only moves forward. The handle follows the source. Nothing is written, `updated_at` included, to a fan for whom
    nothing changes, or who was deleted.

    With `batch` it is written down what this changes, so that crm.fan_undo can take it back.

    Batches of one creator wait for each other; rows are written in the order of their keys, so that a batch and another
    writer of several fans lock them in the same order.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CREATE)
        yield FanUpsertion(creator, overwrite, batch)
        # Dropped here, not left to the commit: an outer transaction may store a second batch.
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE fan_upsert_row")
            cursor.execute("DROP TABLE IF EXISTS fan_upsert_last")


def fan_bulk_upsert(*, creator: Creator, rows: Iterable[FanRow], overwrite: Collection[str] = ()) -> FanUpsert:
    """Store validated rows as fan_upsert_open says, and tell of each what became of it."""
    with fan_upsert_open(creator=creator, overwrite=overwrite) as upsertion:
        upsertion.copy_rows(rows)
        upsertion.write()
        return FanUpsert(outcomes=upsertion.outcomes(), overtaken_by=dict(upsertion.overtaken()))
