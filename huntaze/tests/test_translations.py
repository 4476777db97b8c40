"""Answers whether the pages speak the reader's language. Touches catalogues, and copies of them."""

import shutil
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import translation

from crm.models import Role
from crm.templatetags import crm_format
from crm.tests.factories import MembershipFactory
from huntaze import catalogue

FRENCH = {"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.5"}


@pytest.fixture
def copied(settings, tmp_path) -> Path:
    """The catalogues in a folder that a test may write to."""
    shutil.copytree(settings.LOCALE_PATHS[0], tmp_path / "locale")
    settings.LOCALE_PATHS = [tmp_path / "locale"]
    return tmp_path / "locale"


def test_every_word_of_the_pages_is_translated_and_compiled():
    call_command("translations", "--check")


def test_a_catalogue_with_a_gap_is_named_by_the_words_it_lacks(copied):
    path = catalogue.catalogue_path("fr", catalogue.PYTHON)
    path.write_text(path.read_text().replace('msgstr "Boîte de réception"', 'msgstr ""'))
    with pytest.raises(CommandError, match="has no words for: Inbox"):
        call_command("translations", "--check")


def test_bringing_the_catalogues_in_step_keeps_what_was_translated(copied):
    path = catalogue.catalogue_path("fr", catalogue.PYTHON)
    before = path.read_text()
    path.write_text(before + '\n#: templates/gone.html\nmsgid "Said no more"\nmsgstr "Plus dit"\n')
    call_command("translations")
    assert path.read_text() == before


def test_a_page_speaks_the_browsers_language():
    response = Client().get("/sign-in", headers=FRENCH)
    assert '<html lang="fr">' in response.content.decode()
    assert "Mot de passe" in response.content.decode()


def test_a_language_that_nobody_translated_gets_english():
    assert "Password" in Client().get("/sign-in", headers={"Accept-Language": "ja"}).content.decode()


def test_the_switch_outweighs_the_browsers_language_and_stays():
    client = Client(headers=FRENCH)
    answer = client.post("/language", {"language": "en", "next": "/sign-in"})
    assert answer.headers["Location"] == "/sign-in"
    assert '<html lang="en">' in client.get("/sign-in").content.decode()


def test_the_switch_leads_to_no_other_site():
    answer = Client().post("/language", {"language": "fr", "next": "https://example.org/"})
    assert answer.headers["Location"] == "/"


@pytest.mark.django_db
def test_the_inbox_in_french_has_the_modules_words_before_them():
    client = Client(headers=FRENCH)
    client.force_login(MembershipFactory(role=Role.OWNER).user)
    html = client.get("/messages/onlyfans").content.decode()
    assert html.index('src="/words.js?fr"') < html.index("huntaze.js")
    assert "res restants" in client.get("/words.js").content.decode()


def test_money_and_numbers_follow_the_language():
    with translation.override("fr"):
        assert crm_format.money(123_456) == "1\u202f234,56\xa0$US"
        assert crm_format.signed(-12.5) == "−12,5"
