"""What an import says of its file as a whole: how it was read, what was left out, what its money comes to. Touches
nothing; what it says is kept with the import, as JSON.

`reading` is `{"headerRow", "encoding", "encodingCertain", "delimiter", "sheets", "sheetsRead", "dateOrder",
"decimalMark"}`, `contents` `{"leftOut": [headers], "sums": [{"month", "currency", "rows", …}]}`. A sum is of the rows
that are right: of transactions by month and currency, with gross, fee and net; of fans one, with their value.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crm.stored_words import kept_sentence
from onlyfans.csv_headers import headers_told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import pandas as pd

    from onlyfans.csv_headers import Columns
    from onlyfans.csv_reader import Sheet
    from onlyfans.payloads import Reading

# The columns that our own file of rejected rows has before those of the file they came from.
ERROR_COLUMN = "error"
MENDED_COLUMN = "as in import {}"
_MENDED = re.compile(r"as in import ([1-9][0-9]{0,17})")
COLUMNS_LEFT_OUT = kept_sentence("Columns that were not read: %(names)s.")
DOLLARS = "USD"


def mended_import(header: Sequence[str]) -> int | None:
    """The import whose rejected rows these are, by the header of our file of them."""
    return next((int(found[1]) for name in header if (found := _MENDED.fullmatch(name))), None)


def is_our_column(name: str) -> bool:
    """Whether our file of rejected rows has this column for itself."""
    return name == ERROR_COLUMN or _MENDED.fullmatch(name) is not None


def columns_left_out(sheet: Sheet, columns: Columns) -> list[str]:
    """The headers of the columns that were not read; one without a name is called by its letter in a spreadsheet."""
    taken = set(columns.positions.values())
    return [
        name or f"({_letter(at)})"
        for at, name in enumerate(sheet.header)
        if at not in taken and (name or at in sheet.unnamed) and not is_our_column(name)
    ]


def left_out_told(names: Sequence[str]) -> list[str]:
    """The sentence that names them."""
    return [COLUMNS_LEFT_OUT % {"names": headers_told(names)}] if names else []


def reading_kept(sheet: Sheet, reading: Reading) -> dict[str, Any]:
    """How the file was read."""
    found = asdict(sheet.found)
    return {
        "headerRow": found["header_row"],
        "encoding": found["encoding"],
        "encodingCertain": found["encoding_certain"],
        "delimiter": found["delimiter"],
        "sheets": list(found["sheets"]),
        "sheetsRead": list(found["read"]),
        "dateOrder": reading.date_order,
        "decimalMark": reading.decimal_mark,
    }


class FanSums:
    """What the fans of a file have spent: rows with an amount, and cents."""

    def __init__(self) -> None:
        self._rows = self._cents = 0

    def add(self, cents: pd.Series) -> None:
        self._rows += int(cents.count())
        self._cents += int(cents.sum()) if cents.count() else 0

    def kept(self) -> list[dict[str, Any]]:
        if not self._rows:
            return []
        return [{"month": None, "currency": DOLLARS, "rows": self._rows, "valueCents": self._cents}]


class MoneySums:
    """What the transactions of a file come to, by month in the creator's time zone and by currency."""

    def __init__(self, zone: str) -> None:
        try:
            self._zone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            self._zone = ZoneInfo("UTC")
        # {(month, currency): rows, gross, fee and net}
        self._sums: Counter[tuple[str, str, str]] = Counter()

    def add(self, *, occurred_at: datetime, currency: str, gross: int, fee: int, net: int) -> None:
        month = f"{occurred_at.astimezone(self._zone):%Y-%m}"
        sums = self._sums
        sums[month, currency, "rows"] += 1
        sums[month, currency, "grossCents"] += gross
        sums[month, currency, "feeCents"] += fee
        sums[month, currency, "netCents"] += net

    def kept(self) -> list[dict[str, Any]]:
        names = ("rows", "grossCents", "feeCents", "netCents")
        keys = sorted({(month, currency) for month, currency, _ in self._sums}, key=_newest_first)
        return [
            {"month": month, "currency": currency, **{name: self._sums[month, currency, name] for name in names}}
            for month, currency in keys
        ]


def _newest_first(key: tuple[str, str]) -> tuple[int, str]:
    month, currency = key
    return -int(month.replace("-", "")), currency


def _letter(at: int) -> str:
    """`A` for the first column, `AA` for the 27th."""
    letters = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def kept_contents(left_out: Sequence[str], sums: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"leftOut": list(left_out), "sums": list(sums)}
