"""Answers whether a creator may send now, and if not, in how long. Touches Redis, as the only module that does.

The limit that holds is: at most `limit` messages in any `window`, and at least `gap` between two, over every process.
A creator whose sends fail in a row waits as well: the breaker. How both hold is said in rate_limit.lua.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import redis
from django.conf import settings
from redis.commands.core import Script

from messaging.errors import LimiterUnavailable

EPOCH_KEY = "limit:epoch"
SCRIPT = (Path(__file__).parent / "rate_limit.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Limit:
    """What one creator is allowed: `messages` in any `window_ms`, `gap_ms` between two; a send is given `lease_ms`."""

    messages: int
    window_ms: int
    gap_ms: int
    lease_ms: int


@dataclass(frozen=True, slots=True)
class Grant:
    """Granted, or the milliseconds until it would be."""

    granted: bool
    wait_ms: int


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
    def epoch(self) -> str: ...

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


class RedisRateLimiter:
    """The limiter that every process shares. Each operation is one script call on one creator's keys.

    Raises LimiterUnavailable where Redis does not answer: then nothing may be sent.
    """

    def __init__(self, client: redis.Redis, *, breaker: Breaker = Breaker()) -> None:
        self._client = client
        self._breaker = breaker
        self._script: Script = client.register_script(SCRIPT)

    def _run(
        self, operation: str, creator_id: int, dispatch_id: str, limit: Limit, *more: str | int
    ) -> tuple[int, int]:
        # The braces keep a creator's keys on one node of a cluster.
        keys = [f"limit:{{{creator_id}}}:{name}" for name in ("tokens", "gate", "breaker")]
        args: list[str | int] = [
            operation,
            dispatch_id,
            limit.messages,
            limit.window_ms,
            limit.gap_ms,
            limit.lease_ms,
            *more,
        ]
        try:
            granted, number = self._script(keys=keys, args=args)
        except redis.RedisError as error:
            raise LimiterUnavailable(f"Redis does not answer: {type(error).__name__}.", retry_after=15) from error
        return int(granted), int(number)

    def _end(self, operation: str, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict) -> Turn:
        breaker = self._breaker
        _, turn = self._run(
            operation, creator_id, dispatch_id, limit, verdict, breaker.failures, breaker.first_ms, breaker.longest_ms
        )
        return Turn(opened_ms=max(0, turn), closed=turn < 0)

    def epoch(self) -> str:
        """A name that Redis keeps for as long as it keeps anything: another one means that it was emptied between."""
        try:
            found = self._client.get(EPOCH_KEY)
            if found is None:
                self._client.set(EPOCH_KEY, uuid4().hex, nx=True)
                found = self._client.get(EPOCH_KEY)
        except redis.RedisError as error:
            raise LimiterUnavailable(f"Redis does not answer: {type(error).__name__}.", retry_after=15) from error
        # Emptied once more in this moment: no name at all.
        return found.decode() if isinstance(found, bytes) else uuid4().hex

    def acquire(
        self, *, creator_id: int, dispatch_id: str, limit: Limit, need: int = 1, quiet_ms: int | None = None
    ) -> Grant:
        """Ask for a token. The same dispatch asked again while it holds one is granted again.

        need: how many tokens must be free; a campaign asks for 3, so that two are left for somebody who is typing.
        quiet_ms: how long ago PostgreSQL last saw this creator claim a send, None for never. Where Redis knows nothing
        of a creator who was sending until just now, it was emptied, and the answer is to wait.
        While the creator's breaker is open nothing is granted; after it one dispatch is, until that one has ended.
        """
        quiet = -1 if quiet_ms is None else max(0, quiet_ms)
        granted, wait_ms = self._run("acquire", creator_id, dispatch_id, limit, need, quiet)
        return Grant(granted=bool(granted), wait_ms=wait_ms)

    def settle(self, *, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict = Verdict.NOTHING) -> Turn:
        """The send ended, whatever came of it: its token returns one window from now."""
        return self._end("settle", creator_id, dispatch_id, limit, verdict)

    def refund(self, *, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict = Verdict.NOTHING) -> Turn:
        """It is proven that nothing was sent: the token returns at once."""
        return self._end("refund", creator_id, dispatch_id, limit, verdict)

    def hold(self, *, creator_id: int, for_ms: int, limit: Limit) -> None:
        """The platform asked for a pause: nothing is granted before it ends."""
        self._run("hold", creator_id, "", limit, for_ms)


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2, health_check_interval=30)


def limiter_load() -> RedisRateLimiter:
    """The limiter on REDIS_ENDPOINT; its connections are shared by the whole process."""
    return RedisRateLimiter(_client(settings.REDIS_URL))


def redis_ping() -> None:
    """Raise LimiterUnavailable when Redis does not answer."""
    try:
        _client(settings.REDIS_URL).ping()
    except (redis.RedisError, ValueError) as error:
        raise LimiterUnavailable(f"Redis does not answer: {type(error).__name__}.") from error
