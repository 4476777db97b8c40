"""Answers what the cells of a fan file mean: which column is which, and typed rows of them. Touches no table."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crm.errors import FieldError, InvalidInput, Unreadable
from crm.payloads import FanRow
from onlyfans import csv_values as values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import pandas as pd

# What a column may be called, best name first: `{field: {language: names}}`, `both` for what says nothing about the
# file's language. To teach the import a header, add it here; case, accents, spaces and punctuation do not matter.
# "ID" alone is left out: in many sheets it numbers the rows. `tier` becomes a tag.
ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    "platform_id": {
        "en": ("Fan ID", "OnlyFans ID", "OF ID", "Platform ID", "User ID", "Subscriber ID"),
        "fr": ("ID du fan", "ID utilisateur", "ID de l'utilisateur", "ID abonné", "Identifiant du fan"),
    },
    "handle": {
        "en": ("Username", "OF Username", "OnlyFans Username", "Fan Username", "Handle", "OF Handle", "Login"),
        "fr": ("Nom d'utilisateur", "Nom utilisateur", "Utilisateur", "Pseudo", "Pseudonyme", "Pseudo OnlyFans"),
    },
    "name": {
        "en": ("Display Name", "Name", "Full Name", "Fan Name", "Nickname"),
        "fr": ("Nom affiché", "Nom d'affichage", "Nom complet", "Nom du fan", "Nom", "Surnom"),
    },
    "email": {
        "both": ("Email", "Mail"),
        "en": ("Email Address",),
        "fr": ("Adresse e-mail", "Adresse mail", "Courriel", "Adresse électronique"),
    },
    "tags": {"both": ("Tags", "Tag"), "en": ("Labels", "Lists"), "fr": ("Étiquettes", "Mots-clés", "Listes")},
    "tier": {
        "en": ("Subscription Tier", "Tier", "Subscription Level"),
        "fr": ("Niveau d'abonnement", "Type d'abonnement", "Formule"),
    },
    "notes": {
        "both": ("Notes", "Note"),
        "en": ("Comments", "Comment", "Remarks"),
        "fr": ("Remarques", "Remarque", "Commentaires", "Commentaire"),
    },
    "value_cents": {
        "en": ("Total Spent", "Total Spend", "Lifetime Value", "Lifetime Spend", "LTV", "Spent"),
        "fr": ("Total dépensé", "Montant dépensé", "Dépenses totales", "Dépenses", "Dépensé"),
    },
    "last_seen_at": {
        "en": ("Last Seen", "Last Active", "Last Activity", "Last Online", "Last Login"),
        "fr": ("Dernière connexion", "Dernière activité", "Dernière visite", "Vu le", "Actif le"),
    },
}
KEYS = ("platform_id", "handle")
FIELDS = tuple(ALIASES)


def header_key(text: str) -> str:
    """The header without case, accents, spaces and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe"))
    return re.sub(r"[^a-z0-9]", "", plain)


# {key: (field, rank within the field, language)}
_KNOWN: dict[str, tuple[str, int, str]] = {}
for _field, _languages in ALIASES.items():
    for _language, _names in _languages.items():
        for _rank, _name in enumerate(_names):
            _KNOWN.setdefault(header_key(_name), (_field, _rank, _language))


def headers_known(header: Sequence[str]) -> int:
    """How many of the headers name a field."""
    return sum(header_key(name) in _KNOWN for name in header)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column has which field, by position, and what the file's way with dates and amounts is."""

    header: tuple[str, ...]
    positions: dict[str, int]
    language: str

    def mapping(self) -> dict[str, str]:
        """`{field: header}`, as it is stored and shown."""
        return {name: self.header[position] for name, position in self.positions.items()}


