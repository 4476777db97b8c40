"""Answers what the cells of a file of transactions mean: typed rows of money, and what is wrong with the others.
Touches no table.

A transaction has a time and at least two of gross, fee and net, of which the third follows. What a platform took back
is a status, so a negative gross or net is an error; a fee may be written as what was taken off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crm.errors import Unreadable
from crm.stored_words import kept_sentence, said
from onlyfans import csv_columns, csv_headers, event_payloads
from onlyfans import csv_values as values
from onlyfans.payloads import Problem, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from onlyfans.csv_headers import Columns

# To teach the import a header, add it here; case, accents, spaces and punctuation do not matter.
ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    "transaction_id": {
        "en": ("Transaction ID", "OnlyFans Transaction ID", "Payment ID", "Transaction Number"),
        "fr": ("ID de transaction", "ID transaction", "Numéro de transaction", "Identifiant de transaction"),
        "es": ("ID de transacción", "ID de la transacción", "Número de transacción"),
        "de": ("Transaktions-ID", "Transaktionsnummer"),
    },
    "occurred_at": {
        "en": (
            "OnlyFans Created At",
            "Created At",
            "DateTime",
            "Date/Time",
            "Transaction Date",
            "Date",
            "Time",
            "Paid At",
        ),
        "fr": ("Date et heure", "Date de transaction", "Date de paiement", "Créé le"),
        "es": ("Fecha y hora", "Fecha de transacción", "Fecha", "Creado el"),
        "de": ("Datum", "Datum und Uhrzeit", "Zeitpunkt", "Erstellt am"),
    },
    "kind": {
        "both": ("Type",),
        "en": ("Transaction Type", "Kind", "Category"),
        "fr": ("Type de transaction", "Catégorie"),
        "es": ("Tipo", "Tipo de transacción", "Categoría"),
        "de": ("Typ", "Art", "Transaktionsart", "Kategorie"),
    },
    "status": {
        "both": ("Status",),
        "en": ("Transaction Status", "Payment Status", "State"),
        "fr": ("Statut", "État"),
        "es": ("Estado",),
        "de": ("Zustand",),
    },
    "gross_cents": {
        "en": ("Gross", "Gross Amount", "Amount", "Amount Gross", "Price", "Earnings Gross"),
        "fr": ("Brut", "Montant brut", "Montant"),
        "es": ("Bruto", "Importe bruto", "Importe", "Monto"),
        "de": ("Brutto", "Bruttobetrag", "Betrag"),
    },
    "fee_cents": {
        "en": ("OF Fee", "Fee", "Fees", "Fee Amount", "Platform Fee", "OnlyFans Fee", "Commission"),
        "fr": ("Frais", "Montant des frais"),
        "es": ("Comisión", "Tarifa", "Importe de la comisión"),
        "de": ("Gebühr", "Gebühren", "Provision"),
    },
    "net_cents": {
        "en": ("Net", "Net Amount", "Amount Net", "Earnings Net", "Net Earnings"),
        "fr": ("Net perçu", "Montant net"),
        "es": ("Neto", "Importe neto"),
        "de": ("Netto", "Nettobetrag"),
    },
    "vat_cents": {
        "en": ("VAT", "VAT Amount"),
        "fr": ("TVA", "Montant de la TVA"),
        "es": ("IVA", "Importe del IVA"),
        "de": ("MwSt", "Mehrwertsteuer", "USt"),
    },
    "currency": {"en": ("Currency",), "fr": ("Devise",), "es": ("Moneda", "Divisa"), "de": ("Währung",)},
    "description": {"both": ("Description",), "es": ("Descripción",), "de": ("Beschreibung",)},
    "fan_id": {
        "en": ("Fan ID", "User ID", "Subscriber ID"),
        "fr": ("ID du fan", "ID utilisateur", "ID abonné"),
        "es": ("ID del fan", "ID de usuario"),
        "de": ("Fan-Nummer", "Benutzer-ID", "Nutzer-ID"),
    },
    "handle": {
        "en": ("OF Username", "Fan Username", "Username", "OnlyFans Username", "Handle"),
        "fr": ("Nom d'utilisateur", "Pseudo"),
        "es": ("Nombre de usuario", "Usuario"),
        "de": ("Benutzername", "Nutzername"),
    },
    "fan_name": {
        "en": ("Fan Name", "Display Name", "Fan", "Name", "From"),
        "fr": ("Nom du fan", "Nom affiché", "Nom"),
        "es": ("Nombre del fan", "Nombre visible", "Nombre"),
        "de": ("Name des Fans", "Anzeigename"),
    },
}
VOCABULARY = csv_headers.Vocabulary(ALIASES)
FIELDS = VOCABULARY.fields
AMOUNTS = ("gross_cents", "fee_cents", "net_cents")
# The readers of csv_columns that these fields share with a file of fans.
READ_AS = {
    "occurred_at": "last_seen_at",
    "gross_cents": "value_cents",
    "fee_cents": "value_cents",
    "net_cents": "value_cents",
    "vat_cents": "value_cents",
    "fan_id": "platform_id",
    "handle": "handle",
    "fan_name": "name",
}
ID_MAX = 64
ID_TOO_LONG = kept_sentence("A transaction's id has at most %(most)s characters.")
NO_TIME = kept_sentence("No column says when something was paid. Name one Date; the columns are: %(headers)s.")
NO_AMOUNTS = kept_sentence(
    "Two of the columns Gross, Fee and Net are needed, one row for each transaction; the columns are: %(headers)s."
)
STATUSES = {
    "done": "done completed complete paid cleared settled succeeded success",
    "loading": "loading pending processing",
    "undo": "undo undone refunded refund reversed chargeback chargedback cancelled canceled",
    "pending_return": "pendingreturn pendingrefund disputed",
}
STATUS_OF = {word: status for status, words in STATUSES.items() for word in words.split()}
CURRENCY_SIGNS = {"€": "EUR", "£": "GBP"}
# How the platform begins a description, with the fan's name behind it.
PAID_BY = re.compile(
    r"(?:payment for message|(?:recurring )?subscription|tip|post purchase|stream purchase) (?:from|by) (.+)", re.I
)


def is_earnings(header: Sequence[str]) -> bool:
    """Whether these are the columns of transactions: a time and two amounts that belong together."""
    found = VOCABULARY.columns_find(header).positions
    return "occurred_at" in found and sum(name in found for name in AMOUNTS) >= 2


def columns_match(header: Sequence[str], mapping: Mapping[str, str | None] | None = None) -> Columns:
    """The column of each field. Raises Unreadable where there is no time or fewer than two of the amounts."""
    columns = VOCABULARY.columns_find(header, mapping)
    if "occurred_at" not in columns.positions:
        raise Unreadable(said(NO_TIME, headers=csv_headers.headers_told(header)), code="no_time_column")
    if sum(name in columns.positions for name in AMOUNTS) < 2:
        raise Unreadable(
            said(NO_AMOUNTS, headers=csv_headers.headers_told(header)),
            code="no_amount_column",
        )
    return columns


@dataclass(frozen=True, slots=True)
class Earning:
    """One transaction as the file tells of it; amounts in cents."""

    transaction_id: str
    occurred_at: datetime
    kind: str
    status: str
    gross_cents: int
    fee_cents: int
    net_cents: int
    vat_cents: int
    currency: str
    fan_id: str
    handle: str
    fan_name: str


@dataclass(frozen=True, slots=True)
class EarningValues:
    """The rows that are right and the problems of the others, both by their position in the table that was read."""

    earnings: dict[int, Earning]
    problems: dict[int, list[Problem]]


def earning_values(*, cells: pd.DataFrame, ragged: Mapping[int, Sequence[str]], reading: Reading) -> EarningValues:
    """Type every cell of the mapped columns; a row with any problem is no earning, and all its problems are told."""
    columns = reading.columns
    width = len(columns.header)
    problems: dict[int, list[Problem]] = {
        position: [Problem("", "", values.WRONG_WIDTH % {"cells": len(row), "width": width})]
        for position, row in ragged.items()
    }
    table: dict[str, list[object]] = {}
    texts: dict[str, list[str]] = {}
    for name, at in columns.positions.items():
        texts[name] = [values.unescape(text) for text in cells[at].tolist()]
        if name not in READ_AS:
            continue
        series = cells[at].str.replace(r"^([^0-9]*)[-−–(]|\)$", r"\1", regex=True) if name == "fee_cents" else cells[at]
        parsed = csv_columns.parse(
            READ_AS[name], series, date_order=reading.date_order, decimal_mark=reading.decimal_mark, now=reading.now
        )
        table[name] = parsed.values.astype(object).where(parsed.values.notna(), None).tolist()
        for position, error in parsed.errors:
            if position not in ragged:
                shown = texts[name][position][: values.SHOWN_MAX]
                problems.setdefault(position, []).append(Problem(columns.header[at], shown, error))
    earnings: dict[int, Earning] = {}
    for position in range(len(cells)):
        if position in ragged:
            continue
        row = {name: column[position] for name, column in table.items()}
        said = {name: column[position] for name, column in texts.items()}
        wrong = problems.setdefault(position, [])
        found = _earning(row, said, columns, wrong)
        if found is not None and not wrong:
            earnings[position] = found
    return EarningValues(earnings, {position: wrong for position, wrong in sorted(problems.items()) if wrong})


def _earning(
    row: Mapping[str, object], said: Mapping[str, str], columns: Columns, wrong: list[Problem]
) -> Earning | None:
    """The transaction, or None with what is wrong beside the cells that could not be read."""

    def refuse(name: str, error: str) -> None:
        # A cell that could not be read has been told.
        header = columns.mapping().get(name, "")
        if all(problem.column != header for problem in wrong):
            wrong.append(Problem(header, said.get(name, "")[: values.SHOWN_MAX], error))

    amounts = [_cents(row.get(name)) for name in AMOUNTS]
    if row.get("occurred_at") is None:
        refuse("occurred_at", kept_sentence("The row does not say when it was paid."))
    status = STATUS_OF.get(csv_headers.header_key(said.get("status", "")) or "done")
    if status is None:
        refuse("status", kept_sentence("This is no status that is known: done, loading, undo or pending_return."))
    currency = _currency(said)
    if currency is None:
        refuse("currency", kept_sentence("This is no currency: three letters, such as USD."))
    transaction_id = said.get("transaction_id", "")
    transaction_id = "" if transaction_id.lower() in values.EMPTY_SIGNS else transaction_id
    if len(transaction_id) > ID_MAX:
        refuse("transaction_id", ID_TOO_LONG % {"most": ID_MAX})
    if sum(amount is not None for amount in amounts) < 2 and not wrong:
        wrong.append(Problem("", "", kept_sentence("The row needs two of gross, fee and net.")))
    if wrong or status is None or currency is None:
        return None
    gross, fee, net = amounts
    gross = (fee or 0) + (net or 0) if gross is None else gross
    net = gross - (fee or 0) if net is None else net
    if not 0 <= net <= gross:
        refuse("net_cents", kept_sentence("The net amount is above the gross amount, or the fee is."))
        return None
    description = said.get("description", "")
    payer = PAID_BY.match(description)
    name = row.get("fan_name") or (payer[1].strip()[: values.NAME_MAX] if payer else "")
    occurred_at = row["occurred_at"]
    return Earning(
        transaction_id=transaction_id,
        occurred_at=occurred_at.to_pydatetime(),  # type: ignore[attr-defined]  # pandas' own, in UTC
        kind=event_payloads.kind_of(said.get("kind", ""), description),
        status=status,
        gross_cents=gross,
        fee_cents=gross - net if fee is None else fee,
        net_cents=net,
        vat_cents=_cents(row.get("vat_cents")) or 0,
        currency=currency,
        fan_id=str(row.get("fan_id") or ""),
        handle=str(row.get("handle") or ""),
        fan_name=str(name),
    )


def _cents(value: object) -> int | None:
    return None if value is None else int(value)  # type: ignore[call-overload]


def _currency(said: Mapping[str, str]) -> str | None:
    """As the column says, else by the sign beside the amount, else the platform's own: dollars."""
    text = said.get("currency", "").strip().upper()
    if text and text.lower() not in values.EMPTY_WORDS:
        return text if re.fullmatch("[A-Z]{3}", text) else None
    amounts = "".join(said.get(name, "") for name in AMOUNTS)
    return next((code for sign, code in CURRENCY_SIGNS.items() if sign in amounts), "USD")
