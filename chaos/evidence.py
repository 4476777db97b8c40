"""Answers what is known at the end of a run: wishes, rows, arrivals. Reads journals, tables, queues, a SQLite file.

It reads with SQL of its own and asks none of the product's code, which is what is on trial.
"""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import psycopg
from botocore.config import Config

from chaos.journal import Asked, Journal
from chaos.ledger import Arrival, Message, Row, Wish
from chaos.plan import ACCOUNTS, FANS, Plan
from huntaze.local.sqs import DEAD_LETTER_QUEUE, QUEUE, Sqs
from onlyfans.simulator.store import Store

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType

ROWS = """
SELECT account.account_id, fan.platform_id, message.text, delivery.state, delivery.reason_code, delivery.reason,
       delivery.repeatable AND delivery.attempts < %s
FROM messaging_delivery delivery
JOIN crm_message message ON message.id = delivery.message_id
JOIN crm_fan fan ON fan.id = delivery.fan_id
JOIN onlyfans_account account ON account.creator_id = delivery.creator_id
"""
OPEN = """
SELECT count(*) FROM messaging_delivery
WHERE state IN ('pending', 'queued', 'parked', 'sending') OR (state = 'unknown' AND repeatable AND attempts < %s)
"""
COUNTS: tuple["QueueAttributeNameType", ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def rows_read(database_url: str, *, max_attempts: int) -> list[Row]:
    with psycopg.connect(database_url, connect_timeout=5) as connection:
        return [
            Row(Message(account, fan, text), state, code, reason, repeatable)
            for account, fan, text, state, code, reason, repeatable in connection.execute(ROWS, [max_attempts])
        ]


def open_count(database_url: str, *, max_attempts: int) -> int | None:
    """Messages that the product is not done with; None while PostgreSQL does not answer."""
    try:
        with psycopg.connect(database_url, connect_timeout=2) as connection:
            row = connection.execute(OPEN, [max_attempts]).fetchone()
    except psycopg.OperationalError:
        return None
    return int(row[0]) if row else None


def queue_depth(sqs: Sqs, *, dead_letters: bool = False) -> int:
    """What SQS itself holds, asked past the proxy."""
    client = boto3.session.Session().client(
        "sqs",
        region_name=sqs.region,
        endpoint_url=sqs.endpoint,
        aws_access_key_id="chaos",
        aws_secret_access_key="chaos",  # noqa: S106  ministack asks for none
        config=Config(connect_timeout=2, read_timeout=10),
    )
    url = sqs.queue_url(DEAD_LETTER_QUEUE if dead_letters else QUEUE)
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS))["Attributes"]
    return sum(int(found[name]) for name in COUNTS)


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
