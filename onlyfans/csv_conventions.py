"""Answers how a file writes dates and amounts, from its own values. Touches nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crm.stored_words import kept_sentence
from onlyfans import csv_columns
from onlyfans import csv_values as values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

THOUSANDS = kept_sentence("Amounts such as 1%(thousands)s234 were read as one thousand two hundred and thirty-four.")
MIXED = kept_sentence("Some dates have the day first and some the month; they were read as %(order)s.")
LIKE_ANOTHER = kept_sentence("Dates such as 3/4/2026 were read as %(order)s, like the dates of another column.")
AS_BEFORE = kept_sentence("Dates such as 3/4/2026 were read as %(order)s, as in the last import of the same columns.")
AS_USUAL = kept_sentence("Dates such as 3/4/2026 were read as %(order)s, as is usual in the language of the headers.")
DAY_MONTH, MONTH_DAY = values.DAY_MONTH, values.MONTH_DAY
# Languages whose countries write the day first and the decimals behind a comma.
DAY_FIRST_LANGUAGES = COMMA_LANGUAGES = frozenset({"fr", "es", "de"})
# A date of numbers, whatever time of the day follows it.
NUMBERS_BEGIN = r"(?s)^([0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{4})(?:[T, ].*)?$"


@dataclass(frozen=True, slots=True)
class Convention:
    """What was decided; the notice says so where the values alone did not settle it.

    `mixed`: some of the dates are of the other order. `half_converted`: a spreadsheet seems to have read the day as the
    month where it could, and to have left the rest as text; then the choice is the order of that text.
    """

    choice: str
    notice: str = ""
    mixed: bool = False
    half_converted: bool = False


@dataclass(slots=True)
class _Orders:
    """How many dates of numbers are unclear, have a first number over 12, have a second one over 12."""

    unclear: int = 0
    first: int = 0
    second: int = 0

    def add(self, series: pd.Series) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = pa.array(series, pa.string())
        dates = cells.filter(pc.match_substring_regex(cells, NUMBERS_BEGIN))
        for text in pc.unique(pc.replace_substring_regex(dates, NUMBERS_BEGIN, r"\1")).to_pylist():
            a, b = (int(part) for part in re.split(r"[/.-]", text)[:2])
            self.first += a > 12 >= b
            self.second += b > 12 >= a
            self.unclear += a <= 12 and b <= 12 and a != b


def date_order(
    column: Callable[[], Iterable[pd.Series]],
    *,
    others: Callable[[], Iterable[pd.Series]],
    language: str,
    before: str | None = None,
) -> Convention | None:
    """Whether 3/4/2026 has the day first: by the column's own dates, the file's others, `before`, or its language.

    None where nothing settles it. What `column` and `others` answer comes in pieces; they are asked only if needed.
    """
    own = _Orders()
    for piece in column():
        own.add(piece)
    if own.first and own.second and own.first != own.second:
        order = DAY_MONTH if own.first > own.second else MONTH_DAY
        return Convention(order, MIXED % {"order": order}, mixed=True)
    if bool(own.first) != bool(own.second):
        half = not own.unclear and _all_could_be_exchanged(column())
        return Convention(DAY_MONTH if own.first else MONTH_DAY, half_converted=half)
    if not own.unclear and not own.first:
        return Convention(MONTH_DAY)  # there is no such date, so either will do
    beside = _Orders()
    for piece in others():
        beside.add(piece)
    if bool(beside.first) != bool(beside.second):
        order = DAY_MONTH if beside.first else MONTH_DAY
        return Convention(order, LIKE_ANOTHER % {"order": order})
    if before is not None:
        return Convention(before, AS_BEFORE % {"order": before})
    if language in DAY_FIRST_LANGUAGES:
        return Convention(DAY_MONTH, AS_USUAL % {"order": DAY_MONTH})
    return None


def _all_could_be_exchanged(column: Iterable[pd.Series]) -> bool:
    """Whether there are dates with the year first, and in none of them the day is over 12.

    That is what a spreadsheet leaves that took 02/11/2026 for a day of February and could not read 13/11/2026.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = False
    for piece in column:
        cells = pa.array(piece, pa.string())
        dates = cells.filter(pc.match_substring_regex(cells, r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]"))
        days = pc.utf8_slice_codeunits(dates, 8, 10)
        for day in pc.unique(days).to_pylist():
            found = True
            if int(day) > 12:
                return False
    return found


def long_rounded(column: Iterable[pd.Series]) -> bool:
    """Whether the column has numbers of over 15 digits and all of them end in zeros, as a spreadsheet leaves them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = False
    for piece in column:
        cells = pa.array(piece, pa.string())
        long = cells.filter(pc.match_substring_regex(cells, "^[1-9][0-9]{15,}$"))
        if len(long):
            found = True
            if not pc.all(pc.match_substring_regex(long, "^[0-9]{15}0+$")).as_py():
                return False
    return found


def decimal_mark(column: Iterable[pd.Series], *, language: str) -> Convention:
    """The file's decimal mark by its clear amounts, else by the headers' language."""
    dots = commas = 0
    unclear: set[str] = set()
    for piece in column:
        by_dot, by_comma, rest = csv_columns.amounts_sort(piece)
        dots += by_dot
        commas += by_comma
        for text in rest:
            try:
                digits = values.amount(values.unescape(text))[1]
            except values.WrongError:
                continue
            if values.AMBIGUOUS.fullmatch(digits):
                unclear.update(digits[-4])
            elif not digits.isdigit():
                dots += bool(values.DOT_DECIMAL.fullmatch(digits))
                commas += bool(values.COMMA_DECIMAL.fullmatch(digits))
    usual = "," if language in COMMA_LANGUAGES else "."
    mark = usual if dots == commas else ("." if dots > commas else ",")
    if not dots and not commas and len(unclear) == 1:
        # No amount of money has three decimals, so these are thousands.
        mark = "," if unclear == {"."} else "."
    if not unclear or (dots == 0) != (commas == 0):
        return Convention(mark)
    thousands = "," if mark == "." else "."
    return Convention(mark, THOUSANDS % {"thousands": thousands})
