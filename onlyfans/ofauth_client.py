"""Answers what OFAuth, another vendor, says over HTTP and what each of its answers proves about a send.
Touches the network through httpx alone; knows no table and no Django.

Read from the vendor's own SDK (`onlyfans-sdk` 3.1.0 on PyPI): addresses, headers, bodies, the error's `message`, `code`
and `details`. The SDK itself is not used: it keeps neither Retry-After nor how far a request came. It names no
idempotency key and no codes of errors, so nothing here relies on either.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote

import httpx

from crm.stored_words import kept_sentence
from messaging.reasons import VENDOR_REFUSED, VENDOR_TROUBLED
from onlyfans.client import CONNECT_SECONDS, KEEPALIVE_SECONDS
from onlyfans.vendor_answers import NOT_WRITTEN, VendorError, retry_after_of

PAGE = 100
NUMBER = re.compile(r"[0-9]{1,20}")
# What may pass by itself; everything else of 4xx says that the request was refused.
PASSING = {408, 409, 425, 429}
CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 422: "validation"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A message of a chat; `text` in HTML. The vendor's list gives no price."""

    message_id: str
    text: str
    from_id: str
    created_at: datetime
    media_count: int
    is_free: bool | None


@dataclass(frozen=True, slots=True)
class OFAuthClient:
    """The vendor as one connection sees it. Cheap to make: the network connections belong to the process."""

    base_url: str
    connection_id: str
    api_key: str = field(repr=False)

    def message_send(
        self, *, fan_id: str, text: str, media: tuple[str, ...], price_cents: int, timeout_seconds: float
    ) -> str:
        """Send one message (plain text) and give its id there; raises VendorError."""
        body: dict[str, Any] = {"text": text, "isMarkdown": False}
        if media:
            # Ids of the vault are numbers there; upload references and addresses are texts.
            body["mediaItems"] = [int(each) if NUMBER.fullmatch(each) else each for each in media]
        if price_cents:
            body["price"] = price_cents / 100
        answer = self._ask("POST", f"/v2/access/chats/{quote(fan_id, safe='')}/messages", timeout_seconds, json=body)
        message_id = answer.get("id")
        if not isinstance(message_id, int | float) or message_id != int(message_id):
            raise _unreadable()
        return str(int(message_id))

    def messages_page(self, *, fan_id: str, before: str = "", timeout_seconds: float) -> tuple[list[Seen], bool]:
        """A page of a chat, the newest first, and whether there is more; raises VendorError."""
        query = {"limit": str(PAGE)} | ({"first_id": before} if before else {})
        path = f"/v2/access/chats/{quote(fan_id, safe='')}/messages"
        answer = self._ask("GET", path, timeout_seconds, params=query)
        try:
            return [_seen(each) for each in answer["list"]], bool(answer["hasMore"])
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable() from error

    def user_find(self, *, username: str, timeout_seconds: float) -> str:
        """The numeric id behind a handle; raises VendorError."""
        answer = self._ask("GET", f"/v2/access/users/{quote(username, safe='')}", timeout_seconds)
        user_id = answer.get("id")
        if not isinstance(user_id, int | float):
            raise _unreadable()
        return str(int(user_id))

    def _ask(self, method: str, path: str, timeout_seconds: float, **request: Any) -> dict[str, Any]:
        headers = {"apiKey": self.api_key, "x-connection-id": self.connection_id}
        connect = min(CONNECT_SECONDS, timeout_seconds)
        timeout = httpx.Timeout(timeout_seconds, connect=connect, pool=connect)
        try:
            answer = _pool(self.base_url).request(method, path, headers=headers, timeout=timeout, **request)
        except NOT_WRITTEN as error:
            raise VendorError("unreachable", kept_sentence("The vendor cannot be reached."), not_sent=True) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise VendorError("no_answer", kept_sentence("No answer came from the vendor."), not_sent=False) from error
        if not answer.is_success:
            raise _refusal(answer)
        try:
            body = answer.json()
        except ValueError as error:
            raise _unreadable() from error
        if not isinstance(body, dict):
            raise _unreadable()
        return body


def reach(*, base_url: str, timeout_seconds: float) -> None:
    """Raise VendorError unless something answers HTTP at the vendor's address; no credentials are used."""
    try:
        _pool(base_url).get("/v2/account/whoami", timeout=timeout_seconds)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise VendorError(
            "unreachable", f"The vendor's address cannot be reached ({type(error).__name__}).", not_sent=True
        ) from error


@cache
def _pool(base_url: str) -> httpx.Client:
    return httpx.Client(base_url=base_url, limits=httpx.Limits(keepalive_expiry=KEEPALIVE_SECONDS))


def _unreadable() -> VendorError:
    return VendorError("unreadable_answer", kept_sentence("The vendor's answer cannot be read."), not_sent=False)


def _refusal(answer: httpx.Response) -> VendorError:
    """A 4xx in the vendor's own JSON says that nothing was sent. What stands in front of it may say anything."""
    status = answer.status_code
    if status == 429:
        return VendorError(
            "rate_limited",
            kept_sentence("The vendor asked for a pause."),
            not_sent=True,
            rate_limited=True,
            retry_after=retry_after_of(answer.headers),
        )
    try:
        is_own = isinstance(answer.json(), dict)
    except ValueError:
        is_own = False
    if not 400 <= status < 500 or status in PASSING or not is_own:
        return VendorError("server_error", VENDOR_TROUBLED % {"status": status}, not_sent=False)
    return VendorError(
        CODES.get(status, "refused"),
        VENDOR_REFUSED % {"status": status},
        not_sent=True,
        permanent=status not in (401, 402, 403),
        # No key, no credits or no permission: nothing of this creator would fare better.
        account_wide=status in (401, 402, 403),
    )


def _seen(item: dict[str, Any]) -> Seen:
    created_at = datetime.fromisoformat(item["createdAt"])
    return Seen(
        message_id=str(int(item["id"])),
        text=str(item["text"]),
        from_id=str(int(item["fromUser"]["id"])),
        created_at=created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC),
        media_count=int(item.get("mediaCount") or len(item.get("media") or ())),
        is_free=item.get("isFree"),
    )
