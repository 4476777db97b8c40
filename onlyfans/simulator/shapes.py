"""Answers what the vendor's JSON looks like: fans, chats, messages, errors, `_meta`. Touches nothing."""

import hashlib
import html
import re
from datetime import UTC, datetime
from typing import Any

from onlyfans.simulator.store import Account, Fan, Message, Transaction, Webhook

CREDITS = 10_000
REQUESTS_A_MINUTE = 1_000


def meta(*, used: int, balance: int) -> dict[str, Any]:
    return {
        "_credits": {"used": used, "balance": balance, "note": "Simulated"},
        "_cache": {"is_cached": False, "note": "Simulated"},
        "_rate_limits": {
            "limit_minute": REQUESTS_A_MINUTE,
            "limit_day": 50_000,
            "remaining_minute": REQUESTS_A_MINUTE - 1,
            "remaining_day": 49_999,
        },
    }


def moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def milliseconds(date: str) -> int:
    """The way back; UTC where there is no offset. Raises ValueError."""
    found = datetime.fromisoformat(date)
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def dollars(cents: int) -> int | float:
    """As the vendor writes money: whole dollars as an integer, else a float."""
    return cents // 100 if cents % 100 == 0 else cents / 100


def plain(text: str) -> str:
    """The text as the fan reads it."""
    lines = re.sub(r"(?i)<br\s*/?>|</p>\s*<p>", "\n", text)
    return html.unescape(re.sub(r"<[^<>]*>", "", lines))


def paragraph(text: str) -> str:
    return f"<p>{html.escape(text, quote=False)}</p>"


def is_expired(fan: Fan) -> bool:
    """At first every fifth fan no longer subscribes."""
    return fan.id % 5 == 0 if fan.subscribed is None else not fan.subscribed


def fan_shape(fan: Fan) -> dict[str, Any]:
    expired = is_expired(fan)
    spent = dollars(fan.spent_cents)
    seen = f"{fan.last_seen}T12:00:00+00:00" if fan.last_seen else None
    return {
        "view": "s",
        "id": fan.id,
        "username": fan.username,
        "name": fan.name,
        "displayName": "",
        "avatar": None,
        "lastSeen": seen,
        "isBlocked": False,
        "isRestricted": False,
        "canReceiveChatMessage": True,
        "subscribedOn": not expired,
        "subscribedOnExpiredNow": expired,
        "subscribedOnData": {
            "price": 0,
            "subscribeAt": "2026-01-01T00:00:00+00:00",
            "renewedAt": "2026-01-01T00:00:00+00:00",
            "expiredAt": "2026-06-01T00:00:00+00:00" if expired else "2030-01-01T00:00:00+00:00",
            "totalSumm": spent,
            "subscribesSumm": 0,
            "tipsSumm": 0,
            "messagesSumm": spent,
            "postsSumm": 0,
            "streamsSumm": 0,
            "lastActivity": seen,
        },
        "listsStates": [
            {"id": "fans", "type": "fans", "name": fan.tier or "Fans", "hasUser": True, "canAddUser": False}
        ],
    }


def message_shape(message: Message, sender: Account) -> dict[str, Any]:
    paid = message.price_cents > 0
    return {
        "responseType": "message",
        "id": message.id,
        "text": message.html if message.html.startswith("<p>") else f"<p>{message.html}</p>",
        "giphyId": None,
        "lockedText": False,
        "isFree": not paid,
        "price": dollars(message.price_cents),
        "isMediaReady": True,
        "mediaCount": len(message.media),
        "media": [],
        "previews": [],
        "isTip": False,
        "isReportedByMe": False,
        "isCouplePeopleMedia": False,
        "isSentByMe": not message.from_fan,
        "fromUser": {"id": message.fan if message.from_fan else sender.user_id, "_view": "s"},
        "isFromQueue": False,
        "isOpened": False,
        "isNew": True,
        "createdAt": moment(message.received_at),
        "changedAt": moment(message.received_at),
        "cancelSeconds": 119,
        "isLiked": False,
        "canPurchase": False,
        "canPurchaseReason": "opened" if paid else "free",
        "canReport": False,
        "canBePinned": True,
        "isPinned": False,
    }


