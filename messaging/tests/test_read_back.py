"""Answers whether a message in doubt is looked for in its chat, and taken for sent where it can be no other."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from crm.models import Message, MessageStatus
from crm.services import message_record_sent
from crm.tests.factories import FanFactory
from messaging import read_back, services, sweeper
from messaging.gateways import Found
from messaging.models import Delivery
from messaging.tests.factories import ScriptedGateway, aged, delivery_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]


@pytest.fixture
def gateway() -> ScriptedGateway:
    found = ScriptedGateway()
    found.chat = []
    return found


def doubtful(**fields: Any) -> Delivery:
    """Five minutes ago the platform answered 500, which its key does not remember."""
    moment = timezone.now() - timedelta(minutes=5)
    values = {"attempts": 1, "first_attempt_at": moment, "finished_at": moment, "reason_code": "vendor_trouble"}
    return delivery_make(state=MessageStatus.UNKNOWN, **{**values, **fields})


def shown(platform_message_id: str = "77", *, minutes_ago: float = 5) -> tuple[str, Found]:
    return "Hello", Found(platform_message_id, timezone.now() - timedelta(minutes=minutes_ago))


def swept(gateway: ScriptedGateway) -> int:
    return sweeper.sweep(gateway=gateway).found


def state_of(delivery: Delivery) -> tuple[str, str]:
    row = Delivery.objects.select_related("message").get(pk=delivery.pk)
    assert row.state == row.message.status
    return row.state, row.reason_code


def test_a_message_that_is_in_the_chat_is_sent_under_the_platforms_id(gateway: ScriptedGateway) -> None:
    delivery = doubtful()
    gateway.chat = [shown("77")]
    assert swept(gateway) == 1
    assert state_of(delivery) == ("sent", "")
    message = Message.objects.get()
    assert (message.platform_message_id, message.sent_at) == ("77", gateway.chat[0][1].sent_at)
    assert gateway.calls == []


def test_a_message_that_is_not_in_the_chat_stays_unknown_and_a_person_decides(gateway: ScriptedGateway) -> None:
    delivery = doubtful()
    assert swept(gateway) == 0
    assert state_of(delivery) == ("unknown", "not_in_chat")
    assert "was not there then" in Delivery.objects.get().reason
    assert swept(gateway) == 0
    assert gateway.looked_for == [delivery.pk]
    services.message_retry(creator=delivery.creator, message_id=delivery.pk)
    assert state_of(delivery) == ("queued", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"finished_at": timedelta(seconds=-100)},
        {"finished_at": timedelta(hours=-25)},
        {"repeatable": True},
        {"read_back_at": timedelta(minutes=-20)},
    ],
    ids=["only just", "long ago", "its key answers", "read a while ago"],
)
def test_what_need_not_be_looked_for_is_not(gateway: ScriptedGateway, fields: dict[str, Any]) -> None:
    now = timezone.now()
    doubtful(**{name: now + value if isinstance(value, timedelta) else value for name, value in fields.items()})
    swept(gateway)
    assert gateway.looked_for == []


def test_a_repeatable_message_whose_attempts_are_used_up_is_looked_for(gateway: ScriptedGateway) -> None:
    doubtful(repeatable=True, attempts=5)
    gateway.chat = [shown()]
    assert swept(gateway) == 1


def test_a_chat_that_cannot_be_read_is_read_later(gateway: ScriptedGateway) -> None:
    delivery = doubtful()
    gateway.chat = None
    assert swept(gateway) == 0
    assert state_of(delivery) == ("unknown", "vendor_trouble")
    gateway.chat = [shown()]
    assert swept(gateway) == 0
    aged(delivery, 31 * 60, "read_back_at")
    assert swept(gateway) == 1


def test_what_came_before_the_first_attempt_is_another_message(gateway: ScriptedGateway) -> None:
    delivery = doubtful()
    gateway.chat = [shown(minutes_ago=8)]
    swept(gateway)
    assert state_of(delivery) == ("unknown", "not_in_chat")


def test_the_platforms_clock_may_be_a_little_behind(gateway: ScriptedGateway) -> None:
    doubtful()
    gateway.chat = [shown(minutes_ago=6)]
    assert swept(gateway) == 1


def test_an_id_of_another_message_of_ours_is_that_one(gateway: ScriptedGateway) -> None:
    sent = delivery_make(state=MessageStatus.SENT)
    Message.objects.filter(pk=sent.pk).update(platform_message_id="77")
    delivery = doubtful(fan=sent.fan)
    gateway.chat = [shown("77")]
    swept(gateway)
    assert state_of(delivery) == ("unknown", "not_in_chat")
    Delivery.objects.filter(pk=delivery.pk).update(reason_code="", read_back_at=None)
    gateway.chat = [shown("77"), shown("78")]
    assert swept(gateway) == 1
    assert Message.objects.get(pk=delivery.pk).platform_message_id == "78"


def test_of_two_that_it_could_be_nobody_can_say(gateway: ScriptedGateway) -> None:
    delivery = doubtful()
    gateway.chat = [shown("77"), shown("78")]
    assert swept(gateway) == 0
    assert state_of(delivery) == ("unknown", "chat_unclear")


def test_of_two_in_doubt_with_one_text_nobody_can_say(gateway: ScriptedGateway) -> None:
    first = doubtful()
    second = doubtful(fan=first.fan)
    gateway.chat = [shown("77")]
    assert swept(gateway) == 0
    assert [state_of(each) for each in (first, second)] == [("unknown", "chat_unclear")] * 2


def test_one_that_was_stored_as_sent_elsewhere_is_left_to_a_person(gateway: ScriptedGateway) -> None:
    delivery = doubtful()
    message_record_sent(fan=delivery.fan, text="Hello", sent_at=timezone.now(), platform_message_id="77")
    gateway.chat = [shown("77")]
    assert swept(gateway) == 0
    assert state_of(delivery) == ("unknown", "chat_unclear")


def test_a_sweep_reads_a_few_chats_and_the_next_one_others(
    gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_back, "CHATS_A_SWEEP", 2)
    deliveries = [doubtful() for _ in range(3)]
    swept(gateway)
    assert len(gateway.looked_for) == 2
    swept(gateway)
    assert set(gateway.looked_for) == {delivery.pk for delivery in deliveries}
    assert len(gateway.looked_for) == 3


def test_a_platform_that_takes_its_time_holds_up_a_sweep_for_one_chat_alone(
    gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_back, "SECONDS_A_SWEEP", -1)
    doubtful(), doubtful()
    swept(gateway)
    assert len(gateway.looked_for) == 1


def test_a_retry_by_hand_meanwhile_is_not_settled_by_what_was_read(gateway: ScriptedGateway) -> None:
    delivery = doubtful(fan=FanFactory())
    find = gateway.find_message
    gateway.chat = [shown()]

    def while_reading(message: Any, *, since: Any) -> Any:
        services.message_retry(creator=delivery.creator, message_id=delivery.pk)
        return find(message, since=since)

    gateway.find_message = while_reading  # type: ignore[method-assign]
    assert swept(gateway) == 0
    assert state_of(delivery) == ("queued", "")
