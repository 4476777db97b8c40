"""Answers how fast the limiter decides, what a creator costs in memory and whether it holds, beside others' limiters.
Touches a Valkey of its own."""

import itertools
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from typing import Any
from uuid import uuid4

import redis
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from throttled import RedisStore, Throttled, per_min, per_sec

from bench import stand
from messaging.rate_limiter import QUESTION, SCRIPT, Ask, Limit, RedisRateLimiter

LIMIT = Limit(messages=10, window_ms=60_000, gap_ms=3_000, lease_ms=30_000)
SPACIOUS = Limit(messages=10, window_ms=60_000, gap_ms=0, lease_ms=30_000)
PER_ROUND = 4_000
CREATORS = 100_000
FULL_CREATORS = 20_000
RATIO_GOAL = 0.65
AT_ONCE = 100
ROUNDS = 5
BATCHED_GOAL = 100_000
BYTES_GOAL = 400
WINDOWS = 4


def acquire_arguments(creator: int, dispatch_id: str, limit: Limit = LIMIT) -> tuple[str | int | bytes, ...]:
    """What RedisRateLimiter.acquire sends; `same_question` holds it to that."""
    return f"limit:{{{creator}}}", "acquire", question(dispatch_id, limit, 1)


def settle_arguments(creator: int, dispatch_id: str, limit: Limit = LIMIT) -> tuple[str | int | bytes, ...]:
    return f"limit:{{{creator}}}", "settle", question(dispatch_id, limit, 0), "", 5, 30_000, 600_000


def question(dispatch_id: str, limit: Limit, need: int) -> bytes:
    name = blake2b(dispatch_id.encode(), digest_size=8).digest()
    return QUESTION.pack(name, limit.messages, limit.window_ms, limit.gap_ms, limit.lease_ms, need, -1)


def wire(words: tuple[str | int | bytes, ...]) -> bytes:
    """A command in Redis' protocol."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


class Recorder(redis.Redis):
    """A client whose scripts note what they are asked, and grant."""

    asked: tuple[str | int | bytes, ...] = ()

    def register_script(self, script: str) -> Any:
        def answer(keys: Sequence[str], args: Sequence[str | int | bytes]) -> list[int]:
            self.asked = (*keys, *args)
            return [0]

        return answer


def same_question() -> None:
    """Raise where what is measured beside the limiter is not what the limiter asks."""
    recorder = Recorder()
    limiter = RedisRateLimiter(recorder)
    limiter.acquire(creator_id=7, dispatch_id="x", limit=LIMIT)
    if recorder.asked != acquire_arguments(7, "x"):
        raise AssertionError(recorder.asked)
    limiter.settle(creator_id=7, dispatch_id="x", limit=LIMIT)
    if recorder.asked != settle_arguments(7, "x"):
        raise AssertionError(recorder.asked)


def speed(url: str) -> None:
    """Decisions one after the other; each is another creator's first, so each takes a token."""
    client = redis.Redis.from_url(url)
    sha = client.script_load(SCRIPT)
    ours, creators = RedisRateLimiter(client), count(1)
    host, port = url.removeprefix("redis://").split("/")[0].split(":")
    raw = socket.create_connection((host, int(port)))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    moving = MovingWindowRateLimiter(RedisStorage(url))
    throttled = Throttled(using="gcra", quota=per_min(10, burst=10), store=RedisStore(server=url))
    each_minute = RateLimitItemPerMinute(10)

    def by_socket(creator: int) -> None:
        raw.sendall(wire(("EVALSHA", sha, 1, *acquire_arguments(creator, str(uuid4())))))
        answer = raw.recv(64)
        while answer.count(b"\r\n") < 2:
            answer += raw.recv(64)
        if answer != b"*1\r\n:0\r\n":
            raise AssertionError(answer)

    def repeated(decide: Callable[[int], object]) -> Callable[[], int]:
        def run() -> int:
            for creator in [next(creators) for _ in range(PER_ROUND)]:
                decide(creator)
            return PER_ROUND

        return run

    peer = "raw socket, EVALSHA"
    found = stand.rates(
        {
            peer: repeated(by_socket),
            "redis-py, EVALSHA": repeated(lambda n: client.evalsha(sha, 1, *acquire_arguments(n, str(uuid4())))),
            "ours: RedisRateLimiter.acquire": repeated(
                lambda n: ours.acquire(creator_id=n, dispatch_id=str(uuid4()), limit=LIMIT)
            ),
            "limits, moving window": repeated(lambda n: moving.hit(each_minute, str(n))),
            "throttled-py, GCRA": repeated(lambda n: throttled.limit(str(n))),
        }
    )
    stand.title("Decisions a second, one after the other, on one connection")
    stand.table(found, unit="/s", peer=peer)
    ratio = found["ours: RedisRateLimiter.acquire"] / found[peer]
    stand.goal("ours ÷ raw socket", found=ratio, wanted=RATIO_GOAL)
    raw.close()
    many(ours, creators)


