"""Answers which column of a file is which field, by what its headers are called. Touches nothing."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from crm.errors import FieldError, InvalidInput
from onlyfans.csv_currencies import currency_meant, currency_word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LANGUAGES = ("en", "fr", "es", "de")
# Whose a row is, in a file of several creators; of both kinds of file.
CREATOR = {
    "en": ("Creator", "Creator Name", "Model", "Model Name", "Creator Username", "OnlyFans Account", "Account Name"),
    "fr": ("Créateur", "Créatrice", "Modèle", "Compte OnlyFans"),
    "es": ("Creador", "Creadora", "Modelo"),
    "de": ("Ersteller", "Erstellerin", "Creatorin"),
}
# How many headers, and how much of them, a sentence names.
TOLD_MAX, TOLD_CHARACTERS = 12, 300


# Fillers and joiners that are no format characters to Unicode, and take no room or look like a blank.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe0e\ufe0f")


def shown(text: str) -> str:
    """The text with the code of each character that cannot be seen: `\\u200bada`. Line breaks stay."""
    return "".join(_code(c) if c != "\n" and (unicodedata.category(c) in _HIDDEN or c in _UNSEEN) else c for c in text)


_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def _code(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def header_clean(text: str) -> str:
    """The header without characters that cannot be seen, on one line."""
    return " ".join("".join(c for c in text if unicodedata.category(c) != "Cf").split())


def header_key(text: str) -> str:
    """The header without case, accents, spaces and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe"))
    return re.sub(r"[^a-z0-9]", "", plain)


# "Gross (in cents)", `value_cents`, "grossCents".
_CENTS = re.compile(r"\b(?:in |en )?(?:cents?|centimes?|centavos|c[eé]ntimos)\b|(?<=[a-z])(?-i:Cents)\b", re.IGNORECASE)


def header_currencies(text: str) -> tuple[str, ...]:
    """The codes of the currency that a header names: `Gross €`, "Total Spent (USD)"; empty where it names none."""
    words = (word for word in re.split(r"[\s()\[\],;:/_]+", text) if word)
    return next((currency_meant(word) or ("?",) for word in words if currency_word(word)), ())


def header_in_cents(text: str) -> bool:
    """Whether a header says that its amounts are in cents."""
    return bool(_CENTS.search(text.replace("_", " ")))


def _bare(text: str) -> str:
    """A header without its currency and unit."""
    words = re.split(r"[\s()\[\],;:/_]+", _CENTS.sub(" ", text.replace("_", " ")))
    return " ".join(word for word in words if not (word and currency_word(word)))


def headers_told(header: Sequence[str]) -> str:
    """The first headers, for a sentence."""
    return (", ".join(name for name in list(header)[:TOLD_MAX] if name) or "none")[:TOLD_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column has which field, by position, and what the file's way with dates and amounts is."""

    header: tuple[str, ...]
    positions: dict[str, int]
    language: str

    def mapping(self) -> dict[str, str]:
        """`{field: header}`, as it is stored and shown."""
        return {name: self.header[position] for name, position in self.positions.items()}


class Vocabulary:
    """What the columns of one sort of file may be called: `{field: {language: names, best first}}`.

    The language `both` is of names that say nothing about the file's.
    """

    def __init__(self, aliases: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        self.fields = tuple(aliases)
        # {key: (field, rank within the field, language)}
        self._known: dict[str, tuple[str, int, str]] = {}
        for field, languages in aliases.items():
            for language, names in languages.items():
                for rank, name in enumerate(names):
                    self._known.setdefault(header_key(name), (field, rank, language))

    def headers_known(self, header: Sequence[str]) -> int:
        """How many of the headers name a field."""
        return sum(self._key(name) in self._known for name in header)

    def _key(self, name: str) -> str:
        """The header's key, or where that is not known the one without a currency and a unit."""
        key = header_key(name)
        return key if key in self._known else header_key(_bare(name)) or key

    def columns_find(self, header: Sequence[str], mapping: Mapping[str, str | None] | None = None) -> Columns:
        """Find the column of each field: where `mapping` names one (None or "" for none), else by the header's name.

        Raises InvalidInput for a mapping that names no field or no column.
        """
        mapping = mapping or {}
        first_position: dict[str, int] = {}
        for position, name in enumerate(header):
            first_position.setdefault(header_key(name), position)
            first_position.setdefault(self._key(name), position)
        errors = [
            FieldError(
                "mapping", "unknown_field", gettext("There is no field %(name)s to map to.") % {"name": repr(name[:50])}
            )
            for name in mapping
            if name not in self.fields
        ]
        best: dict[str, tuple[int, int]] = {}
        languages = []
        for key, position in first_position.items():
            if key in self._known:
                name, rank, language = self._known[key]
                languages.append(language)
                if name not in mapping:
                    best[name] = min(best.get(name, (rank, position)), (rank, position))
        positions = {name: position for name, (_, position) in best.items()}
        for name, column in mapping.items():
            if not column or name not in self.fields:
                continue
            found = list(header).index(column) if column in header else first_position.get(header_key(column))
            if found is None:
                errors.append(
                    FieldError(
                        "mapping",
                        "unknown_column",
                        gettext("The file has no column %(name)s.") % {"name": repr(column[:50])},
                    )
                )
            else:
                positions[name] = found
        if errors:
            raise InvalidInput(gettext("The mapping does not fit the file."), errors=tuple(errors))
        told = [language for language in languages if language != "both"]
        return Columns(
            header=tuple(header),
            positions={name: positions[name] for name in self.fields if name in positions},
            # English where as many headers speak for it.
            language=max(LANGUAGES, key=told.count),
        )
