"""Answers what the limiter promises, as a small limiter in memory, and runs the real one on a clock that a test moves:
the product's script, with its one reading of the server's clock replaced."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import redis

from messaging.rate_limiter import SCRIPT, Ask, Breaker, Grant, Limit, RedisRateLimiter, Turn, Verdict

CLOCK = "redis.call('TIME')"
# The last argument is the time in milliseconds; TIME answers seconds and microseconds.
VIRTUAL_CLOCK = "{math.floor(ARGV[#ARGV] / 1000), (ARGV[#ARGV] % 1000) * 1000}"
VIRTUAL_SCRIPT = SCRIPT.replace(CLOCK, VIRTUAL_CLOCK)
# Ahead of every real clock, so that the server itself never finds a key expired: VirtualRedisLimiter does that.
BEGIN_MS = 4_000_000_000_000
# Opened by the second trouble in a row, for half a second, then one, and at most one and a half.
BREAKER = Breaker(failures=2, first_ms=500, longest_ms=1_500)
HOUR_MS = 3_600_000


@dataclass
class _Book:
    """What is known of one creator."""

    # When each token that is out comes back.
    out: dict[str, int] = field(default_factory=dict)
    # False until the first grant or hold, after a flush, and after a time in which nothing was asked.
    known: bool = False
    forgotten_at: int = 0
    shut_until: int = 0
    in_flight: str = ""
    hold_until: int = 0
    troubles: int = 0
    troubles_forgotten_at: int = 0
    open_until: int = 0


class ModelLimiter:
    """The promise without Redis: a token is out from the grant until one window after the end of its send."""

    def __init__(self) -> None:
        self.now_ms = BEGIN_MS
        self._books: dict[int, _Book] = {}

    def advance(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    def flush(self) -> None:
        self._books.clear()

    def snapshot(self) -> dict[int, _Book]:
        return deepcopy(self._books)

    def set_back(self, snapshot: dict[int, _Book]) -> None:
        """A server that starts from its last snapshot, or a replica that was behind and takes over."""
        self._books = deepcopy(snapshot)

    def _book(self, creator_id: int) -> _Book:
        book = self._books.setdefault(creator_id, _Book())
        if book.known and book.forgotten_at <= self.now_ms:
            book.known, book.shut_until, book.in_flight, book.hold_until = False, 0, "", 0
        return book

    def _keep(self, book: _Book, limit: Limit) -> None:
        """What is known of a creator is kept for ten seconds more than it can matter."""
        longest = limit.lease_ms + limit.window_ms + limit.gap_ms
        book.forgotten_at = max(book.hold_until, self.now_ms + longest) + 10_000

    def _grant(self, book: _Book, dispatch_id: str, limit: Limit) -> Grant:
        book.known, book.in_flight = True, dispatch_id
        book.out[dispatch_id] = self.now_ms + limit.lease_ms + limit.window_ms
        book.shut_until = self.now_ms + limit.lease_ms + limit.gap_ms
        self._keep(book, limit)
        return Grant(granted=True, wait_ms=0)

    def acquire(
        self, *, creator_id: int, dispatch_id: str, limit: Limit, need: int = 1, quiet_ms: int | None = None
    ) -> Grant:
        book, now = self._book(creator_id), self.now_ms
        longest = limit.lease_ms + max(limit.window_ms, limit.gap_ms)
        if book.in_flight == dispatch_id and book.shut_until > now:
            return self._grant(book, dispatch_id, limit)
        last = book.shut_until - limit.gap_ms - (limit.lease_ms if book.in_flight else 0)
        if quiet_ms is not None and quiet_ms < longest and now - quiet_ms >= last + max(limit.gap_ms, 1_000):
            book.known, book.in_flight, book.shut_until = True, "", now + longest - quiet_ms
            self._keep(book, limit)
        book.out = {name: back for name, back in book.out.items() if back > now}
        opens = book.shut_until
        if book.in_flight:
            opens = min(opens, now + max(limit.gap_ms, 250))
        free_at = [now] * max(0, limit.messages - len(book.out)) + sorted(book.out.values())
        # Under a limit that was lowered, more are out than there are tokens: the oldest of them add nothing.
        surplus = max(0, len(book.out) - limit.messages)
        wait = max(opens, book.hold_until, book.open_until, free_at[surplus + min(need, limit.messages) - 1]) - now
        return Grant(granted=False, wait_ms=wait) if wait > 0 else self._grant(book, dispatch_id, limit)

    def acquire_many(self, asks: Sequence[Ask]) -> list[Grant]:
        return [
            self.acquire(
                creator_id=ask.creator_id,
                dispatch_id=ask.dispatch_id,
                limit=ask.limit,
                need=ask.need,
                quiet_ms=ask.quiet_ms,
            )
            for ask in asks
        ]

    def _ended(self, book: _Book, dispatch_id: str, limit: Limit, verdict: Verdict) -> Turn:
        if book.in_flight == dispatch_id:
            book.in_flight, book.shut_until = "", self.now_ms + limit.gap_ms
        self._keep(book, limit)
        if book.troubles_forgotten_at <= self.now_ms:
            book.troubles = 0
        if verdict is Verdict.WELL:
            closed = book.troubles >= BREAKER.failures
            book.troubles = book.open_until = 0
            return Turn(closed=closed)
        if verdict is not Verdict.TROUBLE or book.open_until > self.now_ms:
            return Turn()
        book.troubles += 1
        beyond = book.troubles - BREAKER.failures
        opened = min(BREAKER.first_ms * 2**beyond, BREAKER.longest_ms) if beyond >= 0 else 0
        if opened:
            book.open_until = self.now_ms + opened
        book.troubles_forgotten_at = self.now_ms + opened + HOUR_MS
        return Turn(opened_ms=opened)

    def settle(self, *, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict = Verdict.NOTHING) -> Turn:
        book = self._book(creator_id)
        book.out[dispatch_id] = self.now_ms + limit.window_ms
        return self._ended(book, dispatch_id, limit, verdict)

    def refund(self, *, creator_id: int, dispatch_id: str, limit: Limit, verdict: Verdict = Verdict.NOTHING) -> Turn:
        book = self._book(creator_id)
        book.out.pop(dispatch_id, None)
        return self._ended(book, dispatch_id, limit, verdict)

    def hold(self, *, creator_id: int, for_ms: int, limit: Limit) -> None:
        book = self._book(creator_id)
        if not book.known:
            longest = limit.lease_ms + max(limit.window_ms, limit.gap_ms)
            book.known, book.shut_until = True, self.now_ms + longest
        book.hold_until = max(book.hold_until, self.now_ms + for_ms)
        self._keep(book, limit)


class VirtualRedisLimiter(RedisRateLimiter):
    """The real limiter on a real server, on a clock that moves when the test says so."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client, breaker=BREAKER)
        self.now_ms = BEGIN_MS
        script = client.register_script(VIRTUAL_SCRIPT)
        self._script = lambda keys, args: script(keys=keys, args=[*args, self.now_ms])

    def advance(self, milliseconds: int) -> None:
        """Let time pass, and let go of the keys that the server would have let go of."""
        self.now_ms += milliseconds
        for key in self._client.keys("limit:*"):
            if 0 < self._client.pexpiretime(key) <= self.now_ms:
                self._client.delete(key)

    def flush(self) -> None:
        self._client.flushdb()

    def snapshot(self) -> dict[bytes, tuple[bytes, int]]:
        return {key: (self._client.get(key), self._client.pexpiretime(key)) for key in self._client.keys("limit:*")}

    def set_back(self, snapshot: dict[bytes, tuple[bytes, int]]) -> None:
        self.flush()
        for key, (book, expires_at) in snapshot.items():
            if expires_at > self.now_ms:
                self._client.set(key, book, pxat=expires_at)