def chat_shape(last: Message, fan: Fan | None, sender: Account, *, unread: int) -> dict[str, Any]:
    return {
        "fan": fan_shape(fan) if fan else {"id": last.fan},
        "canNotSendReason": False,
        "canSendMessage": True,
        "canGoToProfile": True,
        "unreadMessagesCount": unread,
        "hasUnreadTips": False,
        "isMutedNotifications": False,
        "lastMessage": message_shape(last, sender),
        "lastReadMessageId": last.id,
        "countPinnedMessages": 0,
        "hasPurchasedFeed": False,
    }


# The platform's share of what a fan pays, in hundredths.
FEE_PERCENT = 20
DESCRIPTIONS = {
    "tips": "Tip from",
    "chat_messages": "Payment for message from",
    "subscribes": "Recurring subscription from",
}


def transaction_id(transaction: Transaction) -> str:
    """A made-up id of the platform's form: the same in the list and in the event."""
    return hashlib.md5(
        f"{transaction.account}:{transaction.number}:{transaction.paid_at}".encode(), usedforsecurity=False
    ).hexdigest()


def transaction_shape(transaction: Transaction, fan: Fan) -> dict[str, Any]:
    fee = transaction.cents * FEE_PERCENT // 100
    return {
        "id": transaction_id(transaction),
        "type": transaction.kind,
        "amount": dollars(transaction.cents),
        "fee": dollars(fee),
        "net": dollars(transaction.cents - fee),
        "vatAmount": 0,
        "taxAmount": 0,
        "currency": "USD",
        "description": f"{DESCRIPTIONS[transaction.kind]} {person(fan)['name']}",
        "status": "done",
        "createdAt": moment(transaction.paid_at),
        "payoutPendingDays": 7,
        "user": {"view": "x", **person(fan)},
    }


def transaction_event(transaction: Transaction, fan: Fan) -> dict[str, Any]:
    """The same money as the event tells it, which differs from the list."""
    listed = transaction_shape(transaction, fan)
    names = ("id", "type", "amount", "currency", "description", "status")
    return {
        **{name: listed[name] for name in names},
        "fee_amount": listed["fee"],
        "net_amount": listed["net"],
        "created_at": moment(transaction.paid_at).replace("T", " ").removesuffix("+00:00"),
        "fan": {**person(fan), "id": str(fan.id)},
    }


def person(fan: Fan) -> dict[str, Any]:
    return {"id": fan.id, "name": fan.name or fan.username, "username": fan.username}


def message_event(message: Message, fan: Fan, account: Account) -> dict[str, Any]:
    """A message as `messages.received` or `messages.sent` tells it."""
    shape = message_shape(message, account)
    names = ("id", "text", "price", "isFree", "isTip", "mediaCount", "media", "createdAt")
    told = {name: shape[name] for name in names}
    if not message.from_fan:
        return {**told, "toUser": person(fan)}
    spending = {"total": dollars(fan.spent_cents), "messages": dollars(fan.spent_cents), "subscribes": 0, "tips": 0}
    return {**told, "fromUser": person(fan), "fanData": {"spending": spending}}


def notice(number: int, at: int, fan: Fan, account: Account, text: str, **more: Any) -> dict[str, Any]:
    """A notification: `user` is the fan, `user_id` the creator."""
    return {
        "id": str(number),
        "createdAt": moment(at),
        "user_id": account.user_id,
        "text": text,
        "replacePairs": {},
        "user": person(fan),
        **more,
    }


def webhook_shape(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": str(webhook.number),
        "url": webhook.url,
        "events": list(webhook.events),
        "enabled": True,
        "has_signing_secret": bool(webhook.secret),
        "created_at": moment(webhook.created_at),
    }


def account_shape(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "display_name": account.name,
        "is_authenticated": True,
        "authentication_progress": None,
        "onlyfans_id": str(account.user_id),
        "onlyfans_username": account.username,
    }


def me_shape(account: Account, *, subscribers: int) -> dict[str, Any]:
    return {
        "id": account.user_id,
        "name": account.name,
        "username": account.username,
        "isAuth": True,
        "messageMinPrice": 3,
        "messageMaxPrice": 200,
        "subscribersCount": subscribers,
    }


def validation_error(**errors: str) -> dict[str, Any]:
    return {
        "error": "VALIDATION_ERROR",
        "message": next(iter(errors.values())),
        "errors": {name: [text] for name, text in errors.items()},
    }


def upstream_error(message: str, status: int) -> dict[str, Any]:
    """OnlyFans's own refusal as the vendor hands it on."""
    return {
        "error": "ONLYFANS_COM_ERROR",
        "message": message,
        "onlyfans_response": {"status": status, "body": {"error": {"message": message}}},
    }
