"""Answers whether an open page shows what happens as it happens. Drives Chromium, an ASGI server, the simulator."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest
from django.db import connection
from playwright.sync_api import Page, expect

from crm.models import Role
from crm.tests.factories import ConversationFactory, MembershipFactory
from crm.wake_ups import Switchboard
from onlyfans.connection import connection_open
from onlyfans.events import events_apply
from onlyfans.models import AccountState
from onlyfans.services import account_state_set
from onlyfans.simulator.server import SimulatorServer
from tests.browser import EMAIL, page_of, sign_in
from tests.serving import serving
from tests.test_browser_path import simulator  # noqa: F401  a fixture

pytestmark = [
    pytest.mark.browser,
    # WhiteNoise's files, which a process of its own serves without a word.
    pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning"),
]
# Longer than a wake-up takes on a busy machine, and far below the minute of the poll that stands behind it.
SOON = 10_000


@contextmanager
def events_running() -> Iterator[None]:
    """What `run_events` does, in a thread beside the test."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(0.05):
            events_apply()
        connection.close()

    thread = threading.Thread(target=run, name="events")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@pytest.fixture
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def conversation(transactional_db, simulator, server):  # noqa: F811
    membership = MembershipFactory(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER)
    connection_open(creator=membership.creator, api_key="sim_key_demo1", base_url=server)
    return ConversationFactory(
        fan__creator=membership.creator,
        fan__name="Léa Martin",
        fan__platform_id=simulator.fan_id("lamartin0"),
        fan__handle="lamartin0",
    )


@pytest.fixture
def inbox(server, conversation) -> Iterator[Page]:
    with page_of(server) as page:
        page.goto("/")
        sign_in(page)
        listens(page)
        yield page


def listens(page: Page) -> None:
    expect(page.locator("html[data-streaming]")).to_be_attached()


def says(simulator: SimulatorServer, text: str) -> None:  # noqa: F811
    simulator.life(lambda life, account, fan: life.writes(account, fan, text), username="lamartin0")


def messages(page: Page, text: str):  # type: ignore[no-untyped-def]
    return page.get_by_role("list", name="Messages").locator(".message", has_text=text)


def test_what_a_fan_writes_appears_in_the_open_thread_and_the_draft_stays(inbox, simulator, conversation):  # noqa: F811
    inbox.get_by_role("list", name="Conversations").get_by_text("Léa Martin").click()
    listens(inbox)
    composer = inbox.get_by_label("Message to Léa Martin")
    composer.fill("A draft")
    inbox.evaluate("window.notReloaded = true")
    with events_running():
        says(simulator, "are you there?")
        expect(messages(inbox, "are you there?")).to_be_visible(timeout=SOON)
    expect(composer).to_have_value("A draft")
    expect(composer).to_be_focused()
    assert inbox.evaluate("window.notReloaded") is True


def test_the_list_and_the_title_say_what_is_unread(inbox, simulator, conversation):  # noqa: F811
    expect(inbox).to_have_title("Inbox · Huntaze")
    with events_running():
        says(simulator, "one")
        expect(inbox).to_have_title("(1) Inbox · Huntaze", timeout=SOON)
        says(simulator, "two")
        expect(inbox).to_have_title("(2) Inbox · Huntaze", timeout=SOON)
    row = inbox.get_by_role("list", name="Conversations").get_by_role("listitem")
    expect(row).to_contain_text("two")
    row.get_by_role("link").click()
    expect(inbox).to_have_title("Léa Martin · Huntaze", timeout=SOON)


def test_an_account_that_loses_its_session_says_so_on_the_open_page(inbox, conversation):
    in_a_thread(lambda: account_state_set(account=conversation.creator.account, state=AccountState.SESSION_EXPIRED))
    expect(inbox.get_by_text("The OnlyFans session ended.")).to_be_visible(timeout=SOON)
    in_a_thread(lambda: account_state_set(account=conversation.creator.account, state=AccountState.CONNECTED))
    expect(inbox.get_by_text("The OnlyFans session ended.")).to_be_hidden(timeout=SOON)


def test_the_tabs_of_a_browser_share_one_stream_and_the_next_takes_over(inbox, simulator, conversation):  # noqa: F811
    second = inbox.context.new_page()
    second.goto("/")
    listens(second)
    assert Switchboard.listeners_count() == 1
    with events_running():
        inbox.close()
        listens(second)
        says(simulator, "still there?")
        expect(second).to_have_title("(1) Inbox · Huntaze", timeout=SOON)
    assert Switchboard.listeners_count() == 1


def in_a_thread(do) -> None:  # type: ignore[no-untyped-def]
    """Playwright's event loop runs in this one, where Django allows no query."""

    def run() -> None:
        do()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_a_lost_connection_says_so_and_mends_itself(transactional_db, simulator):  # noqa: F811
    membership = MembershipFactory(user__email=EMAIL, role=Role.OWNER)
    ConversationFactory(fan__creator=membership.creator, fan__name="Léa Martin", unread_count=1)
    with ExitStack() as first, page_of(first.enter_context(serving())) as page:
        page.goto("/")
        sign_in(page)
        listens(page)
        first.close()
        lost = page.get_by_text("The connection is lost.")
        expect(lost).to_be_visible(timeout=SOON)
        with serving(port=urlsplit(page.url).port):
            expect(lost).to_be_hidden(timeout=3 * SOON)
            listens(page)
            page.context.close()
