"""Answers how a text of comma-separated values becomes records: by Arrow where it is plain, else by the csv module.
Touches the text alone.

The two split plain text alike, and Arrow does it ten times as fast; what quotation marks within a cell mean is left to
the csv module, which is what people's other tools use.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from django.utils.formats import number_format
from django.utils.translation import gettext

from crm.errors import Unreadable
from crm.stored_words import kept_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

# Behind the last line; no text file holds it, so finding it within a longer cell means that a quotation never ended.
END = "\x00"
CELL_TOO_LONG = kept_sentence(
    "A cell that begins in row %(row)s is longer than %(most)s characters; a quotation mark may not be closed."
)
QUOTE_NOT_CLOSED = kept_sentence(
    "A quotation mark in row %(row)s is opened and never closed, so the rows below cannot be told apart."
)


@dataclass(slots=True)
class Rows:
    """How many rows of the file have been read, as a spreadsheet counts them: the blank ones too, and a row with a
    line break in a cell once."""

    read: int = 0


def records(lines: Iterable[str], *, delimiter: str, rows: Rows) -> Iterator[tuple[int, list[str]]]:
    """Each record with its row's number, which `rows` counts on."""
    reader = csv.reader(chain(lines, [END]), delimiter=delimiter)
    record: list[str] = []
    try:
        for record in reader:
            if record and END in record[-1]:
                break
            rows.read += 1
            yield rows.read, record
    except csv.Error as error:
        raise Unreadable(
            gettext(CELL_TOO_LONG)
            % {"row": rows.read + 1, "most": number_format(csv.field_size_limit(), force_grouping=True)},
            code="cell_too_long",
        ) from error
    if record != [END]:
        raise Unreadable(
            gettext(QUOTE_NOT_CLOSED) % {"row": rows.read + 1},
            code="quote_not_closed",
        )


def lines(blocks: Iterable[str]) -> Iterator[str]:
    """The lines of texts that each end with a line."""
    return chain.from_iterable(io.StringIO(block, newline="\n") for block in blocks)


def is_closed(block: str) -> bool:
    """Whether no quotation goes on behind the block's end."""
    return block.count('"') % 2 == 0


def plain_table(block: str, *, delimiter: str, width: int) -> tuple[pa.Table, dict[int, str]] | None:
    """The rows of a block of whole lines that have `width` cells, and the other lines by position.

    None where a row is not a line, or where it takes the csv module to say what a quotation mark means.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if not _is_plain(block, delimiter):
        return None
    odd: dict[int, str] = {}

    def keep(row: arrow_csv.InvalidRow) -> str:
        odd[row.number - 1] = row.text
        return "skip"

    content = block.encode()
    names = [str(position) for position in range(width)]
    table = arrow_csv.read_csv(
        pa.BufferReader(content),
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
        parse_options=arrow_csv.ParseOptions(
            delimiter=delimiter, ignore_empty_lines=False, invalid_row_handler=keep, newlines_in_values=False
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, quoted_strings_can_be_null=False
        ),
    )
    # A line that Arrow counts otherwise than we do would shift all the others.
    return (table, odd) if table.num_rows + len(odd) == block.count("\n") else None


def _is_plain(block: str, delimiter: str) -> bool:
    if not block.endswith("\n") or block.startswith("\n") or "\n\n" in block:
        return False
    if '"' not in block:
        return True
    separator = re.escape(delimiter)
    cell = rf'(?:"[^"\n]*"|[^"{separator}\n]*)'
    row = re.compile(rf"{cell}(?:{separator}{cell})*")
    return all(row.fullmatch(line) for line in block.split("\n") if '"' in line)
