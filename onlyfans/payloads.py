"""Answers what the cells of a fan file mean: which column is which, and typed rows of them. Touches no table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, overload
from zoneinfo import ZoneInfo

from crm.errors import FieldError, Unreadable
from crm.payloads import FanRow
from crm.stored_words import kept_sentence, said
from onlyfans import csv_columns, csv_conventions, csv_headers
from onlyfans import csv_values as values
from onlyfans.csv_columns import Manner
from onlyfans.csv_currencies import currency_meant
from onlyfans.csv_headers import Columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

# What a column may be called, best name first: `{field: {language: names}}`, `both` for what says nothing about the
# file's language. To teach the import a header, add it here; case, accents, spaces and punctuation do not matter.
# "ID" alone is left out: in many sheets it numbers the rows. `tier` becomes a tag.
ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    "platform_id": {
        "en": ("Fan ID", "OnlyFans ID", "OF ID", "Platform ID", "User ID", "Subscriber ID"),
        "fr": ("ID du fan", "ID utilisateur", "ID de l'utilisateur", "ID abonné", "Identifiant du fan"),
        "es": ("ID del fan", "ID de usuario", "ID del usuario", "ID del suscriptor", "Identificador del fan"),
        "de": ("Fan-Nummer", "Benutzer-ID", "Nutzer-ID", "Abonnenten-ID", "Kennung"),
    },
    "handle": {
        "en": ("Username", "OF Username", "OnlyFans Username", "Fan Username", "Handle", "OF Handle", "Login"),
        "fr": ("Nom d'utilisateur", "Nom utilisateur", "Utilisateur", "Pseudo", "Pseudonyme", "Pseudo OnlyFans"),
        "es": ("Nombre de usuario", "Usuario", "Usuario de OnlyFans", "Seudónimo", "Apodo de usuario"),
        "de": ("Benutzername", "Nutzername", "Benutzer", "OnlyFans-Name", "Anmeldename"),
    },
    "name": {
        "both": ("Name",),
        "en": ("Display Name", "Full Name", "Fan Name", "Nickname"),
        "fr": ("Nom affiché", "Nom d'affichage", "Nom complet", "Nom du fan", "Nom", "Surnom"),
        "es": ("Nombre para mostrar", "Nombre visible", "Nombre mostrado", "Nombre completo", "Nombre", "Apodo"),
        "de": ("Anzeigename", "Angezeigter Name", "Vollständiger Name", "Spitzname"),
    },
    "email": {
        "both": ("Email", "Mail"),
        "en": ("Email Address",),
        "fr": ("Adresse e-mail", "Adresse mail", "Courriel", "Adresse électronique"),
        "es": ("Correo electrónico", "Correo", "Dirección de correo", "Dirección de correo electrónico"),
        "de": ("E-Mail-Adresse", "Mailadresse"),
    },
    "tags": {
        "both": ("Tags", "Tag"),
        "en": ("Labels", "Lists"),
        "fr": ("Étiquettes", "Mots-clés", "Listes"),
        "es": ("Etiquetas", "Etiqueta", "Listas"),
        "de": ("Schlagwörter", "Etiketten", "Listen"),
    },
    "tier": {
        "en": ("Subscription Tier", "Tier", "Subscription Level"),
        "fr": ("Niveau d'abonnement", "Type d'abonnement", "Formule"),
        "es": ("Nivel de suscripción", "Tipo de suscripción", "Plan de suscripción"),
        "de": ("Abo-Stufe", "Abonnement-Stufe", "Abo-Typ"),
    },
    "notes": {
        "both": ("Notes", "Note"),
        "en": ("Comments", "Comment", "Remarks"),
        "fr": ("Remarques", "Remarque", "Commentaires", "Commentaire"),
        "es": ("Notas", "Nota", "Comentarios", "Comentario", "Observaciones"),
        "de": ("Notizen", "Notiz", "Bemerkungen", "Bemerkung", "Kommentare", "Anmerkungen"),
    },
    "value_cents": {
        # `valueCents` is what our own API calls it.
        "en": ("Total Spent", "Total Spend", "Lifetime Value", "Lifetime Spend", "LTV", "Spent", "Value Cents"),
        "fr": ("Total dépensé", "Montant dépensé", "Dépenses totales", "Dépenses", "Dépensé"),
        "es": ("Total gastado", "Gasto total", "Importe gastado", "Gastado", "Gasto"),
        "de": ("Gesamtausgaben", "Gesamt ausgegeben", "Ausgegeben", "Ausgaben", "Gesamtbetrag", "Umsatz"),
    },
    "last_seen_at": {
        "en": ("Last Seen", "Last Active", "Last Activity", "Last Online", "Last Login"),
        "fr": ("Dernière connexion", "Dernière activité", "Dernière visite", "Vu le", "Actif le"),
        "es": ("Última conexión", "Última actividad", "Última visita", "Visto por última vez", "Último acceso"),
        "de": ("Zuletzt gesehen", "Zuletzt aktiv", "Zuletzt online", "Letzte Aktivität", "Letzte Anmeldung"),
    },
    "creator": csv_headers.CREATOR,
}
KEYS = ("platform_id", "handle")
# How many names or lines a sentence has.
NAMES_TOLD = 10
FIELDS = tuple(ALIASES)
# What people call them, in English.
LABELS = {
    "platform_id": kept_sentence("Fan ID"),
    "handle": kept_sentence("Username"),
    "name": kept_sentence("Name"),
    "email": kept_sentence("E-mail"),
    "tags": kept_sentence("Tags"),
    "tier": kept_sentence("Tags (subscription tier)"),
    "notes": kept_sentence("Notes"),
    "value_cents": kept_sentence("Value"),
    "last_seen_at": kept_sentence("Last seen"),
    "creator": kept_sentence("Creator"),
}

VOCABULARY = csv_headers.Vocabulary(ALIASES)
NO_KEY = kept_sentence("No column says who the fan is. Name one Username or Fan ID; the columns are: %(headers)s.")
ORDER_UNKNOWN = kept_sentence(
    "The dates in the column %(name)s can be read with the day or the month first; say which it is."
)
HALF_CONVERTED = kept_sentence(
    "In the column %(name)s a spreadsheet seems to have read the day as the month where it could, and to have left the "
    "other dates as text. Import the original file; or say which stood first in it, day or month (dayFirst), to have "
    "them exchanged back."
)
OF_OTHERS = kept_sentence(
    "The column %(name)s names %(found)s, and this is %(creator)s. Take the rows of this creator out into a file, or "
    "leave the column out if all of them are this creator's."
)
LEFT_TO_OTHERS = kept_sentence("Rows of other creators were left out: %(number)s, of %(found)s.")
EXCHANGED = kept_sentence(
    "A spreadsheet had exchanged day and month of some dates in the column %(name)s; they were exchanged back."
)
OTHER_MONEY = kept_sentence(
    "Amounts in the column %(name)s are in %(currencies)s. They were taken as they are: values here are in US dollars."
)
IN_CENTS = kept_sentence("The column %(name)s was read as cents, as it is called.")
headers_known = VOCABULARY.headers_known
columns_find = VOCABULARY.columns_find


def columns_match(header: Sequence[str], mapping: Mapping[str, str | None] | None = None) -> Columns:
    """As columns_find; raises Unreadable where no column tells fans apart."""
    columns = columns_find(header, mapping)
    if not any(key in columns.positions for key in KEYS):
        raise Unreadable(
            said(NO_KEY, headers=csv_headers.headers_told(header)),
            code="no_key_column",
        )
    return columns


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one cell; an empty `column` means the row as a whole."""

    column: str
    value: str
    error: str

    def as_dict(self) -> dict[str, str]:
        return {"column": self.column, "value": self.value, "error": self.error}


