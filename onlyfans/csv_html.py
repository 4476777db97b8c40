"""The tables of an HTML page, which many tools name .xls, and of Excel's XML of 2003. Touches their text alone.

Nothing outside the text is ever fetched: HTML has no entities of its own, and XML that declares some is refused.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.parsers import expat

from django.utils.translation import gettext, gettext_noop

from crm.errors import Unreadable
from onlyfans import csv_cells
from onlyfans.csv_layout import CELLS_ALL_MAX, COLUMNS_MAX, HEAD_ROWS, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onlyfans.csv_layout import Record

    Blocks = Callable[[], Iterator[str]]

# Tables of a page, as sheets of a workbook; a page may use many more for its looks.
TABLES_MAX = 20
# What one row and one cell may be made of, so that no file holds more of it in memory.
CELLS_MAX, CELL_MAX_CHARACTERS = 20 * COLUMNS_MAX, 100_000
PIECE_CHARACTERS = 1_000_000
NO_TABLE = gettext_noop("This page has no table. Export the list as CSV and upload that.")
XML_WRONG = gettext_noop("This is XML that cannot be read as a table. Save it as .xlsx or CSV and upload that.")
TOO_MUCH = gettext_noop("A row or a cell of the table is longer than can be read. Save it as CSV and upload that.")
_HTML = re.compile(
    r"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|meta|body|style|div|center|table|title)\b", re.I | re.S
)
_XML = re.compile(r"\s*<\?xml\b(?=.*urn:schemas-microsoft-com:office:spreadsheet)", re.I | re.S)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]+)", re.I)
_BLANKS = re.compile(r"[ \t\n\r\f]+")
_BLOCKS = frozenset({"p", "div", "li", "tr"})
# What the format calls by a name, as far as it says more than the number.
_NAMED_FORMATS = {"Percent": "0%", "Euro Currency": "[$€-2] 0.00", "Currency": '"$"0.00'}
_SPREADSHEET = "urn:schemas-microsoft-com:office:spreadsheet"


def is_html(head: str) -> bool:
    return _HTML.match(head) is not None


def is_workbook_xml(head: str) -> bool:
    """Whether this is the XML that Excel called "XML Spreadsheet 2003"."""
    return _XML.match(head) is not None


def charset(start: bytes) -> str | None:
    """The encoding that the page says it is in."""
    found = _CHARSET.search(start)
    return found[1].decode() if found else None


def html_tables(blocks: Blocks) -> list[Table]:
    """The tables of a page, in its order; each is read anew from the text. Raises Unreadable where there is none."""
    heads = _heads(_html_rows(blocks()))
    if not heads:
        raise Unreadable(gettext(NO_TABLE), code="not_csv")
    return [_table(f"Table {number}", number, blocks, _html_rows, head) for number, head in heads.items()]


def workbook_xml_tables(blocks: Blocks) -> list[Table]:
    """The sheets of a workbook in XML. Raises Unreadable for XML that is damaged or declares entities."""
    names: dict[int, str] = {}
    heads = _heads(_xml_rows(blocks(), names))
    if not heads:
        raise Unreadable(gettext(XML_WRONG), code="not_csv")
    return [_table(names[number], number, blocks, _xml_rows, head) for number, head in heads.items()]


def _heads(rows: Iterator[tuple[int, Record]]) -> dict[int, list[Record]]:
    """The first rows of each table, gathered on one way through all of them."""
    heads: dict[int, list[Record]] = {}
    for number, record in rows:
        if number > TABLES_MAX:
            break
        head = heads.setdefault(number, [])
        if len(head) < HEAD_ROWS:
            head.append(record)
    return heads


def _table(
    name: str,
    number: int,
    blocks: Blocks,
    rows: Callable[[Iterator[str]], Iterator[tuple[int, Record]]],
    head: list[Record],
) -> Table:
    def records() -> Iterator[Record]:
        for at, record in rows(blocks()):
            if at > number:
                return
            if at == number:
                yield record

    return Table(name, records, head=head)


class _Page(HTMLParser):
    """Collects the rows of a page's tables. A table within a cell belongs to the cell's text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[tuple[int, Record]] = []
        self._table = self._line = self._depth = 0
        self._hidden = ""
        self._row: list[str] | None = None
        self._cell: list[str] | None = None
        self._span = 1
        self._size = self._made_cells = 0
        # {column: (rows that the cell goes on for, its text)}, of cells with a rowspan.
        self._down: dict[int, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._hidden:
            return
        if tag in ("script", "style", "template", "noscript"):
            self._hidden = tag
        elif tag == "table":
            self._depth += 1
            if self._depth == 1:
                self._table, self._line, self._down = self._table + 1, 0, {}
        elif self._depth != 1:
            return
        elif tag == "tr":
            self._end_row()
            self._row = []
        elif tag in ("td", "th"):
            self._end_cell()
            if self._row is None:
                self._row = []
            said = dict(attrs)
            self._skip_down()
            self._cell, self._size = [], 0
            self._span = _number(said.get("colspan"))
            if (rows := _number(said.get("rowspan"), most=1_000)) > 1:
                for at in range(len(self._row), min(len(self._row) + self._span, CELLS_MAX)):
                    self._down[at] = rows
        elif tag == "br" and self._cell is not None:
            self._cell.append("\x01")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            self._hidden = "" if tag == self._hidden else self._hidden
        elif tag == "table":
            if self._depth == 1:
                self._end_row()
            self._depth = max(0, self._depth - 1)
        elif self._depth != 1:
            return
        elif tag == "tr":
            self._end_row()
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in _BLOCKS and self._cell:
            self._cell.append("\x01")

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._hidden:
            self._size += len(data)
            if self._size > CELL_MAX_CHARACTERS:
                raise Unreadable(gettext(TOO_MUCH), code="cell_too_long")
            self._cell.append(data)

    def finish(self) -> None:
        self.close()
        self._end_row()

    def _skip_down(self) -> None:
        """Leave room for the cells of rows above that go on in this one."""
        row = self._row
        while row is not None and self._down.get(len(row), 0) > 0 and len(row) < CELLS_MAX:
            row.append("")

    def _end_cell(self) -> None:
        if self._cell is None or self._row is None:
            return
        text = _BLANKS.sub(" ", "".join(self._cell)).replace(" \x01", "\x01").replace("\x01 ", "\x01")
        self._row += [text.strip("\x01 ").replace("\x01", "\n"), *[""] * (self._span - 1)]
        self._cell = None
        if len(self._row) > CELLS_MAX:
            raise Unreadable(gettext(TOO_MUCH), code="cell_too_long")

    def _end_row(self) -> None:
        self._end_cell()
        if self._row is None:
            return
        self._skip_down()
        self._line += 1
        self._made_cells += len(self._row)
        if self._made_cells > CELLS_ALL_MAX:
            raise Unreadable(gettext(TOO_MUCH), code="cell_too_long")
        self.rows.append((self._table, (self._line, self._row)))
        self._row = None
        # A row uses up one of those that a cell goes on for.
        self._down = {at: left - 1 for at, left in self._down.items() if left > 1}


def _number(text: str | None, *, most: int = COLUMNS_MAX) -> int:
    return min(max(int(text), 1), most) if text and text.isdigit() and len(text) < 10 else 1


def _html_rows(blocks: Iterator[str]) -> Iterator[tuple[int, Record]]:
    """`(number of the table, (row, cells))`, from 1."""
    page = _Page()
    for block in blocks:
        # A page may be one line; its rows must not be in memory all at once.
        for begin in range(0, len(block), PIECE_CHARACTERS):
            page.feed(block[begin : begin + PIECE_CHARACTERS])
            yield from page.rows
            page.rows = []
    page.finish()
    yield from page.rows


class _Sheets:
    """Collects the rows of a workbook in XML."""

    def __init__(self, names: dict[int, str]) -> None:
        self.rows: list[tuple[int, Record]] = []
        self._names = names
        self._sheet = self._line = self._at = self._size = 0
        self._row: list[str] | None = None
        self._text: list[str] | None = None
        self._kind = self._style = self._cell_format = ""
        # {style: number format}
        self._formats: dict[str, str] = {}
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._begins
        self._parser.EndElementHandler = self._ends
        self._parser.CharacterDataHandler = self._says
        self._parser.EntityDeclHandler = self._declares

    def feed(self, text: str, *, last: bool = False) -> None:
        try:
            self._parser.Parse(text, last)
        except expat.ExpatError as error:
            raise Unreadable(gettext(XML_WRONG), code="not_csv") from error

    def _declares(self, *_: object) -> None:
        raise Unreadable(gettext(XML_WRONG), code="not_csv")

    def _begins(self, name: str, attributes: dict[str, str]) -> None:
        space, _, tag = name.rpartition(" ")
        if space != _SPREADSHEET:
            return
        if tag == "Style":
            self._style = attributes.get(f"{_SPREADSHEET} ID", "")
        elif tag == "NumberFormat":
            self._formats[self._style] = attributes.get(f"{_SPREADSHEET} Format", "")
        elif tag == "Worksheet":
            self._sheet += 1
            self._line = 0
            self._names[self._sheet] = attributes.get(f"{_SPREADSHEET} Name", f"Sheet {self._sheet}")[:100]
        elif tag == "Row":
            given = _number(attributes.get(f"{_SPREADSHEET} Index"), most=1 << 20)
            self._line = max(self._line + 1, given)
            self._row, self._at = [], 0
        elif tag == "Cell" and self._row is not None:
            given = _number(attributes.get(f"{_SPREADSHEET} Index"), most=CELLS_MAX)
            self._row += [""] * (given - 1 - len(self._row))
            self._row.append("")
            self._cell_format = self._formats.get(attributes.get(f"{_SPREADSHEET} StyleID", ""), "")
            if len(self._row) > CELLS_MAX:
                raise Unreadable(gettext(TOO_MUCH), code="cell_too_long")
            self._at = _number(attributes.get(f"{_SPREADSHEET} MergeAcross")) if "MergeAcross" in str(attributes) else 0
        elif tag == "Data":
            self._text, self._size = [], 0
            self._kind = attributes.get(f"{_SPREADSHEET} Type", "")

    def _ends(self, name: str) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "Data" and self._row and self._text is not None:
            text = "".join(self._text)
            self._row[-1] = _data(text, self._kind, self._cell_format)
            self._text = None
        elif tag == "Cell" and self._row is not None:
            self._row += [""] * self._at
        elif tag == "Row" and self._row is not None:
            self.rows.append((self._sheet, (self._line, self._row)))
            self._row = None

    def _says(self, text: str) -> None:
        if self._text is not None:
            self._size += len(text)
            if self._size > CELL_MAX_CHARACTERS:
                raise Unreadable(gettext(TOO_MUCH), code="cell_too_long")
            self._text.append(text)


def _data(text: str, kind: str, code: str) -> str:
    """A cell's text as a CSV file would have it, with what its number format adds."""
    if kind == "DateTime":
        # `2026-11-02T10:00:05.000`, without what says nothing.
        return text.replace("T", " ").partition(".")[0].removesuffix(" 00:00:00")
    if kind == "Number":
        try:
            return csv_cells.number_in_format(float(text), _NAMED_FORMATS.get(code, code))
        except (ValueError, OverflowError):
            return text
    return text


def _xml_rows(blocks: Iterator[str], names: dict[int, str] | None = None) -> Iterator[tuple[int, Record]]:
    sheets = _Sheets({} if names is None else names)
    for block in blocks:
        for begin in range(0, len(block), PIECE_CHARACTERS):
            sheets.feed(block[begin : begin + PIECE_CHARACTERS])
            yield from sheets.rows
            sheets.rows = []
    sheets.feed("", last=True)
    yield from sheets.rows
