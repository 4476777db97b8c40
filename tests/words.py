"""Answers what a page says in a language, so that one test can follow a task in each. Reads the catalogues."""

import re
from functools import cache
from typing import Any

from babel.messages.pofile import read_po
from django.utils import translation

from crm.templatetags import crm_format
from huntaze.catalogue import PYTHON, SCRIPTS, catalogue_path

LOCALES = {"en": "en-GB", "fr": "fr-FR"}


@cache
def _known(language: str) -> dict[str, Any]:
    """The words of the catalogues by what is English, of one and of many alike."""
    found = {}
    for domain in (PYTHON, SCRIPTS):
        with catalogue_path(language, domain).open("rb") as file:
            for message in read_po(file):
                for text in [message.id] if isinstance(message.id, str) else message.id:
                    found[text, message.context] = message.string
    return found


class Words:
    """One language of the pages."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.locale = LOCALES[language]

    def __repr__(self) -> str:
        return self.language

    def __call__(self, text: str, count: int | None = None, context: str | None = None, **values: Any) -> str:
        """What stands on the page for a sentence of the sources, without its tags.

        count: where the sentence has a form for one and one for many. Raises KeyError for what no source says.
        """
        found = _known("fr")[text, context]
        if self.language == "en":
            found = text
        elif not isinstance(found, str):
            found = found[int(count is not None and count > 1)]
        filled = found % values if values else found.replace("%%", "%")
        return re.sub(r"<[^>]+>", "", filled)

    def money(self, cents: int) -> str:
        with translation.override(self.language):
            return crm_format.money(cents)


ENGLISH, FRENCH = Words("en"), Words("fr")
