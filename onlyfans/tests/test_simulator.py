"""Answers whether the simulator keeps the vendor's contract, by the vendor's own SDK. Touches loopback."""

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import onlyfansapi
import pytest
import time_machine
from onlyfansapi import OnlyFansAPI

from onlyfans.simulator.server import SimulatorServer

ACCOUNT = "acct_demo1"


@pytest.fixture
def sdk(simulator: SimulatorServer) -> Iterator[OnlyFansAPI]:
    with OnlyFansAPI(api_key="sim_key_demo1", base_url=simulator.base_url, max_retries=0, timeout=5) as sdk:
        yield sdk


@pytest.fixture
def http(simulator: SimulatorServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer sim_key_demo1"}
    with httpx.Client(base_url=simulator.base_url, headers=headers) as client:
        yield client


@pytest.fixture
def fan_id(simulator: SimulatorServer) -> str:
    return simulator.fan_id("samito1")


def post(http: httpx.Client, fan_id: str, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return http.post(f"/api/{ACCOUNT}/chats/{fan_id}/messages", json={"text": "Hi", **body}, headers=headers)


# --- The SDK's walk -------------------------------------------------------------------------------------------------


def test_the_sdk_reads_whoami_accounts_and_me(sdk: OnlyFansAPI) -> None:
    team = sdk.whoami.retrieve().team
    assert team is not None
    assert team.name == "Simulated team"
    (account,) = sdk.accounts.list()
    assert (account.id, account.is_authenticated, account.onlyfans_username) == (ACCOUNT, True, "avanoir")
    me = sdk.me.retrieve(ACCOUNT).data
    assert me is not None
    assert (me.username, me.message_min_price, me.message_max_price) == ("avanoir", 3, 200)


def test_the_sdk_pages_through_every_fan_once(sdk: OnlyFansAPI) -> None:
    seen: list[int] = []
    while True:
        answer = sdk.fans.list_all(ACCOUNT, limit=20, offset=len(seen))
        assert answer.data is not None
        assert answer.data.list is not None
        seen += [fan.id for fan in answer.data.list if fan.id]
        if not answer.data.has_more:
            break
    assert len(seen) == len(set(seen)) == 500


def test_active_and_expired_fans_make_up_all(sdk: OnlyFansAPI) -> None:
    active = sdk.fans.list_active(ACCOUNT, limit=20).data
    expired = sdk.fans.list_expired(ACCOUNT, limit=20).data
    assert active is not None
    assert expired is not None
    assert all(fan.subscribed_on for fan in active.list or [])
    assert all(fan.subscribed_on_expired_now for fan in expired.list or [])
    assert len(active.list or []) == len(expired.list or []) == 20


def test_the_sdk_finds_a_user_by_name(sdk: OnlyFansAPI, fan_id: str) -> None:
    found = sdk.users.retrieve("SAMITO1", account=ACCOUNT).data
    assert found is not None
    assert (str(found.id), found.name) == (fan_id, "Sam Ito")
    with pytest.raises(onlyfansapi.NotFoundError):
        sdk.users.retrieve("nobody-here", account=ACCOUNT)


def test_the_sdk_sends_and_reads_back_a_chat(sdk: OnlyFansAPI, fan_id: str) -> None:
    ids = []
    for number in range(3):
        sent = sdk.chats.messages.send(fan_id, account=ACCOUNT, text=f"no {number}", media_files=["m"], price=6.97).data
        assert sent is not None
        assert (sent.text, sent.price, sent.media_count) == (f"<p>no {number}</p>", 6.97, 1)
        ids.append(sent.id)
    first = sdk.chats.messages.list(fan_id, account=ACCOUNT, limit="2")
    assert [item.id for item in first.data or []] == [ids[2], ids[1]]
    assert first.api_pagination is not None
    assert first.api_pagination.next_page is not None
    rest = sdk.chats.messages.list(fan_id, account=ACCOUNT, limit="2", first_id=str(ids[1]))
    assert [(item.id, item.is_sent_by_me) for item in rest.data or []] == [(ids[0], True)]
    (chat,) = sdk.chats.list(ACCOUNT).data or []
    assert chat.fan is not None
    assert chat.last_message is not None
    assert (str(chat.fan.id), chat.last_message.id, chat.can_send_message) == (fan_id, ids[2], True)


def test_every_answer_tells_credits_and_limits(sdk: OnlyFansAPI, fan_id: str) -> None:
    meta = sdk.chats.messages.send(fan_id, account=ACCOUNT, text="Hi").api_meta
    assert meta is not None
    assert meta.api_credits is not None
    assert meta.api_rate_limits is not None
    assert (meta.api_credits.used, meta.api_credits.balance) == (1, 9_999)
    assert meta.api_rate_limits.limit_minute == 1_000


# --- What it refuses ------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused(simulator: SimulatorServer) -> None:
    sdk = OnlyFansAPI(api_key="wrong", base_url=simulator.base_url, max_retries=0)
    with sdk, pytest.raises(onlyfansapi.AuthenticationError):
        sdk.whoami.retrieve()


def test_a_key_does_not_reach_another_account(http: httpx.Client, simulator: SimulatorServer, fan_id: str) -> None:
    answer = http.post(f"/api/acct_demo2/chats/{fan_id}/messages", json={"text": "Hi"})
    assert answer.status_code == 404
    assert simulator.deliveries() == []


@pytest.mark.parametrize("stranger", ["1", "abc", "9" * 30])
def test_a_stranger_cannot_be_written_to(http: httpx.Client, stranger: str) -> None:
    answer = post(http, stranger)
    assert answer.status_code == 400
    assert answer.json()["message"] == "Cannot send message to this user"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": 5}, "text"),
        ({"price": 5}, "mediaFiles"),
        ({"price": 2.99, "mediaFiles": ["m"]}, "price"),
        ({"price": 200.01, "mediaFiles": ["m"]}, "price"),
        ({"price": -3, "mediaFiles": ["m"]}, "price"),
        ({"price": 3.005, "mediaFiles": ["m"]}, "price"),
        ({"price": "5", "mediaFiles": ["m"]}, "price"),
        ({"price": True, "mediaFiles": ["m"]}, "price"),
    ],
)
def test_an_invalid_message_is_refused_by_field(
    http: httpx.Client, simulator: SimulatorServer, fan_id: str, body: dict[str, Any], field: str
) -> None:
    answer = post(http, fan_id, **body)
    assert answer.status_code == 422
    assert answer.json()["error"] == "VALIDATION_ERROR"
    assert list(answer.json()["errors"]) == [field]
    assert simulator.deliveries() == []


