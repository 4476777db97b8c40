"""Answers what the queue and its dead-letter queue must be like, and makes them so. Touches SQS by messaging/queue.py.

Every attribute is compared before it is set, so a second run changes nothing and a dry run can say what one would.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from messaging import queue
from messaging.errors import QueueError

QUEUE_NAME = "huntaze-rate-limiter-queue"
DLQ_NAME = "huntaze-rate-limiter-queue-dlq"
DAY_SECONDS = 86_400
DLQ_RETENTION_SECONDS = 14 * DAY_SECONDS
KMS_KEY = "KmsMasterKeyId"
SQS_KEY = "SqsManagedSseEnabled"
MISSING = ("NonExistentQueue", "QueueDoesNotExist")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing of a queue that was or would be set; `attribute` is empty where the queue itself is created."""

    queue: str
    attribute: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Provisioned:
    """Both addresses, empty in a dry run for a queue that is not there yet, and what was or would be changed."""

    queue: str
    dlq: str
    changes: tuple[Change, ...]


def queues_provision(*, kms_key_id: str = "", dry_run: bool = False) -> Provisioned:
    """Create the queue and its dead-letter queue, or correct their attributes; safe to repeat. Raises QueueError.

    kms_key_id: encrypt with this KMS key. Without it SQS's own keys are used, but where a queue has a KMS key.
    """
    dlq, changes = _ensure(
        DLQ_NAME, {"MessageRetentionPeriod": str(DLQ_RETENTION_SECONDS)}, kms_key_id=kms_key_id, dry_run=dry_run
    )
    arn = _attributes(dlq)["QueueArn"] if dlq else f"the ARN of {DLQ_NAME}"
    wanted = {
        "VisibilityTimeout": str(settings.SQS_VISIBILITY_TIMEOUT_SECONDS),
        "ReceiveMessageWaitTimeSeconds": str(queue.LONG_POLL_SECONDS),
        "MessageRetentionPeriod": str(4 * DAY_SECONDS),
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": queue.MAX_RECEIVES}),
    }
    url, more = _ensure(QUEUE_NAME, wanted, kms_key_id=kms_key_id, dry_run=dry_run)
    return Provisioned(queue=url, dlq=dlq, changes=(*changes, *more))


def _ensure(name: str, wanted: Mapping[str, str], *, kms_key_id: str, dry_run: bool) -> tuple[str, list[Change]]:
    url, changes = _url(name), []
    if not url:
        changes.append(Change(queue=name, attribute="", old="", new="created"))
        if not dry_run:
            # Created bare and then set: creating a queue that exists by now with other attributes is refused.
            url = queue.with_retries("create", lambda: queue.client().create_queue(QueueName=name))["QueueUrl"]
    found = _attributes(url) if url else {}
    wanted = {**wanted, **_encryption(found, kms_key_id)}
    differing = {key: value for key, value in wanted.items() if not _same(key, found.get(key, ""), value)}
    changes += [
        Change(queue=name, attribute=key, old=found.get(key, ""), new=value) for key, value in differing.items()
    ]
    if differing and not dry_run:
        queue.with_retries(
            "set attributes",
            lambda: queue.client().set_queue_attributes(QueueUrl=url, Attributes=differing),  # type: ignore[arg-type]
        )
    return url, changes


def _encryption(found: Mapping[str, str], kms_key_id: str) -> dict[str, str]:
    # SQS takes one of the two at a time, and a KMS key ends the use of SQS's own:
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    if kms_key_id:
        return {KMS_KEY: kms_key_id}
    # Somebody chose that key; a run that does not name it is no wish to drop it.
    return {} if found.get(KMS_KEY) else {SQS_KEY: "true"}


def _same(key: str, found: str, wanted: str) -> bool:
    if key != "RedrivePolicy" or not found:
        return found == wanted
    policy: dict[str, Any] = json.loads(found)
    wish: dict[str, object] = json.loads(wanted)
    # SQS answers the count as a number or as a text, whichever it was given.
    return {**policy, "maxReceiveCount": int(policy.get("maxReceiveCount", 0))} == wish


def _url(name: str) -> str:
    """The queue's address, empty where there is no such queue."""
    try:
        return queue.with_retries("find", lambda: queue.client().get_queue_url(QueueName=name), expected=MISSING)[
            "QueueUrl"
        ]
    except QueueError as error:
        if error.code.endswith(MISSING):
            return ""
        raise


def _attributes(url: str) -> dict[str, str]:
    answer = queue.with_retries(
        "attributes", lambda: queue.client().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    )
    return {str(key): value for key, value in answer.get("Attributes", {}).items()}
