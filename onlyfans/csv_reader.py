"""The table that a file holds: its header, and its rows cell by cell. Touches the file's bytes, a temporary file."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import IO, TYPE_CHECKING

from django.utils.translation import gettext, gettext_noop

from crm.errors import FieldError, InvalidInput, Unreadable
from crm.stored_words import kept_sentence
from onlyfans import csv_encodings, csv_html, csv_layout, csv_ods, csv_text, csv_workbook, csv_xls
from onlyfans.csv_layout import Found, Layout, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from onlyfans.csv_encodings import Text
    from onlyfans.csv_layout import Header

DELIMITERS = ",;\t|"
CHUNK_ROWS = 50_000
MAGIC = ((b"%PDF", gettext_noop("This is a PDF. Export the list as CSV and upload that.")),)
# Excel's own first line, which says the delimiter; saved again it is in quotes, or with empty cells behind it.
SEPARATOR_HINT = re.compile(r'"?sep=([,;\t|])"?[,;\t|]*\n', re.IGNORECASE)
DELIMITER_UNKNOWN = gettext_noop("A delimiter is one character: a comma, a semicolon, a tab or a bar.")
ENDS_EARLY = kept_sentence(
    "Rows that end before the last column: %(number)s, first row %(row)s. The cells that they lack count as empty."
)
HEADERS_LEFT_OUT = kept_sentence("Rows that repeat the header were left out: %(number)s.")
TOTAL_LEFT_OUT = kept_sentence("Row %(row)s is a total of the others and was left out.")
TOTALS_LEFT_OUT = kept_sentence("Rows that are totals of others were left out: %(number)s, first row %(row)s.")
# What the first filled cell of a total says; every other cell of it is a number or empty. In RE2.
TOTAL_BEGINS = (
    r"(?i)^(?:grand[ -]?|sub[ -]?|sous[ -]?|zwischen)?"
    r"(?:totals?|totaux|totales|sum|sums|somme|suma|summe|gesamt|gesamtsumme|insgesamt)\b[^@_.]{0,40}$"
)
TOTAL_CELL = re.compile(r"(?:(?:us|ca|a)?[$€£]|[a-z]{3} )?[^A-Za-z]*\d[^A-Za-z]*(?:[a-z]{3})?|[-–—]", re.I)
# The columns in which a total begins.
TOTAL_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows below the header, in the file's order and without blank ones.

    `cells` has one text column per header (0, 1, …), blanks around the texts removed; `lines` has the number of each
    row, as a spreadsheet counts (csv_layout). `ragged` has the cells as they were read of each row that has more of
    them than the header, by position.
    """

    cells: pd.DataFrame
    lines: npt.NDArray[np.int64]
    ragged: dict[int, list[str]]

    def part(self, begin: int, end: int) -> Chunk:
        """Some of its rows, as a chunk."""
        return Chunk(
            cells=self.cells.iloc[begin:end].reset_index(drop=True),
            lines=self.lines[begin:end],
            ragged={place - begin: cells for place, cells in self.ragged.items() if begin <= place < end},
        )

    def raw(self, positions: Sequence[int]) -> list[list[str]]:
        """The rows as the file has them."""
        found: list[list[str]] = self.cells.iloc[list(positions)].to_numpy().tolist()
        return [self.ragged.get(position, cells) for position, cells in zip(positions, found, strict=True)]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table that was read once, split, and kept in a temporary file; it can be gone through as often as needed."""

    header: list[str]
    rows: int
    found: Found
    notices: tuple[str, ...]
    # The columns without a name that have something in them.
    unnamed: tuple[int, ...]
    _spool: IO[bytes]

    def chunks(self) -> Iterator[Chunk]:
        import pyarrow as pa

        self._spool.seek(0)
        with pa.ipc.open_stream(self._spool) as stream:
            for batch in stream:
                yield _chunk(batch)

    def columns(self, positions: Sequence[int]) -> Iterator[list[pd.Series]]:
        """Only these columns, chunk by chunk."""
        for chunk in self.chunks():
            yield [chunk.cells[position] for position in positions]


@contextmanager
def sheet_read(
    content: bytes | IO[bytes], *, recognised: Callable[[Sequence[str]], int], asked: Layout | None = None
) -> Iterator[Sheet]:
    """The table in the file; `recognised` counts the headers that mean something, by which it is found.

    `asked` says what the file leaves open. Raises Unreadable, in one sentence, for what is no CSV file or workbook with
    at least one row, InvalidInput for what of `asked` does not fit it.
    """
    asked = asked or Layout()
    with _seekable(content) as file, tempfile.TemporaryFile() as spool, ExitStack() as stack:
        start = file.read(2_000)
        if csv_ods.is_spreadsheet(start):
            yield _of_tables(csv_ods.tables(file), recognised, asked, spool, encoding="ods")
            return
        if csv_workbook.is_workbook(start):
            tables = stack.enter_context(csv_workbook.tables(file))
            yield _of_tables(tables, recognised, asked, spool, encoding="xlsx")
            return
        if csv_xls.is_workbook(start):
            yield _of_tables(csv_xls.tables(file), recognised, asked, spool, encoding="xls")
            return
        text = _decode(file, start, asked)
        if tables := _marked_up(file, text):
            yield _of_tables(tables, recognised, asked, spool, text=text)
            return
        yield _of_text(file, text, recognised, asked, spool)


def _decode(file: IO[bytes], start: bytes, asked: Layout) -> Text:
    if not start:
        raise Unreadable(gettext("The file is empty."), code="empty")
    for magic, sentence in MAGIC:
        if start.startswith(magic):
            raise Unreadable(gettext(sentence), code="not_csv")
    said = None if asked.encoding else csv_html.charset(start)
    if said is not None:
        try:
            return csv_encodings.decode(file, start=start, encoding=said)
        except InvalidInput:  # a page may say what it is not
            pass
    return csv_encodings.decode(file, start=start, encoding=asked.encoding)


def _marked_up(file: IO[bytes], text: Text) -> list[Table]:
    """The tables of a page or of a workbook in XML; none of another text."""
    if csv_html.is_html(text.head):
        return csv_html.html_tables(lambda: csv_encodings.blocks(file, text))
    if csv_html.is_workbook_xml(text.head):
        return csv_html.workbook_xml_tables(lambda: csv_encodings.blocks(file, text))
    return []


def _of_tables(
    tables: Sequence[Table],
    recognised: Callable[[Sequence[str]], int],
    asked: Layout,
    spool: IO[bytes],
    *,
    encoding: str = "",
    text: Text | None = None,
) -> Sheet:
    chosen = csv_layout.tables_choose(tables, recognised=recognised, asked=asked)
    found = replace(chosen.found, encoding=encoding) if text is None else _in_text(chosen.found, text)
    told = _Told([*(text.notices if text else ()), *chosen.notices], chosen.header, sheets=len(chosen.tables))
    return _spooled(chosen.header, _batches(chosen.records(), chosen.header, told), spool, found, told)


def _in_text(found: Found, text: Text) -> Found:
    return replace(
        found,
        encoding=text.encoding.removesuffix("-sig"),
        encoding_certain=text.certain,
        encodings=text.encodings,
    )


def _of_text(
    file: IO[bytes], text: Text, recognised: Callable[[Sequence[str]], int], asked: Layout, spool: IO[bytes]
) -> Sheet:
    hint = SEPARATOR_HINT.match(text.head)
    head = text.head[hint.end() :] if hint else text.head
    delimiter = asked.delimiter or (hint[1] if hint else _delimiter(head, recognised))
    if len(delimiter) != 1 or delimiter in '"\r\n':
        sentence = gettext(DELIMITER_UNKNOWN)
        raise InvalidInput(sentence, errors=(FieldError("delimiter", "unknown_delimiter", sentence),))
    first = _head(head, delimiter)
    if not asked.delimiter and csv_layout.packed_with(first, recognised):
        records = partial(_records, file, text, delimiter, hinted=hint is not None)
        return _of_tables([Table("", records)], recognised, asked, spool, text=text)
    header = csv_layout.header_find(first, recognised=recognised, row=asked.header_row)
    if header is None:
        raise Unreadable(gettext("The file is empty."), code="empty")
    found = _in_text(Found(header.row, delimiter=delimiter), text)
    told = _Told([*text.notices, *header.notices()], header.names)
    batches = _text_batches(csv_encodings.blocks(file, text), delimiter, header, told, hinted=hint is not None)
    return _spooled(header.names, batches, spool, found, told)


def _records(file: IO[bytes], text: Text, delimiter: str, *, hinted: bool) -> Iterator[tuple[int, list[str]]]:
    """All rows of a text by the csv module."""
    lines = csv_text.lines(csv_encodings.blocks(file, text))
    if hinted:
        next(lines, None)
    return csv_text.records(lines, delimiter=delimiter, rows=csv_text.Rows())


@dataclass(slots=True)
class _Told:
    """What a person should know of how the file was read, and what of it is only known at the end."""

    notices: list[str]
    header: list[str]
    # 0 for a text file.
    sheets: int = 0
    short: int = 0
    first_short: int = 0
    totals: int = 0
    first_total: int = 0
    repeats: int = 0

    def ends_early(self, row: int) -> None:
        self.first_short = min(self.first_short or row, row)
        self.short += 1

    def is_total(self, row: int) -> None:
        self.first_total = min(self.first_total or row, row)
        self.totals += 1

    def all(self) -> tuple[str, ...]:
        notices = list(self.notices)
        if self.repeats:
            notices.append(HEADERS_LEFT_OUT % {"number": f"{self.repeats:,}"})
        # A workbook has no cells behind the last one with something in it.
        if self.short and not self.sheets:
            notices.append(ENDS_EARLY % {"number": f"{self.short:,}", "row": self.first_short})
        first = csv_layout.row_in_sheet(self.first_total, self.sheets)[1]
        if self.totals == 1:
            notices.append(TOTAL_LEFT_OUT % {"row": first})
        elif self.totals:
            notices.append(TOTALS_LEFT_OUT % {"number": f"{self.totals:,}", "row": first})
        return tuple(notices)


@contextmanager
def sheet_open(
    content: bytes | IO[bytes] | Sheet, *, recognised: Callable[[Sequence[str]], int], asked: Layout | None = None
) -> Iterator[Sheet]:
    """As sheet_read, or the sheet itself where it was read already."""
    if isinstance(content, Sheet):
        yield content
        return
    with sheet_read(content, recognised=recognised, asked=asked) as sheet:
        yield sheet


@contextmanager
def _seekable(content: bytes | IO[bytes]) -> Iterator[IO[bytes]]:
    if isinstance(content, bytes):
        with io.BytesIO(content) as file:
            yield file
    else:
        content.seek(0)
        yield content


def _head(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """The first rows of a text that may be cut off somewhere."""
    found = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for line, cells in enumerate(islice(reader, csv_layout.HEAD_ROWS), start=1):
            found.append((line, cells))
    except csv.Error:
        pass
    return found


def _delimiter(head: str, recognised: Callable[[Sequence[str]], int]) -> str:
    """The one under which most headers of a row mean something, then most rows are as wide as each other."""

    def score(delimiter: str) -> tuple[int, int, int]:
        rows = [cells for _, cells in _head(head, delimiter) if any(map(str.strip, cells))]
        widths = Counter(len(cells) for cells in rows if len(cells) > 1)
        width, alike = widths.most_common(1)[0] if widths else (0, 0)
        return (max(map(recognised, rows), default=0), alike, width)

    return max(DELIMITERS, key=score)


def _text_batches(
    blocks: Iterator[str], delimiter: str, header: Header, told: _Told, *, hinted: bool
) -> Iterator[pa.RecordBatch]:
    """The rows below the header."""
    rows = csv_text.Rows()
    first = next(blocks, "")
    text = io.StringIO(first, newline="\n")
    if hinted:
        text.readline()
    if not (csv_text.is_closed(first) and text.getvalue()[text.tell() :].strip()):
        found = csv_text.records(chain(text, csv_text.lines(blocks)), delimiter=delimiter, rows=rows)
        yield from _batches((each for each in found if each[0] > header.row), header.names, told)
        return
    if header.row:
        for line, _ in csv_text.records(text, delimiter=delimiter, rows=rows):
            if line == header.row:
                break
    rest = text.read()
    yield from _block_batches(chain([rest] if rest else [], blocks), delimiter, header.names, told, rows)


def _block_batches(
    blocks: Iterator[str], delimiter: str, header: list[str], told: _Told, rows: csv_text.Rows
) -> Iterator[pa.RecordBatch]:
    for block in blocks:
        found = csv_text.plain_table(block, delimiter=delimiter, width=len(header))
        if found is not None:
            yield _plain_batch(*found, delimiter, header, told, rows.read + 1)
            rows.read += block.count("\n")
        elif csv_text.is_closed(block):
            lines = csv_text.lines([block])
            yield from _batches(csv_text.records(lines, delimiter=delimiter, rows=rows), header, told)
        else:
            # A quotation goes on in the next block, or it never ends; the csv module will see.
            lines = csv_text.lines(chain([block], blocks))
            yield from _batches(csv_text.records(lines, delimiter=delimiter, rows=rows), header, told)
            return


def _schema(width: int) -> pa.Schema:
    import pyarrow as pa  # with pandas two seconds to import, so only where a file is read

    texts = [(str(position), pa.string()) for position in range(width)]
    return pa.schema([("line", pa.int64()), ("ragged", pa.list_(pa.string())), *texts])


def _spooled(
    header: list[str], batches: Iterator[pa.RecordBatch], spool: IO[bytes], found: Found, told: _Told
) -> Sheet:
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = 0
    unnamed: set[int] = set()
    nameless = [at for at, name in enumerate(header) if not name]
    with pa.ipc.new_stream(spool, _schema(len(header))) as stream:
        for batch in batches:
            kept = _without_totals(_without_headers(batch, told), told)
            stream.write_batch(kept)
            rows += kept.num_rows
            unnamed |= {
                at for at in nameless if at not in unnamed and pc.any(pc.not_equal(kept.column(at + 2), "")).as_py()
            }
    if not rows:
        raise Unreadable(gettext("The file has a header but no rows."), code="no_rows")
    return Sheet(header, rows, found, told.all(), tuple(sorted(unnamed)), spool)


def _without_headers(batch: pa.RecordBatch, told: _Told) -> pa.RecordBatch:
    """The rows but those that repeat the header, as files put behind each other have it."""
    import pyarrow.compute as pc

    named = [(at, name) for at, name in enumerate(told.header) if name]
    same = pc.equal(batch.column(named[0][0] + 2), named[0][1])
    if len(named) < 2 or not pc.any(same).as_py():
        return batch
    for at, name in named[1:]:
        same = pc.and_(same, pc.equal(batch.column(at + 2), name))
    if not pc.any(same).as_py():
        return batch
    told.repeats += pc.sum(same).as_py()
    return batch.filter(pc.invert(same))


def _without_totals(batch: pa.RecordBatch, told: _Told) -> pa.RecordBatch:
    """The rows but those whose first filled cell says that they are a total, and whose others are numbers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    totals = set()
    for at in range(2, min(2 + TOTAL_COLUMNS, batch.num_columns)):
        begins = pc.match_substring_regex(batch.column(at), TOTAL_BEGINS)
        if not pc.any(begins).as_py():
            continue
        for position in begins.to_numpy(zero_copy_only=False).nonzero()[0].tolist():
            cells = [batch.column(column)[position].as_py() for column in range(2, batch.num_columns)]
            others = [cell for cell in cells[at - 1 :] if cell]
            if not any(cells[: at - 2]) and others and all(map(TOTAL_CELL.fullmatch, others)):
                totals.add(position)
                told.is_total(batch.column(0)[position].as_py())
    if not totals:
        return batch
    return batch.filter(pa.array(~np.isin(np.arange(batch.num_rows), list(totals))))