@pytest.mark.parametrize("price", [3, 200, 6.97, 0])
def test_a_price_in_range_is_kept_to_the_cent(
    http: httpx.Client, simulator: SimulatorServer, fan_id: str, price: float
) -> None:
    assert post(http, fan_id, price=price, mediaFiles=["m"]).status_code == 200
    assert simulator.deliveries()[0]["price_cents"] == round(price * 100)


@pytest.mark.parametrize("path", ["fans/all?limit=21", "fans/all?limit=0", "fans/all?offset=-1", "chats?limit=101"])
def test_a_page_out_of_range_is_refused(http: httpx.Client, path: str) -> None:
    assert http.get(f"/api/{ACCOUNT}/{path}").status_code == 422


# --- Idempotency ----------------------------------------------------------------------------------------------------


def test_the_same_key_gives_the_first_answer_again(http: httpx.Client, simulator: SimulatorServer, fan_id: str) -> None:
    first, second = post(http, fan_id, "k"), post(http, fan_id, "k")
    assert first.json()["data"] == second.json()["data"]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json()["_meta"]["_credits"]["used"] == 0
    (delivery,) = simulator.deliveries()
    assert delivery["replays"] == 1


def test_a_key_belongs_to_one_body_and_one_chat(http: httpx.Client, simulator: SimulatorServer, fan_id: str) -> None:
    post(http, fan_id, "k")
    for answer in (post(http, fan_id, "k", text="other"), post(http, simulator.fan_id("lamartin0"), "k")):
        assert (answer.status_code, answer.json()["error"]) == (422, "IDEMPOTENCY_KEY_MISMATCH")
    assert len(simulator.deliveries()) == 1


def test_a_key_is_the_accounts_own(http: httpx.Client, simulator: SimulatorServer, fan_id: str) -> None:
    post(http, fan_id, "k")
    headers = {"Authorization": "Bearer sim_key_demo2", "Idempotency-Key": "k"}
    answer = http.post(f"/api/acct_demo2/chats/{fan_id}/messages", json={"text": "Hi"}, headers=headers)
    assert answer.status_code == 200
    assert len(simulator.deliveries()) == 2


def test_a_key_whose_first_request_still_runs_conflicts(
    http: httpx.Client, simulator: SimulatorServer, fan_id: str
) -> None:
    simulator.fail("delay", delay_ms=400)
    first = threading.Thread(target=lambda: post(http, fan_id, "k"))
    first.start()
    while not simulator._simulator.running:
        time.sleep(0.005)
    answer = post(http, fan_id, "k")
    first.join()
    assert (answer.status_code, answer.json()["error"]) == (409, "IDEMPOTENCY_CONFLICT")
    assert len(simulator.deliveries()) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_that_cannot_be_one_is_refused(http: httpx.Client, fan_id: str, key: str) -> None:
    answer = post(http, fan_id, key)
    assert (answer.status_code, answer.json()["error"]) == (400, "IDEMPOTENCY_KEY_INVALID")


@pytest.mark.parametrize("status", [408, 429, 500])
def test_trouble_is_not_kept_under_the_key(
    http: httpx.Client, simulator: SimulatorServer, fan_id: str, status: int
) -> None:
    simulator.fail(status=status)
    assert post(http, fan_id, "k").status_code == status
    assert post(http, fan_id, "k").status_code == 200


def test_a_refusal_is_kept_under_the_key(http: httpx.Client) -> None:
    assert post(http, "1", "k").status_code == 400
    assert post(http, "1", "k").headers["Idempotent-Replayed"] == "true"


