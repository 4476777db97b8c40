"""Answers whether the OnlyFans adapter keeps messaging's port: every outcome over HTTP against the simulator."""

import socket
import time
import uuid
from typing import Any

import pytest

from crm.models import Creator
from messaging.gateways import OutboundMessage, Rejected, Scope, Sent, Unknown, gateway_load
from onlyfans.gateway import OnlyFansGateway, text_to_html
from onlyfans.models import Account
from onlyfans.selectors import account_for_creator
from onlyfans.services import account_connect, account_disconnect
from onlyfans.simulator.server import SimulatorServer
from onlyfans.simulator.shapes import plain
from onlyfans.vendor_answers import VendorError

pytestmark = pytest.mark.django_db


@pytest.fixture
def creator(simulator: SimulatorServer, settings: Any) -> Creator:
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    settings.SEND_TIMEOUT_SECONDS = 2.0
    creator = Creator.objects.create(name="Ava")
    account_connect(creator=creator, account_id="acct_demo1", api_key="sim_key_demo1")
    return creator


def message(creator: Creator, **changes: Any) -> OutboundMessage:
    values = {
        "message_id": uuid.uuid4(),
        "creator_id": creator.pk,
        "fan_platform_id": "samito1",
        "fan_handle": "samito1",
        "text": "Hello you",
        **changes,
    }
    return OutboundMessage(**values)


def test_settings_name_this_gateway() -> None:
    assert isinstance(gateway_load(), OnlyFansGateway)


def test_a_message_is_sent_under_its_own_id(creator: Creator, simulator: SimulatorServer) -> None:
    outbound = message(creator, fan_platform_id=simulator.fan_id("samito1"), media=("m1",), price_cents=697)
    outcome = OnlyFansGateway().send_message(outbound)
    (delivery,) = simulator.deliveries("acct_demo1")
    assert outcome == Sent(platform_message_id=str(delivery["id"]))
    assert delivery["idempotency_key"] == str(outbound.message_id)
    assert (delivery["text"], delivery["price_cents"], delivery["media"]) == ("Hello you", 697, ("m1",))


def test_a_handle_is_resolved_and_its_id_handed_back(creator: Creator, simulator: SimulatorServer) -> None:
    outcome = OnlyFansGateway().send_message(message(creator, fan_platform_id="samito1", fan_handle="@SamIto1"))
    assert isinstance(outcome, Sent)
    assert outcome.fan_platform_id == simulator.fan_id("samito1")
    assert str(simulator.deliveries()[0]["fan"]) == outcome.fan_platform_id


def test_a_fan_without_a_handle_is_looked_up_by_what_stands_for_the_id(
    creator: Creator, simulator: SimulatorServer
) -> None:
    outcome = OnlyFansGateway().send_message(message(creator, fan_handle=""))
    assert isinstance(outcome, Sent)


def test_the_same_message_twice_reaches_the_fan_once(creator: Creator, simulator: SimulatorServer) -> None:
    gateway, outbound = OnlyFansGateway(), message(creator)
    assert gateway.send_message(outbound) == gateway.send_message(outbound)
    assert len(simulator.deliveries()) == 1
    assert gateway.honours_idempotency_key
    assert gateway.key_lifetime_seconds == 86_400


def test_a_send_that_was_held_up_for_too_long_is_not_begun(
    creator: Creator, simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held_up(creator_id: int) -> Account | None:
        time.sleep(0.4)
        return account_for_creator(creator_id)

    monkeypatch.setattr("onlyfans.gateway.account_for_creator", held_up)
    monkeypatch.setattr("django.conf.settings.SEND_TIMEOUT_SECONDS", 0.5)
    outcome = OnlyFansGateway().send_message(message(creator, fan_platform_id=simulator.fan_id("samito1")))
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.permanent) == ("held_up", False)
    assert simulator.deliveries() == []


def test_each_creator_sends_through_their_own_account(creator: Creator, simulator: SimulatorServer) -> None:
    other = Creator.objects.create(name="Mila")
    account_connect(creator=other, account_id="acct_demo2", api_key="sim_key_demo2")
    OnlyFansGateway().send_message(message(other))
    assert simulator.deliveries("acct_demo1") == []
    assert len(simulator.deliveries("acct_demo2")) == 1


@pytest.mark.parametrize("connected", [True, False])
def test_without_a_connected_account_the_creator_cannot_send(
    creator: Creator, simulator: SimulatorServer, connected: bool
) -> None:
    if connected:
        account_disconnect(creator=creator)
    else:
        creator = Creator.objects.create(name="New")
    outcome = OnlyFansGateway().send_message(message(creator))
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.permanent, outcome.scope) == ("account_missing", False, Scope.CREATOR)
    assert "Connect" in outcome.reason
    assert simulator.deliveries() == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"status": 500}, {"code": "vendor_trouble", "permanent": False, "scope": Scope.MESSAGE}),
        ({"kind": "html"}, {"code": "answer_unreadable", "permanent": False, "scope": Scope.MESSAGE}),
        ({"kind": "drop"}, {"code": "connection_lost", "permanent": False, "scope": Scope.MESSAGE}),
        ({"kind": "delay", "delay_ms": 900}, {"code": "timeout", "permanent": False, "scope": Scope.MESSAGE}),
        ({"status": 401}, {"code": "unauthorized", "permanent": False, "scope": Scope.CREATOR}),
        ({"status": 410}, {"code": "session_ended", "permanent": False, "scope": Scope.CREATOR}),
        ({"status": 402}, {"code": "credits_used_up", "permanent": False, "scope": Scope.CREATOR}),
        ({"status": 403}, {"code": "forbidden", "permanent": True, "scope": Scope.MESSAGE}),
        ({"status": 404}, {"code": "fan_not_found", "permanent": True, "scope": Scope.MESSAGE}),
        ({"status": 429, "retry_after": 4}, {"code": "rate_limited", "rate_limited": True, "retry_after": 4.0}),
    ],
)
def test_a_failed_look_up_proves_that_nothing_was_sent(
    creator: Creator, simulator: SimulatorServer, settings: Any, spec: dict[str, Any], expected: dict[str, Any]
) -> None:
    settings.SEND_TIMEOUT_SECONDS = 0.9
    simulator.fail(**spec, on="user")
    outcome = OnlyFansGateway().send_message(message(creator))
    assert isinstance(outcome, Rejected)
    assert {name: getattr(outcome, name) for name in expected} == expected
    assert len(outcome.reason) <= 300
    assert simulator.deliveries() == []


