"""Answers whether the limit holds and nothing is lost while many messages wait, on a real queue and a real limiter."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from statistics import mean
from uuid import UUID

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from conftest import Queues
from crm.models import MessageStatus
from crm.tests.factories import FanFactory
from messaging import campaign_reports, publishing, queue, slot_book
from messaging.delivery import Consumer
from messaging.gateways import OutboundMessage, Sent
from messaging.lanes import Turn
from messaging.models import Delivery, Kind, SendingProfile
from messaging.rate_limiter import RedisRateLimiter
from messaging.tests.campaigns import fans_make, launch
from messaging.tests.conftest import Faults
from messaging.tests.factories import ScriptedGateway, copy_of, delivery_make, profile_make
from messaging.worker import Worker

# Threads have connections of their own, which see only what is committed.
pytestmark = [pytest.mark.django_db(transaction=True)]
THREADS = 6
TEN, WINDOW_SECONDS = 10, 1.5


class Watched(ScriptedGateway):
    """A platform that notes when it got each message."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[UUID, float] = {}

    def send_message(self, message: OutboundMessage) -> Sent:
        self.at[message.message_id] = time.monotonic()
        outcome = super().send_message(message)
        assert isinstance(outcome, Sent)
        return outcome

    def most_in(self, seconds: float, ids: set[UUID] | None = None) -> int:
        """The most messages that came within any stretch of so many seconds."""
        times = sorted(at for message_id, at in self.at.items() if ids is None or message_id in ids)
        return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


class Sending(Worker):
    """A worker that polls without long polls, until nothing is open any more."""

    def __init__(self, limiter: RedisRateLimiter, gateway: ScriptedGateway) -> None:
        super().__init__(Consumer(limiter=limiter, gateway=gateway), concurrency=THREADS)
        self.receive_counts: list[int] = []
        self.took: list[float] = []
        # Those that brought something.
        self.polls = 0

    def poll(self, *, wait_seconds: int) -> int:
        number = super().poll(wait_seconds=wait_seconds)
        self.polls += number > 0
        return number

    def _handle(self, turn: Turn[queue.Received]) -> None:
        self.receive_counts.append(turn.item.receive_count)
        begin = time.monotonic()
        super()._handle(turn)
        self.took.append(time.monotonic() - begin)

    def go(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        handing_out = threading.Thread(target=self.hand_out)
        polling = threading.Thread(target=self._poll_until_stopped)
        for thread in (handing_out, polling):
            thread.start()
        try:
            meanwhile()
            end = time.monotonic() + 40
            while Delivery.objects.exclude(state=MessageStatus.SENT).exists():
                assert time.monotonic() < end
                time.sleep(0.05)
        finally:
            self.stop()
            polling.join()
            self.drain()
            handing_out.join()

    def _poll_until_stopped(self) -> None:
        try:
            while not self._stopping.wait(0.02):
                self.poll(wait_seconds=0)
                self.acknowledge()
        finally:
            connection.close()


def backlog(profile: SendingProfile, count: int) -> set[UUID]:
    """A campaign to so many fans, on the queue, each message in its slot."""
    made = [
        delivery_make(fan=FanFactory(creator=profile.creator), kind=Kind.CAMPAIGN, state=MessageStatus.PENDING)
        for _ in range(count)
    ]
    with transaction.atomic():
        slots = slot_book.slot_take(profile, campaign=True, count=count)
        for delivery, slot in zip(made, slots, strict=True):
            Delivery.objects.filter(pk=delivery.pk).update(due_at=slot)
    ids = {delivery.pk for delivery in made}
    assert publishing.publish(list(ids), fail=False) == {}
    return ids


def say(creator_of: SendingProfile) -> UUID:
    """Somebody writes a reply now."""
    reply = delivery_make(fan=FanFactory(creator=creator_of.creator), state=MessageStatus.PENDING)
    assert publishing.publish([reply.pk], fail=False) == {}
    return reply.pk


def test_a_campaign_of_a_hundred_has_no_dead_letter_one_receive_a_copy_keeps_the_limit_and_the_time_it_said(
    limiter: RedisRateLimiter, sqs_queues: Queues, sqs_faults: Faults
) -> None:
    profile = profile_make(messages=TEN, window_ms=round(WINDOW_SECONDS * 1_000))
    fans_make(profile.creator, 100)
    gateway = Watched()
    sender = Sending(limiter, gateway)
    began, clock = timezone.now(), time.monotonic()
    ends_at = campaign_reports.campaign_report(launch(profile.creator)).estimated_completion_at
    assert ends_at is not None
    said = (ends_at - began).total_seconds()
    sender.go()
    assert len(gateway.reached) == len(gateway.calls) == len(set(gateway.reached)) == 100
    # Redis' clock is read in whole milliseconds.
    assert gateway.most_in(WINDOW_SECONDS - 0.001) <= TEN
    assert set(sender.receive_counts) == {1}
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 0
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}
    # A window is late by what its first message takes, asked for in vain and then sent: of a minute that is nothing,
    # of these short ones it is more the busier the machine is.
    held_up = 2 * mean(sender.took) * 100 / (TEN - 2)
    assert 0.9 * said <= max(gateway.at.values()) - clock <= 1.1 * said + held_up
    # What brought nothing is an empty poll.
    assert (sqs_faults.calls + sender.polls) / 100 <= 0.7


def test_a_reply_goes_out_soon_while_a_campaign_waits_and_another_creators_at_once(
    limiter: RedisRateLimiter, sqs_queues: Queues
) -> None:
    gateway = Watched()
    sender = Sending(limiter, gateway)
    busy = profile_make(messages=TEN, window_ms=1_000)
    idle = profile_make()
    ids = backlog(busy, 50)
    took: dict[str, float] = {}

    def replies() -> None:
        while len(gateway.at) < 10:
            time.sleep(0.01)
        asked = time.monotonic()
        wanted = {"same": say(busy), "other": say(idle)}
        while not set(wanted.values()) <= set(gateway.at):
            assert time.monotonic() < asked + 20
            time.sleep(0.01)
        took.update({name: gateway.at[message_id] - asked for name, message_id in wanted.items()})

    sender.go(meanwhile=replies)
    # The campaign alone takes six windows; a reply has two tokens that the campaign leaves.
    assert max(gateway.at[message_id] for message_id in ids) - min(gateway.at.values()) > 4
    assert took["same"] < 3
    assert took["other"] < 1.5
    assert gateway.most_in(0.999, ids) <= TEN - 2


@pytest.mark.parametrize("minutes", [-7, 7])
def test_a_worker_whose_clock_is_wrong_by_minutes_keeps_the_limit(
    limiter: RedisRateLimiter, sqs_queues: Queues, minutes: int
) -> None:
    profile = profile_make(messages=3)
    gateway = ScriptedGateway()
    consumer = Consumer(limiter=limiter, gateway=gateway)
    long_due = timedelta(minutes=-20)
    copies = [copy_of(delivery_make(fan=FanFactory(creator=profile.creator), due_in=long_due)) for _ in range(8)]
    for number, copy in enumerate(copies):
        if number % 2:
            with time_machine.travel(timezone.now() + timedelta(minutes=minutes)):
                consumer.handle(copy)
        else:
            consumer.handle(copy)
    assert len(gateway.calls) == 3
    assert Delivery.objects.filter(state=MessageStatus.QUEUED).count() == 5
    assert sqs_queues.depth() == 5
