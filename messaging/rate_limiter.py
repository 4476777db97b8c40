"""Answers whether a creator may send now, and if not, in how long. Touches Redis, as the only module that does.

The limit that holds is: at most `limit` messages in any `window`, and at least `gap` between two, over every process.
A creator whose sends fail in a row waits as well: the breaker. How both hold is said in rate_limit.lua.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Protocol

import redis
from django.conf import settings
from redis.commands.core import Script

from messaging.errors import LimiterUnavailable

SCRIPT = (Path(__file__).parent / "rate_limit.lua").read_text(encoding="utf-8")
# As the script unpacks it: dispatch, limit, window, gap, lease, need or how long to hold, quiet.
QUESTION = Struct(">8s4I2q")
# Creators that one call asks for; the server answers nobody else meanwhile (a millisecond).
ASK_MAX = 100
NEVER = -1


@dataclass(frozen=True, slots=True)
class Limit:
    """What one creator is allowed: `messages` in any `window_ms`, `gap_ms` between two; a send is given `lease_ms`."""

    messages: int
    window_ms: int
    gap_ms: int
    lease_ms: int


@dataclass(frozen=True, slots=True)
class Ask:
    """One question of acquire_many; the fields are acquire's arguments."""

    creator_id: int
    dispatch_id: str
    limit: Limit
    need: int = 1
    quiet_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Granted, or the milliseconds until it would be."""

    granted: bool
    wait_ms: int


GRANTED = Grant(granted=True, wait_ms=0)


@dataclass(frozen=True, slots=True)
class Breaker:
    """So many `failures` in a row make a creator wait: `first_ms`·2ⁿ, at most `longest_ms`, then one message tries."""

    failures: int = 5
    first_ms: int = 30_000
    longest_ms: int = 600_000


class Verdict(StrEnum):
    """What the end of a send says of the platform."""

    WELL = "well"
    TROUBLE = "trouble"
    # It answered, about this message or about the pace.
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the end of a send made of the creator's breaker: opened for so long, closed, or (most often) neither."""

    opened_ms: int = 0
    closed: bool = False


class RateLimiter(Protocol):
    def acquire(
        self, *, creator_id: int, dispatch_id: str, limit: Limit, need: int = 1, quiet_ms: int | None = None
    ) -> Grant: ...

    def settle(
        self, *, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict = Verdict.NOTHING
    ) -> Turn: ...

    def refund(
        self, *, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict = Verdict.NOTHING
    ) -> Turn: ...

    def hold(self, *, creator_id: int, for_ms: int, limit: Limit) -> None: ...


def _question(dispatch_id: str, limit: Limit, number: int = 0, quiet: int = NEVER) -> bytes:
    # A dispatch is told from the dozen others of its creator by 64 bits of a hash, so that a token takes 14 bytes.
    name = blake2b(dispatch_id.encode(), digest_size=8).digest()
    return QUESTION.pack(name, limit.messages, limit.window_ms, limit.gap_ms, limit.lease_ms, number, quiet)


def _ask_question(dispatch_id: str, limit: Limit, need: int, quiet_ms: int | None) -> bytes:
    return _question(dispatch_id, limit, need, NEVER if quiet_ms is None else max(0, quiet_ms))


def _grant(wait_ms: int) -> Grant:
    return Grant(granted=False, wait_ms=wait_ms) if wait_ms else GRANTED


def _key(creator_id: int) -> str:
    # All that is known of a creator. The braces let other keys stand beside it on one node of a cluster.
    return f"limit:{{{creator_id}}}"