def test_a_name_that_onlyfans_does_not_know_says_what_to_do(creator: Creator, simulator: SimulatorServer) -> None:
    outcome = OnlyFansGateway().send_message(message(creator, fan_handle="nobody-here"))
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.permanent) == ("fan_not_found", True)
    assert "handle" in outcome.reason


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"status": 400}, Rejected("bad_request", "", permanent=True)),
        ({"status": 401}, Rejected("unauthorized", "", scope=Scope.CREATOR)),
        ({"status": 402}, Rejected("credits_used_up", "", scope=Scope.CREATOR)),
        ({"status": 403}, Rejected("forbidden", "", permanent=True)),
        ({"status": 410}, Rejected("session_ended", "", scope=Scope.CREATOR)),
        ({"status": 422}, Rejected("invalid", "", permanent=True)),
        ({"status": 429}, Rejected("rate_limited", "", rate_limited=True)),
        ({"status": 429, "retry_after": 0}, Rejected("rate_limited", "", rate_limited=True, retry_after=0.0)),
        ({"status": 429, "retry_after": 9}, Rejected("rate_limited", "", rate_limited=True, retry_after=9.0)),
        ({"status": 503, "body": {"request_outcome": "not_sent"}}, Rejected("not_sent", "")),
        ({"status": 500}, Unknown("vendor_trouble", "")),
        ({"kind": "html", "status": 524}, Unknown("vendor_trouble", "")),
        ({"kind": "html"}, Unknown("answer_unreadable", "")),
        ({"kind": "drop", "take": True}, Unknown("connection_lost", "", repeatable=True)),
        ({"kind": "delay", "delay_ms": 900, "take": True}, Unknown("timeout", "", repeatable=True)),
        (
            {"status": 409, "body": {"error": "IDEMPOTENCY_CONFLICT"}},
            Unknown("idempotency_conflict", "", repeatable=True),
        ),
    ],
)
def test_each_answer_becomes_the_outcome_that_it_proves(
    creator: Creator, simulator: SimulatorServer, settings: Any, spec: dict[str, Any], expected: Rejected | Unknown
) -> None:
    settings.SEND_TIMEOUT_SECONDS = 0.6
    simulator.fail(**spec)
    outcome = OnlyFansGateway().send_message(message(creator, fan_platform_id=simulator.fan_id("samito1")))
    assert type(outcome) is type(expected)
    names = [name for name in type(expected).__slots__ if name != "reason"]
    assert {name: getattr(outcome, name) for name in names} == {name: getattr(expected, name) for name in names}


def test_no_reason_holds_the_text_or_the_key(creator: Creator, simulator: SimulatorServer) -> None:
    simulator.fail(status=422, body={"error": "Hello you", "message": "sim_key_demo1", "errors": {"Hello you": []}})
    outcome = OnlyFansGateway().send_message(message(creator))
    assert isinstance(outcome, Rejected)
    assert "Hello" not in outcome.reason
    assert "sim_key" not in outcome.reason


def test_a_vendor_that_is_down_leaves_the_message_unsent(creator: Creator, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings.ONLYFANS_API_BASE_URL = f"http://127.0.0.1:{listening.getsockname()[1]}"
    outcome = OnlyFansGateway().send_message(message(creator, fan_platform_id="1"))
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.permanent, outcome.scope) == ("unreachable", False, Scope.MESSAGE)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Hello", "Hello"),
        ('Léa\'s "gift" 🎁', 'Léa\'s "gift" 🎁'),
        ("5 < 6 & 7 > 2", "5 &lt; 6 &amp; 7 &gt; 2"),
        ("<b>not bold</b>", "&lt;b&gt;not bold&lt;/b&gt;"),
        ("one\ntwo\r\nthree\rfour", "one<br>two<br>three<br>four"),
        ("already &amp; escaped", "already &amp;amp; escaped"),
        ("", ""),
    ],
)
def test_plain_text_arrives_as_it_was_typed(text: str, written: str) -> None:
    assert text_to_html(text) == written
    assert plain(written) == text.replace("\r\n", "\n").replace("\r", "\n")


def test_the_probe_needs_no_account(simulator: SimulatorServer, settings: Any) -> None:
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    OnlyFansGateway().probe()


def test_the_probe_says_in_words_that_nobody_answers(settings: Any) -> None:
    settings.ONLYFANS_API_BASE_URL = "http://127.0.0.1:1"
    with pytest.raises(VendorError, match="cannot be reached"):
        OnlyFansGateway().probe()
