"""Answers whether the pages fit, and say nothing in English, where the browser asks for French. Drives Chromium."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from crm.models import Creator, Fan, MessageStatus, Role
from crm.services import message_receive
from crm.tests.factories import PASSWORD, FanFactory, MembershipFactory, QuickReplyFactory, TransactionFactory
from huntaze.catalogue import PYTHON, SCRIPTS, catalogue_update
from messaging.tests.campaigns import launch
from messaging.tests.factories import delivery_make
from tests.browser import EMAIL, SCREENS, assert_accessible, complaints_of, page_of
from tests.words import FRENCH

pytestmark = pytest.mark.browser
# Words that few English sentences do without and that French does not have.
ENGLISH = re.compile(r"\b(the|and|of|to|is|are|was|it|this|that|with|from|by|not|yet|your|you|who|what|in)\b", re.I)
# Every text of the page and every attribute that is read out or shown, less what says that it is English.
WORDS = """() => {
  const left = "[lang=en], script, style, noscript";
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [document.title.replace(" · Huntaze", "")];
  while (texts.nextNode())
    if (!texts.currentNode.parentElement.closest(left)) found.push(texts.currentNode.data);
  for (const name of ["aria-label", "placeholder", "title", "alt"])
    for (const element of document.querySelectorAll(`[${name}]`)) found.push(element.getAttribute(name));
  return found.map((text) => text.trim()).filter(Boolean);
}"""
PAGES = [
    "/messages/onlyfans",
    "/messages/onlyfans?search=zzz",
    "/messages/onlyfans/{conversation}",
    "/messages/onlyfans/status",
    "/messages/campaigns",
    "/messages/campaigns/{campaign}",
    "/platforms/onlyfans/fans",
    "/platforms/onlyfans/fans?search=zzz",
    "/platforms/onlyfans/fans/{fan}",
    "/platforms/connect/onlyfans",
    "/platforms/onlyfans/analytics",
    "/platforms/onlyfans/analytics/fans",
    "/platforms/onlyfans/analytics/sales",
    "/platforms/onlyfans/analytics/definitions",
    "/settings",
    "/sign-ins",
]


@pytest.fixture
def places(transactional_db: None, sqs_queues: Any) -> dict[str, Any]:
    """What the addresses are filled with: a fan who wrote, was written to and paid, and a campaign."""
    creator: Creator = MembershipFactory.create(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER).creator
    fan: Fan = FanFactory.create(
        creator=creator, handle="lea", name="Léa Martin", tags=["vip"], value_cents=123_456, last_seen_at=timezone.now()
    )
    TransactionFactory.create(fan=fan, occurred_at=timezone.now() - timedelta(days=2))
    QuickReplyFactory.create(creator=creator, shortcut="salut", text="Salut {name}")
    campaign = launch(creator, name="Nouvelles", content="Salut {name}")
    received = message_receive(fan=fan, text="Salut !", received_at=timezone.now() - timedelta(hours=1))
    assert received is not None
    for state in (MessageStatus.QUEUED, MessageStatus.SENT, MessageStatus.FAILED, MessageStatus.UNKNOWN):
        delivery_make(fan=fan, state=state, text="Bonjour")
    return {"fan": fan.pk, "conversation": received.conversation_id, "campaign": campaign.pk}


@pytest.fixture(scope="module")
def english() -> set[str]:
    """What the pages say in English and nowhere in French."""
    known = [message for domain in (PYTHON, SCRIPTS) for message in catalogue_update("fr", domain)]
    return {message.id for message in known if message.id} - {message.string for message in known}


def assert_french(page: Page, english: set[str]) -> None:
    words = page.evaluate(WORDS)
    assert words
    assert page.evaluate("document.documentElement.lang") == "fr"
    assert [each for each in words if each in english or ENGLISH.search(each)] == [], page.url
    assert_accessible(page)


@SCREENS
def test_every_page_speaks_french_and_fits(
    places: dict[str, Any], english: set[str], live_server: Any, screen: dict[str, Any], scheme: Any
) -> None:
    with page_of(live_server.url, screen, scheme, FRENCH) as page:
        console = complaints_of(page)
        page.goto("/")
        assert_french(page, english)
        page.get_by_label("Adresse e-mail").fill(EMAIL)
        page.get_by_label("Mot de passe").fill(PASSWORD)
        page.get_by_role("button", name="Se connecter").click()
        for address in PAGES:
            page.goto(address.format(**places))
            assert_french(page, english)

        page.goto("/messages/bulk")
        page.get_by_label("Tous les fans").check()
        expect(page.get_by_text("recevrait ceci, mais rien ne part pour l’instant.")).to_be_visible()
        assert_french(page, english)

        page.goto("/platforms/onlyfans/import")
        rows = "Pseudo,Nom,Montant\nlea,Léa,12\n".encode()
        page.get_by_label("Fichier CSV").set_input_files({"name": "fans.csv", "mimeType": "text/csv", "buffer": rows})
        page.get_by_role("button", name="Vérifier le fichier").click()
        expect(page.get_by_role("heading", name="Ce que ferait l’importation")).to_be_visible()
        assert_french(page, english)
    assert console == []
