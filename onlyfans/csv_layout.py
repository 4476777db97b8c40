"""Where the table lies in a file: its sheet, its header, the lines above it. Touches nothing.

Rows are numbered as a spreadsheet numbers them: from 1, the blank ones and those above the header included.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from django.utils.translation import gettext

from crm.errors import FieldError, InvalidInput, Unreadable
from crm.stored_words import kept_sentence, said
from onlyfans.csv_headers import header_clean, header_key, headers_told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Recognised = Callable[[Sequence[str]], int]
    Record = tuple[int, list[str]]

# More columns than any tool exports; a file of delimiters alone must not become a table of a million columns.
COLUMNS_MAX = 200
# How many rows are looked at for the header.
HEAD_ROWS = 40
# The value of `sheet` that means every sheet with the same columns.
ALL_SHEETS = "*"
# No sheet of a workbook has more rows, so a row of the second one is numbered from here on within an import.
SHEET_ROWS = 1 << 20
# All cells of a page or a spreadsheet whose cells and rows can repeat without being written again.
CELLS_ALL_MAX = 20_000_000
_MARKS = ",;\t|"

TOO_WIDE = kept_sentence("The file has %(number)s columns; at most %(most)s can be read.")
ABOVE_ONE = kept_sentence("Row %(first)s stands above the header and was left out.")
ABOVE = kept_sentence("Rows %(first)s to %(last)s stand above the header and were left out.")
NO_HEADER = kept_sentence("The file has no header; its columns are called %(names)s.")
READ_TOGETHER = kept_sentence("Sheets with the same columns were read together: %(names)s.")
SHEETS_LEFT_OUT = kept_sentence("Sheets that were not read: %(names)s.")
NEVER_COMPUTED = kept_sentence(
    "Formulas in the column %(name)s that were never computed: %(number)s, first row %(row)s. They count as empty; "
    "open the file in a spreadsheet, save it and upload it again."
)
ALL_ZERO = kept_sentence(
    "Every formula in the column %(name)s has the value 0. If it shows something else in a spreadsheet, save the file "
    "there and upload it again."
)
HEADER_NEEDED = kept_sentence(
    "The file has no header. Say which column is what (mapping), or in which row the header is (headerRow); the "
    "columns are: %(names)s."
)
SHEET_UNKNOWN = kept_sentence("The file has no sheet %(name)s; there are %(names)s.")
HEADER_ROW_EMPTY = kept_sentence("Row %(row)s has no header: it is empty, or behind the first %(most)s rows.")

# What a header never is and the cell of a fan or a payment often is.
_DATA = re.compile(
    r"(?:[-+(]?(?:us|ca|a)?[$€£]?\s?\d[\d\s.,'’\u00a0\u202f]*(?:[$€£%)]|usd|eur|gbp)?"  # a number, an amount
    r"|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[t ,].*)?"  # a date
    r"|[^\s@]+@[^\s@]+\.[a-z]{2,}"  # an address
    r"|(?:https?://|@)\S+)",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a person says that the file is to be read; None leaves it to the file.

    `header_row` is the header's row, 0 for a file without one. `sheet` is a sheet's name, or ALL_SHEETS.
    """

    sheet: str | None = None
    header_row: int | None = None
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """How a file was read. `sheets` are those that hold a table, `read` those that were read; of a text file neither.

    `encoding_certain` is false where another encoding of `encodings`, those to choose from, fits as well.
    """

    header_row: int
    encoding: str = ""
    encoding_certain: bool = True
    encodings: tuple[str, ...] = ()
    delimiter: str = ""
    sheets: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Formulas:
    """Those of one column: how many, how many without a value, how many with the value 0, and the first one's row."""

    count: int
    empty: int
    zero: int
    row: int


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet of a workbook, or a table of a page: `records` goes through its rows from the first one each time.

    `head` are its first rows, where they are known already.
    """

    name: str
    records: Callable[[], Iterator[Record]]
    formulas: Mapping[int, Formulas] = field(default_factory=dict)
    head: Sequence[Record] = ()

    def first_rows(self) -> Sequence[Record]:
        """As many as a header is looked for in."""
        return self.head or head_of(self.records())


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns and the row where they stand (0: they are made up); `above` are the rows left out."""

    names: list[str]
    row: int
    above: tuple[int, ...] = ()
    known: int = 0

    def notices(self) -> Iterator[str]:
        if len(self.above) == 1:
            yield ABOVE_ONE % {"first": self.above[0]}
        elif self.above:
            yield ABOVE % {"first": self.above[0], "last": self.above[-1]}
        if self.row == 0:
            yield NO_HEADER % {"names": headers_told(self.names)}


