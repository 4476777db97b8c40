"""Answers whether what was refused, and what is in doubt, is sent again under the right key at the vendor."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conftest import Queues
from crm.models import Creator, Fan
from messaging import services, sweeper
from messaging.delivery import Consumer
from messaging.models import Delivery, SendingProfile
from messaging.rate_limiter import RedisRateLimiter
from messaging.tests.factories import aged, copy_of, delivery_make
from onlyfans.gateway import OnlyFansGateway
from onlyfans.services import account_connect
from onlyfans.simulator.server import SimulatorServer

pytestmark = pytest.mark.django_db
GATEWAY = OnlyFansGateway()


@pytest.fixture
def fan(simulator: SimulatorServer, settings: Any, sqs_queues: Queues) -> Fan:
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    settings.SEND_TIMEOUT_SECONDS = 2.0
    creator = Creator.objects.create(name="Ava")
    account_connect(creator=creator, account_id="acct_demo1", api_key="sim_key_demo1")
    return Fan.objects.create(creator=creator, platform_id=simulator.fan_id("samito1"), handle="samito1")


@pytest.fixture
def consumer(redis_server: Any) -> Consumer:
    return Consumer(limiter=RedisRateLimiter(redis_server), gateway=GATEWAY)


def attempt(consumer: Consumer) -> Delivery:
    """What the queue's newest copy becomes."""
    Delivery.objects.update(due_at=timezone.now())
    consumer.handle(copy_of(Delivery.objects.get()))
    return Delivery.objects.get()


def keys(simulator: SimulatorServer) -> list[str]:
    return [str(delivery["idempotency_key"]) for delivery in simulator.deliveries()]


def test_after_a_proven_refusal_the_next_attempt_has_a_key_of_its_own(
    fan: Fan, consumer: Consumer, simulator: SimulatorServer
) -> None:
    known = fan.platform_id
    delivery = delivery_make(fan=fan)
    Fan.objects.update(platform_id="12345678901")
    assert attempt(consumer).reason_code == "fan_unreachable"
    Fan.objects.update(platform_id=known)
    services.message_retry(creator=fan.creator, message_id=delivery.pk)
    assert attempt(consumer).state == "sent"
    assert keys(simulator) == [f"{delivery.pk}-1"]


def test_after_a_dead_session_and_a_resume_the_key_is_a_new_one(
    fan: Fan, consumer: Consumer, simulator: SimulatorServer
) -> None:
    delivery = delivery_make(fan=fan)
    simulator.fail(status=401)
    assert attempt(consumer).state == "parked"
    services.sending_resume(creator=fan.creator)
    sweeper.sweep(gateway=GATEWAY)
    assert attempt(consumer).state == "sent"
    assert keys(simulator) == [f"{delivery.pk}-1"]


@pytest.mark.parametrize("by_hand", [True, False])
def test_after_a_time_out_the_key_stays_and_the_fan_has_one_message(
    fan: Fan, consumer: Consumer, simulator: SimulatorServer, settings: Any, by_hand: bool
) -> None:
    settings.SEND_TIMEOUT_SECONDS = 0.5
    delivery = delivery_make(fan=fan)
    simulator.fail("delay", delay_ms=1_500, take=True)
    assert attempt(consumer).state == "unknown"
    settings.SEND_TIMEOUT_SECONDS = 5.0
    if by_hand:
        services.message_retry(creator=fan.creator, message_id=delivery.pk)
    else:
        aged(delivery, 60, "finished_at")
        assert sweeper.sweep(gateway=GATEWAY).unknown == 1
    assert attempt(consumer).state == "sent"
    assert keys(simulator) == [str(delivery.pk)]


def test_a_refusal_after_a_time_out_keeps_the_key_because_the_first_attempt_may_have_arrived(
    fan: Fan, consumer: Consumer, simulator: SimulatorServer
) -> None:
    delivery = delivery_make(fan=fan)
    simulator.fail("drop", take=True)
    assert attempt(consumer).state == "unknown"
    services.message_retry(creator=fan.creator, message_id=delivery.pk)
    simulator.fail(status=403)
    assert attempt(consumer).state == "unknown"
    services.message_retry(creator=fan.creator, message_id=delivery.pk)
    assert attempt(consumer).state == "sent"
    assert keys(simulator) == [str(delivery.pk)]


def test_a_sender_that_died_keeps_the_key(fan: Fan, consumer: Consumer, simulator: SimulatorServer) -> None:
    delivery = delivery_make(fan=fan)
    Delivery.objects.update(state="sending", first_attempt_at=timezone.now(), lease_expires_at=timezone.now())
    aged(delivery, 1, "lease_expires_at")
    assert sweeper.sweep(gateway=GATEWAY).leases == 1
    simulator.fail(status=403)
    assert attempt(consumer).state == "unknown"
    row = Delivery.objects.get()
    assert (row.key_generation, row.key_in_doubt) == (0, True)


def test_a_429_with_a_date_holds_the_creator_until_then_and_is_no_attempt(
    fan: Fan, consumer: Consumer, simulator: SimulatorServer
) -> None:
    SendingProfile.objects.all().delete()
    delivery = delivery_make(fan=fan)
    until = timezone.now() + timedelta(seconds=40)
    simulator.fail(status=429, retry_after=until.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    row = attempt(consumer)
    assert (row.state, row.attempts) == ("queued", 0)
    assert abs((row.due_at - until).total_seconds()) < 3
    attempt(consumer)
    assert simulator.deliveries() == []
    assert Delivery.objects.get(pk=delivery.pk).hops == 1
