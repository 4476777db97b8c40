"""The rows of the tables of an OpenDocument spreadsheet (.ods), in bounded memory. Touches the file's bytes alone.

Rows and cells that repeat are written once, with how often; what is empty is counted and never made.
"""

from __future__ import annotations

import zipfile
from functools import partial
from typing import IO, TYPE_CHECKING
from xml.parsers import expat

from django.utils.translation import gettext, gettext_noop

from crm.errors import Unreadable
from onlyfans import csv_cells
from onlyfans.csv_layout import CELLS_ALL_MAX, HEAD_ROWS, SHEET_ROWS, Table
from onlyfans.csv_workbook import BLOCK_BYTES, TOO_MANY_PIECES, UNPACKED_MAX_BYTES, UNPACKS_TOO_LARGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onlyfans.csv_layout import Record

MIMETYPE = b"application/vnd.oasis.opendocument.spreadsheet"
# What one row may be made of.
CELLS_MAX, CELL_MAX_CHARACTERS = 4_000, 100_000
TABLES_MAX = 100
DAMAGED = gettext_noop(
    "This is a damaged or protected spreadsheet. Save the sheet as .xlsx or CSV without a password and upload that."
)
_TABLE, _OFFICE, _TEXT = (f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0 " for name in ("table", "office", "text"))


def is_spreadsheet(start: bytes) -> bool:
    """Whether the file begins as an .ods spreadsheet does: with its type, which the format wants first and unpacked."""
    return start.startswith(b"PK\x03\x04") and MIMETYPE in start[:200]


def tables(file: IO[bytes]) -> list[Table]:
    """The tables. Raises Unreadable for a damaged file, or one that unpacks to more than a workbook may."""
    names: dict[int, str] = {}
    heads: dict[int, list[Record]] = {}
    for number, record in _rows(file, names):
        head = heads.setdefault(number, [])
        if number <= TABLES_MAX and len(head) < HEAD_ROWS:
            head.append(record)
    return [Table(names[number], partial(_records, file, number), head=head) for number, head in heads.items() if head]


def _records(file: IO[bytes], number: int) -> Iterator[Record]:
    for at, record in _rows(file, {}):
        if at > number:
            return
        if at == number:
            yield record


def _rows(file: IO[bytes], names: dict[int, str]) -> Iterator[tuple[int, Record]]:
    """`(number of the table, (row, cells))` of the rows that are not empty."""
    document = _Document(names)
    size = 0
    try:
        with zipfile.ZipFile(file) as archive, archive.open("content.xml") as content:
            while block := content.read(BLOCK_BYTES):
                size += len(block)
                if size > UNPACKED_MAX_BYTES:
                    raise Unreadable(
                        gettext(UNPACKS_TOO_LARGE) % {"most": UNPACKED_MAX_BYTES // 1_000_000},
                        code="workbook_too_large",
                    )
                document.feed(block)
                yield from document.rows
                document.rows = []
            document.feed(b"", last=True)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise Unreadable(gettext(DAMAGED), code="not_csv") from error
    except expat.ExpatError as error:
        raise Unreadable(gettext(DAMAGED), code="not_csv") from error
    yield from document.rows


class _Document:
    """Collects the rows of the tables."""

    def __init__(self, names: dict[int, str]) -> None:
        self.rows: list[tuple[int, Record]] = []
        self._names = names
        self._table = self._line = self._repeats = self._cell_repeats = self._size = 0
        # The rows and cells so far, those that repeat as often as they do.
        self._made = self._made_cells = 0
        self._row: list[str] | None = None
        # Empty cells are counted, and made only before one that is not.
        self._blank = 0
        self._cell: list[str] | None = None
        self._value: str | None = None
        self._ignored = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._begins
        self._parser.EndElementHandler = self._ends
        self._parser.CharacterDataHandler = self._says
        self._parser.EntityDeclHandler = self._declares

    def feed(self, block: bytes, *, last: bool = False) -> None:
        self._parser.Parse(block, last)

    def _declares(self, *_: object) -> None:
        raise Unreadable(gettext(DAMAGED), code="not_csv")

    def _begins(self, name: str, attributes: dict[str, str]) -> None:
        if name == f"{_TABLE}table":
            self._table, self._line = self._table + 1, 0
            self._names[self._table] = attributes.get(f"{_TABLE}name", f"Table {self._table}")[:100]
        elif name == f"{_TABLE}table-row":
            self._row, self._blank = [], 0
            self._repeats = _times(attributes.get(f"{_TABLE}number-rows-repeated"))
        elif name in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
            self._cell, self._size = [], 0
            self._cell_repeats = _times(attributes.get(f"{_TABLE}number-columns-repeated"))
            self._value = _value(attributes)
        elif name == f"{_OFFICE}annotation":
            self._ignored += 1
        elif name == f"{_TEXT}p" and self._cell and not self._ignored:
            self._cell.append("\n")
        elif name in (f"{_TEXT}s", f"{_TEXT}tab") and self._cell is not None:
            self._cell.append(" ")
        elif name == f"{_TEXT}line-break" and self._cell is not None:
            self._cell.append("\n")

    def _ends(self, name: str) -> None:
        if name == f"{_OFFICE}annotation":
            self._ignored -= 1
        elif name in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell") and self._cell is not None:
            text = "".join(self._cell) if self._value is None else self._value
            self._add(text)
            self._cell = None
        elif name == f"{_TABLE}table-row" and self._row is not None:
            if any(self._row):
                self._made += self._repeats
                self._made_cells += self._repeats * len(self._row)
                if self._made > SHEET_ROWS or self._made_cells > CELLS_ALL_MAX:
                    raise Unreadable(gettext(TOO_MANY_PIECES), code="workbook_too_large")
                for repeat in range(self._repeats):
                    self.rows.append((self._table, (self._line + repeat + 1, self._row)))
            self._line += self._repeats
            self._row = None

    def _add(self, text: str) -> None:
        if self._row is None:
            return
        if not text:
            self._blank += self._cell_repeats
            return
        if len(self._row) + self._blank + self._cell_repeats > CELLS_MAX:
            raise Unreadable(gettext(TOO_MANY_PIECES), code="workbook_too_large")
        self._row += [""] * self._blank + [text] * self._cell_repeats
        self._blank = 0

    def _says(self, text: str) -> None:
        if self._cell is not None and not self._ignored:
            self._size += len(text)
            if self._size > CELL_MAX_CHARACTERS:
                raise Unreadable(gettext(TOO_MANY_PIECES), code="workbook_too_large")
            self._cell.append(text)


def _value(attributes: dict[str, str]) -> str | None:
    """What a cell holds that is no text: its exact value, not the rounded one that it shows."""
    kind = attributes.get(f"{_OFFICE}value-type", "")
    value = attributes.get(f"{_OFFICE}value", "")
    if kind in ("currency", "float", "percentage"):
        try:
            number = float(value)
        except ValueError:
            return None
        if kind == "percentage":
            return f"{csv_cells.number_text(number * 100)}%"
        return f"{csv_cells.number_text(number)} {attributes.get(f'{_OFFICE}currency', '')}".strip()
    if kind == "date":
        when = attributes.get(f"{_OFFICE}date-value", "").replace("T", " ")
        return when.partition(".")[0].removesuffix(" 00:00:00")
    # A time and a truth are read as they are shown.
    return None


def _times(text: str | None) -> int:
    return max(int(text), 1) if text and text.isascii() and text.isdigit() and len(text) < 10 else 1
