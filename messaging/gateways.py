"""Answers what messaging asks of a platform: the port. Loads the adapter by its dotted path; knows no platform."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from messaging.reasons import BlockCode


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """What is to be sent.

    `fan_platform_id` is the handle while the id is not known. `key_generation` counts the proven refusals.
    """

    message_id: UUID
    creator_id: int
    fan_platform_id: str
    fan_handle: str
    text: str
    media: tuple[str, ...] = ()
    price_cents: int = 0
    key_generation: int = 0

    @property
    def idempotency_key(self) -> str:
        """The message's id, and another one after a proven refusal, which a platform may keep under the key as well."""
        return f"{self.message_id}-{self.key_generation}" if self.key_generation else str(self.message_id)


@dataclass(frozen=True, slots=True)
class Sent:
    """The platform took it. `fan_platform_id` is set where the adapter learned the fan's numeric id on the way."""

    platform_message_id: str
    fan_platform_id: str = ""


class Scope(StrEnum):
    """What a refusal is about."""

    MESSAGE = "message"
    CREATOR = "creator"


@dataclass(frozen=True, slots=True)
class Rejected:
    """It is certain that nothing was sent.

    permanent: trying again would be refused again.
    rate_limited: the platform asked for a pause; `retry_after` in seconds, None where it did not say how long.
    scope: CREATOR where the account itself cannot send (its session died, say), so that no message of it would go out.
    """

    code: str
    reason: str
    permanent: bool = False
    rate_limited: bool = False
    retry_after: float | None = None
    scope: Scope = Scope.MESSAGE


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request may have been written and no certain answer came.

    repeatable: if the platform did act on it, it has kept its answer under the key, so that the same request again
    cannot reach the fan twice. Never true of an answer that the platform does not keep, as a server error may be.
    """

    code: str
    reason: str
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Bypassed:
    """On purpose nothing was asked of any platform, and nothing will be: no failure, and above all not sent."""

    code: str
    reason: str


Outcome = Sent | Rejected | Unknown | Bypassed


@dataclass(frozen=True, slots=True)
class Found:
    """A message of the chat that it could be: the same text, price and media, sent by us."""

    platform_message_id: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Looked:
    """The chat was read: all that the message could be, the oldest first, among so many `read` messages."""

    found: tuple[Found, ...]
    read: int


@dataclass(frozen=True, slots=True)
class CannotSay:
    """The chat could not be read, or not as far back as was asked."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unready:
    """Why no message of a creator could be sent now; `reason` is an English sentence of the catalogue."""

    code: BlockCode
    reason: str


class Gateway(Protocol):
    """An adapter to one platform. It never raises for what the platform answers or fails to answer."""

    #: The same key sent twice reaches the fan once (within `key_lifetime_seconds`).
    honours_idempotency_key: bool
    key_lifetime_seconds: int

    def send_message(self, message: OutboundMessage) -> Outcome: ...

    def find_message(self, message: OutboundMessage, *, since: datetime) -> Looked | CannotSay:
        """Read the chat back to `since`; nothing is found where the message is not there.

        Not free of traces: a platform may mark a chat as read that is read.
        """

    def unready(self, creator_id: int) -> Unready | None:
        """Why nothing can be sent for this creator, as far as is known without asking the platform; None if it can.

        Pages ask it often: it costs one small query at most.
        """

    def probe(self) -> None:
        """Raise with the reason in words when the platform cannot be reached."""


def repeatable_since(gateway: Gateway, *, now: datetime) -> datetime | None:
    """First attempts after this are still known by their key at the platform, so sending again cannot double them.

    None where the platform knows no keys.
    """
    if not gateway.honours_idempotency_key:
        return None
    # An hour short of it, so that the repeat itself arrives in time.
    return now - timedelta(seconds=gateway.key_lifetime_seconds) + timedelta(hours=1)


@cache
def _factory(path: str) -> Callable[[], Gateway]:
    factory: Callable[[], Gateway] = import_string(path)
    return factory


def gateway_load() -> Gateway:
    """A gateway of the class that MESSAGING_GATEWAY names; cheap, so a caller may ask once per batch."""
    return _factory(settings.MESSAGING_GATEWAY)()
