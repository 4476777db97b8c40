"""Answers whether the simulator's page shows its life and does what its forms say. Drives HTTP and Chromium."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from onlyfans.simulator.server import SimulatorServer
from tests.browser import DESK, PHONE, assert_accessible, complaints_of, page_of

ACCOUNT = "acct_demo1"


@pytest.fixture
def http(simulator: SimulatorServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=simulator.base_url) as client:
        yield client


def send(http: httpx.Client, fan_id: str, **body: Any) -> None:
    headers = {"Authorization": "Bearer sim_key_demo1", "Idempotency-Key": "k"}
    assert http.post(f"/api/{ACCOUNT}/chats/{fan_id}/messages", json=body, headers=headers).status_code == 200


def act(http: httpx.Client, does: str, **fields: str) -> httpx.Response:
    values = {"account": ACCOUNT, "fan": "lamartin0", "text": "", "tip": "", "does": does, **fields}
    return http.post("/act", data=values)


def test_the_page_shows_what_was_sent_and_runs_none_of_it(http: httpx.Client, simulator: SimulatorServer) -> None:
    body = {"text": "&lt;script&gt;alert(1)&lt;/script&gt; Léa", "price": 12.5, "mediaFiles": ["m"]}
    for _ in range(2):
        send(http, simulator.fan_id("lamartin0"), **body)
    answer = http.get("/")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Léa" in answer.text
    for shown in ("Ava Noir", "Léa Martin", "$12.50", "replayed 1×", "sim_key_demo1", "9,999 of 10,000"):
        assert shown in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_person_writes_as_a_fan_and_keeps_the_part(http: httpx.Client, simulator: SimulatorServer) -> None:
    answer = act(http, "write", text="<b>hello</b>")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"{simulator.base_url}/?account={ACCOUNT}&fan=lamartin0",
    )
    assert "&lt;b&gt;hello&lt;/b&gt;" in http.get("/state").text


@pytest.mark.parametrize(
    ("does", "shown"), [("tip", "$12.50"), ("renew", "Subscription"), ("leave", "left"), ("subscribe", "subscribes")]
)
def test_a_fan_pays_comes_and_goes(http: httpx.Client, does: str, shown: str) -> None:
    assert act(http, does, tip="12.50").status_code == 303
    assert shown in http.get("/state").text


@pytest.mark.parametrize(
    ("does", "fields", "says"),
    [
        ("write", {}, "Write what the fan says."),
        ("write", {"text": "hi", "fan": "<nobody>"}, "There is no fan @&lt;nobody&gt;."),
        ("write", {"text": "hi", "account": "acct_x"}, "Choose an account."),
        ("tip", {"tip": "a lot"}, "A tip is an amount from $1 to $200."),
        ("tip", {"tip": "NaN"}, "A tip is an amount from $1 to $200."),
        ("dance", {}, "Choose what the fan does."),
    ],
)
def test_a_form_that_cannot_be_done_says_why_and_keeps_what_was_filled_in(
    http: httpx.Client, does: str, fields: dict[str, str], says: str
) -> None:
    answer = act(http, does, **fields)
    assert answer.status_code == 422
    assert says in answer.text
    assert f'value="{fields.get("text", "")}"' in answer.text


def test_the_knobs_turn_and_wrong_ones_do_not(http: httpx.Client) -> None:
    knobs = {"life": "2.5", "latency_ms": "40", "messages": "7", "window_seconds": "30", "min_gap_seconds": "0.5"}
    assert http.post("/knobs", data=knobs).status_code == 303
    turned = http.get("/_control").json()
    assert {name: turned[name] for name in knobs} == {name: float(value) for name, value in knobs.items()}
    for wrong in ({"messages": "0"}, {"life": "nan"}, {"latency_ms": "-1"}, {"window_seconds": "x"}):
        assert http.post("/knobs", data=knobs | wrong).status_code == 422
    assert http.get("/_control").json() == turned


def test_trouble_is_asked_for_and_taken_back(http: httpx.Client) -> None:
    http.post("/knobs", data={"fault": "Server error (500)", "times": "3"})
    assert "status 500 ×3" in http.get("/state").text
    http.post("/knobs", data={"clear": "1"})
    assert http.get("/_control").json()["faults"] == []
    assert http.post("/knobs", data={"fault": "An earthquake", "times": "1"}).status_code == 422


def test_no_other_site_has_fans_do_things(http: httpx.Client) -> None:
    http.headers["Sec-Fetch-Site"] = "cross-site"
    assert act(http, "write", text="hi").status_code == 403
    assert "hi" not in http.get("/log.json").text


@pytest.mark.browser
def test_it_shows_where_events_went_and_what_was_answered(http: httpx.Client, simulator: SimulatorServer) -> None:
    hook = {"endpoint_url": f"{simulator.base_url}/nowhere", "events": ["messages.received"], "account_scope": "global"}
    http.post("/api/webhooks", json=hook, headers={"Authorization": "Bearer sim_key_demo1"})
    act(http, "write", text="hi")
    with page_of(simulator.base_url) as page:
        page.goto("/")
        expect(page.get_by_role("region", name="Events sent")).to_contain_text("404")
        expect(page.get_by_role("link", name=simulator.base_url)).to_be_visible()


@pytest.mark.browser
@pytest.mark.parametrize(("screen", "scheme"), [(PHONE, "dark"), (DESK, "light")], ids=["phone", "desk"])
def test_a_newcomer_writes_as_a_fan_and_sees_it(simulator: SimulatorServer, screen: Any, scheme: Any) -> None:
    with page_of(simulator.base_url, screen, scheme) as page:
        console = complaints_of(page)
        page.goto("/")
        page.get_by_label("Fan", exact=True).fill("lamartin0")
        page.get_by_label("Message", exact=True).fill("are you there?")
        page.get_by_label("Message", exact=True).press("Enter")
        expect(page.get_by_role("region", name="Chats")).to_contain_text("are you there?")
        expect(page.get_by_label("Fan", exact=True)).to_have_value("lamartin0")
        simulator.life(lambda life, account, fan: life.writes(account, fan, "hello?"), username="lamartin0")
        expect(page.get_by_role("region", name="Chats")).to_contain_text("hello?")
        assert_accessible(page)
    assert console == []
