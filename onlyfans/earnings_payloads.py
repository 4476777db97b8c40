"""The columns of a file of transactions: what they may be called, and which of them it takes to make money of rows.
Touches no table.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crm.errors import Unreadable
from crm.stored_words import kept_sentence, said
from onlyfans import csv_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
            "Paid At",
        ),
        "fr": ("Date et heure", "Date de transaction", "Date de paiement", "Créé le"),
        "es": ("Fecha y hora", "Fecha de transacción", "Fecha", "Creado el"),
        "de": ("Datum", "Datum und Uhrzeit", "Zeitpunkt", "Erstellt am"),
    },
    # Beside a date; alone it is taken for `occurred_at`.
    "time_of_day": {
        "en": ("Time", "Time of Day"),
        "fr": ("Heure",),
        "es": ("Hora",),
        "de": ("Uhrzeit", "Zeit"),
    },
    "time_zone": {
        "en": ("TimeZone", "Time Zone", "TZ", "Zone", "UTC Offset"),
        "fr": ("Fuseau horaire", "Fuseau"),
        "es": ("Zona horaria",),
        "de": ("Zeitzone",),
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
    "creator": csv_headers.CREATOR,
}
VOCABULARY = csv_headers.Vocabulary(ALIASES)
FIELDS = VOCABULARY.fields
AMOUNTS = ("gross_cents", "fee_cents", "net_cents")
NO_TIME = kept_sentence("No column says when something was paid. Name one Date; the columns are: %(headers)s.")
NO_AMOUNTS = kept_sentence(
    "Two of the columns Gross, Fee and Net are needed, one row for each transaction; the columns are: %(headers)s."
)


def is_earnings(header: Sequence[str]) -> bool:
    """Whether these are the columns of transactions: a time and two amounts that belong together."""
    found = _dated(VOCABULARY.columns_find(header)).positions
    return "occurred_at" in found and sum(name in found for name in AMOUNTS) >= 2


def columns_match(header: Sequence[str], mapping: Mapping[str, str | None] | None = None) -> Columns:
    """The column of each field. Raises Unreadable where there is no time or fewer than two of the amounts."""
    columns = _dated(VOCABULARY.columns_find(header, mapping))
    if "occurred_at" not in columns.positions:
        raise Unreadable(said(NO_TIME, headers=csv_headers.headers_told(header)), code="no_time_column")
    if sum(name in columns.positions for name in AMOUNTS) < 2:
        raise Unreadable(
            said(NO_AMOUNTS, headers=csv_headers.headers_told(header)),
            code="no_amount_column",
        )
    return columns


def _dated(columns: Columns) -> Columns:
    """A column Time alone has the date in it."""
    positions = dict(columns.positions)
    if "occurred_at" not in positions and "time_of_day" in positions:
        positions["occurred_at"] = positions.pop("time_of_day")
    return replace(columns, positions=positions)
