"""Answers what table a file holds: encoding, delimiter, header, cells, lines. Touches its bytes, a temporary file."""

from __future__ import annotations

import codecs
import csv
import io
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import IO, TYPE_CHECKING

from crm.errors import Unreadable
from onlyfans import csv_workbook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

DELIMITERS = ",;\t"
# More columns than any tool exports; a file of delimiters alone must not become a table of a million columns.
COLUMNS_MAX = 200
SNIFF_CHARACTERS = 64_000
BLOCK_BYTES = 1_000_000
# Rows that are in memory at once: 50,000 of ordinary length are some 20 MB on their way through the import.
CHUNK_ROWS = 50_000
BOMS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MAGIC = (
    (b"\xd0\xcf\x11\xe0", "This is an old Excel workbook. Save it as .xlsx or CSV and upload that."),
    (b"%PDF", "This is a PDF. Export the list as CSV and upload that."),
)
NO_TEXT = "This is no text file. Export the list as CSV and upload that."
# Vertical tab (Excel's line break within a cell) and SUB (the end of a DOS file) do not make a file binary.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
SUB = "\x1a"
SEPARATOR_HINT = re.compile(r"sep=([,;\t])\n", re.IGNORECASE)
# Behind the last line; no text file holds it, so finding it within a longer cell means that a quotation never ended.
END = "\x00"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows below the header, in the file's order and without blank ones.

    `cells` has one text column per header (0, 1, …), blanks around the texts removed; `lines` has the line on which
    each row begins, as an editor counts. `ragged` has the cells as they were read of each row that has fewer or more of
    them than the header, by position.
    """

    cells: pd.DataFrame
    lines: npt.NDArray[np.int64]
    ragged: dict[int, list[str]]

    def raw(self, positions: Sequence[int]) -> list[list[str]]:
        """The rows as the file has them."""
        found: list[list[str]] = self.cells.iloc[list(positions)].to_numpy().tolist()
        return [self.ragged.get(position, cells) for position, cells in zip(positions, found, strict=True)]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table that was read once, split, and kept in a temporary file; it can be gone through as often as needed."""

    header: list[str]
    rows: int
    encoding: str
    delimiter: str
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


@dataclass(frozen=True, slots=True)
class _Text:
    """How the bytes of a file become characters, and what its first ones are."""

    encoding: str
    head: str


@contextmanager
def sheet_read(content: bytes | IO[bytes], *, recognised: Callable[[Sequence[str]], int]) -> Iterator[Sheet]:
    """The table in the file; `recognised` counts the headers that mean something, which decides between delimiters.

    Raises Unreadable, in one sentence, for what is no CSV file or workbook with a header and at least one row.
    """
    with _seekable(content) as file, tempfile.TemporaryFile() as spool:
        start = file.read(8)
        if csv_workbook.is_workbook(start):
            yield _spooled(csv_workbook.records(file, recognised=recognised), spool, encoding="xlsx", delimiter="")
            return
        text = _decode(file)
        hint = SEPARATOR_HINT.match(text.head)  # Excel's own first line, which says the delimiter and is no row
        delimiter = hint[1] if hint else _delimiter(text.head, recognised)
        records = _records(file, text.encoding, delimiter, skip=1 if hint else 0)
        yield _spooled(records, spool, encoding=text.encoding, delimiter=delimiter)


@contextmanager
def _seekable(content: bytes | IO[bytes]) -> Iterator[IO[bytes]]:
    if isinstance(content, bytes):
        with io.BytesIO(content) as file:
            yield file
    else:
        content.seek(0)
        yield content


def _decode(file: IO[bytes]) -> _Text:
    """Read the whole file once for the encoding in which every byte of it makes sense."""
    file.seek(0)
    start = file.read(2_000)
    if not start:
        raise Unreadable("The file is empty.", code="empty")
    for magic, sentence in MAGIC:
        if start.startswith(magic):
            raise Unreadable(sentence, code="not_csv")
    for encoding in _encodings(start):
        try:
            head = _scan(file, encoding)
        except UnicodeDecodeError:
            continue
        if len(CONTROL.findall(head)) * 100 > len(head):
            raise Unreadable(NO_TEXT, code="not_csv")
        return _Text(encoding, head)
    if b"\x00" in start:
        raise Unreadable(NO_TEXT, code="not_csv")
    raise Unreadable("The file is written in an unknown encoding. Save it as CSV in UTF-8.", code="unknown_encoding")


def _scan(file: IO[bytes], encoding: str) -> str:
    """The file's first characters, once all of it was decoded and nothing in it is binary."""
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    head = ""
    while block := file.read(BLOCK_BYTES):
        text = decoder.decode(block)
        if "\x00" in text:
            raise Unreadable(NO_TEXT, code="not_csv")
        if len(head) < SNIFF_CHARACTERS:
            head += text[:SNIFF_CHARACTERS]
    decoder.decode(b"", final=True)
    return head.replace("\r\n", "\n").replace("\r", "\n")


