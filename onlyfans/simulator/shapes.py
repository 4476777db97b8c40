"""Answers what the vendor's JSON looks like: fans, chats, messages, errors, `_meta`. Touches nothing."""

import html
import re
from datetime import UTC, datetime
from typing import Any

from onlyfans.simulator.store import Account, Fan, Message

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


def dollars(cents: int) -> int | float:
    """As the vendor writes money: whole dollars as an integer, else a float."""
    return cents // 100 if cents % 100 == 0 else cents / 100


def plain(text: str) -> str:
    """The text as the fan reads it."""
    lines = re.sub(r"(?i)<br\s*/?>|</p>\s*<p>", "\n", text)
    return html.unescape(re.sub(r"<[^<>]*>", "", lines))


def is_expired(fan: Fan) -> bool:
    """Every fifth fan no longer subscribes."""
    return fan.id % 5 == 0


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
        "isSentByMe": True,
        "fromUser": {"id": sender.user_id, "_view": "s"},
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


def chat_shape(last: Message, fan: Fan | None, sender: Account) -> dict[str, Any]:
    return {
        "fan": fan_shape(fan) if fan else {"id": last.fan},
        "canNotSendReason": False,
        "canSendMessage": True,
        "canGoToProfile": True,
        "unreadMessagesCount": 0,
        "hasUnreadTips": False,
        "isMutedNotifications": False,
        "lastMessage": message_shape(last, sender),
        "lastReadMessageId": last.id,
        "countPinnedMessages": 0,
        "hasPurchasedFeed": False,
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
