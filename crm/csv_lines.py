"""Answers rows as the lines of a CSV file that a spreadsheet may open. Touches nothing."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from defusedcsv import csv

# By which Excel knows UTF-8.
BYTE_ORDER_MARK = "\ufeff"


class _Echo:
    """What csv writes to: hands the line back."""

    def write(self, line: str) -> str:
        return line


def csv_lines(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The rows for a program, line by line. What a spreadsheet would run as a formula is the text that it is."""
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow(row)


def csv_file(header: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The same as a file for a person, whose spreadsheet is to read its accents right."""
    yield BYTE_ORDER_MARK
    yield from csv_lines(header, rows)
