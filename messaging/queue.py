"""Answers how messages get onto SQS and off it. Touches SQS, as the only module that does.

boto3's own retries are off: on its defaults a hung endpoint holds a caller for 180 s, and it repeats what cannot
succeed. Ours: one try and three more, exponential with jitter, and only for what may pass by itself.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from django.conf import settings
from django.utils.translation import gettext_noop

from messaging.errors import QueueError

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        MessageTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

logger = structlog.get_logger(__name__)
T = TypeVar("T")

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
DELAY_MAX_SECONDS = 900
BATCH_MAX_ENTRIES = 10
BATCH_MAX_BYTES = 1_048_576
# Batches that are sent side by side: while one waits for SQS another is written. 200 messages in 20 batches went out
# 1.3 times as fast where SQS answered within a millisecond (bench/producer.py); over a network it takes longer.
BATCHES_AT_ONCE = 4
LONG_POLL_SECONDS = 20
RETRIES = 3
# After so many receives SQS moves a message to the dead-letter queue; messaging/queue_setup.py tells it so.
MAX_RECEIVES = 5

# Some throttling answers come with HTTP 403, so the code is read before the status.
THROTTLING = ("Throttl", "TooManyRequests", "RequestLimitExceeded", "OverLimit", "SlowDown")
REFUSED = {
    "AccessDenied": gettext_noop("AWS refuses these credentials access to the queue."),
    "AccessDeniedException": gettext_noop("AWS refuses these credentials access to the queue."),
    "AWS.SimpleQueueService.NonExistentQueue": gettext_noop(
        "The queue does not exist; `manage.py provision_queues` creates it."
    ),
    "QueueDoesNotExist": gettext_noop("The queue does not exist; `manage.py provision_queues` creates it."),
    "InvalidClientTokenId": gettext_noop("AWS does not know these credentials."),
    "SignatureDoesNotMatch": gettext_noop("AWS does not accept these credentials."),
    "UnrecognizedClientException": gettext_noop("AWS does not know these credentials."),
    "ExpiredToken": gettext_noop("The AWS credentials have expired."),
    "KmsAccessDenied": gettext_noop("AWS refuses these credentials the queue's encryption key."),
    "KmsDisabled": gettext_noop("The queue's encryption key is disabled."),
}
# What no correction of rights or queues would help.
REFUSED_MESSAGE = {
    "InvalidMessageContents": gettext_noop("SQS does not accept a character of this message."),
    "InvalidParameterValue": gettext_noop("SQS does not accept this message's size or form."),
    "BatchRequestTooLong": gettext_noop("The message is larger than SQS takes."),
}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for the queue. `key` is the caller's own name for it; `group` is the creator (fair queues)."""

    key: str
    body: str
    delay_seconds: int
    group: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """One message from the queue; `receive_count` is 1 the first time it is handed out."""

    body: str
    receipt_handle: str
    receive_count: int
    # SQS's own name for this copy, and when it was first put on a queue.
    copy_id: str = ""
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """SQS's own approximate numbers."""

    waiting: int
    in_flight: int
    delayed: int


def _config(*, read_timeout: float) -> Config:
    return Config(
        region_name=settings.AWS_REGION,
        connect_timeout=1,
        read_timeout=read_timeout,
        retries={"total_max_attempts": 1},
        max_pool_connections=max(10, settings.WORKER_CONCURRENCY),
        # A tenth of what a request costs here each: putting boto3's long name together anew, and looking through
        # requests that this module alone writes.
        user_agent="huntaze",
        parameter_validation=False,
    )


@cache
def _client(region: str, endpoint: str, read_timeout: float) -> "SQSClient":
    # A session of its own: boto3's shared one may not make clients on two threads at once.
    return boto3.session.Session().client(
        "sqs", endpoint_url=endpoint or None, config=_config(read_timeout=read_timeout)
    )


def client(*, read_timeout: float = 3) -> "SQSClient":
    """The process's SQS client (clients are safe to share between threads)."""
    return _client(settings.AWS_REGION, settings.AWS_ENDPOINT_URL, read_timeout)


def error_judge(error: Exception) -> QueueError:
    """What an exception of boto3 means: may it pass by itself, and in which words."""
    if isinstance(error, QueueError):
        return error
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return QueueError("NoCredentials", gettext_noop("No AWS credentials are configured."), permanent=True)
    if isinstance(error, ParamValidationError):
        return QueueError(
            "ParamValidation", gettext_noop("The message is not what SQS takes."), permanent=True, of_message=True
        )
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "Unknown")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        return _code_judge(code, status)
    if isinstance(error, BotoCoreError):
        return QueueError(type(error).__name__, gettext_noop("SQS does not answer."), permanent=False)
    raise error


