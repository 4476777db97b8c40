"""Answers what the vendor says over HTTP and what each of its answers proves about a send.
Touches the network through the vendor's SDK alone; knows no table and no Django."""

import math
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

# The SDK would load this part, half a second's work, within the time of the first send.
import onlyfansapi.resources.chats.messages  # noqa: F401
from onlyfansapi import APIConnectionError, APIStatusError, OnlyFansAPI, OnlyFansAPIError, omit

from crm.stored_words import kept_sentence

T = TypeVar("T")
# A pause longer than this is a mistake of whoever answered.
RETRY_AFTER_MAX_SECONDS = 24 * 3600.0
CONNECT_SECONDS = 3.0
# An idle connection is dropped soon: one that the other side closes while we write costs an unknown outcome.
KEEPALIVE_SECONDS = 5.0

# Raised before a byte of the request is written. Every other transport error may follow the write: a connection taken
# from the pool that dies gives RemoteProtocolError or ReadError whether or not the vendor read the request.
NOT_WRITTEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

MACHINE_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,60}")
FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,40}")


class VendorError(Exception):
    """The vendor did not do what was asked, or did not say whether it did.

    not_sent: it is certain that nothing went out; otherwise it may have.
    permanent: the same request would be refused again.
    rate_limited: a pause was asked for; `retry_after` in seconds, None where it did not say how long.
    account_wide: no other request of this account would fare better.
    repeatable: a send under the same key cannot arrive twice: if the first one was carried out, its answer is kept. Not
    so after a 5xx or a 408, which the vendor does not keep (SDK 0.2.0, chats.messages.send).

    `reason` is made of this module's own words and the vendor's codes and field names: the vendor's prose may repeat
    the message's text, so none of it passes.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        not_sent: bool,
        permanent: bool = False,
        rate_limited: bool = False,
        retry_after: float | None = None,
        account_wide: bool = False,
        repeatable: bool = False,
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason[:300]
        self.not_sent = not_sent
        self.permanent = permanent
        self.rate_limited = rate_limited
        self.retry_after = retry_after
        self.account_wide = account_wide
        self.repeatable = repeatable


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
            raise _vendor_error(error) from error
        return Identity(team=(team and team.name) or "", key_name=(key and key.name) or "")

    def user_find(self, *, username: str, timeout_seconds: float) -> str:
        """The numeric id behind a handle; raises VendorError."""
        try:
            answer = self._sdk(timeout_seconds).users.retrieve(username, account=self.account_id)
            user_id = answer.data.id if answer.data else None
        except Exception as error:
            raise _vendor_error(error) from error
        if not isinstance(user_id, int):
            raise _unreadable()
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
            raise _vendor_error(error) from error
        if not isinstance(message_id, int):
            raise _unreadable()
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
            raise _vendor_error(error) from error
        return messages, cursor

    def ask(self, request: Callable[[OnlyFansAPI], T], *, timeout_seconds: float) -> T:
        """What one request through the SDK gives; raises VendorError."""
        try:
            return request(self._sdk(timeout_seconds))
        except Exception as error:
            raise _vendor_error(error) from error

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


def _unreadable() -> VendorError:
    return VendorError(
        "answer_unreadable", kept_sentence("The vendor answered something that is not its own JSON."), not_sent=False
    )


def _vendor_error(error: Exception) -> VendorError:
    """What a failed request proves."""
    match error:
        case APIStatusError():
            return _status_error(error.response)
        case APIConnectionError():
            cause = error.__cause__ or error
            if isinstance(cause, NOT_WRITTEN):
                return VendorError(
                    "unreachable",
                    kept_sentence("The vendor could not be reached") + f" ({type(cause).__name__}).",
                    not_sent=True,
                )
            if isinstance(cause, httpx.TimeoutException):
                return VendorError(
                    "timeout", kept_sentence("The vendor did not answer in time."), not_sent=False, repeatable=True
                )
            return VendorError(
                "connection_lost",
                kept_sentence("The connection broke before the vendor answered") + f" ({type(cause).__name__}).",
                not_sent=False,
                repeatable=True,
            )
        case AttributeError() | ValueError() | TypeError() | OnlyFansAPIError():
            # A page of HTML comes back as a str, a list as whatever it is; half a JSON text does not decode.
            return _unreadable()
    return VendorError(
        "unexpected", kept_sentence("The vendor's client failed") + f" ({type(error).__name__}).", not_sent=False
    )


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What a status means: its code, the words, and whether the same request could ever pass."""

    code: str
    reason: str
    permanent: bool = False
    account_wide: bool = False


