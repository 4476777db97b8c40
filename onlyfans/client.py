"""Answers what the vendor says over HTTP.
Touches the network through the vendor's SDK alone; knows no table and no Django."""

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import httpx

# The SDK would load this part, half a second's work, within the time of the first send.
import onlyfansapi.resources.chats.messages  # noqa: F401
from onlyfansapi import OnlyFansAPI, omit

from crm.stored_words import kept_sentence
from onlyfans.vendor_answers import VendorError, unreadable, vendor_error

T = TypeVar("T")
CONNECT_SECONDS = 3.0
# An idle connection is dropped soon: one that the other side closes while we write costs an unknown outcome.
KEEPALIVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose key it is."""

    team: str
    key_name: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message of a chat, `text` in the vendor's HTML; `by_us` is None where the vendor does not say who wrote it."""

    message_id: str
    text: str
    by_us: bool | None
    created_at: datetime
    price_cents: int
    media_count: int


@dataclass(frozen=True, slots=True)
class VendorClient:
    """The vendor as one account sees it. Cheap to make: the connections belong to the process."""

    base_url: str
    account_id: str
    api_key: str = field(repr=False)

    def whoami(self, *, timeout_seconds: float) -> Identity:
        """Whose key this is; raises VendorError."""
        try:
            answer = self._sdk(timeout_seconds).whoami.retrieve()
            team, key = answer.team, answer.api_key
        except Exception as error:
            raise vendor_error(error) from error
        return Identity(team=(team and team.name) or "", key_name=(key and key.name) or "")

    def user_find(self, *, username: str, timeout_seconds: float) -> str:
        """The numeric id behind a handle; raises VendorError."""
        try:
            answer = self._sdk(timeout_seconds).users.retrieve(username, account=self.account_id)
            user_id = answer.data.id if answer.data else None
        except Exception as error:
            raise vendor_error(error) from error
        if not isinstance(user_id, int):
            raise unreadable()
        return str(user_id)

    def message_send(
        self,
        *,
        fan_id: str,
        text: str,
        media: tuple[str, ...],
        price_cents: int,
        idempotency_key: str,
        timeout_seconds: float,
        begin_before: float = math.inf,
    ) -> str:
        """Send one message (`text` in the vendor's HTML) and give its id there; raises VendorError.

        begin_before: by time.monotonic; a send held up for longer is not begun.
        """
        body: dict[str, Any] = {"text": text}
        if media:
            body["media_files"] = list(media)
        if price_cents:
            # One correctly rounded division: the JSON number is the shortest that reads as these cents (697 → 6.97).
            body["price"] = price_cents / 100
        try:
            messages = self._sdk(timeout_seconds).chats.messages
            if time.monotonic() > begin_before:
                raise VendorError(
                    "held_up", kept_sentence("It was held up here for too long, so it was not begun."), not_sent=True
                )
            answer = messages.send(fan_id, account=self.account_id, idempotency_key=idempotency_key, **body)
            message_id = answer.data.id if answer.data else None
        except VendorError:
            raise
        except Exception as error:
            raise vendor_error(error) from error
        if not isinstance(message_id, int):
            raise unreadable()
        return str(message_id)

    def messages_list(
        self, *, fan_id: str, before: str = "", limit: int = 100, timeout_seconds: float
    ) -> tuple[list[ChatMessage], str]:
        """A page of a chat, the newest first, and the cursor of the next one, empty at the end; raises VendorError.

        before: that cursor. The vendor may mark the chat as read by it.
        """
        try:
            answer = self._sdk(timeout_seconds).chats.messages.list(
                fan_id, account=self.account_id, limit=str(limit), first_id=before or omit, skip_users="all"
            )
            # An answer without a list is no empty chat, and a page of nothing has no cursor for what follows it: both
            # raise.
            messages = [_chat_message(each) for each in answer.data]  # type: ignore[union-attr]
            more = bool(answer.api_pagination and answer.api_pagination.next_page)
            cursor = _last(messages).message_id if more else ""
        except Exception as error:
            raise vendor_error(error) from error
        return messages, cursor

    def ask(self, request: Callable[[OnlyFansAPI], T], *, timeout_seconds: float) -> T:
        """What one request through the SDK gives; raises VendorError."""
        try:
            return request(self._sdk(timeout_seconds))
        except Exception as error:
            raise vendor_error(error) from error

    def _sdk(self, timeout_seconds: float) -> OnlyFansAPI:
        connect = min(CONNECT_SECONDS, timeout_seconds)
        return OnlyFansAPI(
            api_key=self.api_key,
            base_url=self.base_url,
            # Delivery owns retries: the SDK would repeat even an answer after which the message may be out.
            max_retries=0,
            timeout=httpx.Timeout(timeout_seconds, connect=connect, pool=connect, write=connect),
            http_client=_pool(self.base_url),
        )


def reach(*, base_url: str, timeout_seconds: float) -> None:
    """Raise VendorError unless something answers HTTP at the vendor's address; no credentials are used."""
    try:
        _pool(base_url).get("/api/whoami", timeout=timeout_seconds)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise VendorError(
            "unreachable",
            kept_sentence("The vendor's address cannot be reached") + f" ({type(error).__name__}).",
            not_sent=True,
        ) from error


_pools: dict[str, httpx.Client] = {}
_pools_lock = threading.Lock()


def _pool(base_url: str) -> httpx.Client:
    """The process's connections to one address, shared by every account and thread."""
    with _pools_lock:
        if base_url not in _pools:
            _pools[base_url] = httpx.Client(
                base_url=base_url,
                # A redirected POST would be sent twice, or turned into a GET.
                follow_redirects=False,
                limits=httpx.Limits(
                    max_connections=200, max_keepalive_connections=50, keepalive_expiry=KEEPALIVE_SECONDS
                ),
            )
        return _pools[base_url]


def pools_close() -> None:
    """Close every connection of the process; the next request opens new ones."""
    with _pools_lock:
        for pool in _pools.values():
            pool.close()
        _pools.clear()


# A forked child must not write on its parent's sockets.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)


def _last(messages: list[ChatMessage]) -> ChatMessage:
    if not messages:
        raise ValueError("A page of nothing that is not the last one.")
    return messages[-1]


def _chat_message(each: Any) -> ChatMessage:
    """Raises ValueError, TypeError or AttributeError for what is no message."""
    if not isinstance(each.id, int):
        raise TypeError("A message without an id.")
    created_at = datetime.fromisoformat(each.created_at)
    return ChatMessage(
        message_id=str(each.id),
        text=each.text or "",
        by_us=each.is_sent_by_me,
        created_at=created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC),
        price_cents=round(Decimal(str(each.price or 0)) * 100),
        media_count=each.media_count or 0,
    )
