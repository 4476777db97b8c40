"""Answers messaging's port by OFAuth: one message to one fan, and what became of it.
Touches the vendor through onlyfans/ofauth_client.py and reads the creator's account.

The account holds the vendor's connection (`conn_…`) and key. Without an idempotency key nothing in doubt is ever
repeated: the chat is read back, and where that does not settle it a person does.
"""

import time
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext_noop

from messaging.gateways import (
    CannotSay,
    Found,
    Looked,
    OutboundMessage,
    Outcome,
    Rejected,
    Scope,
    Sent,
    Unknown,
    Unready,
)
from onlyfans.event_payloads import html_to_text
from onlyfans.models import AccountState
from onlyfans.ofauth_client import OFAuthClient, Seen, reach
from onlyfans.refusals import rejected
from onlyfans.selectors import account_for_creator, account_unready
from onlyfans.vendor_answers import VendorError

PAGES_MAX = 5
NOT_CONNECTED = gettext_noop("No OnlyFans account is connected for this creator. Connect one, then retry.")


class OFAuthGateway:
    """The vendor of onlyfans/ofauth_client.py behind messaging's port."""

    # Its SDK knows no such key.
    honours_idempotency_key = False
    key_lifetime_seconds = 0

    def send_message(self, message: OutboundMessage) -> Outcome:
        """Send within SEND_TIMEOUT_SECONDS, the look-up of the fan's id included."""
        deadline = time.monotonic() + settings.SEND_TIMEOUT_SECONDS
        client = _client(message)
        if client is None:
            return Rejected(code="account_missing", reason=NOT_CONNECTED, scope=Scope.CREATOR)
        try:
            fan_id = _fan_id(client, message)
        except VendorError as error:
            # Only the fan was asked for, so nothing was sent whatever became of that.
            return rejected(error)
        left = deadline - time.monotonic()
        if left < settings.SEND_TIMEOUT_SECONDS / 3:
            return Rejected(
                code="held_up", reason=gettext_noop("It was held up here for too long, so it was not begun.")
            )
        try:
            sent_as = client.message_send(
                fan_id=fan_id,
                text=message.text,
                media=message.media,
                price_cents=message.price_cents,
                timeout_seconds=left,
            )
        except VendorError as error:
            return rejected(error) if error.not_sent else Unknown(code=error.code, reason=error.reason)
        return Sent(platform_message_id=sent_as, fan_platform_id=fan_id if fan_id != message.fan_platform_id else "")

    def find_message(self, message: OutboundMessage, *, since: datetime) -> Looked | CannotSay:
        """Look through the chat, PAGES_MAX pages at most."""
        client = _client(message)
        if client is None:
            return CannotSay(reason=NOT_CONNECTED)
        if not message.text:
            return CannotSay(reason="A message without a text cannot be told from another.")
        found, read, before, more = [], 0, "", True
        try:
            fan_id = _fan_id(client, message)
            for _ in range(PAGES_MAX):
                page, more = client.messages_page(
                    fan_id=fan_id, before=before, timeout_seconds=settings.SEND_TIMEOUT_SECONDS / 3
                )
                seen = [each for each in page if each.created_at >= since]
                read += len(seen)
                found += [each for each in seen if _could_be(message, fan_id, each)]
                if not more or not page or page[-1].created_at < since:
                    break
                before = page[-1].message_id
            else:
                return CannotSay(reason="The chat holds more messages since then than are read.")
        except VendorError as error:
            return CannotSay(reason=error.reason)
        if more and not page:
            return CannotSay(reason="The vendor gave a page of nothing that is not the last one.")
        return Looked(tuple(Found(each.message_id, each.created_at) for each in reversed(found)), read)

    def unready(self, creator_id: int) -> Unready | None:
        """By the account's state."""
        return account_unready(creator_id)

    def probe(self) -> None:
        """Raise VendorError when nothing answers at the vendor's address; any HTTP answer is proof enough."""
        reach(base_url=settings.OFAUTH_API_BASE_URL, timeout_seconds=settings.SEND_TIMEOUT_SECONDS)


def _client(message: OutboundMessage) -> OFAuthClient | None:
    account = account_for_creator(message.creator_id)
    if account is None or account.state == AccountState.DISCONNECTED:
        return None
    return OFAuthClient(
        base_url=settings.OFAUTH_API_BASE_URL, connection_id=account.account_id, api_key=account.api_key
    )


def _fan_id(client: OFAuthClient, message: OutboundMessage) -> str:
    """The fan's numeric id, looked up by the handle while it is not known; raises VendorError."""
    fan_id = message.fan_platform_id
    if fan_id.isascii() and fan_id.isdecimal():
        return fan_id
    return client.user_find(
        username=(message.fan_handle or fan_id).removeprefix("@"), timeout_seconds=settings.SEND_TIMEOUT_SECONDS / 3
    )


def _could_be(message: OutboundMessage, fan_id: str, seen: Seen) -> bool:
    """The list gives no price, only whether there is one."""
    return (
        seen.from_id != fan_id
        and html_to_text(seen.text).split() == message.text.split()
        and seen.media_count == len(message.media)
        and seen.is_free in (None, message.price_cents == 0)
    )