def columns_match(header: Sequence[str], mapping: Mapping[str, str | None] | None = None) -> Columns:
    """Find the column of each field: where `mapping` names one (None or "" for none), else by the header's name.

    Raises InvalidInput for a mapping that names no field or no column, Unreadable where no column tells fans apart.
    """
    mapping = mapping or {}
    first_position: dict[str, int] = {}
    for position, name in enumerate(header):
        first_position.setdefault(header_key(name), position)
    errors = [
        FieldError("mapping", "unknown_field", f"There is no field {name[:50]!r} to map to.")
        for name in mapping
        if name not in ALIASES
    ]
    best: dict[str, tuple[int, int]] = {}
    languages = []
    for key, position in first_position.items():
        if key in _KNOWN:
            name, rank, language = _KNOWN[key]
            languages.append(language)
            if name not in mapping:
                best[name] = min(best.get(name, (rank, position)), (rank, position))
    positions = {name: position for name, (_, position) in best.items()}
    for name, column in mapping.items():
        if not column or name not in ALIASES:
            continue
        found = list(header).index(column) if column in header else first_position.get(header_key(column))
        if found is None:
            errors.append(FieldError("mapping", "unknown_column", f"The file has no column {column[:50]!r}."))
        else:
            positions[name] = found
    if errors:
        raise InvalidInput("The mapping does not fit the file.", errors=tuple(errors))
    if not any(key in positions for key in KEYS):
        named = ", ".join(name for name in list(header)[:12] if name) or "none"
        raise Unreadable(
            f"No column says who the fan is. Name one Username or Fan ID; the columns are: {named[:300]}.",
            code="no_key_column",
        )
    french, english = languages.count("fr"), languages.count("en")
    return Columns(
        header=tuple(header),
        positions={name: positions[name] for name in FIELDS if name in positions},
        language="fr" if french > english else "en",
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one cell; an empty `column` means the row as a whole."""

    column: str
    value: str
    error: str

    def as_dict(self) -> dict[str, str]:
        return {"column": self.column, "value": self.value, "error": self.error}


@dataclass(frozen=True, slots=True)
class FanValues:
    """The rows that are right, with their positions in the file's table, and the problems of the others."""

    rows: list[FanRow]
    positions: list[int]
    problems: dict[int, list[Problem]]
    notices: list[str] = field(default_factory=list)


def fan_values(
    *, cells: pd.DataFrame, columns: Columns, ragged: Mapping[int, Sequence[str]], now: datetime
) -> FanValues:
    """Type every cell of the mapped columns. A row with any problem is left out of `rows`, all its problems told."""
    width = len(columns.header)
    problems: dict[int, list[Problem]] = {
        position: [Problem("", "", f"The row has {len(row)} cells where the header has {width}.")]
        for position, row in ragged.items()
    }
    source = {name: cells[position] for name, position in columns.positions.items()}
    date_order, date_notice = values.date_order(
        source.get("last_seen_at"), others=[cells[position] for position in cells], language=columns.language
    )
    decimal_mark, money_notice = values.decimal_mark(source.get("value_cents"), language=columns.language)
    typed: dict[str, list[object]] = {}
    for name, series in source.items():
        parsed = values.parse(name, series, date_order=date_order, decimal_mark=decimal_mark, now=now)
        typed[name] = parsed.values
        texts: list[str] = series.tolist() if parsed.errors else []
        for position, error in parsed.errors:
            if position not in ragged:
                value = texts[position][: values.SHOWN_MAX]
                problems.setdefault(position, []).append(Problem(columns.header[columns.positions[name]], value, error))
    count = len(cells)
    ids, handles = (typed.get(name) or [None] * count for name in KEYS)
    key_columns = " or ".join(columns.mapping()[key] for key in reversed(KEYS) if key in columns.positions)
    for position, pair in enumerate(zip(ids, handles, strict=True)):
        if position in problems:
            continue
        if pair == (None, None):
            problems[position] = [Problem(key_columns, "", "The row does not say who the fan is.")]
        elif pair[0] is None and str(pair[1]).isdigit():
            # As a stand-in for the id it could be taken for another fan's id.
            problems[position] = [
                Problem(
                    key_columns, str(pair[1]), "A username of digits alone looks like an id; put it in a column Fan ID."
                )
            ]
    positions = [position for position in range(count) if position not in problems]
    return FanValues(
        rows=_rows(typed, positions),
        positions=positions,
        problems=dict(sorted(problems.items())),
        notices=[notice for notice in (date_notice, money_notice) if notice],
    )


def _rows(typed: dict[str, list[object]], positions: Iterable[int]) -> list[FanRow]:
    count = max(len(column) for column in typed.values())
    nothing: list[object] = [None] * count

    def column(name: str) -> list[object]:
        return typed.get(name, nothing)

    ids, handles, tags, tiers = column("platform_id"), column("handle"), column("tags"), column("tier")
    names, emails, notes = column("name"), column("email"), column("notes")
    cents, seen = column("value_cents"), column("last_seen_at")
    return [
        FanRow(
            platform_id=str(ids[i] or handles[i]),
            handle=str(handles[i] or ""),
            name=names[i],  # type: ignore[arg-type]  # csv_values.parse gives each field its type
            email=emails[i],  # type: ignore[arg-type]
            tags=tuple(dict.fromkeys((*(tiers[i] or ()), *(tags[i] or ())))) or None,  # type: ignore[misc]
            notes=notes[i],  # type: ignore[arg-type]
            value_cents=cents[i],  # type: ignore[arg-type]
            last_seen_at=seen[i],  # type: ignore[arg-type]
        )
        for i in positions
    ]
