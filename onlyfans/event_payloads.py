"""Answers what the vendor's JSON means: events, fans, messages and money as typed values. Touches nothing.

The shapes are those of the vendor's webhooks; where its REST answers differ in a name, both names are read. What is
missing or strange in a part that matters raises Unreadable, naming it; nothing is guessed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from html.parser import HTMLParser
from typing import Any

from crm.errors import InvalidInput, Unreadable


class EventKind(StrEnum):
    """The kinds that change something here; every other one is kept and has no effect."""

    MESSAGE_RECEIVED = "messages.received"
    MESSAGE_SENT = "messages.sent"
    MESSAGE_DELETED = "messages.deleted"
    PPV_UNLOCKED = "messages.ppv.unlocked"
    TIP_RECEIVED = "tips.received"
    TRANSACTION_NEW = "transactions.new"
    SUBSCRIPTION_NEW = "subscriptions.new"
    SUBSCRIPTION_RENEWED = "subscriptions.renewed"
    SUBSCRIPTION_EXPIRED = "subscriptions.expired"
    POST_LIKED = "posts.liked"
    USER_TYPING = "users.typing"
    USER_ONLINE = "users.online"
    USER_OFFLINE = "users.offline"
    ACCOUNT_CONNECTED = "accounts.connected"
    ACCOUNT_RECONNECTED = "accounts.reconnected"
    ACCOUNT_DISCONNECTED = "accounts.disconnected"
    ACCOUNT_SESSION_EXPIRED = "accounts.session_expired"
    ACCOUNT_AUTHENTICATION_FAILED = "accounts.authentication_failed"


# What the vendor tells that changes nothing here: asked for all the same, so that it is on record.
KEPT_ONLY = (
    "accounts.otp_code_required",
    "accounts.face_otp_required",
    "chat_queue.updated",
    "chat_queue.finished",
    "media_uploads.completed",
    "media_uploads.failed",
)
# What OnlyFans keeps of a payment by its terms of use for creators. Used only where an event names the gross alone, and
# corrected by the platform's own list.
FEE_PERCENT = 20
AMOUNT = re.compile(r"\$(\d{1,9}|\d{1,3}(?:,\d{3}){1,2})(?:\.(\d{2}))?")
CHAT_LINK = re.compile(r"/my/chats/chat/(\d{1,18})")
MESSAGE_LINK = re.compile(r"[?&]firstId=(\d{1,18})")
PLATFORM_ID = re.compile(r"[0-9]{1,18}")
CENTS_MAX = 10**11
TEXT_MAX = 20_000
# What neither a text column nor UTF-8 can hold.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One delivery of the vendor: which event, of which account, and what it says."""

    kind: str
    account_id: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FanFacts:
    """A fan as a payload names them; `value_cents` only where it tells all that they ever paid."""

    platform_id: str
    handle: str = ""
    name: str = ""
    avatar: str = ""
    subscribed: bool | None = None
    value_cents: int | None = None


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """A message of a chat, its text plain; `media` are the vendor's ids. `sent_by_me`: the creator wrote it."""

    platform_id: str
    text: str
    price_cents: int
    media: tuple[str, ...]
    created_at: datetime
    sent_by_me: bool


@dataclass(frozen=True, slots=True)
class MoneyFacts:
    """Money in cents. `kind` and `status` are crm.models' names; `message_id` the platform's id of what was bought."""

    key: str
    kind: str
    status: str
    gross_cents: int
    fee_cents: int
    net_cents: int
    vat_cents: int
    currency: str
    occurred_at: datetime
    message_id: str = ""


def envelope_of(raw: bytes) -> Envelope:
    """The event in a request's body; raises InvalidInput where it is none."""
    try:
        body = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidInput("The body is not JSON.", code="malformed") from error
    if not isinstance(body, dict) or not isinstance(body.get("event"), str) or not body["event"]:
        raise InvalidInput("The body is not an event of the vendor: it has no `event`.", code="malformed")
    account_id, payload = body.get("account_id"), body.get("payload")
    return Envelope(
        kind=storable(body["event"])[:100],
        account_id=account_id if isinstance(account_id, str) else "",
        payload=payload if isinstance(payload, dict) else {},
    )


def line_of(envelope: Envelope) -> str:
    """Which events must wait for each other: a fan's, the account's, those about one message; empty for none."""
    if envelope.kind.startswith("accounts."):
        return "account"
    if envelope.kind == EventKind.MESSAGE_DELETED:
        message_id = platform_id(envelope.payload.get("id"))
        return deletion_line(message_id) if message_id else ""
    try:
        return f"fan:{fan_of(envelope).platform_id}"
    except Unreadable:
        return ""


def deletion_line(message_id: str) -> str:
    return f"message:{message_id}"


