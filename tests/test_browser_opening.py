"""Opening conversations: thread and card are swapped, the list and drafts stay, history leads back and forth."""

from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from crm.models import Conversation, Role
from crm.tests.factories import (
    PASSWORD,
    ConversationFactory,
    MembershipFactory,
    MessageFactory,
    QuickReplyFactory,
)
from tests.browser import DESK, EMAIL, PHONE, assert_accessible, complaints_of, page_of, sign_in

pytestmark = pytest.mark.browser
INBOX = "/messages/onlyfans"
TABLET = {"viewport": {"width": 820, "height": 1180}, "is_mobile": True, "has_touch": True}


@pytest.fixture
def conversations(transactional_db: None, sqs_queues: Any) -> list[Conversation]:
    """Forty, as they were made: the page lists the last one first."""
    creator = MembershipFactory.create(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER).creator
    QuickReplyFactory.create(creator=creator, shortcut="welcome", text="Hey {firstName}")
    found = []
    for number in range(40):
        row = ConversationFactory.create(fan__creator=creator, fan__name=f"Fan {number:02}", fan__tags=[f"tag{number}"])
        MessageFactory.create(conversation=row, text=f"Words of {number:02}")
        found.append(row)
    return found


def opened(page: Page, path: str = INBOX) -> None:
    page.goto(f"/sign-in?next={path}")
    sign_in(page)
    expect(page.locator("#conversations a.row").first).to_be_attached()
    page.evaluate("window.notReloaded = true")


def row(page: Page, name: str) -> Any:
    return page.locator("#conversations").get_by_role("link", name=name)


def place(page: Page) -> float:
    return page.evaluate("document.querySelector('#list-scroll').scrollTop")


def shows(page: Page, number: str) -> None:
    """Thread, card, title, address and the marked row are all of this fan, in the page that was there before."""
    expect(page).to_have_title(f"Fan {number} · Huntaze")
    expect(page.get_by_role("list", name="Messages")).to_contain_text(f"Words of {number}")
    expect(page.locator("#fan-tags")).to_have_value(f"tag{int(number)}")
    expect(page.locator("#conversations [aria-current]")).to_have_count(1)
    expect(page.locator("#conversations [aria-current]")).to_contain_text(f"Fan {number}")
    assert page.evaluate("location.pathname === document.querySelector('#conversations [aria-current]').pathname")
    assert page.evaluate("window.notReloaded")


def test_the_list_keeps_its_place_and_history_leads_back_and_forth(
    conversations: list[Conversation], live_server: Any
) -> None:
    with page_of(live_server.url, DESK) as page:
        complaints = complaints_of(page)
        opened(page)
        row(page, "Fan 20").scroll_into_view_if_needed()
        before = place(page)
        assert before > 0
        row(page, "Fan 20").click()
        shows(page, "20")
        expect(page.get_by_label("Message to Fan 20")).to_be_focused()
        assert place(page) == before
        assert_accessible(page)
        row(page, "Fan 21").click()
        shows(page, "21")
        page.go_back()
        shows(page, "20")
        page.go_back()
        expect(page).to_have_title("Inbox · Huntaze")
        expect(page.get_by_text("Choose a conversation")).to_be_visible()
        expect(row(page, "Fan 20")).to_be_focused()
        expect(page.locator("#conversations [aria-current]")).to_have_count(0)
        assert_accessible(page)
        page.go_forward()
        shows(page, "20")
        assert place(page) == before
        page.reload()
        expect(page.get_by_role("list", name="Messages")).to_contain_text("Words of 20")
    assert complaints == []


def test_a_phone_goes_back_to_the_same_place_of_the_list(conversations: list[Conversation], live_server: Any) -> None:
    with page_of(live_server.url, PHONE) as page:
        opened(page)
        row(page, "Fan 20").scroll_into_view_if_needed()
        before = place(page)
        assert before > 0
        for go_back in (page.go_back, page.get_by_role("link", name="Back to the conversations").click):
            row(page, "Fan 20").tap()
            shows(page, "20")
            expect(page.locator("#conversations")).to_be_hidden()
            # No keyboard covers the thread before somebody writes.
            expect(page.get_by_role("heading", name="Fan 20").first).to_be_focused()
            go_back()
            expect(row(page, "Fan 20")).to_be_visible()
            expect(row(page, "Fan 20")).to_be_focused()
            assert place(page) == before
            assert page.url.endswith(INBOX)
        assert page.evaluate("window.notReloaded")


