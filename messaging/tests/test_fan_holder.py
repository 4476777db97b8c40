"""Answers whether nothing goes out to a fan who was deleted, and nothing of sending remembers one who was erased."""

import signal
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from crm import fan_services
from crm.errors import Conflict
from crm.models import Fan, MessageStatus, Role
from crm.tests.factories import FanFactory, MembershipFactory
from messaging import services, sweeper
from messaging.delivery import Disposition
from messaging.fan_holder import MessagingHolder
from messaging.models import Campaign, Delivery
from messaging.services import MessageRequest
from messaging.tests.campaigns import bulk, fans_make, launch
from messaging.tests.factories import (
    AMBIGUOUS,
    PASSING,
    ScriptedGateway,
    aged,
    copy_of,
    delivery_make,
    profile_make,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]


@pytest.fixture
def fan() -> Fan:
    fan = FanFactory()
    profile_make(fan.creator)
    return fan


def now_of(delivery: Delivery) -> Delivery:
    return Delivery.objects.select_related("message").get(pk=delivery.pk)


@pytest.mark.parametrize("state", [MessageStatus.PENDING, MessageStatus.QUEUED, MessageStatus.PARKED])
def test_what_waits_for_a_deleted_fan_is_cancelled_with_the_reason(fan: Fan, state: MessageStatus) -> None:
    delivery = delivery_make(fan=fan, state=state)
    fan_services.fan_delete(fan=fan)
    after = now_of(delivery)
    assert (after.state, after.message.status, after.reason_code) == ("cancelled", "cancelled", "fan_deleted")
    assert after.finished_at


def test_a_copy_on_the_queue_of_a_message_to_a_deleted_fan_reaches_nobody(fan: Fan, consumer_with: Any) -> None:
    copy = copy_of(delivery_make(fan=fan))
    fan_services.fan_delete(fan=fan)
    fan_services.fan_restore(fan=fan)
    gateway = ScriptedGateway()
    assert consumer_with(gateway).handle(copy) is Disposition.ACKNOWLEDGE
    assert gateway.calls == []


def test_a_message_written_while_the_fan_was_deleted_is_cancelled(fan: Fan, consumer_with: Any) -> None:
    Fan.objects.filter(pk=fan.pk).update(deleted_at=timezone.now())
    delivery = delivery_make(fan=fan)
    gateway = ScriptedGateway()
    consumer_with(gateway).handle(copy_of(delivery))
    assert (gateway.calls, now_of(delivery).state) == ([], MessageStatus.CANCELLED)


def test_a_send_that_is_refused_after_the_deletion_is_not_tried_again(fan: Fan, outcome_of: Any) -> None:
    def refuse(message: Any) -> Any:
        fan_services.fan_delete(fan=fan)
        return PASSING

    assert outcome_of(delivery_make(fan=fan), refuse).state == MessageStatus.CANCELLED


def test_what_is_in_doubt_stays_in_doubt(fan: Fan, outcome_of: Any) -> None:
    unknown = outcome_of(delivery_make(fan=fan), AMBIGUOUS)
    expired = aged(delivery_make(fan=fan, state=MessageStatus.SENDING), 60, "lease_expires_at", "first_attempt_at")
    fan_services.fan_delete(fan=fan)
    aged(unknown, 3600, "finished_at")
    sweeper.sweep(gateway=ScriptedGateway())
    assert (now_of(unknown).state, now_of(expired).state) == (MessageStatus.UNKNOWN, MessageStatus.UNKNOWN)


def test_a_failed_message_to_a_deleted_fan_is_neither_listed_nor_sent_again(fan: Fan) -> None:
    delivery = delivery_make(fan=fan, state=MessageStatus.FAILED)
    fan_services.fan_delete(fan=fan)
    client = APIClient()
    client.force_authenticate(MembershipFactory(creator=fan.creator, role=Role.OWNER).user)
    assert client.get("/api/onlyfans/messages/failed").json()["results"] == []
    with pytest.raises(Conflict, match="deleted"):
        services.message_retry(creator=fan.creator, message_id=delivery.pk)


def test_a_deleted_fan_is_no_recipient_and_in_no_audience() -> None:
    creator = profile_make().creator
    kept, gone = fans_make(creator, 2)
    fan_services.fan_delete(fan=gone)
    assert set(launch(creator).deliveries.values_list("fan", flat=True)) == {kept.pk}
    for name in (gone.platform_id, f"fan_{gone.pk}", gone.handle):
        with pytest.raises(Exception, match="no such fan"):
            services.message_send(creator=creator, user=None, request=MessageRequest(name, "hi"))


def test_an_erased_fan_stays_in_the_ledger_without_a_name() -> None:
    creator = profile_make().creator
    gone, kept = fans_make(creator, 2)
    named = [f"fan_{gone.pk}", kept.platform_id]
    campaign = bulk(creator, [], recipient_ids=named, content="To both").report.campaign
    alone = bulk(creator, [], recipient_ids=[f"@{gone.handle.upper()}"], content="To one").report.campaign
    Delivery.objects.filter(fan=gone).update(reason="said something of them")
    fan_services.fan_erase(fan=gone)
    both = Campaign.objects.get(pk=campaign.pk)
    assert (both.audience, both.content) == ({"recipientIds": [kept.platform_id]}, "To both")
    one = Campaign.objects.get(pk=alone.pk)
    assert (one.audience, one.content) == ({"recipientIds": []}, "")
    assert both.deliveries.count() == 2
    assert not Delivery.objects.filter(fan=gone).exclude(reason="").exists()
    assert not Delivery.objects.filter(fan=gone).exclude(message__text="").exists()


def test_an_export_tells_how_each_message_went(fan: Fan) -> None:
    delivery = delivery_make(fan=fan, state=MessageStatus.FAILED, reason="The fan blocked the creator.")
    [row] = MessagingHolder().export(fan)["deliveries"]
    assert (row["messageId"], row["status"], row["reason"]) == (delivery.pk, "failed", delivery.reason)


def test_each_sweep_erases_whose_time_is_over(fan: Fan) -> None:
    Fan.objects.filter(pk=fan.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    call_command("sweep", "--dry-run")
    assert not Fan.objects.filter(erased_at__isnull=False).exists()
    call_command("sweep")
    assert Fan.objects.filter(erased_at__isnull=False).exists()


def test_the_sweeper_that_runs_for_ever_erases_them_too(fan: Fan, monkeypatch: Any, settings: Any) -> None:
    settings.SWEEP_EVERY_SECONDS = 0.01
    Fan.objects.filter(pk=fan.pk).update(deleted_at=timezone.now() - timedelta(days=31))
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(sweeper, "sweep", lambda **_: handlers[signal.SIGTERM](signal.SIGTERM, None))
    call_command("sweep", "--forever")
    assert Fan.objects.filter(erased_at__isnull=False).exists()