def fan_of(envelope: Envelope) -> FanFacts:
    """The fan that an event is about. In a notification `user` is the fan and `user_id` the creator, so that is not it.

    Raises Unreadable where it names none.
    """
    payload = envelope.payload
    for name in ("toUser",) if envelope.kind == EventKind.MESSAGE_SENT else ("fromUser", "user", "fan"):
        if isinstance(person := payload.get(name), dict) and platform_id(person.get("id")):
            return fan_facts(person, spending=payload.get("fanData"))
    if envelope.kind.startswith("users.") and (found := platform_id(payload.get("id") or payload.get("user_id"))):
        return FanFacts(platform_id=found)
    if linked := CHAT_LINK.search(_replaced(payload, "{MESSAGE_LINK}")):
        return FanFacts(platform_id=linked[1])
    raise Unreadable("The event names no fan.", code="fan_missing")


def fan_facts(person: Mapping[str, Any], *, spending: object = None) -> FanFacts:
    """A fan from a user of the vendor's JSON, with `fanData` or, of the fans' list, `subscribedOnData`."""
    found = platform_id(person.get("id"))
    if not found:
        raise Unreadable("The fan has no id.", code="fan_missing")
    total = spending.get("spending", {}) if isinstance(spending, dict) else {}
    total = total.get("total") if isinstance(total, dict) else None
    if isinstance(on_data := person.get("subscribedOnData"), dict):
        total = on_data.get("totalSumm", total)
    subscribed = person.get("subscribedOn")
    avatar = _text(person.get("avatar"), 1_000)
    return FanFacts(
        platform_id=found,
        handle=_text(person.get("username"), 100),
        name=_text(person.get("displayName"), 200) or _text(person.get("name"), 200),
        avatar=avatar if avatar.startswith("https://") else "",
        subscribed=subscribed if isinstance(subscribed, bool) else None,
        value_cents=None if total is None else cents(total, "total"),
    )


def message_of(payload: Mapping[str, Any], *, default_at: datetime, sent_by_me: bool | None = None) -> MessageFacts:
    found = platform_id(payload.get("id"))
    if not found:
        raise Unreadable("The message has no id.", code="message_missing")
    media = payload.get("media")
    return MessageFacts(
        platform_id=found,
        text=html_to_text(payload["text"]) if isinstance(payload.get("text"), str) else "",
        price_cents=cents(payload.get("price") or 0, "price"),
        media=tuple(
            str(item["id"])[:128]
            for item in (media if isinstance(media, list) else ())
            if isinstance(item, dict) and isinstance(item.get("id"), int | str)
        ),
        created_at=moment(payload.get("createdAt"), default=default_at),
        sent_by_me=bool(payload.get("isSentByMe")) if sent_by_me is None else sent_by_me,
    )


def tip_of(payload: Mapping[str, Any], *, default_at: datetime, default_key: str) -> MoneyFacts:
    """A tip's notification: `amountGross` and `amountNet`, or the amount in its text."""
    gross = cents(payload["amountGross"], "amountGross") if "amountGross" in payload else _amount(payload, "the tip")
    net = cents(payload["amountNet"], "amountNet") if "amountNet" in payload else None
    return _notice("tip", gross, net, payload, default_at=default_at, default_key=default_key)


def purchase_of(payload: Mapping[str, Any], *, default_at: datetime, default_key: str) -> MoneyFacts:
    """A bought message's notification: the amount stands in its text alone."""
    return _notice(
        "message", _amount(payload, "the purchase"), None, payload, default_at=default_at, default_key=default_key
    )


def transaction_of(payload: Mapping[str, Any], *, default_at: datetime | None = None) -> MoneyFacts:
    """A transaction of the event (`net_amount`, `created_at` without an offset is UTC) or of the list (`net`)."""
    key = str(payload.get("id") or "")[:64]
    if not key:
        raise Unreadable("The transaction has no id.", code="transaction_missing")
    gross = _first(payload, "amount")
    net = _first(payload, "net", "net_amount")
    if gross is None or net is None:
        raise Unreadable("The transaction has no amount or no net amount.", code="amount_missing")
    fee, vat = _first(payload, "fee", "fee_amount"), _first(payload, "vatAmount", "vat_amount")
    gross_cents, net_cents = cents(gross, "amount"), cents(net, "net")
    if net_cents > gross_cents:
        raise Unreadable("The transaction's net amount is above its amount.", code="amount_strange")
    status = payload.get("status") or "done"
    if status not in ("loading", "done", "undo", "pending_return"):
        raise Unreadable(f"The transaction's status {str(status)[:30]!r} is unknown.", code="status_unknown")
    currency = payload.get("currency") or "USD"
    if not (isinstance(currency, str) and re.fullmatch("[A-Za-z]{3}", currency)):
        raise Unreadable("The transaction's currency is no three-letter code.", code="currency_unknown")
    return MoneyFacts(
        key=key,
        kind=kind_of(_text(payload.get("type"), 50), html_to_text(_text(payload.get("description"), 500))),
        status=status,
        gross_cents=gross_cents,
        fee_cents=gross_cents - net_cents if fee is None else cents(fee, "fee"),
        net_cents=net_cents,
        vat_cents=0 if vat is None else cents(vat, "vatAmount"),
        currency=currency.upper(),
        occurred_at=moment(_first(payload, "createdAt", "created_at"), default=default_at),
    )


