"""Stored messages learn their campaign, and conversations the place that what fans and people wrote gives them.

A campaign moved each of its conversations up when it was begun. Campaign by campaign and some rows at a time, so that who
writes to one of these fans meanwhile waits for a moment at most.
"""

from typing import Any

from django.db import migrations, transaction

CHUNK = 500

# The next messages of a campaign, in the order of their ids.
MARK = """
WITH chunk AS (
    SELECT message_id FROM messaging_delivery WHERE campaign_id = %(campaign)s AND message_id > %(after)s
    ORDER BY message_id LIMIT %(chunk)s
), marked AS (
    UPDATE crm_message SET campaign_id = %(campaign)s FROM chunk WHERE crm_message.id = chunk.message_id
)
SELECT message_id FROM chunk ORDER BY message_id DESC LIMIT 1
"""
# In the order in which others lock them; what was committed before is seen by the next statement.
LOCK = """
SELECT c.id FROM crm_conversation c JOIN crm_message m ON m.conversation_id = c.id
WHERE m.id IN (
    SELECT message_id FROM messaging_delivery WHERE campaign_id = %(campaign)s AND message_id > %(after)s
    ORDER BY message_id LIMIT %(chunk)s
)
ORDER BY c.fan_id FOR NO KEY UPDATE OF c
"""
# Where nothing but campaigns was written and none of it has gone out, a conversation shows nothing: the archive.
PLACE = """
WITH chunk AS (
    SELECT message_id FROM messaging_delivery WHERE campaign_id = %(campaign)s AND message_id > %(after)s
    ORDER BY message_id LIMIT %(chunk)s
), right_place AS (
    SELECT c.id, written.id AS written_id, written.at AS written_at, sent.id AS sent_id, sent.at AS sent_at
    FROM chunk JOIN crm_message m ON m.id = chunk.message_id JOIN crm_conversation c ON c.id = m.conversation_id
    LEFT JOIN LATERAL (
        SELECT id, created_at AS at FROM crm_message
        WHERE conversation_id = c.id AND campaign_id IS NULL ORDER BY created_at DESC, id DESC LIMIT 1
    ) written ON true
    LEFT JOIN LATERAL (
        SELECT id, coalesce(sent_at, created_at) AS at FROM crm_message
        WHERE conversation_id = c.id AND campaign_id IS NOT NULL AND status = 'sent'
        ORDER BY coalesce(sent_at, created_at) DESC, id DESC LIMIT 1
    ) sent ON true
), placed AS (
    UPDATE crm_conversation c SET
        personal = place.written_id IS NOT NULL,
        last_message_at = coalesce(place.written_at, place.sent_at, c.created_at),
        last_message_id = CASE WHEN place.written_at IS NULL OR place.sent_at > place.written_at
            THEN place.sent_id ELSE place.written_id END,
        archived = c.archived OR (place.written_id IS NULL AND place.sent_id IS NULL)
    FROM right_place place WHERE c.id = place.id
)
SELECT message_id FROM chunk ORDER BY message_id DESC LIMIT 1
"""
NONE = "00000000-0000-0000-0000-000000000000"


def place(apps: Any, schema_editor: Any) -> None:
    campaigns = list(apps.get_model("messaging", "Campaign").objects.order_by("pk").values_list("pk", flat=True))
    for steps in ((MARK,), (LOCK, PLACE)):
        for campaign in campaigns:
            after: Any = NONE
            while after:
                values = {"campaign": campaign, "after": after, "chunk": CHUNK}
                with transaction.atomic(), schema_editor.connection.cursor() as cursor:
                    for sql in steps:
                        cursor.execute(sql, values)
                    row = cursor.fetchone()
                after = row[0] if row else None


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("crm", "0020_conversations_in_order"), ("messaging", "0014_decisions")]
    operations = [migrations.RunPython(place, migrations.RunPython.noop)]
