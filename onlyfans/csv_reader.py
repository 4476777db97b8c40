"""Answers what table a CSV file holds: encoding, delimiter, header, cells, lines. Touches bytes alone."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crm.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

DELIMITERS = ",;\t"
# More columns than any tool exports; a file of delimiters alone must not become a table of a million columns.
COLUMNS_MAX = 200
SNIFF_CHARACTERS = 64_000
BOMS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MAGIC = (
    (b"PK\x03\x04", "This is an Excel workbook or a ZIP archive. Save the sheet as CSV and upload that."),
    (b"\xd0\xcf\x11\xe0", "This is an old Excel workbook. Save the sheet as CSV and upload that."),
    (b"%PDF", "This is a PDF. Export the list as CSV and upload that."),
)
# Vertical tab (Excel's line break within a cell) and SUB (the end of a DOS file) do not make a file binary.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
SEPARATOR_HINT = re.compile(r"sep=([,;\t])\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The rows below the header, without blank ones.

    `cells` has one text column per header (0, 1, …); `lines` has the line on which each row begins, as an
    editor counts. `ragged` has the cells as they were read of each row that has fewer or more of them than the header,
    by position.
    """

    header: list[str]
    cells: pd.DataFrame
    lines: list[int]
    encoding: str
    delimiter: str
    ragged: dict[int, list[str]] = field(default_factory=dict)

    def raw(self, positions: Sequence[int]) -> list[list[str]]:
        """The rows as the file has them."""
        found: list[list[str]] = self.cells.iloc[list(positions)].to_numpy().tolist()
        return [self.ragged.get(position, cells) for position, cells in zip(positions, found, strict=True)]


def sheet_read(content: bytes, *, recognised: Callable[[Sequence[str]], int]) -> Sheet:
    """The table in the file; `recognised` counts the headers that mean something, which decides between delimiters.

    Raises Unreadable, in one sentence, for what is no CSV file with a header and at least one row.
    """
    text, encoding = _decode(content)
    hint = SEPARATOR_HINT.match(text)
    offset = 1 if hint else 0
    if hint:  # Excel's own first line, which says the delimiter and is no row
        text = text[hint.end() :]
    delimiter = hint[1] if hint else _delimiter(text, recognised)
    header, header_position, lines, ragged = _layout(text, delimiter)
    if header_position < 0:
        raise Unreadable("The file is empty.", code="empty")
    if len(header) > COLUMNS_MAX:
        raise Unreadable(f"The file has {len(header)} columns; at most {COLUMNS_MAX} can be read.")
    cells = _cells(text, delimiter, width=len(header), rows=len(lines))
    kept = (cells != "").any(axis=1).to_numpy(copy=True)
    for position, record in ragged.items():
        kept[position] = any(cell.strip() for cell in record)
    kept[: header_position + 1] = False
    positions = kept.nonzero()[0].tolist()
    if not positions:
        raise Unreadable("The file has a header but no rows.", code="no_rows")
    return Sheet(
        header=header,
        cells=cells[kept].reset_index(drop=True),
        lines=[lines[position] + offset for position in positions],
        encoding=encoding,
        delimiter=delimiter,
        ragged={new: ragged[old] for new, old in enumerate(positions) if old in ragged},
    )


def _decode(content: bytes) -> tuple[str, str]:
    if not content.strip():
        raise Unreadable("The file is empty.", code="empty")
    for magic, sentence in MAGIC:
        if content.startswith(magic):
            raise Unreadable(sentence, code="not_csv")
    for encoding in _encodings(content):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a")
        if "\x00" in text or len(CONTROL.findall(text[:SNIFF_CHARACTERS])) * 100 > len(text[:SNIFF_CHARACTERS]):
            raise Unreadable("This is no text file. Export the list as CSV and upload that.", code="not_csv")
        if not text.strip():
            raise Unreadable("The file is empty.", code="empty")
        return text, encoding
    if b"\x00" in content:
        raise Unreadable("This is no text file. Export the list as CSV and upload that.", code="not_csv")
    raise Unreadable("The file is written in an unknown encoding. Save it as CSV in UTF-8.", code="unknown_encoding")


def _encodings(content: bytes) -> tuple[str, ...]:
    for bom, encoding in BOMS:
        if content.startswith(bom):
            return (encoding,)
    # Latin text in UTF-16 without its mark has a NUL in nearly every second byte; no other text has any.
    head = content[:2_000]
    if head[1::2].count(0) * 3 > len(head):
        return ("utf-16-le",)
    if head[0::2].count(0) * 3 > len(head):
        return ("utf-16-be",)
    return ("utf-8", "cp1252")


def _delimiter(text: str, recognised: Callable[[Sequence[str]], int]) -> str:
    """The one under which most headers mean something, then the one that makes most columns."""
    head = text[:SNIFF_CHARACTERS].lstrip("\n")

    def score(delimiter: str) -> tuple[int, int]:
        try:
            header = next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), [])
        except csv.Error:
            return (0, 0)
        return (recognised(header), len(header))

    return max(DELIMITERS, key=score)


def _layout(text: str, delimiter: str) -> tuple[list[str], int, list[int], dict[int, list[str]]]:
    """The header and its position (-1 for none), the line of each record, and the records of another width.

    pandas drops the surplus of a long row and fills up a short one, both without a word; the csv module, which splits
    by the same rules, tells them apart and knows the lines.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    header_position = -1
    lines: list[int] = []
    ragged: dict[int, list[str]] = {}
    line = 1
    try:
        for position, record in enumerate(reader):
            lines.append(line)
            line = reader.line_num + 1
            if header_position < 0:
                if any(cell.strip() for cell in record):
                    header, header_position = [cell.strip() for cell in record], position
            elif len(record) != len(header) and not _only_empty_surplus(record, len(header)):
                ragged[position] = record
    except csv.Error as error:
        raise Unreadable(
            f"The cell that begins near line {line} is longer than {csv.field_size_limit():,} characters; "
            "a quotation mark may not be closed.",
            code="cell_too_long",
        ) from error
    return header, header_position, lines, ragged


def _only_empty_surplus(record: list[str], width: int) -> bool:
    """Excel fills rows up with empty cells; nothing is lost with them."""
    return len(record) > width and not any(cell.strip() for cell in record[width:])


def _cells(text: str, delimiter: str, *, width: int, rows: int) -> pd.DataFrame:
    import pandas as pd  # two seconds to import, so only where a file is read

    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=delimiter,
            header=None,
            names=list(range(width)),
            usecols=list(range(width)),  # with it, a row with too many cells is no error of the whole file
            index_col=False,
            dtype="str",
            na_filter=False,  # "NA" and "null" are somebody's handle
            skip_blank_lines=False,  # blank lines count when lines are counted
        )
    except pd.errors.ParserError as error:
        raise Unreadable(
            "A quotation mark in the file is opened and never closed, so its rows cannot be told apart.",
            code="quote_not_closed",
        ) from error
    if len(frame) != rows:
        raise Unreadable(
            "The rows of the file cannot be told apart: its quotation marks do not match.", code="quote_not_closed"
        )
    stripped: pd.DataFrame = frame.apply(lambda column: column.str.strip())
    return stripped
