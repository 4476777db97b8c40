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

from django.utils.translation import gettext, gettext_noop

from crm.errors import Unreadable
from crm.stored_words import kept_sentence
from onlyfans import csv_text, csv_workbook

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
# What is in memory at once: some 50,000 rows of ordinary length, which take ten times that on their way.
BLOCK_BYTES = 4_000_000
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
    (b"\xd0\xcf\x11\xe0", gettext_noop("This is an old Excel workbook. Save it as .xlsx or CSV and upload that.")),
    (b"%PDF", gettext_noop("This is a PDF. Export the list as CSV and upload that.")),
)
TOO_WIDE = kept_sentence("The file has %(number)s columns; at most %(most)s can be read.")
NO_TEXT = gettext_noop("This is no text file. Export the list as CSV and upload that.")
# Vertical tab (Excel's line break within a cell) and SUB (the end of a DOS file) do not make a file binary.
CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
SUB = "\x1a"
SEPARATOR_HINT = re.compile(r"sep=([,;\t])\n", re.IGNORECASE)


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
            found = csv_workbook.records(file, recognised=recognised)
            header = _header(found)
            yield _spooled(header, _batches(found, header), spool, encoding="xlsx", delimiter="")
            return
        text = _decode(file)
        hint = SEPARATOR_HINT.match(text.head)  # Excel's own first line, which says the delimiter and is no row
        delimiter = hint[1] if hint else _delimiter(text.head, recognised)
        header, batches = _text_batches(_blocks(file, text.encoding), delimiter, skip=1 if hint else 0)
        yield _spooled(header, batches, spool, encoding=text.encoding, delimiter=delimiter)


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
        raise Unreadable(gettext("The file is empty."), code="empty")
    for magic, sentence in MAGIC:
        if start.startswith(magic):
            raise Unreadable(gettext(sentence), code="not_csv")
    for encoding in _encodings(start):
        try:
            head = _scan(file, encoding)
        except UnicodeDecodeError:
            continue
        if len(CONTROL.findall(head)) * 100 > len(head):
            raise Unreadable(gettext(NO_TEXT), code="not_csv")
        return _Text(encoding, head)
    if b"\x00" in start:
        raise Unreadable(gettext(NO_TEXT), code="not_csv")
    raise Unreadable(
        gettext("The file is written in an unknown encoding. Save it as CSV in UTF-8."), code="unknown_encoding"
    )


def _scan(file: IO[bytes], encoding: str) -> str:
    """The file's first characters, once all of it was decoded and nothing in it is binary."""
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    head = ""
    while block := file.read(BLOCK_BYTES):
        text = decoder.decode(block)
        if "\x00" in text:
            raise Unreadable(gettext(NO_TEXT), code="not_csv")
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


def _blocks(file: IO[bytes], encoding: str) -> Iterator[str]:
    """The text in pieces of whole lines that end with `\\n`, whatever they end with in the file."""
    file.seek(0)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    rest = ""
    while block := file.read(BLOCK_BYTES):
        whole, newline, rest = (rest + decoder.decode(block)).rpartition("\n")
        if newline:
            yield whole + newline
    if rest := (rest + decoder.decode(b"", final=True)).rstrip(SUB):
        yield rest


def _text_batches(blocks: Iterator[str], delimiter: str, *, skip: int) -> tuple[list[str], Iterator[pa.RecordBatch]]:
    """The header, and the rows below it; `skip` lines above it are none."""
    first = next(blocks, "")
    text = io.StringIO(first, newline="\n")
    for _ in range(skip):
        text.readline()
    line = 1 + skip
    if not (csv_text.is_closed(first) and text.getvalue()[text.tell() :].strip()):
        found = csv_text.records(chain(text, csv_text.lines(blocks)), delimiter=delimiter, line=line)
        header = _header(found)
        return header, _batches(found, header)
    header = _header(csv_text.records(text, delimiter=delimiter, line=line))
    rest = text.read()
    line = 1 + first.count("\n") - rest.count("\n")
    return header, _block_batches(chain([rest] if rest else [], blocks), delimiter, header, line)


def _block_batches(blocks: Iterator[str], delimiter: str, header: list[str], line: int) -> Iterator[pa.RecordBatch]:
    for block in blocks:
        found = csv_text.plain_table(block, delimiter=delimiter, width=len(header))
        if found is not None:
            yield _plain_batch(*found, delimiter, header, line)
        elif csv_text.is_closed(block):
            lines = csv_text.lines([block])
            yield from _batches(csv_text.records(lines, delimiter=delimiter, line=line), header)
        else:
            # A quotation goes on in the next block, or it never ends; the csv module will see.
            lines = csv_text.lines(chain([block], blocks))
            yield from _batches(csv_text.records(lines, delimiter=delimiter, line=line), header)
            return
        line += block.count("\n")


def _header(records: Iterator[tuple[int, list[str]]]) -> list[str]:
    header = next(([cell.strip() for cell in cells] for _, cells in records if any(map(str.strip, cells))), None)
    if header is None:
        raise Unreadable(gettext("The file is empty."), code="empty")
    if len(header) > COLUMNS_MAX:
        raise Unreadable(gettext(TOO_WIDE) % {"number": len(header), "most": COLUMNS_MAX})
    return header


def _schema(width: int) -> pa.Schema:
    import pyarrow as pa  # with pandas two seconds to import, so only where a file is read

    texts = [(str(position), pa.string()) for position in range(width)]
    return pa.schema([("line", pa.int64()), ("ragged", pa.list_(pa.string())), *texts])


def _spooled(
    header: list[str], batches: Iterator[pa.RecordBatch], spool: IO[bytes], *, encoding: str, delimiter: str
) -> Sheet:
    import pyarrow as pa

    rows = 0
    with pa.ipc.new_stream(spool, _schema(len(header))) as stream:
        for batch in batches:
            stream.write_batch(batch)
            rows += batch.num_rows
    if not rows:
        raise Unreadable(gettext("The file has a header but no rows."), code="no_rows")
    return Sheet(header=header, rows=rows, encoding=encoding, delimiter=delimiter, _spool=spool)


def _plain_batch(table: pa.Table, odd: dict[int, str], delimiter: str, header: list[str], line: int) -> pa.RecordBatch:
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
    parts = [batch, *_batches(records, header)]
    if len(parts) == 1:
        return batch
    whole = pa.Table.from_batches(parts).sort_by("line").combine_chunks()
    return whole.to_batches()[0]


def _batches(records: Iterator[tuple[int, list[str]]], header: list[str]) -> Iterator[pa.RecordBatch]:
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
        if len(cells) != width:
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
