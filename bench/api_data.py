"""Answers what the API is measured on: creators with fans, conversations and messages, made by the database itself.
Touches the tables of a stand."""

import time
from dataclasses import dataclass

from django.db import connection

from crm.models import Creator, Membership, Role, User
from huntaze.tokens import ObtainSerializer

# Each tenth of a second, so that rows share their times now and then.
FANS = """
INSERT INTO crm_fan (creator_id, platform, platform_id, handle, name, email, avatar, tags, notes, value_cents,
    last_seen_at, created_at, updated_at)
SELECT %(creator)s, 'onlyfans', (%(creator)s * 1000000 + n)::text, 'fan' || n, 'Fan number ' || n, '',
    'https://cdn.example.com/avatars/' || n || '.jpg', '{vip}', '', (n * 7919) %% 100000,
    now() - n * interval '7 minutes', now() - n * interval '1 hour', now()
FROM generate_series(1, %(count)s) AS n
"""
# Each names its last message before that is there, so that no row need be written twice.
CONVERSATIONS = """
INSERT INTO crm_conversation (creator_id, fan_id, last_message_id, last_message_at, unread_count, archived, created_at)
SELECT creator_id, id, gen_random_uuid(), last_seen_at, CASE WHEN id %% 10 = 0 THEN 2 ELSE 0 END, false, created_at
FROM crm_fan WHERE creator_id = %(creator)s
"""
LAST_MESSAGES = """
INSERT INTO crm_message (id, creator_id, conversation_id, direction, text, price_cents, attachments, status, read,
    created_at)
SELECT last_message_id, creator_id, id, 'in', 'Good morning! How was your weekend? I am number ' || id, 0, '[]',
    'received', unread_count = 0, last_message_at
FROM crm_conversation WHERE creator_id = %(creator)s
"""
# Half of them went out, each with its delivery; the last one stays the conversation's last.
THREAD = """
WITH message AS (
    INSERT INTO crm_message (id, creator_id, conversation_id, direction, text, price_cents, attachments, status, read,
        created_at, sent_at)
    SELECT gen_random_uuid(), creator_id, id, CASE WHEN n %% 2 = 0 THEN 'in' ELSE 'out' END,
        'Words of the usual length, as people write them in a chat, number ' || n, 0,
        CASE WHEN n %% 10 = 0 THEN '[{"type": "media", "url": "https://cdn.example.com/1.jpg"}]' ELSE '[]' END::jsonb,
        CASE WHEN n %% 2 = 0 THEN 'received' ELSE 'sent' END, true, last_message_at - n * interval '1 minute',
        CASE WHEN n %% 2 = 0 THEN NULL ELSE last_message_at - n * interval '59 seconds' END
    FROM crm_conversation, generate_series(1, %(count)s) AS n WHERE crm_conversation.id = %(conversation)s
    RETURNING *
)
INSERT INTO messaging_delivery (message_id, creator_id, fan_id, kind, priority, state, dispatch_id, due_at, attempts,
    hops, repeatable, stage, reason_code, reason, trace_id, finished_at)
SELECT message.id, message.creator_id, c.fan_id, 'reply', 5, 'sent', gen_random_uuid(), message.created_at, 1, 0,
    false, '', '', '', '', message.sent_at
FROM message JOIN crm_conversation c ON c.id = message.conversation_id WHERE message.direction = 'out'
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A creator with an owner's token and, where there is one, the conversation that is long."""

    creator_id: int
    token: str
    fan_id: int
    conversation_id: int


def tenants_make(*, creators: int, conversations: int, thread: int, threads: int) -> list[Tenant]:
    """So many creators and conversations of each; the first `threads` creators have one of `thread` messages."""
    begin = time.perf_counter()
    made = []
    for n in range(creators):
        creator = Creator.objects.create(name=f"Creator {n}")
        user = User.objects.create_user(f"owner{n}@example.com", None)
        Membership.objects.create(creator=creator, user=user, role=Role.OWNER)
        with connection.cursor() as cursor:
            # Every key is known to lead somewhere: looking each up took half of the time.
            cursor.execute("SET session_replication_role = replica")
            values = {"creator": creator.pk, "count": conversations}
            for sql in (FANS, CONVERSATIONS, LAST_MESSAGES):
                cursor.execute(sql, values)
            cursor.execute(
                "SELECT id, fan_id FROM crm_conversation WHERE creator_id = %s ORDER BY last_message_at DESC LIMIT 1",
                [creator.pk],
            )
            conversation_id, fan_id = cursor.fetchone()
            if n < threads:
                cursor.execute(THREAD, {"conversation": conversation_id, "count": thread})
        token = str(ObtainSerializer.get_token(user).access_token)  # type: ignore[attr-defined]
        made.append(Tenant(creator.pk, token, fan_id, conversation_id))
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE")
    print(f"  {creators} creators × {conversations:,} conversations made in {time.perf_counter() - begin:.0f} s")
    return made
