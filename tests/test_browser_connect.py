"""Answers whether a person connects an OnlyFans account and disconnects it again. Drives Chromium and the simulator."""

import pytest
from playwright.sync_api import expect

from crm.models import MessageStatus, Role
from crm.tests.factories import FanFactory, MembershipFactory
from messaging.models import Delivery
from messaging.tests.factories import delivery_make
from onlyfans.services import account_connect
from onlyfans.simulator.app import AGENCY_KEY
from tests.browser import EMAIL, EVERYWHERE, SCREENS, assert_accessible, choose, complaints_of, page_of, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def owner(transactional_db, settings, simulator):
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    return MembershipFactory(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER)


@EVERYWHERE
def test_an_owner_connects_one_of_an_agencys_accounts_and_disconnects_it(owner, live_server, screen, scheme, say):
    with page_of(live_server.url, screen, scheme, say) as page:
        console = complaints_of(page)
        page.goto("/")
        sign_in(page, say)
        page.locator("summary").click()
        page.get_by_role("link", name=say("OnlyFans account"), exact=True).click()
        expect(page.get_by_text(say("Not connected"), exact=True)).to_be_visible()
        assert_accessible(page)

        key, connect = page.get_by_label(say("API key")), page.get_by_role("button", name=say("Connect"), exact=True)
        key.fill("a wrong key")
        connect.click()
        wrong = page.get_by_role("alert").get_by_text(
            say("A key is 1 to 500 printable ASCII characters without blanks. Copy it again, all of it.")
        )
        expect(wrong).to_be_visible()
        expect(connect).to_be_enabled()
        assert_accessible(page)
        # What the browser itself notes of a refusal.
        assert all("422" in line for line in console)
        console.clear()

        key.fill(AGENCY_KEY)
        connect.click()
        page.get_by_role("radio").nth(1).check()
        expect(wrong).to_be_hidden()
        expect(connect).to_be_enabled()
        assert_accessible(page)
        connect.click()
        expect(page.get_by_text(say("%(account)s is connected.", account="acct_demo2"))).to_be_visible()
        expect(page.get_by_text(say("Connected"), exact=True)).to_be_visible()
        assert_accessible(page)

        page.get_by_label(say("Yes, stop sending for %(creator)s", creator="Ava Noir")).check()
        page.get_by_role("button", name=say("Disconnect")).click()
        expect(page.get_by_text(say("Disconnected"), exact=True)).to_be_visible()
        assert_accessible(page)

        choose(page, say("Inbox", context="navigation"), say)
        expect(page.get_by_text(say("The OnlyFans account is disconnected.")).first).to_be_visible()
        assert_accessible(page)
        page.get_by_role("link", name=say("Connect it")).click()
        page.get_by_role("button", name=say("Connect again with the stored key")).click()
        expect(page.get_by_text(say("Connected"), exact=True)).to_be_visible()
    assert console == []


@SCREENS
def test_another_account_is_connected_once_what_waits_is_cancelled(owner, live_server, screen, scheme):
    account_connect(creator=owner.creator, account_id="acct_demo1", api_key="sim_key_demo1")
    waiting = [delivery_make(fan=FanFactory(creator=owner.creator), state=MessageStatus.PARKED) for _ in range(2)]
    with page_of(live_server.url, screen, scheme) as page:
        console = complaints_of(page)
        page.goto("/platforms/connect/onlyfans")
        sign_in(page)
        save = page.get_by_role("button", name="Save the new key")
        page.get_by_label("API key").fill("sim_key_demo2")
        save.click()
        page.get_by_role("radio").check()
        save.click()
        expect(page.get_by_role("status")).to_contain_text("2 messages still wait to be sent from acct_demo1.")
        assert_accessible(page)
        page.get_by_label("Yes, cancel 2 messages and connect acct_demo2").check()
        save.click()
        expect(page.get_by_text("acct_demo2 is connected.")).to_be_visible()
    assert console == []
    assert {Delivery.objects.get(pk=each.pk).state for each in waiting} == {MessageStatus.CANCELLED}