def test_the_vendors_own_failure_after_sending_is_forgotten_by_the_key(
    http: httpx.Client, simulator: SimulatorServer, fan_id: str
) -> None:
    simulator.fail(status=500, take=True, kept=False)
    assert post(http, fan_id, "k").status_code == 500
    assert post(http, fan_id, "k").status_code == 200
    assert len(simulator.deliveries()) == 2


# --- The platform's limits ------------------------------------------------------------------------------------------


def test_the_eleventh_message_of_a_minute_is_refused(
    http: httpx.Client, simulator: SimulatorServer, fan_id: str
) -> None:
    simulator.configure(messages=10, window_seconds=60)
    assert [post(http, fan_id).status_code for _ in range(10)] == [200] * 10
    refused = post(http, fan_id)
    assert refused.status_code == 429
    assert 55 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json()["onlyfans_response"]["status"] == 429
    assert len(simulator.deliveries()) == 10


def test_a_replay_and_a_refusal_use_up_nothing(http: httpx.Client, simulator: SimulatorServer, fan_id: str) -> None:
    simulator.configure(messages=2, window_seconds=60)
    answers = [
        post(http, fan_id, "k"),
        post(http, fan_id, "k"),
        post(http, "1"),
        post(http, fan_id),
        post(http, fan_id),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 200, 429]


def test_two_messages_too_close_are_refused_until_the_gap_is_over(
    http: httpx.Client, simulator: SimulatorServer, fan_id: str
) -> None:
    simulator.configure(min_gap_seconds=0.2)
    assert post(http, fan_id).status_code == 200
    assert post(http, fan_id).headers["Retry-After"] == "1"
    time.sleep(0.2)
    assert post(http, fan_id).status_code == 200


def test_one_accounts_limit_does_not_touch_another(http: httpx.Client, simulator: SimulatorServer, fan_id: str) -> None:
    simulator.configure(messages=1, window_seconds=60)
    post(http, fan_id)
    headers = {"Authorization": "Bearer sim_key_demo2"}
    answer = http.post(f"/api/acct_demo2/chats/{fan_id}/messages", json={"text": "Hi"}, headers=headers)
    assert answer.status_code == 200


# --- Its knobs, its log and its clock -------------------------------------------------------------------------------


def test_faults_come_in_order_for_the_account_they_name(
    http: httpx.Client, simulator: SimulatorServer, fan_id: str
) -> None:
    spec = {"faults": [{"status": 503, "account": "acct_demo2"}, {"status": 500, "times": 2}, {"status": 401}]}
    assert http.post("/_control", json=spec).status_code == 200
    assert [post(http, fan_id).status_code for _ in range(4)] == [500, 500, 401, 200]
    assert [fault["status"] for fault in http.get("/_control").json()["faults"]] == [503]


@pytest.mark.parametrize(
    "knobs",
    [
        {"speed": 1},
        {"latency_ms": -1},
        {"latency_ms": "fast"},
        {"messages": 0},
        {"faults": [{"kind": "magic"}]},
        {"faults": [{"colour": 1}]},
        {"faults": [{"status": 99}]},
        {"faults": ["x"]},
        [],
    ],
)
def test_a_knob_that_does_not_exist_is_refused(http: httpx.Client, knobs: Any) -> None:
    assert http.post("/_control", json=knobs).status_code == 422
    assert http.get("/_control").json()["faults"] == []


def test_latency_is_felt(http: httpx.Client, simulator: SimulatorServer, fan_id: str) -> None:
    simulator.configure(latency_ms=100)
    began = time.perf_counter()
    post(http, fan_id)
    assert time.perf_counter() - began >= 0.1


def test_the_log_lists_what_was_delivered_to_whom(http: httpx.Client, fan_id: str) -> None:
    before = time.time_ns() // 1_000_000
    post(http, fan_id, "k", text="one &amp; two<br>three")
    post(http, fan_id, "k", text="one &amp; two<br>three")
    (entry,) = http.get("/log.json", params={"account": ACCOUNT}).json()
    assert (entry["fan"], entry["text"], entry["idempotency_key"]) == (int(fan_id), "one & two\nthree", "k")
    assert (entry["html"], entry["replays"]) == ("one &amp; two<br>three", 1)
    assert before <= entry["received_at"] <= time.time_ns() // 1_000_000
    assert http.get("/log.json", params={"account": "acct_demo2"}).json() == []


def test_its_line_in_the_log_tells_no_text(
    http: httpx.Client, simulator: SimulatorServer, fan_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="onlyfans.simulator.sending")
    post(http, fan_id, text="between us")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "onlyfans.simulator.sending"]
    assert line == f"message delivered account={ACCOUNT} fan={fan_id} message={simulator.deliveries()[0]['id']}"


def test_frozen_time_does_not_stop_it(http: httpx.Client, simulator: SimulatorServer, fan_id: str) -> None:
    simulator.configure(latency_ms=20)
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False):
        assert [post(http, fan_id).status_code for _ in range(2)] == [200, 200]
    assert len({delivery["id"] for delivery in simulator.deliveries()}) == 2