class RedisRateLimiter:
    """The limiter that every process shares. Each operation is one script call, on one creator's key or on several.

    Raises LimiterUnavailable where Redis does not answer: then nothing may be sent.
    """

    def __init__(self, client: redis.Redis, *, breaker: Breaker = Breaker()) -> None:
        self._client = client
        self._breaker = breaker
        self._script: Script = client.register_script(SCRIPT)

    def _run(self, operation: str, keys: Sequence[str], questions: bytes, *more: str | int) -> list[int]:
        try:
            answers: list[int] = self._script(keys=keys, args=[operation, questions, *more])
        except redis.RedisError as error:
            raise LimiterUnavailable(f"Redis does not answer: {type(error).__name__}.", retry_after=15) from error
        return answers

    def _end(self, operation: str, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict) -> Turn:
        breaker = self._breaker
        [turn] = self._run(
            operation,
            [_key(creator_id)],
            _question(dispatch_id, limit),
            verdict.value,
            breaker.failures,
            breaker.first_ms,
            breaker.longest_ms,
        )
        return Turn(opened_ms=max(0, turn), closed=turn < 0)

    def acquire(
        self, *, creator_id: int, dispatch_id: str, limit: Limit, need: int = 1, quiet_ms: int | None = None
    ) -> Grant:
        """Ask for a token. The same dispatch asked again while it holds one is granted again.

        need: how many tokens must be free; a campaign asks for 3, so that two are left for somebody who is typing.
        quiet_ms: how long ago PostgreSQL last saw this creator claim a send, None for never. Where Redis knows nothing
        of that send, it was emptied or set back, and the answer is to wait.
        While the creator's breaker is open nothing is granted; after it one dispatch is, until that one has ended.
        """
        [wait_ms] = self._run("acquire", [_key(creator_id)], _ask_question(dispatch_id, limit, need, quiet_ms))
        return _grant(wait_ms)

    def acquire_many(self, asks: Sequence[Ask]) -> list[Grant]:
        """acquire for many creators, answered in their order, as if asked one after the other in one moment.

        One script call for each hundred: how fast one Redis decides (bench/limiter.py). The worker asks one by one,
        because a token runs from its grant on, and each message has rows to be read before and claimed after it. A
        node of a cluster refuses such a call, which names keys of many slots: then LimiterUnavailable is raised.
        """
        return [
            _grant(wait_ms)
            for start in range(0, len(asks), ASK_MAX)
            for wait_ms in self._acquire_some(asks[start : start + ASK_MAX])
        ]

    def _acquire_some(self, asks: Sequence[Ask]) -> list[int]:
        questions = [_ask_question(ask.dispatch_id, ask.limit, ask.need, ask.quiet_ms) for ask in asks]
        return self._run("acquire", [_key(ask.creator_id) for ask in asks], b"".join(questions))

    def settle(self, *, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict = Verdict.NOTHING) -> Turn:
        """The send ended, whatever came of it: its token returns one window from now."""
        return self._end("settle", creator_id, dispatch_id, limit, verdict)

    def refund(self, *, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict = Verdict.NOTHING) -> Turn:
        """It is proven that nothing was sent: the token returns at once."""
        return self._end("refund", creator_id, dispatch_id, limit, verdict)

    def hold(self, *, creator_id: int, for_ms: int, limit: Limit) -> None:
        """The platform asked for a pause: nothing is granted before it ends."""
        self._run("hold", [_key(creator_id)], _question("", limit, for_ms))


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2, health_check_interval=30)


def limiter_load() -> RedisRateLimiter:
    """The limiter on REDIS_ENDPOINT; its connections are shared by the whole process."""
    breaker = Breaker(
        first_ms=round(settings.BREAKER_SECONDS * 1_000), longest_ms=round(settings.BREAKER_MAX_SECONDS * 1_000)
    )
    return RedisRateLimiter(_client(settings.REDIS_URL), breaker=breaker)


def redis_ping() -> None:
    """Raise LimiterUnavailable when Redis does not answer."""
    try:
        _client(settings.REDIS_URL).ping()
    except (redis.RedisError, ValueError) as error:
        raise LimiterUnavailable(f"Redis does not answer: {type(error).__name__}.") from error
