"""Answers what rows the sheet of an .xlsx workbook has, in bounded memory. Touches the workbook's bytes alone."""

from __future__ import annotations

import warnings
import zipfile
from datetime import date, datetime, time
from typing import IO, TYPE_CHECKING
from xml.parsers import expat

from django.utils.translation import gettext, gettext_noop

from crm.errors import Unreadable
from crm.stored_words import kept_sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ZIP = b"PK\x03\x04"
# Some 600,000 rows of fans. The texts of a workbook are in memory all at once, so this bounds that, too.
UNPACKED_MAX_BYTES = 200_000_000
MEMBERS_MAX = 1_000
# Elements and attributes that the library keeps at a time, of some 100 bytes each: those of one row, or of all that is
# no row. The texts of some 600,000 rows have as many.
PIECES_MAX = 4_000_000
BLOCK_BYTES = 1_000_000
NO_WORKBOOK = gettext_noop(
    "This is a ZIP archive or a damaged Excel workbook. Save the sheet as .xlsx or CSV and upload that."
)
UNPACKS_TOO_LARGE = kept_sentence(
    "The workbook unpacks to more than %(most)s MB. Save the sheet as CSV and upload that."
)
TOO_MANY_PIECES = gettext_noop(
    "The workbook is made of more parts than can be read. Save the sheet as CSV and upload that."
)
# How many rows are looked at for the sheet's header.
HEAD_ROWS = 20


def is_workbook(start: bytes) -> bool:
    """Whether the file begins as an .xlsx workbook does."""
    return start.startswith(ZIP)


def records(file: IO[bytes], *, recognised: Callable[[Sequence[str]], int]) -> Iterator[tuple[int, list[str]]]:
    """Each row of the sheet whose header is known best, with its number. Formulas count as what they last came to.

    Raises Unreadable for what is no workbook or unpacks to more than UNPACKED_MAX_BYTES.
    """
    _check_size(file)
    import openpyxl  # half a second to import

    file.seek(0)
    with warnings.catch_warnings():
        # Of styles and extensions that it leaves out; the cells are all there.
        warnings.simplefilter("ignore")
        try:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
            for sheet in sheets:
                # The size that a sheet claims for itself may be wrong both ways.
                sheet.reset_dimensions()
            best = max(sheets, key=lambda sheet: _known(sheet, recognised), default=None)
            if best is not None:
                for line, cells in enumerate(best.iter_rows(values_only=True), start=1):
                    yield line, [_text(cell) for cell in cells]
        except Unreadable:
            raise
        except Exception as error:  # of a damaged file the library raises whatever it stumbled over
            raise Unreadable(gettext(NO_WORKBOOK), code="not_csv") from error


class _Pieces:
    """Counts what a member of the archive is made of, as far as the library keeps it: of a sheet it forgets each row
    once the next one begins. Whether a member is XML is not in its name."""

    def __init__(self, member: str) -> None:
        self._has_rows = member.startswith("xl/worksheets/")
        self._kept = self._of_row = 0
        self._in_row = False
        self._parser: expat.XMLParserType | None = expat.ParserCreate()
        self._parser.StartElementHandler = self._begins
        self._parser.EndElementHandler = self._ends

    def feed(self, block: bytes) -> None:
        """Raises Unreadable where the library would take more memory than anybody's list of fans does."""
        if self._parser is None:
            return
        try:
            self._parser.Parse(block)
        except expat.ExpatError:  # no XML, or damaged: the library, too, reads no further than this
            self._parser = None

    def _begins(self, name: str, attributes: dict[str, str]) -> None:
        if self._has_rows and name.rpartition(":")[2] == "row" and not self._in_row:
            self._in_row, self._of_row = True, 0
            self._kept += 1
        if self._in_row:
            self._of_row += 1 + len(attributes)
        else:
            self._kept += 1 + len(attributes)
        if max(self._kept, self._of_row) > PIECES_MAX:
            raise Unreadable(gettext(TOO_MANY_PIECES), code="workbook_too_large")

    def _ends(self, name: str) -> None:
        if name.rpartition(":")[2] == "row":
            self._in_row = False


def _check_size(file: IO[bytes]) -> None:
    """Unpack the whole archive once and throw it away: what an archive says about its own size may be a lie."""
    total = 0
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS_MAX or "xl/workbook.xml" not in archive.namelist():
                raise Unreadable(gettext(NO_WORKBOOK), code="not_csv")
            for info in members:
                pieces = _Pieces(info.filename)
                with archive.open(info) as member:
                    while block := member.read(BLOCK_BYTES):
                        pieces.feed(block)
                        total += len(block)
                        if total > UNPACKED_MAX_BYTES:
                            raise Unreadable(
                                gettext(UNPACKS_TOO_LARGE) % {"most": UNPACKED_MAX_BYTES // 1_000_000},
                                code="workbook_too_large",
                            )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise Unreadable(gettext(NO_WORKBOOK), code="not_csv") from error


def _known(sheet: object, recognised: Callable[[Sequence[str]], int]) -> int:
    rows = sheet.iter_rows(max_row=HEAD_ROWS, values_only=True)  # type: ignore[attr-defined]
    header = next((row for row in rows if any(cell is not None for cell in row)), ())
    return recognised([_text(cell) for cell in header])


def _text(cell: object) -> str:
    """What the cell shows, as a CSV file would have it."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        # Fifteen digits are what a spreadsheet shows; the sixteenth is where 0.1 + 0.2 differs from 0.3.
        return f"{cell:.15g}"
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="seconds").removesuffix(" 00:00:00")
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