def _code_judge(code: str, status: int) -> QueueError:
    if any(word in code for word in THROTTLING):
        return QueueError(code, gettext_noop("SQS is throttling requests."), permanent=False)
    name = code.rsplit("#", 1)[-1]
    if reason := REFUSED.get(name) or REFUSED.get(name.rsplit(".", 1)[-1]):
        return QueueError(code, reason, permanent=True)
    if reason := REFUSED_MESSAGE.get(name.rsplit(".", 1)[-1]):
        return QueueError(code, reason, permanent=True, of_message=True)
    if status >= 500 or status == 429:
        return QueueError(code, gettext_noop("SQS has trouble of its own."), permanent=False)
    return QueueError(code, gettext_noop("SQS refused the request") + f" ({code}).", permanent=True)


def _pause(attempt: int) -> None:
    time.sleep(min(0.1 * 2**attempt, 2) * random.uniform(0.5, 1.0))  # noqa: S311  jitter, not a secret


def with_retries(operation: str, call: Callable[[], T], *, expected: Sequence[str] = ()) -> T:
    """Call once and up to three times more. Raises QueueError.

    expected: ends of AWS's codes that the caller has an answer to, so that nobody need read of them.
    """
    for attempt in range(RETRIES + 1):
        try:
            return call()
        except (BotoCoreError, ClientError) as raised:
            error = error_judge(raised)
            if not error.code.endswith(tuple(expected)):
                logger.warning("sqs call failed", operation=operation, code=error.code, attempt=attempt + 1)
            if error.permanent or attempt == RETRIES:
                raise error from raised
        _pause(attempt)
    raise AssertionError("unreachable")


def send(messages: Sequence[Outgoing], *, queue_url: str = "") -> dict[str, QueueError | None]:
    """Send in batches: None for what SQS took, else the reason. Only entries that failed are sent again.

    Several batches go out side by side, so SQS may hand them out in another order; who goes first to a fan is not
    decided here (messaging.selectors.earlier_open).
    """
    url = queue_url or settings.SQS_RATE_LIMITER_QUEUE_URL
    batches = list(_batches(messages))
    if len(batches) < 2:
        return _send_batch(url, batches[0]) if batches else {}
    results: dict[str, QueueError | None] = {}
    # What the log says of the request that is being answered holds for its batches too.
    for sent in [_senders().submit(copy_context().run, _send_batch, url, batch) for batch in batches]:
        results.update(sent.result())
    return results


@cache
def _senders() -> ThreadPoolExecutor:
    """Kept, since starting threads takes a tenth of a batch's time; made by the first who needs it, after any fork."""
    return ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="sqs")


def _batches(messages: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    batch: list[Outgoing] = []
    size = 0
    for message in messages:
        length = len(message.body.encode()) + sum(len(k) + len(v.encode()) + 6 for k, v in message.attributes.items())
        if batch and (len(batch) == BATCH_MAX_ENTRIES or size + length > BATCH_MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


def _entry(index: int, message: Outgoing) -> "SendMessageBatchRequestEntryTypeDef":
    entry: SendMessageBatchRequestEntryTypeDef = {
        "Id": str(index),
        "MessageBody": message.body,
        "DelaySeconds": message.delay_seconds,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value}
            for name, value in message.attributes.items()
            if value  # SQS refuses an empty one
        },
    }
    if message.group:
        entry["MessageGroupId"] = message.group
    return entry


def _send_batch(url: str, batch: list[Outgoing]) -> dict[str, QueueError | None]:
    results: dict[str, QueueError | None] = {}
    left = dict(enumerate(batch))
    for attempt in range(RETRIES + 1):
        try:
            answer = client().send_message_batch(
                QueueUrl=url, Entries=[_entry(index, message) for index, message in left.items()]
            )
        except (BotoCoreError, ClientError) as raised:
            error = error_judge(raised)
            logger.warning("sqs send failed", code=error.code, attempt=attempt + 1, entries=len(left))
            results.update({message.key: error for message in left.values()})
            if error.of_message and len(left) > 1:
                # One of them is to blame for all; alone, each is judged for itself.
                for message in left.values():
                    results.update(_send_batch(url, [message]))
            if error.permanent:
                return results
        else:
            results.update({left.pop(int(done["Id"])).key: None for done in answer.get("Successful", [])})
            for failed in answer.get("Failed", []):
                message = left[int(failed["Id"])]
                error = _code_judge(failed["Code"], 400 if failed["SenderFault"] else 500)
                results[message.key] = error
                logger.warning("sqs refused an entry", code=error.code, attempt=attempt + 1)
                if error.permanent:
                    del left[int(failed["Id"])]
        if not left or attempt == RETRIES:
            break
        _pause(attempt)
    return results