def kind_of(type_: str, description: str) -> str:
    """crm.models' kind of a transaction, by the vendor's type or, without one, by how the description begins."""
    for said in (type_.lower(), description.lower()):
        if "recurring" in said or "resubscri" in said:
            return "recurring"
        if said.startswith("subscri"):
            # The list files renewals under subscriptions and says so in the description alone.
            return "recurring" if description.lower().startswith("recurring") else "subscription"
        for kind in ("tip", "message", "post", "stream"):
            if re.search(rf"\b{kind}s?\b", said.replace("_", " ")):
                return kind
    return "other"


def platform_id(value: object) -> str:
    """A numeric id of the platform, as text; empty where it is none."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if PLATFORM_ID.fullmatch(text) else ""


def cents(value: object, name: str) -> int:
    """Dollars of the vendor's JSON (`6.97`, `7`, `"6.97"`) in cents; raises Unreadable naming the field."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InvalidOperation
        amount = Decimal(str(value)) * 100
        if not (amount.is_finite() and 0 <= amount <= CENTS_MAX):
            raise InvalidOperation
    except ArithmeticError as error:
        raise Unreadable(f"`{name}` is no amount of money.", code="amount_strange") from error
    return round(amount)


def moment(value: object, *, default: datetime | None = None) -> datetime:
    """A time of the vendor's, UTC where it has no offset. Without a value the default, if there is one."""
    if value in (None, "") and default is not None:
        return default
    try:
        found = datetime.fromisoformat(value if isinstance(value, str) else "")
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unreadable("A time cannot be read.", code="time_strange") from error


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot store."""
    return UNSTORABLE.sub("", text)


class _Plain(HTMLParser):
    """Collects what a reader of the HTML sees."""

    BREAKS = frozenset({"p", "div", "li", "br"})
    UNSEEN = frozenset({"script", "style"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.begun = False
        self.unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.unseen += tag in self.UNSEEN
        if tag in self.BREAKS and self.begun:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self.unseen -= tag in self.UNSEEN and self.unseen > 0

    def handle_data(self, data: str) -> None:
        if not self.unseen:
            self.begun = self.begun or not data.isspace()
            self.parts.append(data)


def html_to_text(html: str) -> str:
    """What a reader of the vendor's HTML sees: no tags, `<br>` and paragraphs as new lines, entities as characters."""
    parser = _Plain()
    parser.feed(html[: TEXT_MAX * 5])
    parser.close()
    return storable("".join(parser.parts)).strip()[:TEXT_MAX]


def _notice(
    kind: str, gross: int, net: int | None, payload: Mapping[str, Any], *, default_at: datetime, default_key: str
) -> MoneyFacts:
    net = gross - round(gross * FEE_PERCENT / 100) if net is None else net
    if net > gross:
        raise Unreadable("The net amount is above the gross.", code="amount_strange")
    bought = MESSAGE_LINK.search(_replaced(payload, "{MESSAGE_LINK}"))
    own = payload.get("id")
    return MoneyFacts(
        key=f"{kind}:{own}"[:64] if isinstance(own, int | str) and own else default_key[:64],
        kind=kind,
        status="done",
        gross_cents=gross,
        fee_cents=gross - net,
        net_cents=net,
        vat_cents=0,
        currency="USD",
        occurred_at=moment(payload.get("createdAt"), default=default_at),
        message_id=bought[1] if bought else "",
    )


def _amount(payload: Mapping[str, Any], what: str) -> int:
    found = AMOUNT.fullmatch(_replaced(payload, "{AMOUNT}"))
    if found is None:
        raise Unreadable(f"The amount of {what} cannot be read.", code="amount_strange")
    return int(found[1].replace(",", "")) * 100 + int(found[2] or 0)


def _replaced(payload: Mapping[str, Any], name: str) -> str:
    pairs = payload.get("replacePairs")
    value = pairs.get(name) if isinstance(pairs, dict) else None
    return value if isinstance(value, str) else ""


def _first(payload: Mapping[str, Any], *names: str) -> Any:
    return next((payload[name] for name in names if payload.get(name) is not None), None)


def _text(value: object, limit: int) -> str:
    return storable(value).strip()[:limit] if isinstance(value, str) else ""
