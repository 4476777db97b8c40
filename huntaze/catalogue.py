"""Answers what the pages say and which of it is translated. Touches the catalogues in locale/.

Django's makemessages needs GNU gettext, which a bare machine lacks; Babel reads and writes the same files without it.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation import to_locale
from django.utils.translation.template import templatize

# A domain of Django's: what its modules are written in, and where they are.
PYTHON, SCRIPTS = "django", "djangojs"
KEYWORDS = {
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "kept_sentence": None,
    "_": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
PACKAGES = ("analytics", "crm", "huntaze", "messaging", "onlyfans")


def _sources(domain: str) -> Iterator[tuple[str, str, bytes]]:
    """Path, Babel's method and the text of whatever may hold words of the domain."""
    root = Path(settings.BASE_DIR)
    if domain == SCRIPTS:
        for path in sorted((root / "static").glob("*.js")):
            yield path.name, "javascript", path.read_bytes()
        return
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if "tests" not in path.parts and "migrations" not in path.parts:
                yield str(path.relative_to(root)), "python", path.read_bytes()
    # The sentences that a page shows once, after a step, are text.
    templates = root / "templates"
    for path in sorted([*templates.rglob("*.html"), *templates.rglob("*.txt")]):
        # Python's tokenizer minds indentation, which in a template means nothing.
        lines = templatize(path.read_text(), origin=str(path)).splitlines()
        yield str(path.relative_to(root)), "python", "\n".join(line.strip() for line in lines).encode()


def catalogue_extract(domain: str) -> Catalog:
    """Everything that the sources mark for translation, each with the files that say it."""
    catalog = Catalog(domain=domain, fuzzy=False)
    for path, method, text in _sources(domain):
        for line, words, _comments, context in extract(method, BytesIO(text), keywords=KEYWORDS):
            catalog.add(words, locations=[(path, line)], context=context)
    return catalog


def catalogue_path(language: str, domain: str) -> Path:
    """Where the words of a language are kept; the compiled ones lie beside it."""
    return Path(settings.LOCALE_PATHS[0]) / to_locale(language) / "LC_MESSAGES" / f"{domain}.po"


def catalogue_update(language: str, domain: str) -> Catalog:
    """What the sources say now, with the translations that the catalogue of this language has; nothing is written."""
    path = catalogue_path(language, domain)
    if path.exists():
        with path.open("rb") as file:
            known = read_po(file, locale=to_locale(language), domain=domain)
    else:
        known = Catalog(locale=to_locale(language), domain=domain)
    fresh = Catalog(
        locale=to_locale(language),
        domain=domain,
        fuzzy=False,
        header_comment=f"# What the pages say, in the language {language}.",
        project="Huntaze",
        version=" ",
        msgid_bugs_address=" ",
        last_translator=" ",
        language_team=language,
        # Kept, so that a catalogue in which nothing changed stays the same file.
        creation_date=known.creation_date,
        revision_date=known.creation_date,
    )
    for message in catalogue_extract(domain):
        if message.id:
            there = known.get(message.id, message.context)
            # What got a form for many, or lost it, has to be said anew.
            if there is not None and isinstance(there.id, str) != isinstance(message.id, str):
                there = None
            fresh.add(
                message.id,
                there.string if there is not None else None,
                locations=message.locations,
                context=message.context,
            )
    return fresh


def catalogue_untranslated(catalog: Catalog) -> list[str]:
    """The words that a reader of the catalogue's language would see in English."""
    return [
        message.id if isinstance(message.id, str) else message.id[0]
        for message in catalog
        if message.id and not all([message.string] if isinstance(message.string, str) else message.string or [""])
    ]


def catalogue_render(catalog: Catalog) -> tuple[bytes, bytes]:
    """The file that people edit and the one that Django reads."""
    edited, compiled = BytesIO(), BytesIO()
    write_po(edited, catalog, width=120, sort_output=True, include_lineno=False, omit_header=False)
    write_mo(compiled, catalog)
    return edited.getvalue(), compiled.getvalue()
