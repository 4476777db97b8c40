"""Answers whether a chat is read back as the vendor tells it: pages, HTML, senders, and what cannot be read."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from conftest import Queues
from crm.models import Creator, Fan, MessageStatus
from messaging import sweeper
from messaging.delivery import Consumer
from messaging.gateways import CannotSay, Found, Looked, OutboundMessage
from messaging.models import Delivery
from messaging.rate_limiter import RedisRateLimiter
from messaging.tests.factories import aged, copy_of, delivery_make
from onlyfans import gateway as gateway_module
from onlyfans.client import ChatMessage, VendorClient
from onlyfans.gateway import OnlyFansGateway, text_to_html
from onlyfans.services import account_connect, account_disconnect
from onlyfans.simulator.server import SimulatorServer
from onlyfans.vendor_answers import VendorError

pytestmark = pytest.mark.django_db
GATEWAY = OnlyFansGateway()


@pytest.fixture
def creator(simulator: SimulatorServer, settings: Any) -> Creator:
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    settings.SEND_TIMEOUT_SECONDS = 3.0
    creator = Creator.objects.create(name="Ava")
    account_connect(creator=creator, account_id="acct_demo1", api_key="sim_key_demo1")
    return creator


def vendor(simulator: SimulatorServer) -> VendorClient:
    return VendorClient(base_url=simulator.base_url, account_id="acct_demo1", api_key="sim_key_demo1")


def message(creator: Creator, text: str = "Hello you", **changes: Any) -> OutboundMessage:
    values = {
        "message_id": uuid.uuid4(),
        "creator_id": creator.pk,
        "fan_platform_id": "samito1",
        "fan_handle": "samito1",
        "text": text,
    }
    return OutboundMessage(**{**values, **changes})


def found(outbound: OutboundMessage, *, minutes: float = 2) -> list[str]:
    seen = GATEWAY.find_message(outbound, since=timezone.now() - timedelta(minutes=minutes))
    assert isinstance(seen, Looked), seen
    return [each.platform_message_id for each in seen.found]


def test_a_page_of_a_chat_is_read_with_the_cursor_of_the_next(creator: Creator, simulator: SimulatorServer) -> None:
    for text in ("one", "two <3", "three"):
        GATEWAY.send_message(message(creator, text, media=("m",), price_cents=697))
    fan_id = simulator.fan_id("samito1")
    page, before = vendor(simulator).messages_list(fan_id=fan_id, limit=2, timeout_seconds=2)
    assert [each.text for each in page] == ["<p>three</p>", "<p>two &lt;3</p>"]
    assert (page[0].by_us, page[0].price_cents, page[0].media_count) == (True, 697, 1)
    assert timedelta() <= datetime.now(UTC) - page[0].created_at < timedelta(minutes=1)
    last, end = vendor(simulator).messages_list(fan_id=fan_id, limit=2, before=before, timeout_seconds=2)
    assert ([each.text for each in last], end) == (["<p>one</p>"], "")


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html"},
        {"body": {"data": [{"text": "x"}]}, "status": 200},
        {"body": {}, "status": 200},
        {"body": {"data": [], "_pagination": {"next_page": "more"}}, "status": 200},
    ],
    ids=["a page", "no id", "no list", "more after nothing"],
)
def test_a_chat_that_is_no_chat_is_an_error_of_ours(simulator: SimulatorServer, fault: dict[str, Any]) -> None:
    simulator.fail(**{"on": "any", **fault})
    with pytest.raises(VendorError) as caught:
        vendor(simulator).messages_list(fan_id="1", timeout_seconds=2)
    assert caught.value.code == "answer_unreadable"


@pytest.mark.parametrize("text", ["Hello", "a & b < c\nd", "  spaced  ", 'quotes "x"', "é ❤", "line\r\nline"])
def test_what_is_written_reads_the_same_when_it_comes_back(creator: Creator, text: str) -> None:
    outbound = message(creator, text)
    GATEWAY.send_message(outbound)
    assert len(found(outbound)) == 1


def test_other_words_another_price_or_other_media_are_another_message(creator: Creator) -> None:
    GATEWAY.send_message(message(creator, "Hello you", media=("m",), price_cents=500))
    priced = {"media": ("m",), "price_cents": 500}
    assert len(found(message(creator, **priced))) == 1
    assert found(message(creator, "Hello", **priced)) == []
    assert found(message(creator)) == []
    assert found(message(creator, media=("m", "n"), price_cents=500)) == []


def test_what_a_fan_wrote_or_nobody_says_who_did_is_not_ours(creator: Creator, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    page = [ChatMessage(str(by), text_to_html("Hello you"), by, now, 0, 0) for by in (True, False, None)]
    monkeypatch.setattr(VendorClient, "messages_list", lambda self, **asked: (page, ""))
    assert GATEWAY.find_message(message(creator), since=now) == Looked((Found("True", now),), 3)


def test_all_that_it_could_be_are_named_the_oldest_first(creator: Creator, simulator: SimulatorServer) -> None:
    for _ in range(2):
        GATEWAY.send_message(message(creator))
    assert found(message(creator)) == [str(each["id"]) for each in simulator.deliveries()]


def test_older_messages_are_not_read(creator: Creator) -> None:
    GATEWAY.send_message(message(creator))
    assert found(message(creator), minutes=-2) == []


def test_a_chat_too_long_to_read_says_nothing(creator: Creator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "PAGES_MAX", 0)
    assert isinstance(GATEWAY.find_message(message(creator), since=timezone.now()), CannotSay)


def test_trouble_on_the_way_says_nothing(creator: Creator, simulator: SimulatorServer) -> None:
    simulator.fail(status=502, on="any")
    assert isinstance(GATEWAY.find_message(message(creator), since=timezone.now()), CannotSay)
    assert isinstance(GATEWAY.find_message(message(creator, ""), since=timezone.now()), CannotSay)
    account_disconnect(creator=creator)
    assert isinstance(GATEWAY.find_message(message(creator), since=timezone.now()), CannotSay)


@pytest.mark.parametrize("taken", [True, False], ids=["it arrived", "it did not"])
def test_a_500_that_the_key_does_not_remember_is_settled_by_reading_the_chat(
    creator: Creator, simulator: SimulatorServer, sqs_queues: Queues, redis_server: Any, taken: bool
) -> None:
    simulator.fail(status=500, take=taken, kept=False)
    fan = Fan.objects.create(creator=creator, platform_id=simulator.fan_id("samito1"), handle="samito1")
    delivery = delivery_make(fan=fan, text="Hello\nyou")
    Consumer(limiter=RedisRateLimiter(redis_server), gateway=GATEWAY).handle(copy_of(delivery))
    assert Delivery.objects.get().state == MessageStatus.UNKNOWN
    aged(delivery, 121, "finished_at")
    assert sweeper.sweep(gateway=GATEWAY).found == taken
    row = Delivery.objects.select_related("message").get()
    assert (row.state, row.reason_code) == (("sent", "") if taken else ("unknown", "not_in_chat"))
    assert row.message.platform_message_id == (str(simulator.deliveries()[0]["id"]) if taken else None)
    assert len(simulator.deliveries()) == taken