def _plain_batch(
    table: pa.Table, odd: dict[int, str], delimiter: str, header: list[str], told: _Told, line: int
) -> pa.RecordBatch:
    """The rows that Arrow split, and among them, split by the csv module, those of another width."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    schema = _schema(len(header))
    lines = np.delete(np.arange(line, line + table.num_rows + len(odd)), list(odd))
    columns = [pc.utf8_trim_whitespace(column.combine_chunks()) for column in table.columns]
    full = np.zeros(len(lines), dtype=bool)
    for column in columns:
        full |= pc.not_equal(column, "").to_numpy(zero_copy_only=False)
    batch = pa.record_batch([pa.array(lines), pa.nulls(len(lines), schema.field("ragged").type), *columns], schema)
    batch = batch.filter(pa.array(full))
    records = ((line + position, next(csv.reader([text], delimiter=delimiter))) for position, text in odd.items())
    parts = [batch, *_batches(records, header, told)]
    if len(parts) == 1:
        return batch
    whole = pa.Table.from_batches(parts).sort_by("line").combine_chunks()
    return whole.to_batches()[0]


def _batches(records: Iterator[tuple[int, list[str]]], header: list[str], told: _Told) -> Iterator[pa.RecordBatch]:
    width = len(header)
    schema = _schema(width)
    lines: list[int] = []
    ragged: list[list[str] | None] = []
    table: list[list[str]] = []

    def batch() -> pa.RecordBatch:
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = [pc.utf8_trim_whitespace(pa.array(column, pa.string())) for column in zip(*table, strict=True)]
        return pa.record_batch([pa.array(lines), pa.array(ragged, schema.field("ragged").type), *columns], schema)

    for line, cells in records:
        odd = None
        if not any(map(str.strip, cells)):
            continue
        if len(cells) < width:
            told.ends_early(line)
            cells = cells + [""] * (width - len(cells))
        elif len(cells) > width:
            # Excel fills rows up with empty cells; nothing is lost with them.
            odd = cells if any(map(str.strip, cells[width:])) else None
            cells = cells[:width]
        lines.append(line)
        ragged.append(odd)
        table.append(cells)
        if len(table) == CHUNK_ROWS:
            yield batch()
            lines, ragged, table = [], [], []
    if table:
        yield batch()


def _chunk(batch: pa.RecordBatch) -> Chunk:
    import pandas as pd

    columns = {
        position: pd.Series(batch.column(position + 2), dtype="string[pyarrow]")
        for position in range(batch.num_columns - 2)
    }
    odd = batch.column(1)
    positions = odd.is_valid().to_numpy(zero_copy_only=False).nonzero()[0].tolist() if odd.null_count < len(odd) else []
    return Chunk(
        cells=pd.DataFrame(columns, copy=False),
        lines=batch.column(0).to_numpy(),
        ragged={position: odd[position].as_py() for position in positions},
    )
