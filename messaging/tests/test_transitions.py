"""Answers whether a state changes only from the one expected, and never apart from its message's."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from crm.models import Message, MessageStatus
from crm.services import message_record_sent
from crm.tests.factories import CreatorFactory, FanFactory
from messaging import slot_book, transitions
from messaging.models import Campaign, Delivery, SendingProfile, Stage
from messaging.tests.factories import delivery_make, profile_make
from messaging.transitions import Copy

pytestmark = pytest.mark.django_db
LEASE = timedelta(seconds=30)


def claim(delivery: Delivery) -> bool:
    return transitions.delivery_claimed(Copy.of(delivery), creator_id=delivery.creator_id, lease=LEASE)


@pytest.mark.parametrize("state", ["pending", "queued"])
def test_a_claim_is_had_once(state):
    delivery = delivery_make(state=MessageStatus(state))
    assert claim(delivery)
    assert not claim(delivery)
    delivery.refresh_from_db()
    assert delivery.state == Message.objects.get().status == "sending"
    assert timedelta(seconds=29) < delivery.lease_expires_at - timezone.now() <= LEASE


def test_a_claim_remembers_when_the_creator_last_sent():
    delivery = delivery_make()
    claim(delivery)
    assert timezone.now() - SendingProfile.objects.get().last_claimed_at < timedelta(seconds=5)


@pytest.mark.parametrize("state", ["parked", "sending", "sent", "unknown", "failed", "cancelled", "bypassed"])
def test_what_does_not_wait_cannot_be_claimed(state):
    delivery = delivery_make(state=MessageStatus(state))
    assert not claim(delivery)
    assert Delivery.objects.get().state == Message.objects.get().status == state


def test_a_stale_copy_changes_nothing():
    delivery = delivery_make()
    stale = Copy.of(delivery)
    transitions.delivery_rescheduled(
        stale, expected=[MessageStatus.QUEUED], creator_id=delivery.creator_id, campaign=False
    )
    assert not transitions.delivery_claimed(stale, creator_id=delivery.creator_id, lease=LEASE)
    transitions.delivery_set_aside([stale], to=MessageStatus.PARKED)
    assert Delivery.objects.get(pk=delivery.pk).state == MessageStatus.PENDING


@pytest.mark.parametrize("state", ["pending", "sending", "sent", "parked", "unknown"])
def test_only_what_is_queued_can_be_given_up_and_that_is_no_claim(state):
    queued, other = delivery_make(), delivery_make(state=MessageStatus(state))
    assert transitions.delivery_given_up(Copy.of(queued), code="given_up", reason="No worker.")
    assert not transitions.delivery_given_up(Copy.of(other), code="given_up", reason="No worker.")
    row = Delivery.objects.select_related("message").get(pk=queued.pk)
    assert row.state == row.message.status == "failed"
    assert (row.first_attempt_at, row.attempts, row.finished_at is None) == (None, 0, False)
    assert not SendingProfile.objects.exclude(last_claimed_at=None).exists()
    assert Delivery.objects.get(pk=other.pk).state == state


def test_the_first_attempt_is_remembered_through_later_ones():
    delivery = delivery_make(first_attempt_at=timezone.now() - timedelta(hours=1))
    claim(delivery)
    assert Delivery.objects.get().first_attempt_at == delivery.first_attempt_at


def test_a_certain_answer_that_comes_late_ends_the_doubt():
    delivery = delivery_make(state=MessageStatus.UNKNOWN, reason="x", reason_code="lease_expired", stage=Stage.SEND)
    assert transitions.delivery_sent(Copy.of(delivery), platform_message_id="p1")
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason, delivery.stage) == ("sent", "", "")
    assert Message.objects.get().platform_message_id == "p1"


def test_a_message_that_a_webhook_stored_first_is_sent_all_the_same():
    delivery = delivery_make(state=MessageStatus.SENDING)
    message_record_sent(fan=delivery.fan, text="Hello", sent_at=timezone.now(), platform_message_id="p1")
    assert transitions.delivery_sent(Copy.of(delivery), platform_message_id="p1")
    message = Message.objects.get(pk=delivery.pk)
    assert (message.status, message.platform_message_id) == ("sent", None)


def test_platforms_that_name_no_id_can_send_more_than_one_message():
    fan = FanFactory()
    for _ in range(2):
        assert transitions.delivery_sent(
            Copy.of(delivery_make(fan=fan, state=MessageStatus.SENDING)), platform_message_id=""
        )


def test_long_reasons_are_cut_to_what_the_row_holds():
    delivery = delivery_make(state=MessageStatus.SENDING)
    transitions.delivery_failed(Copy.of(delivery), stage=Stage.SEND, code="c" * 99, reason="r" * 999, attempted=True)
    delivery.refresh_from_db()
    assert (len(delivery.reason_code), len(delivery.reason), delivery.attempts) == (50, 300, 1)


def test_only_as_many_slots_are_kept_as_count():
    profile = profile_make(messages=3, window_ms=1_000)
    slots = slot_book.slot_take(profile, campaign=False, count=7)
    assert len(slots) == 7
    assert profile.reply_slots == slots[-3:]


def test_a_message_that_waits_alone_takes_no_slot():
    delivery = delivery_make()
    until = timezone.now() + timedelta(minutes=10)
    transitions.delivery_rescheduled(
        Copy.of(delivery),
        expected=[MessageStatus.QUEUED],
        creator_id=delivery.creator_id,
        campaign=False,
        alone_until=until,
    )
    assert Delivery.objects.get().due_at == until
    assert SendingProfile.objects.get().reply_slots == []


def test_a_pause_keeps_its_first_reason():
    profile = profile_make()
    transitions.sending_paused(creator_id=profile.pk, reason="first")
    transitions.sending_paused(creator_id=profile.pk, reason="second")
    profile.refresh_from_db()
    assert profile.paused_reason == "first"
    assert transitions.sending_resumed(creator_id=profile.pk)
    assert not transitions.sending_resumed(creator_id=profile.pk)


def test_a_set_changes_only_the_copies_that_count_and_only_where_the_state_is_the_expected_one():
    queued, sending, stale = (delivery_make(state=MessageStatus(state)) for state in ("pending", "sending", "pending"))
    copies = [Copy.of(queued), Copy.of(sending), Copy(stale.pk, queued.dispatch_id)]
    transitions.delivery_queued(copies)
    for delivery, state in ((queued, "queued"), (sending, "sending"), (stale, "pending")):
        delivery.refresh_from_db()
        assert (delivery.state, Message.objects.get(pk=delivery.pk).status) == (state, state)
    assert queued.queued_at is not None


def test_a_set_costs_the_same_however_large_it_is(django_assert_num_queries):
    copies = [Copy.of(delivery_make(state=MessageStatus.PENDING)) for _ in range(20)]
    with django_assert_num_queries(1):
        transitions.delivery_queued(copies)
    transitions.delivery_queued([])


def test_what_is_queued_is_found_by_its_ids_however_much_is_pending():
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + transitions._QUEUED, [False, [uuid4()], [uuid4()]])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "messaging_delivery_pkey" in plan
    assert not {"delivery_unsettled", "Seq"} & set(plan.split())


@pytest.mark.parametrize(("to", "finished"), [("parked", False), ("cancelled", True)])
def test_what_waits_is_set_aside(to, finished):
    waiting, sent = delivery_make(), delivery_make(state=MessageStatus.SENT)
    transitions.delivery_set_aside([Copy.of(waiting), Copy.of(sent)], to=MessageStatus(to))
    waiting.refresh_from_db()
    assert waiting.state == Message.objects.get(pk=waiting.pk).status == to
    assert (waiting.finished_at is not None) == finished
    assert Delivery.objects.get(pk=sent.pk).state == "sent"


@pytest.mark.parametrize(
    ("paused", "campaign", "held"),
    [
        (False, None, None),
        (False, "running", None),
        (False, "paused", "parked"),
        (False, "cancelled", "cancelled"),
        (True, None, "parked"),
        (True, "running", "parked"),
        (True, "cancelled", "cancelled"),
    ],
)
def test_a_delivery_is_held_by_its_creator_or_its_campaign(paused, campaign, held):
    profile = profile_make(paused_at=timezone.now() if paused else None)
    of = campaign and Campaign.objects.create(creator=profile.creator, name="x", content="x", status=campaign)
    assert delivery_make(fan=FanFactory(creator=profile.creator), campaign=of).held == held


def test_a_pause_is_ended_by_its_own_cause_alone() -> None:
    creator = CreatorFactory()
    transitions.sending_paused(creator_id=creator.pk, reason="The session ended.", code="session_ended")
    assert not transitions.sending_resumed(creator_id=creator.pk, codes=["disconnected"])
    assert transitions.sending_resumed(creator_id=creator.pk, codes=["disconnected", "session_ended"])
    transitions.sending_paused(creator_id=creator.pk, reason="On holiday.")
    assert not transitions.sending_resumed(creator_id=creator.pk, codes=["session_ended"])
