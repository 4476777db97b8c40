"""Answers AWS Lambda with the records of a batch that SQS is to hand out again; the other door to the consumer.

Touches SQS, the log (its metrics) and, through the consumer, everything that delivery touches.
"""

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import cache
from typing import Any, Protocol, TypedDict

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")
# Once per process, while Lambda starts it; what is imported below needs the apps.
django.setup()

import structlog  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core import checks  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.db import DatabaseError, InterfaceError, close_old_connections, connection  # noqa: E402

from messaging import metrics, publishing, queue  # noqa: E402
from messaging.delivery import Consumer, Disposition, Later  # noqa: E402
from messaging.gateways import gateway_load  # noqa: E402
from messaging.heartbeat import function_mark  # noqa: E402
from messaging.rate_limiter import limiter_load  # noqa: E402
from messaging.selectors import database_ping  # noqa: E402
from messaging.sending_needs import needs_log  # noqa: E402

logger = structlog.get_logger(__name__)
# While Lambda starts the process, so that it is said even where no batch ever comes.
needs_log()
# What a message may take besides its send: its rows, its copies, and the answer to Lambda.
MARGIN_SECONDS = 5
DATABASE_AWAY_DELAY_SECONDS = 60
# How long a batch waits for its messages' turns. A second of a function costs as much as several hops, but most of a
# group is at hand already: this lets four of a creator's go out.
PATIENCE_SECONDS = 10


class Context(Protocol):
    """What is used of the context that Lambda passes."""

    def get_remaining_time_in_millis(self) -> int: ...


class Failure(TypedDict):
    itemIdentifier: str


class Answer(TypedDict):
    """Lambda's partial batch response: what is named here returns by visibility time-out, the rest is deleted.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """

    batchItemFailures: list[Failure]


Record = dict[str, Any]


class Fate(StrEnum):
    """What becomes of a record."""

    DONE = "done"
    FAILED = "failed"
    # Not begun: a fresh copy takes its place, because a failure would raise its receive count.
    HOPS = "hops"


def needed_ms() -> int:
    """How much time must be left for a message to be begun; a send that Lambda cuts off is in doubt."""
    return round((settings.SEND_TIMEOUT_SECONDS + MARGIN_SECONDS) * 1_000)


def handler(event: dict[str, Any], context: Context) -> Answer:
    """One batch. Raises SendingDisabled or ImproperlyConfigured for a wrong set-up, and nothing for a record."""
    configuration_check()
    publishing.sending_check()
    records: list[Record] = event.get("Records", [])
    try:
        failed = _handle(records, context)
    finally:
        leave()
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}


def leave() -> None:
    """Before Lambda freezes the process: print what was counted, note that it ran, let go of the database."""
    function_mark()
    line = metrics.embedded()
    if line:
        # Bare, because CloudWatch reads no metrics from a line with anything around the JSON.
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    _connections_close()


@cache
def configuration_check() -> None:
    """What a command does at its start: the ranges are checked where settings are read, their order here. Once."""
    serious = [found for found in checks.run_checks() if found.is_serious()]
    if serious:
        raise ImproperlyConfigured(" ".join(f"{found.id}: {found.msg}" for found in serious))
    logger.info(
        "function started",
        concurrency=settings.WORKER_CONCURRENCY,
        lease_seconds=settings.SEND_LEASE_SECONDS,
        timeout_seconds=settings.SEND_TIMEOUT_SECONDS,
        max_attempts=settings.SEND_MAX_ATTEMPTS,
        needed_seconds=needed_ms() / 1_000,
        rate_limiter_enabled=settings.RATE_LIMITER_ENABLED,
    )


def _handle(records: Sequence[Record], context: Context) -> list[Record]:
    """Handle all of them; gives those that failed."""
    if not records:
        return []
    if context.get_remaining_time_in_millis() < needed_ms():
        logger.error("the function's time-out is too short to send anything", needed_seconds=needed_ms() / 1_000)
    if not settings.RATE_LIMITER_ENABLED:
        return _hop(records, delay_seconds=queue.DELAY_MAX_SECONDS)
    if _database_away():
        return _hop(records, delay_seconds=DATABASE_AWAY_DELAY_SECONDS)
    consumer = Consumer(limiter=limiter_load(), gateway=gateway_load())
    with ThreadPoolExecutor(min(len(records), settings.WORKER_CONCURRENCY), thread_name_prefix="send") as pool:
        until = time.monotonic() + PATIENCE_SECONDS
        fates = list(pool.map(lambda record: _handle_one(consumer, record, context, until), records))
    by_fate = {fate: [record for record, found in zip(records, fates, strict=True) if found is fate] for fate in Fate}
    return by_fate[Fate.FAILED] + _hop(by_fate[Fate.HOPS], delay_seconds=0)


def _handle_one(consumer: Consumer, record: Record, context: Context, until: float) -> Fate:
    while (left_ms := context.get_remaining_time_in_millis() - needed_ms()) >= 0:
        patience = max(0.0, min(left_ms / 1_000, until - time.monotonic()))
        try:
            close_old_connections()
            result = consumer.handle(received_of(record), patience_seconds=patience)
        except Exception:
            # SQS hands it out again, and to the dead-letter queue in the end.
            logger.exception("handling a record broke", record=record.get("messageId"))
            return Fate.FAILED
        finally:
            connection.close()
        if not isinstance(result, Later):
            return Fate.DONE if result is Disposition.ACKNOWLEDGE else Fate.FAILED
        # It fits into the time that is left, and meanwhile Lambda hands this process nothing else.
        time.sleep(result.seconds)
    return Fate.HOPS


def received_of(record: Record) -> queue.Received:
    """A record of Lambda's event as the queue's own type."""
    return queue.Received(
        body=record["body"],
        receipt_handle=record["receiptHandle"],
        receive_count=int(record["attributes"]["ApproximateReceiveCount"]),
    )


def _hop(records: Sequence[Record], *, delay_seconds: int) -> list[Record]:
    """Send fresh copies as they are, of the same dispatch, so that one too many is harmless; gives what SQS refused."""
    if not records:
        return []
    results = queue.send([_outgoing(record, delay_seconds) for record in records])
    refused = [record for record in records if results[record["messageId"]] is not None]
    logger.warning("records put back", records=len(records), refused=len(refused), delay_seconds=delay_seconds)
    metrics.count("OnlyFansMessagesDeferred", len(records) - len(refused))
    return refused


def _outgoing(record: Record, delay_seconds: int) -> queue.Outgoing:
    attributes = record.get("messageAttributes", {})
    return queue.Outgoing(
        key=record["messageId"],
        body=record["body"],
        delay_seconds=delay_seconds,
        group=record.get("attributes", {}).get("MessageGroupId", ""),
        attributes={name: value["stringValue"] for name, value in attributes.items() if "stringValue" in value},
    )


def _database_away() -> bool:
    """Asked first: without the rows every record would fail, and five failures are the dead-letter queue."""
    try:
        database_ping()
    except (DatabaseError, InterfaceError) as error:
        logger.error("database away", error=type(error).__name__)
        return True
    return False


def _connections_close() -> None:
    """Lambda freezes the process between two batches, and what was connected may be cut off when it thaws."""
    connection.close()
    close_pool = getattr(connection, "close_pool", None)
    if close_pool is not None:
        close_pool()
