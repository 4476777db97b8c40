"""Answers whether a creator whose sends fail in a row waits, one message tries, and nobody else notices."""

import threading
import time

import pytest
import redis

from crm.tests.factories import FanFactory
from messaging import metrics
from messaging.delivery import Consumer, Disposition
from messaging.gateways import Rejected
from messaging.models import Delivery, SendingProfile
from messaging.rate_limiter import Breaker, Grant, Limit, RedisRateLimiter, Turn, Verdict
from messaging.tests.factories import (
    AMBIGUOUS,
    PASSING,
    PERMANENT,
    SESSION_DEAD,
    ScriptedGateway,
    copy_of,
    delivery_make,
    due_in,
    handle_in_time,
    profile_make,
)

LIMIT = Limit(messages=100, window_ms=60_000, gap_ms=0, lease_ms=30_000)
NEITHER, CLOSED = Turn(), Turn(closed=True)
BRIEF = Breaker(failures=5, first_ms=40, longest_ms=100)
TOO_FAST = Rejected(code="too_many", reason="Too fast.", rate_limited=True, retry_after=0)


@pytest.fixture(autouse=True)
def worker_alive() -> None:
    """No worker is said to be alive: the limiter's own keys are all that Redis holds here."""


@pytest.fixture
def brief(redis_server: redis.Redis) -> RedisRateLimiter:
    """A limiter whose breaker opens for 40 ms, then 80 ms, and never longer than 100 ms."""
    return RedisRateLimiter(redis_server, breaker=BRIEF)


def ask(limiter: RedisRateLimiter, name: str = "next", *, creator: int = 1, limit: Limit = LIMIT) -> Grant:
    return limiter.acquire(creator_id=creator, dispatch_id=name, limit=limit)


def send(limiter: RedisRateLimiter, verdict: Verdict, *, end: str = "settle", creator: int = 1) -> Turn:
    """One send that ends so; what became of the breaker."""
    assert ask(limiter, "a", creator=creator).granted
    turn: Turn = getattr(limiter, end)(creator_id=creator, dispatch_id="a", limit=LIMIT, verdict=verdict)
    return turn


def trouble(limiter: RedisRateLimiter, times: int) -> list[Turn]:
    return [send(limiter, Verdict.TROUBLE, end=("settle", "refund")[n % 2]) for n in range(times)]


def soon(milliseconds: float) -> None:
    time.sleep(milliseconds / 1_000)


def test_the_fifth_trouble_in_a_row_opens_it_for_half_a_minute(limiter):
    assert trouble(limiter, 5) == [NEITHER, NEITHER, NEITHER, NEITHER, Turn(opened_ms=30_000)]
    answer = ask(limiter)
    assert not answer.granted
    assert 29_900 < answer.wait_ms <= 30_000


def test_a_success_begins_the_row_anew(limiter):
    trouble(limiter, 4)
    assert send(limiter, Verdict.WELL) == NEITHER
    assert trouble(limiter, 4) == [NEITHER] * 4
    assert ask(limiter).granted


def test_an_answer_that_says_nothing_neither_counts_nor_ends_the_row(limiter):
    trouble(limiter, 4)
    assert send(limiter, Verdict.NOTHING) == NEITHER
    assert trouble(limiter, 1) == [Turn(opened_ms=30_000)]


def test_after_it_one_message_tries_and_its_success_closes_it(brief):
    trouble(brief, 5)
    assert not ask(brief, "probe").granted
    soon(45)
    assert ask(brief, "probe").granted
    assert not ask(brief, "another").granted
    assert brief.settle(creator_id=1, dispatch_id="probe", limit=LIMIT, verdict=Verdict.WELL) == CLOSED
    assert ask(brief, "another").granted


def test_each_probe_that_fails_doubles_the_time_up_to_the_longest(brief):
    assert trouble(brief, 5)[-1] == Turn(opened_ms=40)
    for expected in (80, 100, 100):
        soon(105)
        assert send(brief, Verdict.TROUBLE) == Turn(opened_ms=expected)


