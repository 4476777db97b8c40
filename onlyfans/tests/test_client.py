"""Answers whether each answer and each silence of the vendor is read for what it proves. Touches loopback sockets."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from onlyfans import client as client_module
from onlyfans.client import Identity, VendorClient, pools_close, reach
from onlyfans.simulator.server import SimulatorServer
from onlyfans.tests.wire import KEY, TAKEN, answer, raw_server
from onlyfans.vendor_answers import VendorError

TEXT = "a secret between two"


@pytest.fixture(autouse=True)
def _fresh_connections() -> Iterator[None]:
    yield
    pools_close()


@pytest.fixture
def vendor(simulator: SimulatorServer) -> VendorClient:
    return VendorClient(base_url=simulator.base_url, account_id="acct_demo1", api_key=KEY)


def send(vendor: VendorClient, **changes: Any) -> str:
    """One message to a number that the simulator may or may not know."""
    values = {
        "fan_id": "1",
        "text": TEXT,
        "media": (),
        "price_cents": 0,
        "idempotency_key": "key-1",
        "timeout_seconds": 2.0,
        **changes,
    }
    return vendor.message_send(**values)


def failure(vendor: VendorClient, **changes: Any) -> VendorError:
    with pytest.raises(VendorError) as raised:
        send(vendor, **changes)
    return raised.value


# --- What it asks ---------------------------------------------------------------------------------------------------


def test_it_says_whose_key_it_is(vendor: VendorClient) -> None:
    assert vendor.whoami(timeout_seconds=2) == Identity(team="Simulated team", key_name="Key of Ava Noir")


def test_it_finds_the_id_behind_a_handle(vendor: VendorClient, simulator: SimulatorServer) -> None:
    found = vendor.user_find(username="LaMartin0", timeout_seconds=2)
    assert found == simulator.fan_id("lamartin0")


def test_a_handle_with_a_slash_stays_one_part_of_the_path() -> None:
    with raw_server(answer("404 Not Found", b'{"error": "NOT_FOUND"}')) as (vendor, seen):
        with pytest.raises(VendorError):
            vendor.user_find(username="../chats", timeout_seconds=2)
        assert seen[0].startswith(b"GET /api/acct_demo1/users/..%2Fchats HTTP")


def test_it_sends_a_message_and_gives_its_id(vendor: VendorClient, simulator: SimulatorServer) -> None:
    message_id = send(vendor, fan_id=simulator.fan_id("samito1"), media=("m1", "m2"), price_cents=500)
    (delivery,) = simulator.deliveries("acct_demo1")
    assert delivery["id"] == int(message_id)
    assert delivery["fan"] == int(simulator.fan_id("samito1"))
    assert (delivery["text"], delivery["media"], delivery["price_cents"]) == (TEXT, ("m1", "m2"), 500)
    assert delivery["idempotency_key"] == "key-1"


@pytest.mark.parametrize("cents", [300, 697, 1_999, 14_529, 20_000])
def test_cents_reach_the_wire_as_the_exact_decimal(cents: int) -> None:
    with raw_server(TAKEN) as (vendor, seen):
        send(vendor, media=("m",), price_cents=cents)
    body = json.loads(seen[0].partition(b"\r\n\r\n")[2], parse_float=Decimal)
    assert body["price"] == Decimal(cents) / 100


def test_a_free_message_names_neither_price_nor_media() -> None:
    with raw_server(TAKEN) as (vendor, seen):
        send(vendor)
    assert b"price" not in seen[0]
    assert b"mediaFiles" not in seen[0]
    assert b"idempotency-key: key-1" in seen[0].lower()
    assert f"authorization: bearer {KEY}".encode() in seen[0].lower()


def test_all_accounts_of_an_address_share_its_connections() -> None:
    with raw_server(TAKEN, TAKEN) as (vendor, seen):
        other = VendorClient(base_url=vendor.base_url, account_id="acct_demo2", api_key="sim_key_demo2")
        assert (send(vendor), send(other)) == ("123", "123")
        assert len(client_module._pools) == 1
    assert len(seen) == 2


def test_the_key_is_not_in_what_a_log_would_show(vendor: VendorClient) -> None:
    assert KEY not in repr(vendor)


# --- What is certain not to have gone out ---------------------------------------------------------------------------


def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    error = failure(VendorClient(base_url=f"http://127.0.0.1:{port}", account_id="acct_demo1", api_key=KEY))
    assert (error.code, error.not_sent, error.permanent, error.account_wide) == ("unreachable", True, False, False)


def test_a_connection_that_is_never_accepted_proves_that_nothing_was_sent() -> None:
    with socket.socket() as listening, contextlib.ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        error = failure(VendorClient(base_url=url, account_id="acct_demo1", api_key=KEY), timeout_seconds=0.2)
    assert (error.code, error.not_sent) == ("unreachable", True)
    assert "ConnectTimeout" in error.reason


def test_a_full_pool_proves_that_nothing_was_sent(vendor: VendorClient, simulator: SimulatorServer) -> None:
    limits = httpx.Limits(max_connections=1)
    client_module._pools[vendor.base_url] = httpx.Client(base_url=vendor.base_url, limits=limits)
    simulator.fail("delay", delay_ms=600, on="whoami")
    slow = threading.Thread(target=lambda: vendor.whoami(timeout_seconds=2))
    slow.start()
    while not simulator_is_busy(simulator):
        time.sleep(0.005)
    error = failure(vendor, timeout_seconds=0.2)
    slow.join()
    assert (error.code, error.not_sent) == ("unreachable", True)
    assert "PoolTimeout" in error.reason
    assert simulator.deliveries() == []


def simulator_is_busy(simulator: SimulatorServer) -> bool:
    return simulator._simulator.faults.waiting() == []


def test_an_address_without_a_scheme_proves_that_nothing_was_sent() -> None:
    error = failure(VendorClient(base_url="app.example.com", account_id="acct_demo1", api_key=KEY))
    assert error.not_sent
    assert not error.permanent


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503])
def test_the_vendor_may_say_that_nothing_was_sent(
    vendor: VendorClient, simulator: SimulatorServer, status: int
) -> None:
    simulator.fail(status=status, body={"error": "UPSTREAM_DOWN", "request_outcome": "not_sent"})
    error = failure(vendor)
    assert (error.code, error.not_sent, error.permanent, error.rate_limited) == ("not_sent", True, False, False)


@pytest.mark.parametrize(
    ("status", "code", "permanent", "account_wide"),
    [
        (400, "bad_request", True, False),
        (401, "unauthorized", False, True),
        (402, "credits_used_up", False, True),
        (403, "forbidden", True, False),
        (404, "not_found", True, False),
        (410, "session_ended", False, True),
        (413, "refused", True, False),
        (422, "invalid", True, False),
    ],
)
def test_a_refusal_is_certain_and_says_what_it_is_about(
    vendor: VendorClient, simulator: SimulatorServer, status: int, code: str, permanent: bool, account_wide: bool
) -> None:
    simulator.fail(status=status)
    error = failure(vendor)
    assert error.not_sent
    assert (error.code, error.permanent, error.account_wide) == (code, permanent, account_wide)
    assert not error.rate_limited


def test_a_fan_who_cannot_be_written_to_is_named_as_such(vendor: VendorClient) -> None:
    error = failure(vendor, fan_id="42")
    assert (error.code, error.permanent, error.not_sent) == ("fan_unreachable", True, True)


def test_an_invalid_message_names_the_fields_alone(vendor: VendorClient, simulator: SimulatorServer) -> None:
    body = {"error": "VALIDATION_ERROR", "message": TEXT, "errors": {"text": [TEXT], f"x {TEXT}": []}}
    simulator.fail(status=422, body=body)
    error = failure(vendor)
    assert "text" in error.reason
    assert TEXT not in error.reason


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 410, 422, 429, 500])
def test_no_reason_repeats_what_the_vendor_wrote(vendor: VendorClient, simulator: SimulatorServer, status: int) -> None:
    secret = f"{TEXT} {KEY} someone@example.com"
    simulator.fail(status=status, body={"error": secret, "message": secret * 50, "errors": {secret: [secret]}})
    error = failure(vendor)
    assert len(error.reason) <= 300
    assert not any(part in error.reason for part in (TEXT, KEY, "@"))


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_in_html_comes_from_before_the_vendor_and_does_not_last(
    vendor: VendorClient, simulator: SimulatorServer, status: int
) -> None:
    simulator.fail("html", status=status)
    error = failure(vendor)
    assert error.not_sent
    assert not error.permanent


@pytest.mark.parametrize(
    ("upstream", "code"),
    [(401, "unauthorized"), (429, "rate_limited"), (500, "vendor_trouble"), (400, "vendor_trouble")],
)
def test_what_onlyfans_itself_refused_counts_under_whatever_status(
    vendor: VendorClient, simulator: SimulatorServer, upstream: int, code: str
) -> None:
    body = {"error": "ONLYFANS_COM_ERROR", "message": "…", "onlyfans_response": {"status": upstream, "body": {}}}
    simulator.fail(status=500, body=body)
    assert failure(vendor).code == code


# --- A pause --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (None, None),
        ("1.5", 1.5),
        ("soon", None),
        ("-3", None),
        ("inf", None),
        ("9" * 9, 86_400.0),
    ],
)
def test_a_pause_is_read_in_seconds(
    vendor: VendorClient, simulator: SimulatorServer, header: str | None, seconds: float | None
) -> None:
    simulator.fail(status=429, retry_after=header)
    error = failure(vendor)
    assert (error.code, error.rate_limited, error.not_sent, error.permanent) == ("rate_limited", True, True, False)
    assert error.retry_after == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(90, 90.0), (-90, 0.0)])
@pytest.mark.parametrize("wrong_by", [timedelta(0), timedelta(hours=3)])
def test_a_pause_until_a_date_is_measured_by_the_clock_that_wrote_it(
    ahead: int, seconds: float, wrong_by: timedelta
) -> None:
    now = datetime.now(UTC) + wrong_by
    until = format_datetime(now + timedelta(seconds=ahead), usegmt=True)
    headers = f"Date: {format_datetime(now, usegmt=True)}\r\nRetry-After: {until}\r\n"
    with raw_server(answer("429 Too Many Requests", extra=headers)) as (vendor, _):
        assert failure(vendor).retry_after == seconds


def test_a_pause_until_a_date_without_the_senders_clock_is_measured_by_ours() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    with raw_server(answer("429 Too Many Requests", extra=f"Retry-After: {until}\r\n")) as (vendor, _):
        assert failure(vendor).retry_after == pytest.approx(60, abs=5)


# --- What may have gone out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504, 520, 524])
@pytest.mark.parametrize("kind", ["status", "html"])
def test_trouble_after_the_request_was_written_is_unknown(
    vendor: VendorClient, simulator: SimulatorServer, status: int, kind: str
) -> None:
    simulator.fail(kind, status=status)
    error = failure(vendor)
    assert (error.code, error.not_sent, error.permanent) == ("vendor_trouble", False, False)


def test_a_200_with_html_is_unknown(vendor: VendorClient, simulator: SimulatorServer) -> None:
    simulator.fail("html", take=True)
    error = failure(vendor, fan_id=simulator.fan_id("samito1"))
    assert (error.code, error.not_sent) == ("answer_unreadable", False)
    assert len(simulator.deliveries()) == 1


@pytest.mark.parametrize(
    "reply",
    [
        answer("200 OK", b"{}"),
        answer("200 OK", b'{"data": {}}'),
        answer("200 OK", b'{"data": {"id": "abc"}}'),
        answer("200 OK", b'{"data": null}'),
        answer("200 OK", b"[]"),
        answer("200 OK", b"null"),
        answer("200 OK", b'{"data": {"id": 1'),
        answer("200 OK", b""),
        answer("204 No Content", b""),
        answer("302 Found", b"", extra="Location: /elsewhere\r\n"),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{",
        b"no HTTP at all\r\n\r\n",
    ],
)
def test_an_answer_that_proves_nothing_is_unknown(reply: bytes) -> None:
    short = b"Content-Length: 90" in reply
    with raw_server(reply, *([None] if short else [])) as (vendor, seen):
        error = failure(vendor, timeout_seconds=0.5 if short else 2.0)
        assert not error.not_sent
        assert not error.permanent
    assert len(seen) == 1, "nothing is asked twice"


def test_a_connection_closed_without_an_answer_is_unknown(vendor: VendorClient, simulator: SimulatorServer) -> None:
    simulator.fail("drop", take=True)
    error = failure(vendor, fan_id=simulator.fan_id("samito1"))
    assert (error.code, error.not_sent) == ("connection_lost", False)
    assert len(simulator.deliveries()) == 1


def test_a_reset_after_the_request_is_unknown() -> None:
    with raw_server(None) as (vendor, seen):
        error = failure(vendor)
    assert (error.code, error.not_sent) == ("connection_lost", False)
    assert len(seen) == 1


def test_a_kept_connection_that_dies_under_the_second_request_is_unknown() -> None:
    with raw_server(TAKEN, None) as (vendor, seen):
        assert send(vendor) == "123"
        error = failure(vendor)
    assert (error.code, error.not_sent) == ("connection_lost", False)
    assert len(seen) == 2


def test_silence_after_the_request_is_unknown(vendor: VendorClient, simulator: SimulatorServer) -> None:
    simulator.fail("delay", take=True, delay_ms=400)
    error = failure(vendor, fan_id=simulator.fan_id("samito1"), timeout_seconds=0.2)
    assert (error.code, error.not_sent) == ("timeout", False)
    assert len(simulator.deliveries()) == 1


def test_the_same_key_after_silence_gives_the_first_message(vendor: VendorClient, simulator: SimulatorServer) -> None:
    fan_id = simulator.fan_id("samito1")
    simulator.fail("drop", take=True)
    failure(vendor, fan_id=fan_id)
    message_id = send(vendor, fan_id=fan_id)
    (delivery,) = simulator.deliveries()
    assert (str(delivery["id"]), delivery["replays"]) == (message_id, 1)


def test_an_earlier_attempt_that_still_runs_is_unknown(vendor: VendorClient, simulator: SimulatorServer) -> None:
    simulator.fail(status=409, body={"error": "IDEMPOTENCY_CONFLICT"})
    error = failure(vendor)
    assert (error.code, error.not_sent, error.permanent) == ("idempotency_conflict", False, False)


def test_a_key_used_for_other_content_is_refused_for_good(vendor: VendorClient, simulator: SimulatorServer) -> None:
    fan_id = simulator.fan_id("samito1")
    send(vendor, fan_id=fan_id)
    error = failure(vendor, fan_id=fan_id, text="other")
    assert (error.code, error.not_sent, error.permanent) == ("idempotency_key_mismatch", True, True)


# --- Looking up and reaching ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [lambda vendor: vendor.whoami(timeout_seconds=2), lambda vendor: vendor.user_find(username="x", timeout_seconds=2)],
)
def test_html_for_a_look_up_is_an_error_of_ours(
    vendor: VendorClient, simulator: SimulatorServer, ask: Callable[[VendorClient], object]
) -> None:
    simulator.fail("html", on="any")
    with pytest.raises(VendorError, match="not its own JSON"):
        ask(vendor)


@pytest.mark.parametrize("status", [200, 401, 500, 502])
def test_any_answer_proves_that_the_vendor_can_be_reached(simulator: SimulatorServer, status: int) -> None:
    simulator.fail(status=status, on="whoami")
    reach(base_url=simulator.base_url, timeout_seconds=2)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "nowhere", "http://[broken"])
def test_an_address_where_nobody_answers_is_said_so(base_url: str) -> None:
    with pytest.raises(VendorError, match="cannot be reached"):
        reach(base_url=base_url, timeout_seconds=0.5)
