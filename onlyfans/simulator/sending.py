"""Answers what becomes of one message sent to the simulator: refused, taken, or answered as before.
Touches the simulator's store."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from onlyfans.simulator import shapes
from onlyfans.simulator.store import Account, Answer, Limits, Message, Store, now_ms

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer before it is one."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Post:
    """One request to send: who, to whom, under which key, and the body as it came."""

    account: Account
    fan: str
    key: str | None
    raw: bytes

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.fan.encode() + b"\0" + self.raw).hexdigest()


def key_error(key: str | None) -> Reply | None:
    if key is None or (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        return None
    return Reply(400, {"error": "IDEMPOTENCY_KEY_INVALID", "message": "The key is 1-255 printable ASCII characters."})


def replay(store: Store, post: Post) -> Reply | None:
    """The answer that the key was given before, or that it was used for something else; None for a fresh key."""
    if post.key is None:
        return None
    kept = store.answer(account=post.account.id, idempotency_key=post.key, now=now_ms())
    if kept is None:
        return None
    if kept.request != post.fingerprint:
        return Reply(
            422,
            {
                "error": "IDEMPOTENCY_KEY_MISMATCH",
                "message": "This key was already used with a different request body or chat.",
            },
        )
    if kept.message is not None:
        store.count_replay(kept.message)
    body = json.loads(kept.body)
    if "_meta" in body:
        body["_meta"]["_credits"]["used"] = 0
    return Reply(kept.status, body, {"Idempotent-Replayed": "true"})


def send(store: Store, post: Post, *, limits: Limits, kept: bool = True) -> tuple[Reply, Message | None]:
    """Take the message if the platform would, and say which; with `kept` false the key remembers nothing of it."""
    now = now_ms()
    parsed = _parse(store, post)
    if isinstance(parsed, Reply):
        _keep(store, post, parsed, kept=kept, now=now)
        return parsed, None
    wait = store.wait_ms(account=post.account.id, limits=limits, now=now)
    if wait > 0:
        refused = shapes.upstream_error("Too many messages. Please wait.", 429)
        return Reply(429, refused, {"Retry-After": str(-(-wait // 1000))}), None
    body_of = _success(store, post)
    message = store.take(
        parsed,
        answer=(lambda taken: Answer(post.fingerprint, 200, json.dumps(body_of(taken)), taken.id)) if kept else None,
    )
    logger.info("message delivered account=%s fan=%s message=%s", message.account, message.fan, message.id)
    return Reply(200, body_of(message)), message


def _success(store: Store, post: Post) -> Callable[[Message], dict[str, Any]]:
    balance = shapes.CREDITS - store.count(account=post.account.id) - 1

    def body(message: Message) -> dict[str, Any]:
        return {"data": shapes.message_shape(message, post.account), "_meta": shapes.meta(used=1, balance=balance)}

    return body


def _keep(store: Store, post: Post, reply: Reply, *, kept: bool, now: int) -> None:
    """A refusal of the message itself is remembered too; a 429 or trouble on the way never is."""
    if kept and post.key is not None:
        answer = Answer(post.fingerprint, reply.status, json.dumps(reply.body), None)
        store.keep_answer(account=post.account.id, idempotency_key=post.key, answer=answer, now=now)


def _parse(store: Store, post: Post) -> Message | Reply:
    """The message that the body asks for, or why the vendor refuses it."""
    try:
        body = json.loads(post.raw, parse_float=Decimal)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return Reply(400, {"error": "BAD_REQUEST", "message": "The body is not a JSON object."})
    text, media, price = body.get("text", ""), body.get("mediaFiles") or [], body.get("price") or 0
    errors: dict[str, str] = {}
    if not isinstance(text, str) or not isinstance(media, list):
        errors["text"] = "The text must be a string and mediaFiles a list."
    elif not text.strip() and not media:
        errors["text"] = "The text field is required when no media file is present."
    if isinstance(price, bool) or not isinstance(price, int | Decimal):
        errors["price"] = "The price must be a number."
    elif price and not 3 <= price <= 200:
        errors["price"] = "The price must be 0 or between 3 and 200."
    elif price * 100 != int(price * 100):
        errors["price"] = "The price has a fraction of a cent."
    elif price and not media:
        errors["mediaFiles"] = "A price needs at least one media file."
    if errors:
        return Reply(422, shapes.validation_error(**errors))
    fan = store.fan(int(post.fan)) if post.fan.isascii() and post.fan.isdecimal() and len(post.fan) < 19 else None
    if fan is None:
        return Reply(400, shapes.upstream_error("Cannot send message to this user", 400))
    return Message(
        id=0,
        account=post.account.id,
        fan=fan.id,
        html=text,
        price_cents=int(price * 100),
        media=tuple(str(item) for item in media),
        idempotency_key=post.key or "",
        received_at=now_ms(),
        replays=0,
    )
