"""Answers messaging's port for OnlyFans: one message to one fan, and what became of it.
Touches the vendor through onlyfans/client.py and reads the creator's account."""

import html
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
from messaging.reasons import LOOKUP_FAILED
from onlyfans.account_client import vendor_client
from onlyfans.client import ChatMessage, VendorClient, reach
from onlyfans.event_payloads import html_to_text
from onlyfans.models import AccountState
from onlyfans.refusals import rejected
from onlyfans.selectors import account_for_creator, account_unready
from onlyfans.vendor_answers import VendorError

# Of 100 messages each: what a chat holds beyond them since the first attempt is nobody's conversation.
PAGES_MAX = 5


class OnlyFansGateway:
    """The vendor of onlyfans/client.py behind messaging's port."""

    # The vendor keeps a key and its answer for 24 h (SDK 0.2.0, chats.messages.send).
    honours_idempotency_key = True
    key_lifetime_seconds = 24 * 3600

    def send_message(self, message: OutboundMessage) -> Outcome:
        """Send within SEND_TIMEOUT_SECONDS, the look-up of the fan's id included.

        What is held up for so long (a database that is away, a process without a CPU) that a third of it is not left
        is not begun: the claim and the token could end while it is on its way.
        """
        deadline = time.monotonic() + settings.SEND_TIMEOUT_SECONDS
        shortest = settings.SEND_TIMEOUT_SECONDS / 3
        account = account_for_creator(message.creator_id)
        if account is None or account.state == AccountState.DISCONNECTED:
            return Rejected(
                code="account_missing",
                reason=gettext_noop("No OnlyFans account is connected for this creator. Connect one, then retry."),
                scope=Scope.CREATOR,
            )
        client = vendor_client(account)
        try:
            fan_id = _fan_id(client, message)
        except VendorError as error:
            return _lookup_failed(error)
        learned = fan_id if fan_id != message.fan_platform_id else ""
        try:
            platform_message_id = client.message_send(
                fan_id=fan_id,
                text=text_to_html(message.text),
                media=message.media,
                price_cents=message.price_cents,
                idempotency_key=message.idempotency_key,
                timeout_seconds=max(deadline - time.monotonic(), shortest),
                begin_before=deadline - shortest,
            )
        except VendorError as error:
            return _outcome(error)
        return Sent(platform_message_id=platform_message_id, fan_platform_id=learned)

    def find_message(self, message: OutboundMessage, *, since: datetime) -> Looked | CannotSay:
        """Look through the chat, PAGES_MAX pages at most. The vendor may mark the chat as read by it."""
        account = account_for_creator(message.creator_id)
        if account is None or account.state == AccountState.DISCONNECTED:
            return CannotSay(reason="No OnlyFans account is connected for this creator.")
        if not message.text:
            return CannotSay(reason="A message without a text cannot be told from another.")
        client, found, read, before = vendor_client(account), [], 0, ""
        try:
            fan_id = _fan_id(client, message)
            for _ in range(PAGES_MAX):
                page, before = client.messages_list(
                    fan_id=fan_id, before=before, timeout_seconds=settings.SEND_TIMEOUT_SECONDS / 3
                )
                seen = [each for each in page if each.created_at >= since]
                read += len(seen)
                found += [each for each in seen if _could_be(message, each)]
                if not before or page[-1].created_at < since:
                    break
            else:
                return CannotSay(reason="The chat holds more messages since then than are read.")
        except VendorError as error:
            return CannotSay(reason=error.reason)
        return Looked(tuple(Found(each.message_id, each.created_at) for each in reversed(found)), read)

    def unready(self, creator_id: int) -> Unready | None:
        """By the account's state."""
        return account_unready(creator_id)

    def probe(self) -> None:
        """Raise VendorError when nothing answers at the vendor's address; any HTTP answer is proof enough."""
        reach(base_url=settings.ONLYFANS_API_BASE_URL, timeout_seconds=settings.SEND_TIMEOUT_SECONDS)


def _fan_id(client: VendorClient, message: OutboundMessage) -> str:
    """The fan's numeric id, looked up by the handle while it is not known; raises VendorError."""
    fan_id = message.fan_platform_id
    if fan_id.isascii() and fan_id.isdecimal():
        return fan_id
    return client.user_find(
        username=(message.fan_handle or fan_id).removeprefix("@"),
        # A third, so that the send itself is left time enough for a certain answer.
        timeout_seconds=settings.SEND_TIMEOUT_SECONDS / 3,
    )


def _could_be(message: OutboundMessage, seen: ChatMessage) -> bool:
    return (
        seen.by_us is True
        # The vendor may space paragraphs as it likes; the words are the words.
        and html_to_text(seen.text).split() == html_to_text(text_to_html(message.text)).split()
        and seen.price_cents == message.price_cents
        and seen.media_count == len(message.media)
    )


def text_to_html(text: str) -> str:
    """Plain text as the vendor's HTML: `&`, `<`, `>` escaped and a new line as `<br>`, nothing else changed.

    The vendor names `<br>` for new lines (docs.onlyfansapi.com/essentials/text-formatting) and adds the paragraph
    itself. Quotes stay: the text is no attribute, and an escaped one might be shown as written.
    """
    escaped = html.escape(text.replace("\r\n", "\n").replace("\r", "\n"), quote=False)
    return escaped.replace("\n", "<br>")


def _lookup_failed(error: VendorError) -> Rejected:
    """Only the fan was asked for, so nothing was sent whatever became of that."""
    unknown_fan = error.permanent and error.code in ("bad_request", "not_found")
    if unknown_fan:
        return rejected(
            error,
            code="fan_not_found",
            reason=gettext_noop("OnlyFans knows no user of this name. Correct the fan's handle, then retry."),
        )
    return rejected(error, reason=(LOOKUP_FAILED % {"reason": error.reason})[:300])


def _outcome(error: VendorError) -> Rejected | Unknown:
    if not error.not_sent:
        return Unknown(code=error.code, reason=error.reason, repeatable=error.repeatable)
    return rejected(error)
