"""Answers whether the pages speak the reader's language. Touches catalogues, and copies of them."""

import re
import shutil
from importlib import import_module
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import translation
from rest_framework.test import APIClient

from crm import stored_words
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


def test_words_that_got_a_form_for_many_have_to_be_said_anew(copied):
    path = catalogue.catalogue_path("fr", catalogue.PYTHON)
    text = path.read_text()
    block = next(each for each in text.split("\n\n") if "msgid_plural" in each and "%(sent)s of" in each)
    one = block[block.index("msgid ") : block.index("msgid_plural")]
    path.write_text(text.replace(block, f'{one}msgstr "Dit une fois"'))
    with pytest.raises(CommandError, match="has no words for"):
        call_command("translations", "--check")


def test_a_page_speaks_the_browsers_language():
    response = Client().get("/sign-in", headers=FRENCH)
    assert '<html lang="fr"' in response.content.decode()
    assert "Mot de passe" in response.content.decode()


def test_a_language_that_nobody_translated_gets_english():
    assert "Password" in Client().get("/sign-in", headers={"Accept-Language": "ja"}).content.decode()


def test_the_switch_outweighs_the_browsers_language_and_stays():
    client = Client(headers=FRENCH)
    answer = client.post("/language", {"language": "en", "next": "/sign-in"})
    assert answer.headers["Location"] == "/sign-in"
    assert '<html lang="en"' in client.get("/sign-in").content.decode()


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


@pytest.mark.django_db
def test_a_problem_of_the_api_speaks_the_callers_language_and_keeps_its_code():
    client = APIClient()
    client.force_authenticate(MembershipFactory(role=Role.OWNER).user)
    english = client.get("/api/crm/fans/1").json()
    french = client.get("/api/crm/fans/1", headers=FRENCH).json()
    assert (english["title"], english["detail"]) == ("Not found", "There is no such fan.")
    assert (french["title"], french["detail"]) == ("Introuvable", "Ce fan n’existe pas.")
    assert english["code"] == french["code"] == "fan_not_found"


@pytest.mark.django_db
def test_a_field_of_the_wrong_type_is_told_in_the_callers_language():
    client = APIClient(headers=FRENCH)
    client.force_authenticate(MembershipFactory(role=Role.OWNER).user)
    answer = client.post("/api/crm/fans", {"platformId": 5}, format="json").json()
    assert answer["errors"] == [{"field": "platformId", "code": "wrong_type", "detail": "Donnez un texte."}]


def test_a_request_that_is_refused_unread_speaks_the_callers_language():
    answer = Client().generic("POST", "/api/crm/fans", b" " * 3_000_000, "application/json", headers=FRENCH)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert answer.json()["detail"].startswith("La requête dépasse")


def test_the_description_of_the_api_stays_english():
    assert "* `owner` - Owner" in Client().get("/api/schema", headers=FRENCH).content.decode()


def test_the_labels_of_values_follow_the_language():
    assert Role.CHATTER.label == "Chatter"
    with translation.override("fr"):
        assert crm_format.role_name(Role.CHATTER) == "Chatteur"
        assert crm_format.purchase_kind("tip") == "Pourboire"
        assert crm_format.duration(200_000) == "2 j 7 h"


@pytest.mark.parametrize(
    ("stored", "french"),
    [
        ("SQS does not answer.", "SQS ne répond pas."),
        ("The vendor refused the request (418, TEAPOT).", "Le prestataire a refusé la requête (418, TEAPOT)."),
        ("A name has at most 200 characters.", "Un nom compte au plus 200 caractères."),
        (
            "The fan's id could not be looked up. The vendor did not answer in time.",
            "L’identifiant du fan n’a pas pu être recherché. Le prestataire n’a pas répondu à temps.",
        ),
        # A person's own words, and an error of a version that said it otherwise.
        ("Paused by Mia (on holiday).", "Paused by Mia (on holiday)."),
        ("", ""),
        (None, ""),
    ],
)
def test_a_sentence_that_a_row_keeps_is_said_in_the_readers_language(stored, french):
    assert crm_format.in_words(stored) == (stored or "")
    with translation.override("fr"):
        assert crm_format.in_words(stored) == french


def test_every_sentence_that_is_kept_with_values_is_known_again_and_translated():
    import_module("huntaze.urls")  # as the web process does
    templates = list(stored_words._SHAPES)
    assert len(templates) > 20
    with translation.override("fr"):
        for template in templates:
            values = dict.fromkeys(re.findall(r"%\((\w+)\)s", template), "7")
            kept = template % values
            assert stored_words.in_words(kept) == stored_words.said(template, **values) != kept


def test_the_words_of_the_import_module_are_there_before_it():
    words = Client().get("/words.js", headers=FRENCH).content.decode()
    for said in ("Lecture du fichier", "lignes lues sur", "Importer %s lignes"):
        assert said in words
