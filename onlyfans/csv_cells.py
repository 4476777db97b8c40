"""The text of one cell of a workbook, as a CSV file would have it: with what the cell's number format adds.

A cell is more than its value: 12.5 is twelve euros and a half under `#,##0.00 [$€-407]`, and 0.2 a fifth under `0%`.
Touches nothing.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any

from onlyfans.csv_currencies import currency_of_format, currency_word

# A number cell is a double, which has 15 certain digits: what is longer was rounded when it was stored.
ROUNDED_FROM = 10**15
# Built-in formats that mean a date or a time in East Asia and Thailand, and whose text a file may leave out
# (ECMA-376 part 1, 18.8.30); a library that knows the European ones alone reads 46328.
EAST_ASIAN_DATES = frozenset((*range(27, 37), *range(50, 59), *range(71, 82)))
PERCENTAGES = frozenset((9, 10, 67, 68))
# `_x000D_` is how a workbook writes what XML cannot hold (ECMA-376 part 1, 22.9.2.19, ST_Xstring).
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
# What a format shows as it stands: a text in quotation marks, a character behind a backslash, a sign with its place.
PART = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)(?:-([0-9A-Fa-f]+)[^\]]*)?\]|\[[^\]]*\]|[_*].|([^"\\\[_*])', re.DOTALL)


def cell_text(cell: Any) -> str:
    """The text of a cell of openpyxl."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return value if cell.data_type == "e" else string_text(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number_text(cell, value)
    return moment_text(value)


def string_text(text: str) -> str:
    if "_x" in text:
        text = ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def moment_text(value: object) -> str:
    """A date, a time, or both as ISO 8601 has them, a duration in hours."""
    if isinstance(value, datetime):
        # A serial number is a double: 10:00:05 may be stored as 10:00:04.9999997.
        value = (value + timedelta(milliseconds=500)).replace(microsecond=0)
        return value.isoformat(sep=" ", timespec="seconds").removesuffix(" 00:00:00")
    if isinstance(value, time):
        whole = datetime.combine(date(2000, 1, 1), value) + timedelta(milliseconds=500)
        return whole.time().isoformat(timespec="seconds")
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return value.isoformat() if isinstance(value, date) else str(value)


def number_text(value: float) -> str:
    """Fifteen digits, which are what a spreadsheet shows: the sixteenth is where 0.1 + 0.2 differs from 0.3.

    A longer number has an exponent, as one that a spreadsheet rounded has in a CSV file, whatever digits the file has.
    """
    if abs(value) >= ROUNDED_FROM:
        mantissa, _, exponent = f"{float(value):.16e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}E{int(exponent):+03}"
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def _number_text(cell: Any, value: float) -> str:
    style: int = cell._style_id  # noqa: SLF001  the way to a format without making an object of it for each cell
    if not style:
        return number_text(value)
    book = cell.parent.parent
    format_id: int = book._cell_styles[style].numFmtId  # noqa: SLF001
    if format_id == 0:
        return number_text(value)
    if format_id in EAST_ASIAN_DATES:
        return _serial_text(value, book.epoch)
    if format_id in PERCENTAGES:
        return f"{number_text(value * 100)}%"
    return number_in_format(value, cell.number_format)


def number_in_format(value: float, code: str) -> str:
    """A number with what its format, `#,##0.00 [$€-407]`, puts beside it."""
    sign, percent = format_says(code)
    if percent:
        return f"{number_text(value * 100)}%"
    return f"{sign} {number_text(value)}" if sign else number_text(value)


def _serial_text(value: float, epoch: datetime) -> str:
    from openpyxl.utils.datetime import from_excel

    return moment_text(from_excel(value, epoch))


@cache
def format_says(code: str) -> tuple[str, bool]:
    """The currency that a number format puts beside its number, empty for none, and whether it is a percentage."""
    literal, sign, percent = "", "", False
    for found in PART.finditer(code):
        quoted, escaped, bracket, place, plain = found.groups()
        if plain == ";":
            break
        if bracket is not None:
            sign = sign or currency_of_format(bracket.strip(), place or "")
        literal += quoted or escaped or (plain if plain and plain not in "#0?.,%" else "") or ""
        percent = percent or plain == "%"
    if not sign:
        words = re.findall(r"[^\s\d()+\-.,;:/]+\.?", literal)
        sign = next((word for word in words if currency_word(word)), "")
    return sign, percent
