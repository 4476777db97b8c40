"""Answers whether a user protects the account and signs in by it: an app, recovery codes, passkeys. Drives Chromium."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.db import connection
from django.utils import timezone
from playwright.sync_api import Page, expect

from crm.models import Role, User
from crm.tests.factories import PASSWORD, MembershipFactory
from tests.browser import EMAIL, SCREENS, assert_accessible, complaints_of, page_of, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def user(transactional_db: None, sqs_queues: Any) -> User:
    return MembershipFactory.create(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER).user


def code(secret: str, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(timezone.now().timestamp()) // 30 + steps))


def close_account(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    connection.close()


def open_security(page: Page) -> None:
    page.locator("summary").click()
    page.get_by_role("link", name="Sign-in and security").click()


def prove(page: Page) -> None:
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    assert_accessible(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()


def sign_out(page: Page) -> None:
    page.locator("summary").click()
    page.get_by_role("button", name="Sign out").click()


def copy(page: Page, name: str, expected: str) -> None:
    """By the keyboard; then again where the browser refuses, which is said, and what was to be copied is selected."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button, said = page.get_by_role("button", name=name), page.get_by_role("status").and_(page.locator("[data-copied]"))
    button.press("Enter")
    expect(said).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == expected
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    button.press("Enter")
    expect(said).to_contain_text("It is selected now")
    assert page.evaluate("getSelection().toString()").split() == expected.split()


@SCREENS
def test_an_app_is_set_up_and_asked_for(user: User, live_server: Any, screen: dict[str, Any], scheme: Any) -> None:
    with page_of(live_server.url, screen, scheme) as page:
        refused = complaints_of(page, "Content Security Policy")
        page.goto("/")
        sign_in(page)
        open_security(page)
        assert_accessible(page)
        page.get_by_role("link", name="Set up an app").click()
        prove(page)
        secret = page.locator("code").inner_text()
        copy(page, "Copy the key", secret)
        assert_accessible(page)
        page.get_by_label("Code").fill(code(secret, -1))
        page.get_by_role("button", name="Turn on").click()
        expect(page.get_by_text("they are shown this once")).to_be_visible()
        assert_accessible(page)
        codes = page.locator(".codes code").all_inner_texts()
        copy(page, "Copy them", "\n".join(codes))
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert download.value.path().read_text().split() == codes
        page.get_by_role("link", name="I have kept them").click()
        expect(page.get_by_text("10 codes are left.")).to_be_visible()
        assert_accessible(page)

        sign_out(page)
        sign_in(page)
        page.get_by_label("Code").fill("12")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("This is not the right code")).to_be_visible()
        assert_accessible(page)
        page.get_by_label("Code").fill(codes[0])
        page.get_by_role("button", name="Sign in").click()
        open_security(page)
        expect(page.get_by_text("9 codes are left.")).to_be_visible()
        page.get_by_role("link", name="Make new codes").click()
        prove(page)
        assert_accessible(page)
        page.get_by_role("button", name="Make new codes").click()
        expect(page.locator(".codes code")).to_have_count(10)
        page.get_by_role("link", name="I have kept them").click()
        page.get_by_role("link", name="Turn off").click()
        assert_accessible(page)
        page.get_by_role("button", name="Turn off").click()
        expect(page.get_by_text("Only your password protects this account.")).to_be_visible()
    assert refused == []
    assert not Authenticator.objects.exists()


@SCREENS
def test_a_passkey_is_added_named_and_signs_in_alone(
    user: User, live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    # A passkey is of a domain, which an address in numbers is not.
    url = live_server.url.replace("127.0.0.1", "localhost")
    with page_of(url, screen, scheme) as page:
        cdp = page.context.new_cdp_session(page)
        cdp.send("WebAuthn.enable")
        device = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        key = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": device})["authenticatorId"]
        page.goto("/")
        sign_in(page)
        open_security(page)
        page.get_by_role("link", name="Add a passkey").click()
        prove(page)
        assert_accessible(page)
        page.get_by_label("Its name").fill("Phone")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("they are shown this once")).to_be_visible()
        page.get_by_role("link", name="I have kept them").click()
        page.get_by_role("link", name="Rename Phone").click()
        assert_accessible(page)
        page.get_by_label("Its name").fill("My phone")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("signs in alone")).to_be_visible()
        assert_accessible(page)
        page.get_by_role("link", name="Add a passkey").click()
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("This device has a passkey for this account already.")).to_be_visible()

        sign_out(page)
        page.goto("/settings")
        assert_accessible(page)
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_role("heading", name="Settings")).to_be_visible()
        sign_out(page)
        sign_in(page)
        expect(page.get_by_role("heading", name="One more step")).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name="Use a passkey instead").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()

        open_security(page)
        page.get_by_role("link", name="Remove My phone").click()
        page.get_by_role("link", name="Use a passkey").click()
        assert_accessible(page)
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_role("heading", name="Remove My phone?")).to_be_visible()
        assert_accessible(page)

        sign_out(page)
        with ThreadPoolExecutor(1) as beside:  # Playwright's loop runs in this thread, where Django refuses
            beside.submit(close_account, user).result()
        page.get_by_role("button", name="Use a passkey").click()
        expect(page.get_by_text("This account is closed.")).to_be_visible()
        cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": key})