def row_in_sheet(line: int, sheets: int) -> tuple[int, int]:
    """The place of the sheet among those that were read, and the row's number in it."""
    if sheets < 2:
        return 0, line
    sheet, row = divmod(line - 1, SHEET_ROWS)
    return sheet, row + 1


def header_find(head: Sequence[Record], *, recognised: Recognised, row: int | None = None) -> Header | None:
    """The header among the first rows of a table; None where all of them are blank.

    It is the row in which most names are known; where none is, the first that is as wide as a table, unless what
    stands there is data. `row` settles it. Raises Unreadable for too many columns, InvalidInput for a row that is none.
    """
    filled = [(line, cells, _width(cells)) for line, cells in head if _width(cells)]
    if row is not None and row > 0:
        at = next((index for index, (line, _, _) in enumerate(filled) if line == row), None)
        if at is None:
            sentence = said(HEADER_ROW_EMPTY, row=row, most=HEAD_ROWS)
            raise InvalidInput(sentence, errors=(FieldError("header_row", "no_header", sentence),))
    elif not filled:
        return None
    elif row == 0:
        at = None
    else:
        at = _header_at(filled, recognised)
    if at is None:
        names = [f"Column {number + 1}" for number in range(_columns(filled))]
        return Header(names=_checked(names), row=0)
    line, cells, _ = filled[at]
    names = [header_clean(cell) for cell in cells]
    if len(names) > COLUMNS_MAX:
        # A border or a colour that goes on behind the last column makes cells without anything in them.
        names = names[: max(_width(names), _columns(filled[at:]))]
    above = tuple(number for number, _, _ in filled[:at])
    return Header(names=_checked(names), row=line, above=above, known=recognised(names))


def _header_at(filled: Sequence[tuple[int, list[str], int]], recognised: Recognised) -> int | None:
    """The place of the header among these rows; None where there is none."""
    known = [recognised([header_clean(cell) for cell in cells]) for _, cells, _ in filled]
    best = max(known)
    at = known.index(best)
    if best > 1 or (best and _is_set_off(filled, at)):
        return at
    usual, _ = Counter(width for _, _, width in filled).most_common(1)[0]
    at = next(index for index, (_, _, width) in enumerate(filled) if 2 * width > usual)
    return None if any(_DATA.fullmatch(cell.strip()) for cell in filled[at][1]) else at


def _is_set_off(filled: Sequence[tuple[int, list[str], int]], at: int) -> bool:
    """Whether a row stands out from those above it, so that one known name in it is no cell that happens to say so."""
    line, _, width = filled[at]
    return at == 0 or filled[at - 1][0] < line - 1 or all(above < width for _, _, above in filled[:at])


def _checked(names: list[str]) -> list[str]:
    if len(names) > COLUMNS_MAX:
        raise Unreadable(said(TOO_WIDE, number=len(names), most=COLUMNS_MAX))
    return names


def _width(cells: Sequence[str]) -> int:
    """How many cells there are up to the last one with something in it."""
    return next((at for at in range(len(cells), 0, -1) if cells[at - 1].strip()), 0)


def _columns(filled: Sequence[tuple[int, list[str], int]]) -> int:
    return max(width for _, _, width in filled)


def header_needed(found: Found, header: Sequence[str]) -> None:
    """Raise Unreadable for a file without a header, of whose columns nothing is said."""
    if found.header_row == 0:
        sentence = said(HEADER_NEEDED, names=headers_told(header))
        raise Unreadable(sentence, code="no_header", errors=(FieldError("mapping", "required", sentence),))


