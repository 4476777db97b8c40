"""Answers how a bulk write of fans is taken back. Touches the fans of one creator that the batch wrote."""

from dataclasses import dataclass

from django.db import connection, transaction
from django.utils.formats import number_format
from django.utils.translation import gettext, gettext_noop

from crm.acting import unrecorded
from crm.errors import Conflict
from crm.fan_upsert import LOCK
from crm.models import Fan, FanBatch, FanBefore


@dataclass(frozen=True, slots=True)
class FanUndo:
    """How many fans went, how many are as they were, and how many stay because somebody changed them since."""

    deleted: int
    restored: int
    kept: int


_CREATE = """
CREATE TEMPORARY TABLE fan_undo_row ON COMMIT DROP AS
SELECT f.id, true AS inserted, f.created_at AS written_at
FROM crm_fanbatch AS b
CROSS JOIN unnest(b.first_ids, b.last_ids) AS made(first, last)
JOIN crm_fan AS f ON f.id BETWEEN made.first AND made.last AND f.creator_id = b.creator_id
WHERE b.id = %(batch)s
UNION ALL
SELECT fan_id, before = '{}', written_at FROM crm_fanbefore WHERE batch_id = %(batch)s
"""
# No conversation begins with a fan who is locked, so what is found not to be there does not come.
_LOCK_FANS = "SELECT f.id FROM crm_fan AS f JOIN fan_undo_row USING (id) ORDER BY f.id FOR UPDATE OF f"
# Every write of a fan moves `updated_at`; the batch set it to what it says in `written_at`.
_KEEP = """
DELETE FROM fan_undo_row AS r USING crm_fan AS f WHERE f.id = r.id AND f.updated_at <> r.written_at
"""
# A batch that wrote upon what this one had written is to bring back, when it is undone itself, what was before both: of
# a fan whom this one made nothing (`{}`).
_HAND_DOWN = """
UPDATE crm_fanbefore AS later SET before = COALESCE(mine.before, '{}')
FROM fan_undo_row AS r LEFT JOIN crm_fanbefore AS mine ON mine.batch_id = %(batch)s AND mine.fan_id = r.id
WHERE later.fan_id = r.id AND later.batch_id <> %(batch)s
    AND (later.before->>'updated_at')::timestamptz = r.written_at
"""
# What fans have, as the models call it.
_ROWS = (gettext_noop("conversations"), gettext_noop("deliveries"), gettext_noop("transactions"))
_SENT = """
SELECT count(DISTINCT c.fan_id)
FROM fan_undo_row AS r
JOIN crm_conversation AS c ON c.fan_id = r.id
JOIN crm_message AS m ON m.conversation_id = c.id
WHERE m.direction = 'out' AND m.created_at >= %(since)s
"""
_DEPENDENT = (
    "SELECT count(DISTINCT r.id) FROM fan_undo_row AS r JOIN {table} AS d ON d.{column} = r.id WHERE r.inserted"
)
_DELETE = "DELETE FROM crm_fan AS f USING fan_undo_row AS r WHERE f.id = r.id AND r.inserted"
# With the time of the change before, so that the batch that made that one knows the fan again.
# A handle that stood in for an id may be somebody else's key by now; then the fan keeps the id.
_RESTORE = """
UPDATE crm_fan AS f
SET platform_id = was.platform_id, handle = was.handle, name = was.name, email = was.email, tags = was.tags,
    notes = was.notes, value_cents = was.value_cents, value_lift_cents = COALESCE(was.value_lift_cents, 0),
    last_seen_at = was.last_seen_at, updated_at = COALESCE(was.updated_at, now())
FROM fan_undo_row AS r
JOIN crm_fanbefore AS b ON b.batch_id = %(batch)s AND b.fan_id = r.id
CROSS JOIN LATERAL jsonb_populate_record(NULL::crm_fan, b.before) AS was
WHERE f.id = r.id AND NOT r.inserted AND NOT EXISTS (
    SELECT FROM crm_fan AS other
    WHERE other.creator_id = f.creator_id AND other.platform = f.platform
        AND other.platform_id = was.platform_id AND other.id <> f.id
)
"""


@transaction.atomic
def fan_batch_undo(*, batch: FanBatch) -> FanUndo:
    """Delete the fans that the batch made and put back those that it changed; one that was changed since stays.

    Where a later batch changed it, that one puts back what was before both; so of two batches nothing is left once both
    are undone, in whichever order.

    Raises Conflict, and changes nothing, where something was sent to one of them since, or something else hangs on a
    fan that would go. The batch is gone afterwards, and with it what it remembered of the fans.
    """
    with unrecorded(), connection.cursor() as cursor:
        cursor.execute(LOCK, {"creator": batch.creator_id})
        cursor.execute(_CREATE, {"batch": batch.pk})
        cursor.execute("SELECT count(*) FROM fan_undo_row")
        [count] = cursor.fetchone()
        cursor.execute(_LOCK_FANS)
        cursor.execute(_SENT, {"since": batch.created_at})
        [sent] = cursor.fetchone()
        if sent:
            raise Conflict(
                gettext("Messages went to %(number)s of its fans since.")
                % {"number": number_format(sent, force_grouping=True)},
                code="import_in_use",
            )
        cursor.execute(_HAND_DOWN, {"batch": batch.pk})
        cursor.execute(_KEEP)
        for relation in Fan._meta.related_objects:  # noqa: SLF001  Django's documented way
            if relation.related_model is FanBefore:
                continue
            model = relation.related_model._meta  # noqa: SLF001
            cursor.execute(_DEPENDENT.format(table=model.db_table, column=relation.field.column))
            [dependent] = cursor.fetchone()
            if dependent:
                raise Conflict(
                    gettext("%(number)s of its fans have %(rows)s by now.")
                    % {
                        "number": number_format(dependent, force_grouping=True),
                        "rows": gettext(str(model.verbose_name_plural)),
                    },
                    code="import_in_use",
                )
        cursor.execute(_RESTORE, {"batch": batch.pk})
        restored = cursor.rowcount
        cursor.execute("DELETE FROM crm_fanbefore WHERE batch_id = %(batch)s", {"batch": batch.pk})
        cursor.execute(_DELETE)
        deleted = cursor.rowcount
        cursor.execute("DROP TABLE fan_undo_row")
    batch.delete()
    return FanUndo(deleted=deleted, restored=restored, kept=count - deleted - restored)