def many(ours: RedisRateLimiter, creators: Iterator[int]) -> None:
    """Decisions for a hundred creators in each call; each is another creator's first, as before.

    The questions stand before the clock starts: who asks has the dispatches already.
    """
    calls = [
        [Ask(creator, str(uuid4()), LIMIT) for creator in itertools.islice(creators, AT_ONCE)]
        for _ in range(ROUNDS * PER_ROUND // AT_ONCE)
    ]
    waiting = iter(calls)

    def run() -> int:
        for asks in itertools.islice(waiting, PER_ROUND // AT_ONCE):
            if not all(grant.granted for grant in ours.acquire_many(asks)):
                raise AssertionError("not granted")
        return PER_ROUND

    name = f"ours: RedisRateLimiter.acquire_many, {AT_ONCE} at once"
    found = stand.rates({name: run}, rounds=ROUNDS)
    stand.row(name, f"{found[name]:,.0f} /s")
    stand.goal("ours, batched, decisions a second", found=found[name], wanted=BATCHED_GOAL)


def memory(url: str) -> None:
    """What Valkey's memory grew by, for each creator."""
    client = redis.Redis.from_url(url)
    sha = client.script_load(SCRIPT)

    def bytes_each(creators: int, fill: Callable[[redis.client.Pipeline, int], None]) -> float:
        # At once, because memory that is freed in the background would be counted as ours.
        client.execute_command("FLUSHDB", "SYNC")
        before = client.info("memory")["used_memory"]
        for start in range(0, creators, 500):
            with client.pipeline(transaction=False) as pipe:
                for creator in range(start, min(start + 500, creators)):
                    fill(pipe, creator)
                pipe.execute()
        return float(client.info("memory")["used_memory"] - before) / creators

    def sends(pipe: redis.client.Pipeline, creator: int, messages: int) -> None:
        for _ in range(messages):
            dispatch_id = str(uuid4())
            pipe.evalsha(sha, 1, *acquire_arguments(creator, dispatch_id, SPACIOUS))
            pipe.evalsha(sha, 1, *settle_arguments(creator, dispatch_id, SPACIOUS))

    one = bytes_each(CREATORS, lambda pipe, creator: sends(pipe, creator, 1))
    full = bytes_each(FULL_CREATORS, lambda pipe, creator: sends(pipe, creator, 10))
    stand.title("Valkey's memory for each creator")
    stand.row(f"one message in the last minute, {CREATORS:,} creators", f"{one:,.0f} bytes")
    stand.row(f"ten messages in the last minute, {FULL_CREATORS:,} creators", f"{full:,.0f} bytes")
    stand.row("nothing for a while", "0 bytes", "keys end by themselves")
    stand.goal("bytes for each creator, one message", found=one, wanted=BYTES_GOAL, at_most=True)
    stand.goal("bytes for each creator, ten messages (the most)", found=full, wanted=BYTES_GOAL, at_most=True)
    client.flushdb()


@dataclass(frozen=True, slots=True)
class Pass:
    """One grant: `end` is called once the send is over."""

    end: Callable[[], None]


def _tries(url: str) -> Iterator[tuple[str, Callable[[], Pass | None]]]:
    client = redis.Redis.from_url(url)
    ours = RedisRateLimiter(client)
    short = Limit(messages=10, window_ms=1_000, gap_ms=0, lease_ms=1_000)

    def by_ours() -> Pass | None:
        name = str(uuid4())
        if not ours.acquire(creator_id=0, dispatch_id=name, limit=short).granted:
            return None
        return Pass(lambda: ours.settle(creator_id=0, dispatch_id=name, limit=short) and None)

    moving, per_second = MovingWindowRateLimiter(RedisStorage(url)), RateLimitItemPerSecond(10)
    gcra = Throttled(using="gcra", quota=per_sec(10, burst=10), store=RedisStore(server=url))
    bucket = Throttled(using="token_bucket", quota=per_sec(10, burst=10), store=RedisStore(server=url))
    nothing = Pass(lambda: None)
    yield "ours", by_ours
    yield "limits, moving window", lambda: nothing if moving.hit(per_second, "hold") else None
    yield "throttled-py, GCRA", lambda: None if gcra.limit("gcra").limited else nothing
    yield "throttled-py, token bucket", lambda: None if bucket.limit("bucket").limited else nothing


def most_in_a_window(attempt: Callable[[], Pass | None], *, seed: int) -> int:
    """Ten a second are allowed; four threads ask without end, and a send reaches the platform up to 60 ms later."""
    arrivals: list[float] = []
    stop_at = time.monotonic() + WINDOWS

    def sender(number: int) -> None:
        chance = random.Random(seed + number)
        while time.monotonic() < stop_at:
            granted = attempt()
            if granted is None:
                time.sleep(0.002)
                continue
            time.sleep(chance.uniform(0, 0.06))
            arrivals.append(time.monotonic())
            granted.end()

    threads = [threading.Thread(target=sender, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = sorted(arrivals)
    # Redis reads its clock in whole milliseconds, so a window is taken two of them short.
    return max(sum(1 for other in times if 0 <= other - begin < 0.998) for begin in times)


def holding(url: str) -> None:
    stand.title("Most messages at the platform in any window, where ten are allowed")
    for seed, (name, attempt) in enumerate(_tries(url)):
        most = most_in_a_window(attempt, seed=seed)
        stand.row(name, f"{most} of 10", "" if most <= 10 else f"{most - 10} too many")
        if name == "ours":
            stand.goal("ours, in any window", found=most, wanted=10, at_most=True)


def main() -> None:
    same_question()
    with stand.valkey() as url:
        speed(url)
        memory(url)
        holding(url)


if __name__ == "__main__":
    main()