def head_of(records: Iterable[Record]) -> list[Record]:
    """The first rows, as many as a header is looked for in."""
    return list(islice(records, HEAD_ROWS))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The tables that are read, each with its header, and what a person should know of it."""

    tables: list[tuple[Table, Header]]
    header: list[str]
    found: Found
    notices: list[str]

    def records(self) -> Iterator[Record]:
        """The rows below the headers; those of the second table are numbered from SHEET_ROWS + 1 on."""
        for index, (table, header) in enumerate(self.tables):
            for line, cells in table.records():
                if line > header.row:
                    yield index * SHEET_ROWS + line, cells


def packed_with(head: Sequence[Record], recognised: Recognised) -> str | None:
    """The delimiter within the first cells, where whole lines of a text file stand in one cell each; None elsewhere.

    A spreadsheet that did not know the delimiter saves such files. Where it split at the decimal comma, the pieces are
    put together again.
    """
    rows = [cells for _, cells in head if _width(cells)]
    known = max((recognised([header_clean(cell) for cell in cells]) for cells in rows), default=0)
    lines = [_joined(cells) for cells in rows]
    best = max(
        ((max(recognised(_split(line, mark)) for line in lines), mark) for mark in _MARKS if lines), default=None
    )
    return best[1] if best is not None and best[0] > max(known, 1) else None


def unpacked(table: Table, delimiter: str) -> Table:
    """The table of the lines that stand in its cells."""

    def records() -> Iterator[Record]:
        for line, cells in table.records():
            yield line, _split(_joined(cells), delimiter)

    return Table(table.name, records)


def _joined(cells: Sequence[str]) -> str:
    return ",".join(cells[: _width(cells)])


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.replace("\n", " ").replace("\r", " ")], delimiter=delimiter), [])
    except csv.Error:  # a cell longer than the module takes
        return [line]


def tables_choose(tables: Sequence[Table], *, recognised: Recognised, asked: Layout) -> Chosen:
    """The tables to read: the one that is asked for, else the one whose header is known best and all of its shape.

    Raises Unreadable where none has anything in it, InvalidInput for a sheet that is not there.
    """
    headers: list[tuple[Table, Header]] = []
    for given in tables:
        packed = packed_with(given.first_rows(), recognised)
        table = unpacked(given, packed) if packed else given
        if asked.sheet in (None, ALL_SHEETS, table.name):
            row = asked.header_row
            head = table.first_rows()
            header = header_find(head, recognised=recognised, row=row) if any(_width(c) for _, c in head) else None
        else:
            header = header_find(table.first_rows(), recognised=recognised)
        if header is not None:
            headers.append((table, header))
    if not headers:
        raise Unreadable(gettext("The file is empty."), code="empty")
    names = tuple(table.name for table, _ in headers)
    if asked.sheet not in (None, ALL_SHEETS, *names):
        sentence = said(SHEET_UNKNOWN, name=repr(asked.sheet)[:100], names=_told(names))
        raise InvalidInput(sentence, errors=(FieldError("sheet", "unknown_sheet", sentence),))
    best = next((each for each in headers if each[0].name == asked.sheet), None)
    if best is None:
        best = max(headers, key=lambda each: each[1].known)
        chosen = [each for each in headers if _shape(each[1]) == _shape(best[1])] if best[1].row else [best]
        chosen = chosen if best in chosen else [best]
    else:
        chosen = [best]
    read = tuple(table.name for table, _ in chosen)
    notices = []
    if len(read) > 1:
        notices.append(READ_TOGETHER % {"names": _told(read)})
    if left := [name for name in names if name not in read]:
        notices.append(SHEETS_LEFT_OUT % {"names": _told(left)})
    for table, header in chosen:
        notices += header.notices()
        notices += _formulas_told(table, header)
    return Chosen(
        tables=chosen,
        header=best[1].names,
        found=Found(
            header_row=best[1].row, sheets=names if len(names) > 1 else (), read=read if len(names) > 1 else ()
        ),
        notices=notices,
    )


def _shape(header: Header) -> list[str]:
    return [header_key(name) or name for name in header.names[: _width(header.names)]]


def _formulas_told(table: Table, header: Header) -> Iterator[str]:
    for at, formulas in sorted(table.formulas.items()):
        name = repr(header.names[at][:100]) if at < len(header.names) else str(at + 1)
        if formulas.empty:
            yield NEVER_COMPUTED % {"name": name, "number": formulas.empty, "row": formulas.row}
        elif formulas.zero == formulas.count:
            yield ALL_ZERO % {"name": name}


def _told(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:12])[:300]
