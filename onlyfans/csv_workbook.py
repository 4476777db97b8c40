"""The rows of the sheets of an .xlsx workbook, in bounded memory. Touches the workbook's bytes, a temporary file."""

from __future__ import annotations

import re
import tempfile
import warnings
import zipfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Any
from xml.parsers import expat

from django.utils.translation import gettext, gettext_noop

from crm.errors import HuntazeError, Unreadable
from crm.stored_words import kept_sentence
from onlyfans.csv_cells import cell_text
from onlyfans.csv_layout import Formulas, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onlyfans.csv_layout import Record

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
# How the strict variant of the format (ISO/IEC 29500) calls what all others call otherwise.
STRICT = b"http://purl.oclc.org/ooxml/"
STRICT_NAMES = (
    (STRICT + b"spreadsheetml/main", b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"),
    (
        STRICT + b"officeDocument/relationships",
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    ),
    (STRICT + b"drawingml/main", b"http://schemas.openxmlformats.org/drawingml/2006/main"),
)
_PLACE = re.compile(r"([A-Z]{1,3})[0-9]+")


def is_workbook(start: bytes) -> bool:
    """Whether the file begins as an .xlsx workbook does."""
    return start.startswith(ZIP)


@contextmanager
def tables(file: IO[bytes]) -> Iterator[list[Table]]:
    """The visible sheets of a workbook. Formulas count as what they last came to.

    Raises Unreadable for what is no workbook or unpacks to more than UNPACKED_MAX_BYTES; so does going through rows.
    """
    formulas = _check(file)
    import openpyxl  # half a second to import

    with ExitStack() as stack, warnings.catch_warnings():
        # Of styles and extensions that it leaves out; the cells are all there.
        warnings.simplefilter("ignore")
        with _damage_told():
            if formulas.strict:
                file = _transitional(file, stack.enter_context(tempfile.TemporaryFile()))
            file.seek(0)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        for sheet in sheets:
            # The size that a sheet claims for itself may be wrong both ways.
            sheet.reset_dimensions()
        yield [
            Table(sheet.title, partial(_records, sheet), formulas.of.get(getattr(sheet, "_worksheet_path", ""), {}))
            for sheet in sheets
        ]


def _records(sheet: Any) -> Iterator[Record]:
    """Each row of the sheet with its number."""
    with _damage_told():
        for line, cells in enumerate(sheet.iter_rows(), start=1):
            yield line, [cell_text(cell) for cell in cells]


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (HuntazeError, GeneratorExit):
        raise
    except Exception as error:  # of a damaged file the library raises whatever it stumbled over
        raise Unreadable(gettext(NO_WORKBOOK), code="not_csv") from error


@dataclass(slots=True)
class _Checked:
    """What was seen of a workbook as it was unpacked: its formulas, `{path of the sheet: {column: Formulas}}`."""

    of: dict[str, dict[int, Formulas]] = field(default_factory=dict)
    # Written as the strict variant of the format, whose names the library does not know.
    strict: bool = False


class _Pieces:
    """Counts what a member of the archive is made of, as far as the library keeps it: of a sheet it forgets each row
    once the next one begins. Whether a member is XML is not in its name."""

    def __init__(self, member: str) -> None:
        self._has_rows = member.startswith("xl/worksheets/")
        self._kept = self._of_row = 0
        self._in_row = False
        self._line = self._column = 0
        self._place = ""
        # Of the cell that is being read: whether it has a formula, and the text of its value where it has. A formula
        # may come to an empty text, which is a value.
        self._formula = self._is_text = False
        self._value: list[str] | None = None
        self.formulas: dict[int, Formulas] = {}
        self._parser: expat.XMLParserType | None = expat.ParserCreate()
        self._parser.StartElementHandler = self._begins
        self._parser.EndElementHandler = self._ends

    def feed(self, block: bytes) -> None:
        """Raises Unreadable where the library would take more memory than any list of fans does."""
        if self._parser is None:
            return
        try:
            self._parser.Parse(block)
        except expat.ExpatError:  # no XML, or damaged: the library, too, reads no further than this
            self._parser = None

    def _begins(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(":")[2]
        if self._has_rows:
            self._follow(tag, attributes)
        if self._in_row:
            self._of_row += 1 + len(attributes)
        else:
            self._kept += 1 + len(attributes)
        if max(self._kept, self._of_row) > PIECES_MAX:
            raise Unreadable(gettext(TOO_MANY_PIECES), code="workbook_too_large")

    def _follow(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "c":
            self._column += 1
            self._place = attributes.get("r", "")
            self._formula, self._is_text = False, attributes.get("t") == "str"
        elif tag == "f" and self._parser is not None:
            self._formula, self._value = True, []
            self._parser.CharacterDataHandler = self._says
        elif tag == "v" and self._formula:
            self._value = []
        elif tag == "row" and not self._in_row:
            self._in_row, self._of_row = True, 0
            self._kept += 1
            number = attributes.get("r", "")
            self._line = int(number) if number.isdigit() and len(number) < 8 else self._line + 1
            self._column = -1

    def _says(self, text: str) -> None:
        if self._value is not None and len(self._value) < 2:
            self._value.append(text)

    def _ends(self, name: str) -> None:
        tag = name.rpartition(":")[2]
        if tag == "row":
            self._in_row = False
        elif tag == "f":
            self._value = None
        elif tag == "c" and self._formula and self._parser is not None:
            self._parser.CharacterDataHandler = None
            known = self._value is not None and bool(self._value or self._is_text)
            # Only of a formula, for it takes a while; without a place the cell stands behind the last one.
            place = _PLACE.fullmatch(self._place)
            column = _column(place[1]) if place else self._column
            seen = self.formulas.get(column, Formulas(0, 0, 0, self._line))
            first = seen.row if known or seen.empty else self._line
            zero = self._value == ["0"]
            self.formulas[column] = Formulas(seen.count + 1, seen.empty + (not known), seen.zero + zero, first)
            self._formula, self._value = False, None


def _column(letters: str) -> int:
    """`A` is 0, `AA` 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _check(file: IO[bytes]) -> _Checked:
    """Unpack the whole archive once and throw it away: what an archive says about its own size may be a lie."""
    total = 0
    found = _Checked()
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
                        if info.filename == "xl/workbook.xml" and STRICT in block:
                            found.strict = True
                if pieces.formulas:
                    found.of[info.filename] = pieces.formulas
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise Unreadable(gettext(NO_WORKBOOK), code="not_csv") from error
    return found


def _transitional(file: IO[bytes], target: IO[bytes]) -> IO[bytes]:
    """A copy of the workbook with the names of the usual variant of the format. Its size was checked before."""
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copy:
        for info in archive.infolist():
            content = archive.read(info)
            if info.filename.endswith((".xml", ".rels")):
                for strict, usual in STRICT_NAMES:
                    content = content.replace(strict, usual)
            copy.writestr(info.filename, content)
    return target