@dataclass(frozen=True, slots=True)
class Reading:
    """How the cells of one file are to be read, decided from all of it."""

    columns: Columns
    manner: Manner
    notices: tuple[str, ...] = ()
    # How the column of creators names the one whose rows are taken; empty where all are.
    creator: str = ""

    @property
    def date_order(self) -> str:
        return self.manner.date_order

    @property
    def decimal_mark(self) -> str:
        return self.manner.decimal_mark


def reading_decide(
    *,
    columns: Columns,
    pieces: Callable[[Sequence[int]], Iterable[list[pd.Series]]],
    now: datetime,
    day_first: bool | None = None,
    day_first_before: bool | None = None,
    decimal_mark: str | None = None,
    zone: str = "UTC",
    creator: str = "",
    dates_in: str = "last_seen_at",
    amounts_in: Sequence[str] = ("value_cents",),
    ids_in: str = "platform_id",
) -> Reading:
    """Whether dates have the day first and amounts a decimal comma; `day_first` settles the dates.

    `decimal_mark` settles the amounts. `day_first_before` is how such a file was read the last time; the dates in this
    one count more.

    `creator` is the name of the one whose file this is to be. Raises Unreadable (`other_creator`) where a column says
    that all rows are of others.

    The fields `dates_in`, `amounts_in` and `ids_in` are those that decide. A day without a time is one of `zone`; an
    unknown name counts as UTC.

    `pieces` answers the columns at these positions, piece by piece. Raises Unreadable (`date_order_unknown`, naming the
    column) where a date of numbers can be read in two ways and nothing in the file says in which.
    """

    def column(*names: str) -> Iterable[pd.Series]:
        positions = [columns.positions[name] for name in names if name in columns.positions]
        return (series for piece in pieces(positions) for series in piece) if positions else ()

    def beside() -> Iterable[pd.Series]:
        others = [p for p in range(len(columns.header)) if p != columns.positions[dates_in]]
        return (series for piece in pieces(others) for series in piece)

    dates = csv_conventions.date_order(
        lambda: column(dates_in), others=beside, before=_order(day_first_before), language=columns.language
    )
    named = repr(columns.mapping().get(dates_in, "")[:100])
    exchanged = dates is not None and dates.half_converted and dates.choice == _order(day_first)
    if day_first is not None:
        dates = csv_conventions.Convention(_order(day_first), EXCHANGED % {"name": named} if exchanged else "")
    elif dates is None or (dates.mixed and dates_in != "last_seen_at"):
        # When somebody was seen may be off; money may not.
        raise _ask_order(ORDER_UNKNOWN, named)
    elif dates.half_converted:
        raise _ask_order(HALF_CONVERTED, named)
    amounts = (
        csv_conventions.Convention(decimal_mark)
        if decimal_mark
        else csv_conventions.decimal_mark(column(*amounts_in), language=columns.language)
    )
    in_cents = frozenset(
        name
        for name in amounts_in
        if csv_headers.header_in_cents(columns.mapping().get(name, "")) and name in columns.positions
    )
    mine, others = _of_creator(columns, column("creator"), creator)
    told = (*_money_told(columns, column, in_cents),) if amounts_in == ("value_cents",) else ()
    return Reading(
        columns=columns,
        manner=Manner(
            date_order=dates.choice,
            decimal_mark=amounts.choice,
            now=now,
            zone=_zone(zone),
            exchanged=exchanged,
            long_rounded=frozenset([ids_in] if csv_conventions.long_rounded(column(ids_in)) else ()),
            in_cents=in_cents,
        ),
        notices=tuple(notice for notice in (dates.notice, amounts.notice, *told, others) if notice),
        creator=mine,
    )