def _encodings(start: bytes) -> tuple[str, ...]:
    for bom, encoding in BOMS:
        if start.startswith(bom):
            return (encoding,)
    # Latin text in UTF-16 without its mark has a NUL in nearly every second byte; no other text has any.
    if start[1::2].count(0) * 3 > len(start):
        return ("utf-16-le",)
    if start[0::2].count(0) * 3 > len(start):
        return ("utf-16-be",)
    return ("utf-8", "cp1252")


def _delimiter(head: str, recognised: Callable[[Sequence[str]], int]) -> str:
    """The one under which most headers mean something, then the one that makes most columns."""
    head = head.lstrip("\n")

    def score(delimiter: str) -> tuple[int, int]:
        try:
            header = next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), [])
        except csv.Error:
            return (0, 0)
        return (recognised(header), len(header))

    return max(DELIMITERS, key=score)


def _records(file: IO[bytes], encoding: str, delimiter: str, *, skip: int) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line on which it begins. Line ends become `\\n`, within cells too."""
    file.seek(0)
    lines = _lines(file, encoding)
    for _ in range(skip):
        next(lines)
    reader = csv.reader(chain(lines, [END]), delimiter=delimiter)
    line = skip + 1
    before: tuple[int, list[str]] | None = None
    try:
        for record in reader:
            if record and END in record[-1]:
                break
            if before is not None:
                yield before
            before = (line, record)
            line = reader.line_num + skip + 1
    except csv.Error as error:
        raise Unreadable(
            f"The cell that begins near line {line} is longer than {csv.field_size_limit():,} characters; "
            "a quotation mark may not be closed.",
            code="cell_too_long",
        ) from error
    if record != [END]:
        raise Unreadable(
            f"A quotation mark near line {line} is opened and never closed, so the rows below cannot be told apart.",
            code="quote_not_closed",
        )
    if before is not None:
        if before[1]:
            before[1][-1] = before[1][-1].rstrip(SUB)
        yield before


def _lines(file: IO[bytes], encoding: str) -> Iterator[str]:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    rest = ""
    while block := file.read(BLOCK_BYTES):
        text = rest + decoder.decode(block)
        whole, newline, rest = text.rpartition("\n")
        if newline:
            yield from io.StringIO(whole + newline, newline="\n")
    yield from io.StringIO(rest + decoder.decode(b"", final=True), newline="\n")


def _spooled(records: Iterator[tuple[int, list[str]]], spool: IO[bytes], *, encoding: str, delimiter: str) -> Sheet:
    """Find the header, and write what is below it to `spool`, column by column."""
    import pyarrow as pa  # with pandas two seconds to import, so only where a file is read

    header = next(([cell.strip() for cell in cells] for _, cells in records if any(map(str.strip, cells))), None)
    if header is None:
        raise Unreadable("The file is empty.", code="empty")
    if len(header) > COLUMNS_MAX:
        raise Unreadable(f"The file has {len(header)} columns; at most {COLUMNS_MAX} can be read.")
    width = len(header)
    schema = pa.schema(
        [("line", pa.int64()), ("ragged", pa.list_(pa.string())), *((str(i), pa.string()) for i in range(width))]
    )
    rows = 0
    with pa.ipc.new_stream(spool, schema) as stream:
        for batch in _batches(records, schema, width):
            stream.write_batch(batch)
            rows += batch.num_rows
    if not rows:
        raise Unreadable("The file has a header but no rows.", code="no_rows")
    return Sheet(header=header, rows=rows, encoding=encoding, delimiter=delimiter, _spool=spool)


def _batches(records: Iterator[tuple[int, list[str]]], schema: pa.Schema, width: int) -> Iterator[pa.RecordBatch]:
    lines: list[int] = []
    ragged: list[list[str] | None] = []
    table: list[list[str]] = []

    def batch() -> pa.RecordBatch:
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = [pc.utf8_trim_whitespace(pa.array(column, pa.string())) for column in zip(*table, strict=True)]
        return pa.record_batch([pa.array(lines), pa.array(ragged, schema.field("ragged").type), *columns], schema)

    for line, cells in records:
        if len(cells) == width:
            odd = None
            # Most rows show by their first cell that they are not blank.
            if not (cells[0] or any(cells)) or not any(map(str.strip, cells)):
                continue
        elif not any(map(str.strip, cells)):
            continue
        else:
            # Excel fills rows up with empty cells; nothing is lost with them.
            odd = None if len(cells) > width and not any(map(str.strip, cells[width:])) else cells
            cells = (cells + [""] * width)[:width]
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
