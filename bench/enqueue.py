"""Answers how each way of putting messages on the queue is driven. Touches the tables and the queue of a stand."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import boto3
import psycopg
from django.conf import settings
from django.db import connection

from crm.models import Creator, Fan
from messaging import publishing, queue
from messaging.models import Delivery, SendingProfile
from messaging.services import MessageRequest, OnlyFansRateLimiterService

SINGLE = 60
BATCHED = 200
# As many people press "send" in one moment as a web process serves at once.
CALLERS = 8
TEXT = "Good morning! A new set is up, and the first five of you get a voice message with it."


def creator_make() -> tuple[Creator, list[Fan]]:
    """A creator with fans whose slots come so soon that nothing is parked."""
    creator = Creator.objects.create(name="Bench")
    SendingProfile.objects.create(creator=creator, limit_messages=10, window_ms=100, min_gap_ms=0)
    return creator, [
        Fan.objects.create(creator=creator, platform_id=str(1_000 + number), handle=f"fan{number}")
        for number in range(50)
    ]


def runs() -> dict[str, Callable[[], int]]:
    """Each answers how many messages it put on the queue."""
    creator, fans = creator_make()
    service = OnlyFansRateLimiterService(creator=creator)
    url = settings.SQS_RATE_LIMITER_QUEUE_URL
    bare = boto3.client("sqs", region_name=settings.AWS_REGION, endpoint_url=settings.AWS_ENDPOINT_URL)

    def request(number: int) -> MessageRequest:
        return MessageRequest(recipient_id=fans[number % len(fans)].platform_id, content=TEXT)

    # The very message that the product writes, for those that write nothing else.
    receipt = service.send_message(user=None, request=request(0))
    sample = Delivery.objects.select_related("message", "fan").get(pk=receipt.message_id)
    body = publishing.body_of(sample).to_json()
    attributes = {"messageType": sample.kind, "priority": str(sample.priority)}
    typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    entry = {"MessageBody": body, "MessageAttributes": typed, "MessageGroupId": str(creator.pk), "DelaySeconds": 0}

    def outgoing(number: int) -> queue.Outgoing:
        return queue.Outgoing(key=str(number), body=body, delay_seconds=0, group=str(creator.pk), attributes=attributes)

    # The least that loses no message and sends none twice: one row, committed before SQS hears of it and marked after.
    store = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    insert = "INSERT INTO bare_outbox (id, body) VALUES (%s, %s)"
    mark = "UPDATE bare_outbox SET queued = true WHERE id = ANY(%s)"
    store.execute("CREATE TABLE bare_outbox (id uuid PRIMARY KEY, body text NOT NULL, queued bool DEFAULT false)")

    def bare_single_stored() -> int:
        for _ in range(SINGLE):
            row = uuid4()
            store.execute(insert, (row, body))
            bare.send_message(QueueUrl=url, **entry)
            store.execute(mark, ([row],))
        return SINGLE

    def bare_single() -> int:
        for _ in range(SINGLE):
            bare.send_message(QueueUrl=url, **entry)
        return SINGLE

    def queue_single() -> int:
        for number in range(SINGLE):
            taken(queue.send([outgoing(number)]))
        return SINGLE

    def service_single() -> int:
        for number in range(SINGLE):
            queued([service.send_message(user=None, request=request(number)).status])
        return SINGLE

    def bare_batched_stored() -> int:
        for start in range(0, BATCHED, 10):
            rows: list[UUID] = [uuid4() for _ in range(10)]
            with store.transaction(), store.cursor() as cursor:
                cursor.executemany(insert, [(row, body) for row in rows])
            bare_ten(start)
            store.execute(mark, (rows,))
        return BATCHED

    def bare_batched() -> int:
        for start in range(0, BATCHED, 10):
            bare_ten(start)
        return BATCHED

    def bare_ten(start: int) -> None:
        answer = bare.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(number), **entry} for number in range(start, start + 10)]
        )
        if len(answer["Successful"]) != 10:
            raise AssertionError(answer)

    def queue_batched() -> int:
        taken(queue.send([outgoing(number) for number in range(BATCHED)]))
        return BATCHED

    def service_batched() -> int:
        receipts = service.send_batch(user=None, requests=[request(number) for number in range(BATCHED)])
        queued([receipt.status for receipt in receipts])
        return BATCHED

    # Each of a creator of its own, as people who write at the same time are.
    others = [creator_make() for _ in range(CALLERS)]
    pool = ThreadPoolExecutor(CALLERS)

    def at_once(work: Callable[[int], None]) -> Callable[[], int]:
        def run() -> int:
            list(pool.map(work, range(CALLERS)))
            return CALLERS * SINGLE

        return run

    def bare_caller(_: int) -> None:
        bare_single()

    def service_caller(number: int) -> None:
        sender, known = others[number]
        one = OnlyFansRateLimiterService(creator=sender)
        for each in range(SINGLE):
            wish = MessageRequest(recipient_id=known[each % len(known)].platform_id, content=TEXT)
            queued([one.send_message(user=None, request=wish).status])
        connection.close()

    return {
        "bare boto3 send_message": bare_single,
        "bare boto3 between a bare INSERT and its UPDATE": bare_single_stored,
        "ours: queue.send, one at a time": queue_single,
        "ours: send_message, with its rows in PostgreSQL": service_single,
        "bare boto3 send_message_batch": bare_batched,
        "bare boto3 between ten bare INSERTs and an UPDATE": bare_batched_stored,
        "ours: queue.send, 200 at once": queue_batched,
        "ours: send_batch, 200 at once, with their rows": service_batched,
        "bare boto3 send_message, eight callers at once": at_once(bare_caller),
        "ours: send_message, eight callers at once": at_once(service_caller),
    }


def taken(results: dict[str, queue.QueueError | None]) -> None:
    """Raise where SQS did not take all: what was not done is no figure."""
    if any(results.values()):
        raise AssertionError(results)


def queued(statuses: list[str]) -> None:
    if set(statuses) != {"queued"}:
        raise AssertionError(statuses)
