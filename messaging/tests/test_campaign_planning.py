"""Answers whether replies go on while a campaign is being written, and whether two campaigns share no slot."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from crm.models import Conversation
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory
from messaging import campaign_reports, outbox, services
from messaging.campaigns import Audience
from messaging.delivery import Consumer, Disposition
from messaging.models import Campaign, Delivery, Kind
from messaging.services import MessageRequest
from messaging.tests.campaigns import fans_make, launch
from messaging.tests.factories import ScriptedGateway, copy_of

# Threads have connections of their own, which see only what is committed.
pytestmark = [pytest.mark.django_db(transaction=True)]


class Writing:
    """A campaign that stays behind its last row until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, start: Callable[[], Any]) -> None:
        self.written, self.go_on = threading.Event(), threading.Event()
        create = outbox.campaign_bulk_create

        def slow(**fields: Any) -> Any:
            made = create(**fields)
            self.written.set()
            assert self.go_on.wait(10)
            return made

        def run() -> None:
            try:
                start()
            finally:
                connection.close()

        monkeypatch.setattr(outbox, "campaign_bulk_create", slow)
        self.thread = threading.Thread(target=run)
        self.thread.start()
        assert self.written.wait(10)
        monkeypatch.setattr(outbox, "campaign_bulk_create", create)

    def end(self) -> None:
        self.go_on.set()
        self.thread.join(10)


def test_a_reply_is_written_and_sent_while_a_campaign_is_being_written(
    monkeypatch: pytest.MonkeyPatch, consumer: Consumer, gateway: ScriptedGateway
) -> None:
    creator = CreatorFactory()
    fans_make(creator, 3)
    other = FanFactory(creator=creator)
    audience = Audience(everybody=True, exclude=[other.platform_id])
    writing = Writing(monkeypatch, lambda: launch(creator, audience=audience))
    request = MessageRequest(recipient_id=other.platform_id, content="Hi")
    receipt = services.message_send(creator=creator, user=None, request=request)
    assert consumer.handle(copy_of(Delivery.objects.get(pk=receipt.message_id))) is Disposition.ACKNOWLEDGE
    assert gateway.reached == [receipt.message_id]
    assert not Campaign.objects.exists()
    writing.end()
    assert Delivery.objects.filter(kind=Kind.CAMPAIGN).count() == 3


@pytest.mark.parametrize("first", [True, False], ids=["the first to this fan", "one more"])
def test_a_reply_to_a_fan_of_the_campaign_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch, consumer: Consumer, gateway: ScriptedGateway, first: bool
) -> None:
    creator = CreatorFactory()
    fan = fans_make(creator, 3)[0]
    if not first:
        ConversationFactory(fan=fan)
    writing = Writing(monkeypatch, lambda: launch(creator))
    request = MessageRequest(recipient_id=fan.platform_id, content="Hi")
    receipt = services.message_send(creator=creator, user=None, request=request)
    assert consumer.handle(copy_of(Delivery.objects.get(pk=receipt.message_id))) is Disposition.ACKNOWLEDGE
    assert gateway.reached == [receipt.message_id]
    assert not Campaign.objects.exists()
    writing.end()
    assert Delivery.objects.filter(kind=Kind.CAMPAIGN).count() == 3
    # Of the campaign nothing was sent yet, so the reply is what the inbox shows.
    assert Conversation.objects.get(fan=fan).last_message_id == receipt.message_id


def test_a_campaign_written_meanwhile_gets_the_slots_after_it(
    monkeypatch: pytest.MonkeyPatch, consumer: Consumer
) -> None:
    creator = CreatorFactory()
    fans_make(creator, 8)
    first = Writing(monkeypatch, lambda: launch(creator))
    second = threading.Thread(target=lambda: (launch(creator), connection.close()))
    second.start()
    first.end()
    second.join(10)
    earlier, later = Campaign.objects.order_by("pk")
    ends = campaign_reports.campaign_report(earlier).estimated_completion_at
    assert ends is not None
    assert min(later.deliveries.values_list("due_at", flat=True)) > ends