def lines_told(lines: Sequence[int]) -> dict[str, str]:
    """How many there are, and the first of them, for a sentence."""
    more = " …" if len(lines) > NAMES_TOLD else ""
    return {"number": f"{len(lines):,}", "lines": ", ".join(map(str, lines[:NAMES_TOLD])) + more}


def creator_key(name: str) -> str:
    """A creator's name or handle as names are compared."""
    return " ".join(name.casefold().replace("@", " ").split())


def _of_creator(columns: Columns, named: Iterable[pd.Series], creator: str) -> tuple[str, str]:
    """How the file's column of creators names this one, empty where it has none, and what to tell of the others."""
    import pandas as pd

    counts: dict[str, int] = {}
    for piece in named:
        for text, count in pd.Series(piece).value_counts().items():
            counts[str(text)] = counts.get(str(text), 0) + int(count)
    counts.pop("", None)
    if not counts:
        return "", ""
    mine = creator_key(creator)
    others = {text: count for text, count in counts.items() if creator_key(text) != mine}
    found = ", ".join(sorted(others)[:NAMES_TOLD])
    if len(others) == len(counts):
        header = columns.mapping()["creator"]
        told = said(OF_OTHERS, name=repr(header[:100]), found=found, creator=creator)
        raise Unreadable(told, code="other_creator", errors=(FieldError("mapping", "other_creator", told),))
    if not others:
        return "", ""
    return mine, LEFT_TO_OTHERS % {"number": f"{sum(others.values()):,}", "found": found}


