"""Answers whether the status page says in plain words how sending goes. Touches the test database."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from crm.models import Creator, MessageStatus, Role
from crm.tests.factories import FanFactory, MembershipFactory
from messaging.tests.factories import delivery_make, profile_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]


@pytest.fixture
def creator() -> Creator:
    return MembershipFactory.create().creator


def page(creator: Creator, role: Role = Role.OWNER) -> str:
    client = Client()
    client.force_login(MembershipFactory.create(creator=creator, role=role).user)
    answer = client.get("/messages/onlyfans/status")
    assert answer.status_code == 200
    return answer.content.decode()


def message(creator: Creator, state: MessageStatus, **fields: Any) -> None:
    delivery_make(fan=FanFactory.create(creator=creator, name="Ada"), state=state, **fields)


def test_a_quiet_creator_reads_that_all_is_well(creator: Creator) -> None:
    shown = page(creator)
    assert "All clear." in shown
    assert "No message failed or is in doubt." in shown
    assert "No OnlyFans account was ever connected." in shown


def test_what_waits_is_counted_with_the_time_of_the_last(creator: Creator) -> None:
    message(creator, MessageStatus.QUEUED, due_in=timedelta(minutes=5))
    message(creator, MessageStatus.PARKED, due_in=timedelta(hours=5))
    shown = page(creator)
    assert "What waits goes out in its turn." in shown
    assert "<dd>2</dd><dd>the last one leaves about" in shown


def test_what_should_be_gone_by_now_is_no_good_sign(creator: Creator) -> None:
    message(creator, MessageStatus.QUEUED, due_in=-timedelta(minutes=11))
    shown = page(creator)
    assert "Messages that are due do not go out." in shown
    assert "<dd>1</dd><dd>one is late</dd>" in shown


def test_what_failed_is_named_with_the_reason_and_a_button(creator: Creator) -> None:
    message(creator, MessageStatus.FAILED, reason="The fan cannot be reached.")
    shown = page(creator)
    assert "One message needs you" in shown
    assert all(words in shown for words in ("Ada", "Not sent: The fan cannot be reached.", "Retry"))
    assert "Retry<" not in page(creator, Role.ANALYST)


@pytest.mark.parametrize(("role", "button"), [(Role.MANAGER, True), (Role.CHATTER, False)])
def test_a_pause_says_why_and_who_can_end_it(creator: Creator, role: Role, button: bool) -> None:
    profile_make(creator, paused_at="2026-11-20T12:00Z", paused_reason="Reconnect the account.")
    shown = page(creator, role)
    assert "No: sending is paused." in shown
    assert "Reconnect the account." in shown
    assert ("Resume sending" in shown, "An owner or a manager can resume it." in shown) == (button, not button)


def test_a_queue_that_is_not_configured_is_named(creator: Creator, settings: Any) -> None:
    settings.SQS_RATE_LIMITER_QUEUE_URL = ""
    shown = page(creator)
    assert "SQS_RATE_LIMITER_QUEUE_URL is not set." in shown
    assert "alert--success" not in shown


def test_others_messages_are_not_counted(creator: Creator) -> None:
    delivery_make(state=MessageStatus.FAILED, reason="Unmistakable")
    shown = page(creator)
    assert "Unmistakable" not in shown
    assert "All clear." in shown
