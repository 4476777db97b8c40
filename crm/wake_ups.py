"""Answers which open pages should look again: wakes them, in whatever process they are, without saying what is new.
Touches Redis (pub/sub) alone.

A wake-up is lost where Redis is away; the pages' own slow poll is for that. What is shown comes from the API each time.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import redis
import structlog
from django.conf import settings
from django.db import transaction
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = structlog.get_logger(__name__)
# Beside the ids of conversations: anything of the creator may have changed; the state of sending or of the account did.
ANYTHING, STATE = "anything", "state"
# Past so many conversations a page looks at everything it shows.
TOPICS_MAX = 10
# Whoever changes something is kept no longer than this, and not again before the pause is over.
PUBLISH_SECONDS = 0.2
AWAY_SECONDS = 5.0
CONNECT_SECONDS = 2.0
# A connection that said nothing for so long is asked, and given up where it then says nothing again.
SILENCE_SECONDS = 10.0


def wake(*topics: object, creator_id: int) -> None:
    """Wake the creator's pages once the caller's transaction has committed; at once where there is none.

    topics: ids of conversations, ANYTHING or STATE. Never raises, and says the same once in a transaction.
    """
    names = tuple(sorted({str(topic) for topic in topics}))
    call = _Publish(creator_id, names if len(names) <= TOPICS_MAX else (ANYTHING,))
    connection = transaction.get_connection()
    if not any(call == waiting for _, waiting, *_ in connection.run_on_commit):
        transaction.on_commit(call)


@dataclass(frozen=True, slots=True)
class _Publish:
    creator_id: int
    topics: tuple[str, ...]

    def __call__(self) -> None:
        if settings.REDIS_URL and self.topics:
            _publisher(settings.REDIS_URL).publish(f"{self.creator_id} {' '.join(self.topics)}")


class _Publisher:
    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_connect_timeout=PUBLISH_SECONDS,
            socket_timeout=PUBLISH_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._channel = _channel(self._client)
        self._away_until = float("-inf")

    def publish(self, line: str) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            self._client.publish(self._channel, line)
        except Exception as error:  # whatever it is: what changed is stored, and its caller goes on
            self._away_until = time.monotonic() + AWAY_SECONDS
            logger.warning("pages not woken", error=type(error).__name__)


@cache
def _publisher(url: str) -> _Publisher:
    return _Publisher(url)


def _channel(client: Any) -> str:
    """Channels know no database, and two installations may share a server by its databases."""
    return f"wake:{client.connection_pool.connection_kwargs.get('db', 0)}"


class StreamsDown(Exception):
    """Redis is away, so nobody could be woken."""


@dataclass(eq=False, slots=True)
class Listener:
    """One open page, as long as it listens. `topics` gathers what woke it since it last looked."""

    creator_id: int
    topics: set[str] = field(default_factory=set)
    ended: bool = False
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self, topics: set[str]) -> None:
        self.topics |= topics
        self._woken.set()

    def end(self) -> None:
        self.ended = True
        self._woken.set()

    async def wait(self, seconds: float) -> set[str]:
        """What woke it, as soon as something does; nothing after so many seconds, or where `ended` came."""
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return set()
        self._woken.clear()
        topics, self.topics = self.topics, set()
        return topics


class Switchboard:
    """All listeners of one event loop (a process has one) on one subscription, which lives while there are any."""

    # Without a lock, because a signal handler reads it: each loop writes its own entry alone.
    _all: "ClassVar[dict[asyncio.AbstractEventLoop, Switchboard]]" = {}

    def __init__(self) -> None:
        self._listeners: dict[int, set[Listener]] = {}
        self._subscribed = asyncio.Event()
        self._task = asyncio.create_task(self._run(settings.REDIS_URL))

    @classmethod
    @contextmanager
    def listening(cls, creator_id: int) -> "Iterator[tuple[Switchboard, Listener]]":
        """A listener in the running loop, until the block ends."""
        loop = asyncio.get_running_loop()
        board = cls._all.get(loop)
        if board is None or board.over:
            board = cls._all[loop] = cls()
        listener = Listener(creator_id)
        board._listeners.setdefault(creator_id, set()).add(listener)
        try:
            yield board, listener
        finally:
            board._leave(loop, listener)

    @classmethod
    def end_all(cls) -> None:
        """End every listener of this process, from whatever thread; new ones may come."""
        for loop, board in list(cls._all.items()):
            loop.call_soon_threadsafe(board.end)

    @classmethod
    def listeners_count(cls) -> int:
        """Of this process."""
        return sum(board.count for board in list(cls._all.values()))

    @property
    def count(self) -> int:
        return sum(len(peers) for peers in list(self._listeners.values()))

    @property
    def over(self) -> bool:
        return self._task.done()

    async def ready(self) -> None:
        """Return once wake-ups arrive. Raises StreamsDown where they do not within CONNECT_SECONDS."""
        try:
            await asyncio.wait_for(self._subscribed.wait(), CONNECT_SECONDS)
        except TimeoutError as error:
            raise StreamsDown("Redis does not answer.") from error

    def _leave(self, loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        peers = self._listeners[listener.creator_id]
        peers.discard(listener)
        if not peers:
            del self._listeners[listener.creator_id]
        if not self._listeners:
            if self._all.get(loop) is self:
                del self._all[loop]
            self._task.cancel()

    def end(self) -> None:
        for peers in self._listeners.values():
            for listener in peers:
                listener.end()

    async def _run(self, url: str) -> None:
        """Listen until the connection is lost: then every stream ends, so that its page knows that it is on its own."""
        try:
            client = AsyncRedis.from_url(
                url,
                socket_connect_timeout=CONNECT_SECONDS,
                socket_timeout=CONNECT_SECONDS,
                retry=AsyncRetry(NoBackoff(), 0),
                decode_responses=True,
            )
            async with client, client.pubsub() as pubsub:
                await pubsub.subscribe(_channel(client))
                self._subscribed.set()
                await self._hear(pubsub)
        except (redis.RedisError, ValueError) as error:
            logger.warning("pages are not woken: redis is away", error=type(error).__name__)
        finally:
            self._subscribed.clear()
            self.end()

    async def _hear(self, pubsub: Any) -> None:
        asked = False
        while True:
            message = await pubsub.get_message(timeout=SILENCE_SECONDS)
            if message is None and asked:
                raise redis.ConnectionError("It says nothing any more.")
            asked = message is None
            if asked:
                await pubsub.ping()
            elif message["type"] == "message":
                creator_id, *topics = message["data"].split()
                for listener in self._listeners.get(int(creator_id), ()):
                    listener.wake(set(topics))
