"""Tests that pages offer what can be done about a message, to those who may do it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from crm.models import Fan, MessageStatus, Role
from crm.tests.clients import page_client
from crm.tests.factories import FanFactory, UserFactory
from messaging.models import Decision, ReadBack
from messaging.tests.campaigns import failed, launch
from messaging.tests.factories import delivery_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]
BUTTONS = ("Undo", "Cancel", "It arrived", "Send again", "Retry", "Dismiss")


@pytest.fixture
def fan() -> Fan:
    return FanFactory(name="Ada")


@pytest.fixture
def client(fan: Fan) -> Client:
    return page_client(fan.creator)


def thread(client: Client, fan: Fan) -> str:
    answer = client.get(f"/api/crm/conversations/{fan.conversation.pk}/messages", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    return answer.content.decode()


def buttons(page: str) -> list[str]:
    return [name for name in BUTTONS if f">{name}<" in page]


@pytest.mark.parametrize(
    ("state", "fields", "found"),
    [
        (MessageStatus.PENDING, {}, ["Undo"]),
        (MessageStatus.QUEUED, {}, ["Undo"]),
        (MessageStatus.PARKED, {}, ["Undo"]),
        (MessageStatus.PARKED, {"scheduled_at": timezone.now() + timedelta(days=1)}, ["Cancel"]),
        (MessageStatus.SENDING, {}, []),
        (MessageStatus.SENT, {}, []),
        (MessageStatus.CANCELLED, {}, []),
        (MessageStatus.FAILED, {}, ["Retry", "Dismiss"]),
        (MessageStatus.UNKNOWN, {"key_in_doubt": True}, ["It arrived", "Send again", "Dismiss"]),
        (MessageStatus.DISMISSED, {}, ["Send again"]),
        (MessageStatus.DISMISSED, {"key_in_doubt": True}, ["It arrived", "Send again"]),
    ],
)
def test_a_bubble_offers_what_its_state_allows(
    fan: Fan, client: Client, state: MessageStatus, fields: dict[str, Any], found: list[str]
) -> None:
    delivery_make(fan=fan, state=state, **fields)
    assert buttons(thread(client, fan)) == found
    assert buttons(thread(page_client(fan.creator, Role.ANALYST), fan)) == []


def test_undo_carries_the_words_that_go_back(fan: Fan, client: Client) -> None:
    delivery_make(fan=fan, text='two "lines"\nand <b>')
    assert 'data-text="two &quot;lines&quot;\nand &lt;b&gt;"' in thread(client, fan)


@pytest.mark.parametrize(
    ("found", "count", "words"),
    [
        (ReadBack.NOT_THERE, 0, "The chat was read and it is not there."),
        (ReadBack.NOT_THERE, 1, "it is not there, among 1 message since then."),
        (ReadBack.NOT_THERE, 12, "it is not there, among 12 messages since then."),
        (ReadBack.UNCLEAR, 3, "a message like it is there, which may be another one."),
        (ReadBack.UNREADABLE, None, "The chat could not be read."),
        ("", None, "Look on OnlyFans before you send it again."),
    ],
)
def test_what_reading_the_chat_back_found_is_said(
    fan: Fan, client: Client, found: str, count: int | None, words: str
) -> None:
    delivery_make(
        fan=fan,
        state=MessageStatus.UNKNOWN,
        read_back_found=found,
        read_back_count=count,
        read_back_at=timezone.now() if found else None,
    )
    assert words in thread(client, fan)
    assert words in client.get("/messages/onlyfans/status").content.decode()


def test_who_cancelled_or_dismissed_it_is_named(fan: Fan, client: Client) -> None:
    chris = UserFactory(name="Chris")
    for state, decision, words in (
        (MessageStatus.CANCELLED, Decision.CANCELLED, "Cancelled by Chris"),
        (MessageStatus.DISMISSED, Decision.DISMISSED, "Dismissed by Chris."),
    ):
        delivery_make(fan=fan, state=state, decision=decision, decided_by=chris, decided_at=timezone.now())
        assert words in thread(client, fan)


def test_the_status_page_offers_the_same(fan: Fan, client: Client) -> None:
    delivery_make(fan=fan, state=MessageStatus.UNKNOWN, key_in_doubt=True)
    page = client.get("/messages/onlyfans/status").content.decode()
    for name in ("It arrived", "Send again", "Dismiss"):
        assert f'>{name}<span class="visually-hidden"> Ada</span>' in page


def test_a_campaigns_recipients_offer_the_same(fan: Fan, client: Client) -> None:
    campaign = launch(fan.creator)
    failed(campaign, 1)
    page = client.get(f"/messages/campaigns/{campaign.pk}").content.decode()
    assert '>Dismiss<span class="visually-hidden"> Ada</span>' in page


def test_a_form_settles_as_a_button_of_the_page_sends_it(fan: Fan, client: Client) -> None:
    delivery = delivery_make(fan=fan, state=MessageStatus.FAILED)
    answer = client.post(
        f"/api/onlyfans/messages/{delivery.pk}/settle",
        "outcome=dismissed",
        content_type="application/x-www-form-urlencoded",
        headers={"Accept": "text/html"},
    )
    assert (answer.status_code, answer.content) == (200, b"<p>Dismissed</p>\n")
