"""The rows of the sheets of an old Excel workbook (.xls, BIFF). Touches the workbook's bytes alone.

The format is not packed, and its sheets have at most 65,536 rows of 256 cells, so a workbook needs no more memory than
its bytes times a constant; OLE files of other programs begin with the same bytes.
"""

from __future__ import annotations

from functools import partial
from typing import IO, TYPE_CHECKING, Any

from django.utils.translation import gettext, gettext_noop

from crm.errors import Unreadable
from onlyfans.csv_cells import moment_text, number_in_format, string_text
from onlyfans.csv_layout import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onlyfans.csv_layout import Record

OLE = b"\xd0\xcf\x11\xe0"
NO_WORKBOOK = gettext_noop(
    "This is a damaged or protected Excel workbook. Save the sheet as .xlsx or CSV without a password and upload that."
)


def is_workbook(start: bytes) -> bool:
    """Whether the file begins as an .xls workbook does."""
    return start.startswith(OLE)


def tables(file: IO[bytes]) -> list[Table]:
    """The visible sheets. Raises Unreadable for a file that is no such workbook."""
    import xlrd  # type: ignore[import-untyped]

    file.seek(0)
    try:
        # Rows as long as they are: a cell far to the right must not make all others as wide.
        book = xlrd.open_workbook(file_contents=file.read(), ragged_rows=True, formatting_info=True, logfile=_Silent())
        return [Table(sheet.name, partial(_records, sheet, book)) for sheet in book.sheets() if not sheet.visibility]
    except Exception as error:  # of a damaged file the library raises whatever it stumbled over
        raise Unreadable(gettext(NO_WORKBOOK), code="not_csv") from error


class _Silent:
    """What the library would print of a file's oddities."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing is kept."""


def _records(sheet: Any, book: Any) -> Iterator[Record]:
    for row in range(sheet.nrows):
        yield row + 1, [_text(cell, book) for cell in sheet.row(row)]


def _text(cell: Any, book: Any) -> str:
    """What the cell shows, as a CSV file would have it."""
    import xlrd

    if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
        return ""
    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            when = xlrd.xldate_as_datetime(cell.value, book.datemode)
            return moment_text(when.time() if 0 <= cell.value < 1 else when)
        except (xlrd.xldate.XLDateError, OverflowError, ValueError):
            return str(cell.value)
    if cell.ctype == xlrd.XL_CELL_NUMBER:
        number_format = book.format_map.get(book.xf_list[cell.xf_index].format_key)
        return number_in_format(cell.value, number_format.format_str if number_format else "General")
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return str(bool(cell.value)).upper()
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#N/A"))
    return string_text(str(cell.value))