def test_of_many_who_ask_at_once_one_is_the_probe(brief, redis_server):
    trouble(brief, 5)
    soon(45)
    together, granted = threading.Barrier(12, timeout=5), []

    def probe(number: int) -> None:
        # Each with a limiter of its own, as in as many processes.
        own = RedisRateLimiter(redis_server, breaker=BRIEF)
        together.wait()
        granted.append(ask(own, str(number)).granted)

    threads = [threading.Thread(target=probe, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(granted) == [False] * 11 + [True]


def test_a_probe_that_dies_gives_way_with_its_lease(brief):
    trouble(brief, 5)
    soon(45)
    short = Limit(messages=100, window_ms=60_000, gap_ms=0, lease_ms=30)
    assert ask(brief, "dies", limit=short).granted
    assert not ask(brief, "next").granted
    soon(35)
    assert ask(brief, "next").granted


def test_a_probe_that_is_told_too_fast_leaves_the_question_to_the_next(brief):
    trouble(brief, 5)
    soon(45)
    assert send(brief, Verdict.NOTHING, end="refund") == NEITHER
    assert send(brief, Verdict.TROUBLE) == Turn(opened_ms=80)


def test_trouble_of_a_late_send_does_not_open_it_for_longer(limiter):
    trouble(limiter, 5)
    assert limiter.settle(creator_id=1, dispatch_id="late", limit=LIMIT, verdict=Verdict.TROUBLE) == NEITHER
    assert ask(limiter).wait_ms <= 30_000


def test_an_emptied_redis_closes_it(limiter, redis_server):
    trouble(limiter, 5)
    redis_server.flushdb()
    assert ask(limiter).granted


def test_another_creator_flows(limiter):
    trouble(limiter, 5)
    assert send(limiter, Verdict.WELL, creator=2) == NEITHER


def test_it_costs_a_creator_little_and_one_who_is_well_nothing(brief, redis_server):
    trouble(brief, 5)
    [key] = redis_server.scan_iter()
    assert redis_server.memory_usage(key) < 200
    assert 3_500_000 < redis_server.pttl(key) <= 3_600_100
    soon(45)
    send(brief, Verdict.WELL)
    assert 0 < redis_server.pttl(key) < 200_000


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(metrics, "count", lambda name, number=1: found.append(name))
    return found


def of_one_creator(count: int) -> list[Delivery]:
    profile = profile_make(messages=100)
    return [delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(count)]


@pytest.mark.django_db
@pytest.mark.parametrize("answer", [PASSING, AMBIGUOUS], ids=["refused", "in doubt"])
def test_five_500s_open_that_creators_breaker_and_others_flow(limiter, sqs_queues, counted, caplog, answer):
    gateway = ScriptedGateway(*[answer] * 5)
    consumer = Consumer(limiter=limiter, gateway=gateway)
    *failing, waits = of_one_creator(6)
    for delivery in failing:
        consumer.handle(copy_of(delivery))
    assert counted.count("OnlyFansBreakerOpened") == 1
    assert "breaker opened" in caplog.text
    assert consumer.handle(copy_of(waits)) is Disposition.ACKNOWLEDGE
    row = Delivery.objects.get(pk=waits.pk)
    assert (row.state, row.attempts, row.hops) == ("queued", 0, 1)
    assert 28 < due_in(waits) <= 31
    assert len(gateway.calls) == 5
    other = delivery_make()
    consumer.handle(copy_of(other))
    assert gateway.reached == [other.pk]
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0


@pytest.mark.django_db
def test_what_waited_for_the_breaker_is_sent_once_the_platform_is_well(brief, sqs_queues, counted):
    gateway = ScriptedGateway(*[AMBIGUOUS] * 5)
    consumer = Consumer(limiter=brief, gateway=gateway)
    *failing, first, second = of_one_creator(7)
    for delivery in failing:
        consumer.handle(copy_of(delivery))
    for delivery in (first, second):
        handle_in_time(consumer, delivery)
    assert gateway.reached == [first.pk, second.pk]
    assert counted.count("OnlyFansBreakerClosed") == 1


@pytest.mark.django_db
@pytest.mark.parametrize("answer", [PERMANENT, TOO_FAST, SESSION_DEAD], ids=["permanent", "429", "session dead"])
def test_an_answer_about_the_message_the_pace_or_the_session_does_not_open_it(limiter, sqs_queues, answer):
    gateway = ScriptedGateway(*[answer] * 6)
    consumer = Consumer(limiter=limiter, gateway=gateway)
    for delivery in of_one_creator(6):
        consumer.handle(copy_of(delivery))
        SendingProfile.objects.update(paused_at=None)
    assert len(gateway.calls) == 6
    last = delivery_make(fan=FanFactory(creator=delivery.creator))
    consumer.handle(copy_of(last))
    assert gateway.reached == [last.pk]
