"""Answers whether the real limiter and its small model give the same answers, and whether what they promise holds."""

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from messaging.rate_limiter import SCRIPT, Ask, Grant, Limit, Turn, Verdict
from messaging.tests.limiter_model import BREAKER, CLOCK, VIRTUAL_SCRIPT, ModelLimiter, VirtualRedisLimiter

LIMIT = Limit(messages=3, window_ms=60_000, gap_ms=3_000, lease_ms=30_000)
NO_GAP = Limit(messages=3, window_ms=60_000, gap_ms=0, lease_ms=30_000)
# The same runs each time: what is red here is red everywhere.
RUN = settings(
    derandomize=True,
    deadline=None,
    max_examples=200,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_the_clock_is_read_in_exactly_one_place():
    assert SCRIPT.count("TIME'") == 1
    assert SCRIPT.count(CLOCK) == 1
    assert CLOCK not in VIRTUAL_SCRIPT


@pytest.fixture(autouse=True)
def worker_alive() -> None:
    """No worker is said to be alive: the limiter's own keys are all that Redis holds here."""


@pytest.fixture(params=["model", "valkey"])
def limiter(request, redis_server):
    return ModelLimiter() if request.param == "model" else VirtualRedisLimiter(redis_server)


def ask(limiter, name, limit=LIMIT, **more):
    return limiter.acquire(creator_id=1, dispatch_id=name, limit=limit, **more)


def send(limiter, name, limit=LIMIT, *, takes_ms=0):
    assert ask(limiter, name, limit) == Grant(granted=True, wait_ms=0)
    limiter.advance(takes_ms)
    limiter.settle(creator_id=1, dispatch_id=name, limit=limit)


def test_the_gap_counts_from_the_end_of_the_send(limiter):
    send(limiter, "a", takes_ms=500)
    assert ask(limiter, "b").wait_ms == 3_000
    limiter.advance(2_999)
    assert ask(limiter, "b").wait_ms == 1
    limiter.advance(1)
    assert ask(limiter, "b").granted


def test_a_token_returns_one_window_after_the_end_of_its_send(limiter):
    for name in "abc":
        send(limiter, name, NO_GAP, takes_ms=700)
    assert ask(limiter, "d", NO_GAP).wait_ms == 60_000 - 1_400
    limiter.advance(60_000 - 1_400)
    assert ask(limiter, "d", NO_GAP).granted


def test_a_campaign_waits_until_three_are_free(limiter):
    send(limiter, "a", NO_GAP)
    limiter.advance(10_000)
    assert ask(limiter, "b", NO_GAP, need=3).wait_ms == 50_000
    assert ask(limiter, "b", NO_GAP, need=1).granted


def test_the_same_dispatch_is_granted_again_and_its_lease_begins_anew(limiter):
    ask(limiter, "a")
    limiter.advance(20_000)
    assert ask(limiter, "a").granted
    limiter.advance(32_999)
    assert not ask(limiter, "b").granted
    limiter.advance(1)
    assert ask(limiter, "b").granted


def test_a_crash_holds_the_token_for_lease_and_window(limiter):
    one = Limit(messages=1, window_ms=60_000, gap_ms=0, lease_ms=30_000)
    ask(limiter, "a", one)
    limiter.advance(89_999)
    assert ask(limiter, "b", one).wait_ms == 1
    limiter.advance(1)
    assert ask(limiter, "b", one).granted


def test_a_refund_returns_the_token_and_keeps_the_gap(limiter):
    one = Limit(messages=1, window_ms=60_000, gap_ms=3_000, lease_ms=30_000)
    ask(limiter, "a", one)
    limiter.refund(creator_id=1, dispatch_id="a", limit=one)
    assert ask(limiter, "b", one).wait_ms == 3_000
    limiter.advance(3_000)
    assert ask(limiter, "b", one).granted


def test_the_longest_hold_counts(limiter):
    send(limiter, "a")
    limiter.hold(creator_id=1, for_ms=100_000, limit=LIMIT)
    limiter.hold(creator_id=1, for_ms=10, limit=LIMIT)
    assert ask(limiter, "b").wait_ms == 100_000
    limiter.advance(100_000)
    assert ask(limiter, "b").granted


def test_after_a_flush_a_creator_who_was_sending_waits_once(limiter):
    send(limiter, "a")
    limiter.advance(10_000)
    limiter.flush()
    assert ask(limiter, "b", quiet_ms=10_000).wait_ms == 80_000
    limiter.advance(79_000)
    assert ask(limiter, "b", quiet_ms=89_000).wait_ms == 1_000
    limiter.advance(1_000)
    assert ask(limiter, "b", quiet_ms=90_000).granted


def test_a_settle_after_a_flush_does_not_hide_it(limiter):
    ask(limiter, "a")
    limiter.flush()
    limiter.settle(creator_id=1, dispatch_id="a", limit=LIMIT)
    assert ask(limiter, "b", quiet_ms=0).wait_ms == 90_000


def test_after_redis_was_set_back_a_creator_who_was_sending_waits_once(limiter):
    send(limiter, "a", takes_ms=500)
    older = limiter.snapshot()
    limiter.advance(3_000)
    send(limiter, "b", takes_ms=500)
    limiter.set_back(older)
    limiter.advance(3_000)
    assert ask(limiter, "c", quiet_ms=3_500).wait_ms == 90_000 - 3_500
    limiter.advance(86_500)
    assert ask(limiter, "c", quiet_ms=90_000).granted


def test_a_send_in_flight_in_the_older_copy_opens_nothing(limiter):
    ask(limiter, "a")
    older = limiter.snapshot()
    limiter.settle(creator_id=1, dispatch_id="a", limit=LIMIT)
    limiter.advance(3_000)
    ask(limiter, "b")
    limiter.set_back(older)
    assert ask(limiter, "c", quiet_ms=0).wait_ms == 90_000
    limiter.settle(creator_id=1, dispatch_id="a", limit=LIMIT)
    assert ask(limiter, "c", quiet_ms=0).wait_ms == 90_000


def test_who_asks_while_a_slow_claim_is_stored_is_not_told_that_redis_was_emptied(limiter):
    ask(limiter, "a")
    limiter.advance(2_999)
    assert ask(limiter, "b", quiet_ms=0).wait_ms == 3_000
    assert ask(limiter, "a", quiet_ms=0).granted


def test_a_lowered_limit_counts_what_was_sent_under_the_old_one(limiter):
    for name in "abc":
        send(limiter, name, NO_GAP)
        limiter.advance(1_000)
    lowered = Limit(messages=1, window_ms=60_000, gap_ms=0, lease_ms=30_000)
    assert ask(limiter, "d", lowered).wait_ms == 59_000


def test_troubles_in_a_row_open_the_breaker_and_one_that_is_well_closes_it(limiter):
    turns = []
    for name, verdict in zip("abcde", [*[Verdict.TROUBLE] * 4, Verdict.WELL], strict=True):
        assert ask(limiter, name, NO_GAP).granted
        turns.append(limiter.refund(creator_id=1, dispatch_id=name, limit=NO_GAP, verdict=verdict))
        if turns[-1].opened_ms:
            assert ask(limiter, "other", NO_GAP).wait_ms == turns[-1].opened_ms
            limiter.advance(turns[-1].opened_ms)
    opened = [0, BREAKER.first_ms, 2 * BREAKER.first_ms, BREAKER.longest_ms]
    assert turns == [*[Turn(opened_ms=each) for each in opened], Turn(closed=True)]


def test_idle_creators_are_forgotten(limiter, redis_server):
    send(limiter, "a")
    limiter.advance(200_000)
    assert redis_server.dbsize() == 0


@dataclass
class Send:
    """One message on its way: it may reach the fan at any time from its grant until its end."""

    name: str
    begun: int
    leased_until: int
    ended: int | None = None
    # Somebody may still come back to say how it ended.
    waited_for: bool = True

    @property
    def latest(self) -> int:
        """By when it was at the platform, if ever: the client gives up before the lease does."""
        return self.leased_until if self.ended is None else min(self.ended, self.leased_until)


class Both(RuleBasedStateMachine):
    """Ask the model and the script the same things in any order; keep account of what could reach the fan."""

    def __init__(self, client) -> None:
        super().__init__()
        self.model, self.real = ModelLimiter(), VirtualRedisLimiter(client)
        self.real.flush()
        self.sends: list[Send] = []
        self.claimed_at: int | None = None
        self.older = self.snapshots()
        self.count = 0

    @initialize(
        messages=st.integers(1, 5),
        window_and_gap=st.sampled_from(
            [(100, 0), (100, 30), (100, 3_000), (1_000, 30), (1_000, 1_000), (60_000, 0), (60_000, 3_000)]
        ),
        lease=st.sampled_from([50, 2_000, 30_000]),
    )
    def limits(self, messages, window_and_gap, lease) -> None:
        window, gap = window_and_gap
        self.limit = Limit(messages=messages, window_ms=window, gap_ms=gap, lease_ms=lease)

    @property
    def now(self) -> int:
        return self.model.now_ms

    def both(self, operation: str, **values):
        mine, theirs = (
            getattr(each, operation)(creator_id=1, limit=self.limit, **values) for each in (self.model, self.real)
        )
        assert theirs == mine
        return mine

    def ask(self, name: str, need: int) -> Grant:
        quiet = None if self.claimed_at is None else self.now - self.claimed_at
        return self.both("acquire", dispatch_id=name, need=need, quiet_ms=quiet)

    @rule(need=st.sampled_from([1, 3]))
    def acquire(self, need) -> None:
        self.count += 1
        answer = self.ask(f"send {self.count}", need)
        assert answer.granted is (answer.wait_ms == 0)
        if answer.granted:
            self.sends.append(Send(f"send {self.count}", self.now, self.now + self.limit.lease_ms))
            self.claimed_at = self.now

    @rule(creators=st.lists(st.integers(1, 3), max_size=5), need=st.sampled_from([1, 3]))
    def several_ask_at_once(self, creators, need) -> None:
        """Of the other creators nobody comes back, so that their tokens are out for as long as can be."""
        quiet = None if self.claimed_at is None else self.now - self.claimed_at
        self.count += len(creators)
        asks = [
            Ask(creator, f"send {self.count} {number}", self.limit, need, quiet)
            for number, creator in enumerate(creators)
        ]
        answers = self.model.acquire_many(asks)
        assert self.real.acquire_many(asks) == answers
        for ask, answer in zip(asks, answers, strict=True):
            if answer.granted and ask.creator_id == 1:
                self.sends.append(Send(ask.dispatch_id, self.now, self.now + self.limit.lease_ms))
                self.claimed_at = self.now

    @rule(need=st.sampled_from([1, 3]))
    def wait_as_told_then_acquire(self, need) -> None:
        self.count += 1
        answer = self.ask(f"probe {self.count}", need)
        if answer.granted:
            # Nobody claims with it: its sender died before it began.
            return
        self.time_passes(answer.wait_ms)
        self.acquire(need)

    @precondition(lambda self: self.sends)
    @rule(data=st.data(), need=st.sampled_from([1, 3]))
    def a_duplicate_asks_again(self, data, need) -> None:
        """A second copy of the same dispatch; only one of them can claim, so nothing more is sent."""
        self.ask(data.draw(st.sampled_from(self.sends)).name, need)

    def waited_for(self) -> list[Send]:
        return [send for send in self.sends if send.waited_for]

    @precondition(lambda self: self.waited_for())
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def settle(self, data, verdict) -> None:
        send = data.draw(st.sampled_from(self.waited_for()))
        self.both("settle", dispatch_id=send.name, verdict=verdict)
        send.ended, send.waited_for = self.now, False

    @precondition(lambda self: self.waited_for())
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def refund(self, data, verdict) -> None:
        send = data.draw(st.sampled_from(self.waited_for()))
        self.both("refund", dispatch_id=send.name, verdict=verdict)
        self.sends.remove(send)

    @precondition(lambda self: self.waited_for())
    @rule(data=st.data())
    def crash(self, data) -> None:
        data.draw(st.sampled_from(self.waited_for())).waited_for = False

    @rule(for_ms=st.sampled_from([0, 40, 5_000, 100_000]))
    def hold(self, for_ms) -> None:
        self.both("hold", for_ms=for_ms)

    @rule(milliseconds=st.one_of(st.integers(0, 200), st.integers(0, 5_000), st.sampled_from([60_000, 200_000])))
    def time_passes(self, milliseconds) -> None:
        self.model.advance(milliseconds)
        self.real.advance(milliseconds)

    @rule()
    def flush(self) -> None:
        self.model.flush()
        self.real.flush()

    def snapshots(self):
        return self.model.snapshot(), self.real.snapshot()

    @rule()
    def snapshot(self) -> None:
        self.older = self.snapshots()

    @precondition(lambda self: self.limit.gap_ms >= 1_000)
    @rule()
    def set_back(self) -> None:
        """Where nothing lies between two sends, one that was lost cannot be told from a slow client."""
        for limiter, older in zip((self.model, self.real), self.older, strict=True):
            limiter.set_back(older)

    @invariant()
    def the_gap_is_kept(self) -> None:
        for earlier, later in zip(self.sends, self.sends[1:], strict=False):
            assert later.begun - earlier.latest >= self.limit.gap_ms

    @invariant()
    def no_window_holds_more_than_the_limit(self) -> None:
        if self.sends:
            for first, beyond in zip(self.sends, self.sends[self.limit.messages :], strict=False):
                assert beyond.begun - first.latest >= self.limit.window_ms


def test_the_script_answers_as_the_model_does_and_the_limit_holds(redis_server):
    run_state_machine_as_test(lambda: Both(redis_server), settings=RUN)
