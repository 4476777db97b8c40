"""Answers which messages wait, for how long, and whom that delays: slots, tokens, order, and the platform's pauses."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import Message, MessageStatus
from crm.tests.factories import FanFactory
from messaging import queue
from messaging.delivery import Disposition, Later
from messaging.gateways import Rejected
from messaging.models import Campaign, CampaignStatus, Delivery, Kind, SendingProfile
from messaging.tests.conftest import aws_error
from messaging.tests.factories import (
    copy_of,
    delivery_make,
    due_in,
    handle_in_time,
    profile_make,
)

ACKNOWLEDGE, LEAVE = Disposition.ACKNOWLEDGE, Disposition.LEAVE
pytestmark = pytest.mark.django_db


def test_a_message_not_yet_due_goes_back_until_then(consumer, gateway, sqs_faults):
    delivery = delivery_make(due_in=timedelta(seconds=100))
    assert consumer.handle(copy_of(delivery)) is ACKNOWLEDGE
    [entry] = sqs_faults.requests[0]["Entries"]
    assert json.loads(entry["MessageBody"])["dispatchId"] == str(delivery.dispatch_id)
    assert 98 <= entry["DelaySeconds"] <= 100
    assert gateway.calls == []
    assert Delivery.objects.get().state == "queued"


def test_a_message_due_later_than_sqs_can_delay_goes_back_for_as_long_as_it_can(consumer, sqs_faults):
    consumer.handle(copy_of(delivery_make(due_in=timedelta(hours=1))))
    assert sqs_faults.requests[0]["Entries"][0]["DelaySeconds"] == 900


def test_a_copy_is_left_where_sqs_does_not_take_the_next_one(consumer, sqs_faults):
    sqs_faults.script = [aws_error("InternalFailure", 500)] * 4
    assert consumer.handle(copy_of(delivery_make(due_in=timedelta(seconds=100)))) is LEAVE


def test_without_a_token_it_hops_to_a_new_slot_with_a_new_dispatch(consumer, gateway, sqs_queues):
    profile = profile_make(messages=1, window_ms=30_000)
    first, second = (delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(2))
    consumer.handle(copy_of(first))
    assert consumer.handle(copy_of(second)) is ACKNOWLEDGE
    hopped = Delivery.objects.get(pk=second.pk)
    assert (hopped.state, hopped.hops, hopped.attempts) == ("queued", 1, 0)
    assert hopped.dispatch_id != second.dispatch_id
    assert 28 < due_in(second) <= 30
    assert len(gateway.calls) == 1
    assert sqs_queues.depth() == 1


def test_a_hop_comes_back_with_a_receive_count_of_one(consumer, on_queue):
    profile = profile_make(messages=1, window_ms=2_500)
    first, second = (delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(2))
    consumer.handle(copy_of(first))
    consumer.handle(copy_of(second, receive_count=4))
    on_queue()[0].delayed_until = 0
    [again] = queue.receive(wait_seconds=0)
    assert again.receive_count == 1


def test_a_token_that_is_nearly_free_is_waited_for(consumer, gateway):
    profile = profile_make(gap_ms=40)
    for _ in range(2):
        handle_in_time(consumer, delivery_make(fan=FanFactory(creator=profile.creator)))
    assert len(gateway.calls) == 2


def test_what_waits_no_longer_than_its_door_can_keep_it_stays_as_it_is(consumer, gateway, sqs_queues):
    profile = profile_make(gap_ms=3_000)
    first, second = (delivery_make(fan=FanFactory(creator=profile.creator)) for _ in range(2))
    consumer.handle(copy_of(first))
    later = consumer.handle(copy_of(second), patience_seconds=5)
    assert isinstance(later, Later)
    assert (2 < later.seconds <= 3, later.alone, later.gap_seconds) == (True, False, 3)
    row = Delivery.objects.get(pk=second.pk)
    assert (row.dispatch_id, row.hops, sqs_queues.depth()) == (second.dispatch_id, 0, 0)


def test_a_message_that_is_early_or_behind_another_to_its_fan_waits_alone(consumer):
    early = delivery_make(due_in=timedelta(seconds=4))
    behind = delivery_make(fan=early.fan)
    for delivery in (early, behind):
        later = consumer.handle(copy_of(delivery), patience_seconds=5)
        assert isinstance(later, Later)
        assert later.alone


def test_a_hop_goes_to_the_nearest_time_and_not_to_the_end_of_a_campaign(consumer):
    profile = profile_make(messages=3)
    campaign = [delivery_make(fan=FanFactory(creator=profile.creator), kind=Kind.CAMPAIGN) for _ in range(3)]
    far = timedelta(hours=5)
    delivery_make(fan=FanFactory(creator=profile.creator), kind=Kind.CAMPAIGN, state=MessageStatus.PARKED, due_in=far)
    for delivery in campaign:
        consumer.handle(copy_of(delivery))
    # One a minute: two of the three tokens are left for replies.
    assert [round(due_in(delivery) / 10) for delivery in campaign[1:]] == [6, 12]


def test_a_campaign_leaves_two_tokens_for_replies(consumer, gateway):
    profile = profile_make(messages=3)
    kinds = [Kind.CAMPAIGN, Kind.CAMPAIGN, Kind.REPLY, Kind.REPLY]
    made = [delivery_make(fan=FanFactory(creator=profile.creator), kind=kind) for kind in kinds]
    for delivery in made:
        consumer.handle(copy_of(delivery))
    assert [call.message_id for call in gateway.calls] == [made[0].pk, made[2].pk, made[3].pk]


@pytest.mark.parametrize("state", ["pending", "queued", "parked", "sending"])
def test_an_earlier_open_message_to_the_same_fan_goes_first(consumer, gateway, state):
    earlier = delivery_make(state=MessageStatus(state), due_in=timedelta(seconds=60))
    later = delivery_make(fan=earlier.fan)
    assert consumer.handle(copy_of(later)) is ACKNOWLEDGE
    assert gateway.calls == []
    assert 58 < due_in(later) <= 60
    assert Delivery.objects.get(pk=later.pk).hops == 1


def test_two_messages_to_one_fan_delivered_in_reverse_are_sent_in_order(consumer, gateway):
    first = delivery_make()
    second = delivery_make(fan=first.fan)
    for delivery in (second, first, second):
        consumer.handle(copy_of(Delivery.objects.get(pk=delivery.pk)))
    assert gateway.reached == [first.pk, second.pk]


def test_waiting_for_an_earlier_message_delays_nobody_else(consumer):
    earlier = delivery_make(due_in=timedelta(seconds=60))
    consumer.handle(copy_of(delivery_make(fan=earlier.fan)))
    assert SendingProfile.objects.get().reply_slots == []


@pytest.mark.parametrize("state", ["failed", "unknown", "sent", "cancelled"])
def test_an_earlier_message_that_is_over_does_not_block(consumer, gateway, state):
    earlier = delivery_make(state=MessageStatus(state))
    consumer.handle(copy_of(delivery_make(fan=earlier.fan)))
    assert len(gateway.calls) == 1


def test_a_message_scheduled_for_later_does_not_block(consumer, gateway):
    later = timedelta(hours=1)
    scheduled = delivery_make(state=MessageStatus.PARKED, due_in=later, scheduled_at=timezone.now() + later)
    consumer.handle(copy_of(delivery_make(fan=scheduled.fan)))
    assert len(gateway.calls) == 1


def test_a_reply_does_not_wait_for_a_campaign_to_the_same_fan(consumer, gateway):
    campaign = delivery_make(kind=Kind.CAMPAIGN, state=MessageStatus.PARKED, due_in=timedelta(hours=1))
    consumer.handle(copy_of(delivery_make(fan=campaign.fan)))
    assert len(gateway.calls) == 1


def test_a_campaign_waits_for_a_reply_to_the_same_fan(consumer, gateway):
    reply = delivery_make(due_in=timedelta(seconds=60))
    consumer.handle(copy_of(delivery_make(fan=reply.fan, kind=Kind.CAMPAIGN)))
    assert gateway.calls == []


@pytest.mark.parametrize(("retry_after", "seconds"), [(20, 20), (0, 0), (None, 60)])
def test_a_429_means_nothing_before_the_time_it_names_and_is_no_attempt(consumer, outcome_of, retry_after, seconds):
    delivery = delivery_make()
    row = outcome_of(
        delivery, Rejected(code="too_many", reason="Too fast.", rate_limited=True, retry_after=retry_after)
    )
    assert (row.state, row.attempts) == ("queued", 0)
    assert seconds - 2 < due_in(delivery) <= seconds
    assert row.dispatch_id != delivery.dispatch_id
    other = delivery_make(fan=FanFactory(creator=delivery.creator))
    consumer.handle(copy_of(other))
    assert Delivery.objects.get(pk=other.pk).state == ("queued" if seconds else "sent")


@pytest.mark.parametrize("retry_after", [0, 1, -5])
def test_too_fast_means_never_less_than_the_creators_own_gap(outcome_of, retry_after):
    fan = FanFactory()
    profile_make(fan.creator, gap_ms=3_000)
    delivery = delivery_make(fan=fan)
    outcome_of(delivery, Rejected(code="too_many", reason="Too fast.", rate_limited=True, retry_after=retry_after))
    assert 2 < due_in(delivery) <= 3


def test_too_fast_for_one_creator_slows_no_other(outcome_of):
    outcome_of(delivery_make(), Rejected(code="too_many", reason="Too fast.", rate_limited=True))
    assert outcome_of(delivery_make()).state == "sent"


def test_a_paused_creators_message_is_parked(consumer, gateway):
    profile = profile_make(paused_at=timezone.now())
    consumer.handle(copy_of(delivery_make(fan=FanFactory(creator=profile.creator))))
    assert Delivery.objects.get().state == Message.objects.get().status == "parked"
    assert gateway.calls == []


def unknown_make(fan, **fields):
    values = {"repeatable": True, "attempts": 1, "finished_at": timezone.now(), **fields}
    return delivery_make(fan=fan, state=MessageStatus.UNKNOWN, **values)


def test_a_message_waits_for_an_earlier_one_that_will_be_sent_again_by_itself(consumer, gateway, sqs_queues, settings):
    settings.SWEEP_EVERY_SECONDS = 30
    fan = FanFactory()
    unknown_make(fan)
    later = delivery_make(fan=fan)
    assert consumer.handle(copy_of(later)) is ACKNOWLEDGE
    assert gateway.calls == []
    assert 28 < due_in(later) <= 30


@pytest.mark.parametrize(
    "doubt",
    [
        {"repeatable": False},
        {"attempts": 5},
        {"finished_at": timezone.now() - timedelta(hours=2)},
        {"campaign": CampaignStatus.CANCELLED},
    ],
)
def test_a_message_waits_for_no_doubt_that_a_person_decides_on(consumer, gateway, doubt):
    fan = FanFactory()
    if "campaign" in doubt:
        doubt = {"campaign": Campaign.objects.create(creator=fan.creator, name="X", status=doubt["campaign"])}
    unknown_make(fan, **doubt)
    later = delivery_make(fan=fan)
    consumer.handle(copy_of(later))
    assert [call.message_id for call in gateway.calls] == [later.pk]