def of_this_creator(cells: pd.DataFrame, reading: Reading) -> npt.NDArray[np.bool_] | None:
    """Which rows are this creator's; None where all are."""
    if not reading.creator:
        return None
    named = cells[reading.columns.positions["creator"]]
    ours = [text for text in named.unique() if creator_key(text) == reading.creator]
    return named.isin(ours).to_numpy(dtype=bool, copy=True)


def _ask_order(sentence: str, name: str) -> Unreadable:
    told = said(sentence, name=name)
    return Unreadable(told, code="date_order_unknown", errors=(FieldError("day_first", "required", told),))


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _money_told(
    columns: Columns, column: Callable[..., Iterable[pd.Series]], in_cents: frozenset[str]
) -> Iterable[str]:
    """What a person should know of the fans' values: that they are in another currency, or in cents."""
    header = columns.mapping().get("value_cents", "")
    found = {code for code in csv_headers.header_currencies(header)[:1] if code != "USD"}
    for piece in column("value_cents"):
        for token in csv_columns.currencies_beside(piece):
            meant = currency_meant(token)
            if meant and "USD" not in meant:
                found.add(meant[0] if len(meant) == 1 else token)
    if found:
        yield OTHER_MONEY % {"name": repr(header[:100]), "currencies": ", ".join(sorted(found))}
    if in_cents:
        yield IN_CENTS % {"name": repr(header[:100])}


@overload
def _order(day_first: bool) -> str: ...
@overload
def _order(day_first: bool | None) -> str | None: ...
def _order(day_first: bool | None) -> str | None:
    return None if day_first is None else values.DAY_MONTH if day_first else values.MONTH_DAY


@dataclass(frozen=True, slots=True)
class FanValues:
    """The rows that are right, with their positions in the table that was read, and the problems of the others.

    `fans` has the columns of FAN_COLUMNS, typed: texts, `value_cents` int64, `last_seen_at` a timestamp in UTC, `tags`
    tuples; a null means that the source says nothing.
    """

    fans: pd.DataFrame
    positions: npt.NDArray[np.int64]
    problems: dict[int, list[Problem]]

    def rows(self, most: int) -> list[FanRow]:
        """The first of them one by one, for a person to look at."""
        first = self.fans.head(most).astype(object)
        return [FanRow(*row) for row in first.where(first.notna(), None).itertuples(index=False, name=None)]


FAN_COLUMNS = ("platform_id", "handle", "name", "email", "tags", "notes", "value_cents", "last_seen_at")