_REFUSALS = {
    400: _Refusal("bad_request", kept_sentence("The vendor refused the request"), permanent=True),
    401: _Refusal(
        "unauthorized",
        kept_sentence("The vendor refused the key, or the OnlyFans session ended. Reconnect the account"),
        account_wide=True,
    ),
    402: _Refusal(
        "credits_used_up", kept_sentence("The vendor's credits are used up. Top them up, then retry"), account_wide=True
    ),
    403: _Refusal("forbidden", kept_sentence("The vendor does not allow this account to do that"), permanent=True),
    404: _Refusal("not_found", kept_sentence("The vendor does not know this account or this fan"), permanent=True),
    410: _Refusal(
        "session_ended", kept_sentence("The OnlyFans session ended. Reconnect the account"), account_wide=True
    ),
    422: _Refusal("invalid", kept_sentence("The vendor found the request invalid"), permanent=True),
}
_OTHER_REFUSAL = _Refusal("refused", kept_sentence("The vendor refused the request"), permanent=True)


def _status_error(response: httpx.Response) -> VendorError:
    body = _json_object(response)
    status = response.status_code
    if body is not None and isinstance(upstream := body.get("onlyfans_response"), dict):
        # OnlyFans's own refusal, handed on under a status of the vendor's choice.
        status = upstream["status"] if upstream.get("status") in (401, 429) else status
    vendor_code = _machine_code(body)
    said = f" ({status}{', ' + vendor_code if vendor_code else ''})."
    if body is not None and body.get("request_outcome") == "not_sent" and status in (408, 409, *range(500, 600)):
        return VendorError("not_sent", kept_sentence("The vendor could not send it and says so") + said, not_sent=True)
    if status == 429:
        retry_after = retry_after_of(response.headers)
        return VendorError(
            "rate_limited",
            kept_sentence("The platform asks for a pause") + said,
            not_sent=True,
            rate_limited=True,
            retry_after=retry_after,
        )
    if status == 409 and vendor_code == "IDEMPOTENCY_CONFLICT":
        # The vendor's own contract (SDK 0.2.0, chats.messages.send): an earlier request with this key still runs.
        return VendorError(
            "idempotency_conflict",
            kept_sentence("An earlier attempt at this message is still under way") + said,
            not_sent=False,
            repeatable=True,
        )
    if status == 422 and vendor_code == "IDEMPOTENCY_KEY_MISMATCH":
        return VendorError(
            "idempotency_key_mismatch",
            kept_sentence(
                "An earlier attempt at this message had other content. Look in the chat, then send it as a new message"
            )
            + said,
            not_sent=True,
            permanent=True,
        )
    if status in (408, 409) or not 400 <= status < 500:
        return VendorError(
            "vendor_trouble", kept_sentence("The vendor failed without saying what became of it") + said, not_sent=False
        )
    refusal = _REFUSALS.get(status, _OTHER_REFUSAL)
    code, reason = refusal.code, refusal.reason
    if status == 400 and _unreachable_fan(body):
        code, reason = "fan_unreachable", kept_sentence("OnlyFans does not let this account write to this fan")
    if status == 422 and (names := _field_names(body)):
        reason += ": " + ", ".join(names)
    return VendorError(
        code,
        reason + said,
        not_sent=True,
        # A page of HTML comes from something before the vendor (a firewall, a wrong address): it says nothing lasting.
        permanent=refusal.permanent and body is not None,
        account_wide=refusal.account_wide,
    )


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _machine_code(body: dict[str, Any] | None) -> str:
    code = (body or {}).get("error")
    return code if isinstance(code, str) and MACHINE_CODE.fullmatch(code) else ""


def _field_names(body: dict[str, Any] | None) -> list[str]:
    errors = (body or {}).get("errors")
    return [str(name) for name in errors if FIELD_NAME.fullmatch(str(name))][:5] if isinstance(errors, dict) else []


def _unreachable_fan(body: dict[str, Any] | None) -> bool:
    """The vendor gives this refusal no code of its own, only this sentence, in one of two places."""
    answers = [body, (body or {}).get("onlyfans_response")]
    return any("cannot send message to this user" in str(answer).lower() for answer in answers)


def retry_after_of(headers: httpx.Headers) -> float | None:
    """Seconds to wait by `Retry-After` (RFC 9110: seconds or an HTTP date); None where it is absent or unreadable."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
        return min(float(value), RETRY_AFTER_MAX_SECONDS)
    until = _http_date(value)
    if until is None:
        return None
    # Measured by the clock of whoever wrote the date, where it says what its clock shows.
    now = _http_date(headers.get("date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), RETRY_AFTER_MAX_SECONDS)


def _http_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