def test_search_filter_and_drafts_stay_when_another_is_opened(
    conversations: list[Conversation], live_server: Any
) -> None:
    with page_of(live_server.url, DESK) as page:
        opened(page, f"{INBOX}/{conversations[20].pk}")
        page.get_by_label("Message to Fan 20").fill("A draft for twenty")
        page.locator("#fan-notes").fill("A note for twenty")
        page.get_by_label("Search conversations").fill("Fan 2")
        expect(page.locator("#conversations a.row")).to_have_count(10)
        row(page, "Fan 21").click()
        shows(page, "21")
        assert page.url.endswith("?search=Fan+2")
        expect(page.get_by_label("Search conversations")).to_have_value("Fan 2")
        expect(page.locator("#conversations a.row")).to_have_count(10)
        expect(page.get_by_label("Message to Fan 21")).to_have_value("")
        expect(page.locator("#fan-notes")).to_have_value("")
        # The replies were fetched once and fill in whoever is written to now.
        page.get_by_label("Message to Fan 21").press_sequentially("/wel")
        page.get_by_label("Message to Fan 21").press("Enter")
        expect(page.get_by_label("Message to Fan 21")).to_have_value("Hey Fan")
        page.go_back()
        shows(page, "20")
        assert page.url.endswith("?search=Fan+2")
        expect(page.get_by_label("Message to Fan 20")).to_have_value("A draft for twenty")
        expect(page.locator("#fan-notes")).to_have_value("A note for twenty")
        expect(page.get_by_text("Not saved yet")).to_be_visible()


def test_of_two_that_are_opened_quickly_the_last_one_stays(conversations: list[Conversation], live_server: Any) -> None:
    with page_of(live_server.url, DESK) as page:
        opened(page)
        held: list[Route] = []
        page.route(f"**{INBOX}/{conversations[38].pk}", lambda route: held.append(route))
        row(page, "Fan 38").click()
        row(page, "Fan 37").click()
        shows(page, "37")
        held[0].continue_()
        page.wait_for_timeout(300)
        shows(page, "37")
        page.go_back()
        expect(page).to_have_title("Inbox · Huntaze")


def test_what_was_refused_after_one_left_is_said_and_kept_as_a_draft(
    conversations: list[Conversation], live_server: Any
) -> None:
    with page_of(live_server.url, DESK) as page:
        opened(page, f"{INBOX}/{conversations[38].pk}")
        held: list[Route] = []
        page.route(
            "**/messages", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
        )
        page.get_by_label("Message to Fan 38").fill("Too early")
        page.get_by_role("button", name="Send").click()
        row(page, "Fan 37").click()
        shows(page, "37")
        held[0].fulfill(status=429, content_type="text/html", body="<div data-problem>Too many requests</div>")
        expect(page.get_by_text("was not sent. It is kept as a draft there.")).to_be_visible()
        expect(page.get_by_text("Too many requests")).to_have_count(0)
        shows(page, "37")
        row(page, "Fan 38").click()
        expect(page.get_by_label("Message to Fan 38")).to_have_value("Too early")


def test_an_answer_that_broke_is_said_and_nothing_typed_is_lost(
    conversations: list[Conversation], live_server: Any
) -> None:
    with page_of(live_server.url, DESK) as page:
        opened(page, f"{INBOX}/{conversations[38].pk}")
        page.route(
            "**/messages",
            lambda route: (
                route.fulfill(status=500, content_type="application/problem+json", body="{}")
                if route.request.method == "POST"
                else route.continue_()
            ),
        )
        page.get_by_label("Message to Fan 38").fill("Kept")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_text("Something broke here.")).to_be_visible()
        expect(page.get_by_text("The connection is lost.")).to_be_hidden()
        expect(page.get_by_label("Message to Fan 38")).to_have_value("Kept")
        shows(page, "38")