def receive(
    *,
    limit: int = BATCH_MAX_ENTRIES,
    wait_seconds: int = LONG_POLL_SECONDS,
    queue_url: str = "",
    visibility_seconds: int | None = None,
) -> list[Received]:
    """Up to `limit` messages, waiting for the first; hidden as long as the queue says or as told. Raises QueueError."""
    visibility: dict[str, int] = {} if visibility_seconds is None else {"VisibilityTimeout": visibility_seconds}
    try:
        answer = client(read_timeout=wait_seconds + 5).receive_message(
            QueueUrl=queue_url or settings.SQS_RATE_LIMITER_QUEUE_URL,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            **visibility,  # type: ignore[arg-type]
        )
    except (BotoCoreError, ClientError) as raised:
        raise error_judge(raised) from raised
    return [_received(message) for message in answer.get("Messages", [])]


def _received(message: "MessageTypeDef") -> Received:
    attributes = message.get("Attributes", {})
    sent_ms = attributes.get("SentTimestamp")
    return Received(
        body=message["Body"],
        receipt_handle=message["ReceiptHandle"],
        receive_count=int(attributes.get("ApproximateReceiveCount", "1")),
        copy_id=message["MessageId"],
        sent_at=datetime.fromtimestamp(int(sent_ms) / 1_000, tz=UTC) if sent_ms else None,
    )


def _handle_batches(receipt_handles: Sequence[str]) -> Iterator[list[tuple[str, str]]]:
    """Pairs of an entry's id and its handle, as many at a time as SQS takes."""
    for start in range(0, len(receipt_handles), BATCH_MAX_ENTRIES):
        handles = receipt_handles[start : start + BATCH_MAX_ENTRIES]
        yield [(str(index), handle) for index, handle in enumerate(handles)]


def delete(receipt_handles: Sequence[str], *, queue_url: str = "") -> list[str]:
    """Acknowledge; answers the handles that SQS did not delete.

    Those messages come back and are recognised as stale, so nothing is raised for them.
    """
    stayed: list[str] = []
    url = queue_url or settings.SQS_RATE_LIMITER_QUEUE_URL
    for batch in _handle_batches(receipt_handles):
        handles = dict(batch)
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [{"Id": n, "ReceiptHandle": h} for n, h in batch]
        try:
            answer = with_retries(
                "delete",
                lambda entries=entries: client().delete_message_batch(QueueUrl=url, Entries=entries),  # type: ignore[misc]
            )
        except QueueError as error:
            logger.warning("sqs delete given up", code=error.code, entries=len(entries))
            stayed += handles.values()
        else:
            stayed += [handles[failed["Id"]] for failed in answer.get("Failed", [])]
    return stayed


def release_all(receipt_handles: Sequence[str], *, queue_url: str = "") -> None:
    """Hand received messages back at once; what SQS does not take back by this comes back by its time-out."""
    url = queue_url or settings.SQS_RATE_LIMITER_QUEUE_URL
    for batch in _handle_batches(receipt_handles):
        entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
            {"Id": n, "ReceiptHandle": h, "VisibilityTimeout": 0} for n, h in batch
        ]
        try:
            with_retries(
                "release",
                lambda entries=entries: client().change_message_visibility_batch(QueueUrl=url, Entries=entries),  # type: ignore[misc]
            )
        except QueueError as error:
            logger.warning("sqs release given up", code=error.code, entries=len(entries))


def counts(*, queue_url: str = "") -> QueueCounts:
    """Raises QueueError."""
    answer = with_retries(
        "attributes",
        lambda: client().get_queue_attributes(
            QueueUrl=queue_url or settings.SQS_RATE_LIMITER_QUEUE_URL,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesDelayed",
            ],
        ),
    )["Attributes"]
    return QueueCounts(
        waiting=int(answer["ApproximateNumberOfMessages"]),
        in_flight=int(answer["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(answer["ApproximateNumberOfMessagesDelayed"]),
    )
