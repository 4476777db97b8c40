"""Answers what is known at the end of a run: wishes, rows, arrivals. Reads journals, tables, queues, a SQLite file.

It reads with SQL of its own and asks none of the product's code, which is what is on trial.
"""

import json
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import boto3
import psycopg
from botocore.config import Config

from chaos.journal import Asked, Journal
from chaos.ledger import Arrival, Message, Row, Wish
from chaos.plan import ACCOUNTS, FANS, Plan
from huntaze.local.sqs import DEAD_LETTER_QUEUE, QUEUE, Sqs
from onlyfans.simulator.store import Store

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

ROWS = """
SELECT account.account_id, fan.platform_id, message.text, delivery.state, delivery.reason_code, delivery.reason,
       delivery.repeatable AND delivery.attempts < %s, delivery.stage
FROM messaging_delivery delivery
JOIN crm_message message ON message.id = delivery.message_id
JOIN crm_fan fan ON fan.id = delivery.fan_id
JOIN onlyfans_account account ON account.creator_id = delivery.creator_id
"""
DEAD_LETTERS = """
SELECT message.id, account.account_id, fan.platform_id, message.text
FROM crm_message message
JOIN crm_conversation conversation ON conversation.id = message.conversation_id
JOIN crm_fan fan ON fan.id = conversation.fan_id
JOIN onlyfans_account account ON account.creator_id = message.creator_id
WHERE message.id = ANY(%s)
"""
OPEN = """
SELECT count(*) FROM messaging_delivery
WHERE state IN ('pending', 'queued', 'parked', 'sending') OR (state = 'unknown' AND repeatable AND attempts < %s)
"""
# Longer than a sweep hides what it looks at.
HIDDEN_SECONDS = 60
COUNTS: tuple["QueueAttributeNameType", ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def rows_read(database_url: str, *, max_attempts: int) -> list[Row]:
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        return [
            Row(Message(account, fan, text), state, code, reason, repeatable, stage)
            for account, fan, text, state, code, reason, repeatable, stage in connection.execute(ROWS, [max_attempts])
        ]


def failed_count(database_url: str) -> int:
    """Messages that failed after SQS had taken them."""
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        row = connection.execute("SELECT count(*) FROM messaging_delivery WHERE state = 'failed' AND stage = 'send'")
        return int((row.fetchone() or (0,))[0])


def open_count(database_url: str, *, max_attempts: int) -> int | None:
    """Messages that the product is not done with; None while PostgreSQL does not answer."""
    try:
        with psycopg.connect(database_url, connect_timeout=2) as connection:
            row = connection.execute(OPEN, [max_attempts]).fetchone()
    except psycopg.OperationalError:
        return None
    return int(row[0]) if row else None


def _client(sqs: Sqs) -> "SQSClient":
    """SQS itself, past the proxy."""
    return boto3.session.Session().client(
        "sqs",
        region_name=sqs.region,
        endpoint_url=sqs.endpoint,
        aws_access_key_id="chaos",
        aws_secret_access_key="chaos",  # noqa: S106  ministack asks for none
        config=Config(connect_timeout=2, read_timeout=10),
    )


def queue_depth(sqs: Sqs, *, dead_letters: bool = False) -> int:
    """How many copies SQS holds."""
    url = sqs.queue_url(DEAD_LETTER_QUEUE if dead_letters else QUEUE)
    found = _client(sqs).get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))["Attributes"]
    return sum(int(found[name]) for name in COUNTS)


def dead_letters_read(sqs: Sqs, database_url: str) -> list[Message]:
    """Of which message each copy in the dead-letter queue is; they are taken out, so that none is seen twice.

    Some may be hidden, by a sweeper that was killed while it looked at them.
    """
    client, url, ids = _client(sqs), sqs.queue_url(DEAD_LETTER_QUEUE), []
    end = time.monotonic() + HIDDEN_SECONDS
    while queue_depth(sqs, dead_letters=True) and time.monotonic() < end:
        received = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for copy in received.get("Messages", []):
            ids.append(UUID(json.loads(copy["Body"])["messageId"]))
            client.delete_message(QueueUrl=url, ReceiptHandle=copy["ReceiptHandle"])
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        known = {
            message_id: Message(account, fan, text)
            for message_id, account, fan, text in connection.execute(DEAD_LETTERS, [ids])
        }
    return [known.get(message_id, Message("no row", "", str(message_id))) for message_id in ids]


def arrivals_read(data: Path) -> list[Arrival]:
    with closing(Store(data)) as store:
        return [
            Arrival(Message(each.account, str(each.fan), each.html), each.received_at, each.idempotency_key)
            for each in store.messages()
        ]


def wishes_read(plan: Plan, journals: Sequence[Journal], data: Path) -> list[Wish]:
    """What each producer asked for, message by message."""
    with closing(Store(data)) as store:
        fans = [str(fan.id) for fan in store.fans(limit=FANS)]
    wishes = []
    for steps, journal in zip(plan.steps, journals, strict=True):
        asked, _ = journal.read()
        for call in asked.values():
            step = steps[call.step]
            account = ACCOUNTS[step.creator].id
            for place, (fan, text) in enumerate(zip(step.fans, step.texts, strict=True)):
                message = Message(account, fans[fan], text)
                wishes.append(_wish(message, call, refused=place in call.refused, campaign=step.campaign))
    return wishes


def _wish(message: Message, call: Asked, *, refused: bool, campaign: bool) -> Wish:
    answered = call.answered_at is not None and not call.error
    return Wish(
        message=message,
        asked_at=call.asked_at,
        answered_at=call.answered_at if answered else None,
        accepted=answered and not refused,
        refused=answered and refused,
        campaign=campaign,
    )