def test_one_that_is_gone_or_a_session_that_ended_leads_to_the_page_that_says_so(
    conversations: list[Conversation], live_server: Any
) -> None:
    with page_of(live_server.url, DESK) as page:
        opened(page)
        page.route(
            f"**{INBOX}/{conversations[38].pk}", lambda route: route.continue_(url=f"{live_server.url}{INBOX}/0")
        )
        row(page, "Fan 38").click()
        expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible()
        page.goto(INBOX)
        page.context.clear_cookies()
        row(page, "Fan 37").click()
        expect(page.get_by_label("E-mail address")).to_be_visible()


def test_plain_links_do_the_same_without_scripts(conversations: list[Conversation], live_server: Any) -> None:
    with page_of(live_server.url, PHONE, java_script_enabled=False) as page:
        page.goto(f"/sign-in?next={INBOX}")
        page.get_by_label("E-mail address").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        row(page, "Fan 39").click()
        expect(page.get_by_role("list", name="Messages")).to_contain_text("Words of 39")
        page.get_by_role("link", name="Back to the conversations").click()
        expect(row(page, "Fan 38")).to_be_visible()


@pytest.mark.parametrize("screen", [PHONE, TABLET, {"viewport": {"width": 1024, "height": 768}}], ids=str)
def test_the_card_is_reached_where_there_is_no_room_beside_the_thread(
    conversations: list[Conversation], live_server: Any, screen: dict[str, Any]
) -> None:
    with page_of(live_server.url, screen) as page:
        opened(page, f"{INBOX}/{conversations[38].pk}")
        card = page.get_by_role("complementary", name="About Fan 38")
        toggle = page.get_by_role("button", name="About this fan")
        expect(card).to_be_hidden()
        if screen.get("has_touch"):
            toggle.tap()
        else:
            toggle.focus()
            page.keyboard.press("Enter")
        expect(card).to_be_in_viewport()
        expect(page.get_by_role("button", name="Close")).to_be_focused()
        assert_accessible(page)
        page.locator("#fan-notes").fill("Likes cats")
        card.get_by_role("button", name="Save").click()
        expect(card.get_by_text("Saved")).to_be_visible()
        page.keyboard.press("Escape")
        expect(card).to_be_hidden()
        expect(toggle).to_be_focused()
        page.set_viewport_size({"width": 1200, "height": 800})
        expect(card).to_be_visible()
        expect(toggle).to_be_hidden()


def test_a_hundred_conversations_leave_nothing_behind(conversations: list[Conversation], live_server: Any) -> None:
    with page_of(live_server.url, DESK) as page:
        opened(page, f"{INBOX}/{conversations[39].pk}")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")

        def kept() -> dict[str, float]:
            for _ in range(3):
                page.wait_for_timeout(300)
                session.send("HeapProfiler.collectGarbage")
            found = {item["name"]: item["value"] for item in session.send("Performance.getMetrics")["metrics"]}
            return {name: found[name] for name in ("Nodes", "JSEventListeners")}

        def switch(times: int) -> None:
            for number in range(times):
                name = f"Fan {39 - number % 8:02}"
                page.evaluate("(name) => [...document.querySelectorAll('#conversations a.row')]"
                              ".find((row) => row.textContent.includes(name)).click()", name)  # fmt: skip
                expect(page).to_have_title(f"{name} · Huntaze")
            row(page, "Fan 33").click()
            shows(page, "33")
            page.wait_for_load_state("networkidle")

        switch(10)
        before = kept()
        switch(100)
        after = kept()
        # One message, one request: each handler is there once.
        asked = []
        page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
        page.get_by_label("Message to Fan 33").fill("Once")
        page.keyboard.press("Enter")
        expect(page.get_by_role("list", name="Messages")).to_contain_text("Once")
        assert len([url for url in asked if url.endswith("/messages")]) == 1
        for name, count in after.items():
            assert count < before[name] * 1.1, (name, before, after)
