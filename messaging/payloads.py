"""Answers how a message looks on the queue (version 1) and how it is read back. Touches nothing."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from messaging.errors import MalformedBody

VERSION = 1
CONNECTIVITY_TEST = "connectivity_test"


@dataclass(frozen=True, slots=True)
class QueueBody:
    """One message on the queue. The row in PostgreSQL is the truth; the texts are for consumers that know no row.

    The first seven members of the JSON are the contract that existing consumers read, and never change.
    """

    message_id: UUID
    user_id: str
    recipient_id: str
    content: str
    media_urls: tuple[str, ...]
    conversation_id: int
    campaign_id: int | None
    priority: int
    timestamp: datetime
    creator_id: int
    dispatch_id: UUID
    kind: str
    due_at: datetime
    hops: int
    trace_id: str

    def to_json(self) -> str:
        return json.dumps(
            {
                "messageId": str(self.message_id),
                "userId": self.user_id,
                "recipientId": self.recipient_id,
                "content": self.content,
                "mediaUrls": list(self.media_urls),
                "metadata": {
                    "conversationId": self.conversation_id,
                    "campaignId": self.campaign_id,
                    "priority": self.priority,
                },
                "timestamp": _iso(self.timestamp),
                "v": VERSION,
                "creatorId": self.creator_id,
                "dispatchId": str(self.dispatch_id),
                "kind": self.kind,
                "dueAt": _iso(self.due_at),
                "hops": self.hops,
                "traceId": self.trace_id,
            },
            # In ASCII, because SQS refuses some characters that a message may hold (U+FFFE, for one).
            separators=(",", ":"),
        )


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What the consumer takes from a body: which row it is about, and which copy of it this is.

    creator_id, campaign: in whose lane it waits, and behind whom; the row says what is true of it.
    trace_id: of the request that wanted it, for the logs.
    """

    message_id: UUID
    dispatch_id: UUID
    creator_id: int = 0
    campaign: bool = False
    trace_id: str = ""


def dispatch_parse(raw: str) -> Dispatch | None:
    """The dispatch that a body names; None for a connectivity test. Raises MalformedBody for anything else."""
    try:
        body: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise MalformedBody("The body is no JSON.") from error
    if not isinstance(body, dict):
        raise MalformedBody("The body is no JSON object.")
    if body.get("type") == CONNECTIVITY_TEST:
        return None
    if body.get("v") != VERSION:
        raise MalformedBody("The body has an unknown version.")
    try:
        return Dispatch(
            message_id=UUID(body["messageId"]),
            dispatch_id=UUID(body["dispatchId"]),
            creator_id=int(body["creatorId"]),
            campaign=body.get("kind") == "campaign",
            trace_id=str(body.get("traceId") or ""),
        )
    # OverflowError: JSON as Python reads it knows Infinity.
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MalformedBody("The body lacks messageId, dispatchId or creatorId.") from error


def connectivity_test_body(*, sent_at: datetime) -> str:
    return json.dumps({"type": CONNECTIVITY_TEST, "v": VERSION, "timestamp": _iso(sent_at)}, separators=(",", ":"))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