def fan_values(*, cells: pd.DataFrame, ragged: Mapping[int, Sequence[str]], reading: Reading) -> FanValues:
    """Type every cell of the mapped columns. A row with any problem is left out of `fans`, all its problems told."""
    import pandas as pd

    columns = reading.columns
    width = len(columns.header)
    problems: dict[int, list[Problem]] = {
        position: [Problem("", "", values.WRONG_WIDTH % {"cells": len(row), "width": width})]
        for position, row in ragged.items()
    }
    typed: dict[str, pd.Series] = {}
    ours = of_this_creator(cells, reading)
    for name, at in columns.positions.items():
        if name == "creator":
            continue
        parsed = csv_columns.parse(name, cells[at], reading.manner)
        typed[name] = parsed.values
        for position, error in parsed.errors:
            if position not in ragged:
                value = cells[at].iloc[position][: values.SHOWN_MAX]
                problems.setdefault(position, []).append(Problem(columns.header[at], value, error))
    nothing = pd.Series([None] * len(cells), dtype=csv_columns.text_type())
    ids, handles = (typed.get(key, nothing) for key in KEYS)
    for position, problem in _key_problems(ids, handles, columns):
        if position not in problems:
            problems[position] = [problem]
    fans = pd.DataFrame(
        {
            "platform_id": ids.fillna(handles),
            "handle": handles.fillna(""),
            "name": typed.get("name", nothing),
            "email": typed.get("email", nothing),
            "tags": _tags(typed.get("tier"), typed.get("tags"), len(cells)),
            "notes": typed.get("notes", nothing),
            "value_cents": typed.get("value_cents", nothing),
            "last_seen_at": typed.get("last_seen_at", nothing),
        },
        copy=False,
    )
    if ours is not None:
        problems = {position: wrong for position, wrong in problems.items() if ours[position]}
    right = ~fans.index.isin(list(problems))
    if ours is not None:
        right &= ours
    return FanValues(fans=fans[right], positions=right.nonzero()[0], problems=dict(sorted(problems.items())))


def fans_csv(fans: pd.DataFrame, numbers: npt.NDArray[np.int64]) -> memoryview:
    """The rows as PostgreSQL reads CSV, each behind its number: a null is nothing, an empty text is quoted."""
    import pyarrow as pa
    from pyarrow import csv

    columns = [pa.array(numbers)]
    for name in FAN_COLUMNS:
        if name == "tags":
            columns.append(pa.array(csv_columns.array_literals(fans[name]), pa.string()))
        else:
            columns.append(pa.array(fans[name]))
    table = pa.table(columns, names=["number", *FAN_COLUMNS])
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False))
    return memoryview(sink.getvalue())


def _key_problems(ids: pd.Series, handles: pd.Series, columns: Columns) -> Iterable[tuple[int, Problem]]:
    """The rows that do not say who the fan is, or not clearly."""
    named = " or ".join(columns.mapping()[key] for key in reversed(KEYS) if key in columns.positions)
    for position in (ids.isna() & handles.isna()).to_numpy(dtype=bool).nonzero()[0].tolist():
        yield position, Problem(named, "", kept_sentence("The row does not say who the fan is."))
    # As a stand-in for the id it could be taken for another fan's id.
    digits = ids.isna() & handles.str.fullmatch("[0-9]+").fillna(False)
    for position in digits.to_numpy(dtype=bool).nonzero()[0].tolist():
        sentence = kept_sentence("A username of digits alone looks like an id; put it in a column Fan ID.")
        yield position, Problem(named, str(handles.iloc[position]), sentence)


def _tags(tiers: pd.Series | None, tags: pd.Series | None, count: int) -> pd.Series:
    """The tier as a tag before the tags, each once."""
    import pandas as pd

    if tiers is None or tags is None:
        only = tags if tiers is None else tiers
        return pd.Series([None] * count, dtype=object) if only is None else only
    both = [tuple(dict.fromkeys((*(tier or ()), *(tag or ())))) or None for tier, tag in zip(tiers, tags, strict=True)]
    return pd.Series(both, dtype=object)
