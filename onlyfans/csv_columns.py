"""Answers what a whole column of cells says, at speed: the plain cells all at once, the others one by one. Touches
nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from onlyfans import csv_values as values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    import pandas as pd
    import pyarrow as pa

# What a cell must look like to be read without csv_values. Each pattern takes less than csv_values does, never more,
# and no cell that begins with an apostrophe, which may be our own exports' escape. RE2's `\s` knows ASCII alone.
BLANKS = r"\x00-\x20\x7f-\x{a0}\x{1680}\x{2000}-\x{200b}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
HANDLE = r"^@?[A-Za-z0-9._-]*[A-Za-z0-9][A-Za-z0-9._-]*$"
PLATFORM_ID = r"^[1-9][0-9]{0,19}$"
NAME = rf"^[^'{BLANKS}][^{BLANKS}]*(?: [^{BLANKS}]+)+$"
WORD = rf"^[^'{BLANKS}][^{BLANKS}]{{4,199}}$"
EMAIL = (
    r"^[A-Za-z0-9!#$%&*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$"
)
AMOUNT = r"^[$€£]? ?(?P<whole>[0-9]{1,7}|[1-9][0-9]{0,2}(?:,[0-9]{3}){1,2})\.(?P<part>[0-9]{1,2})$"
AMOUNT_COMMA = (
    r"^(?P<whole>[0-9]{1,7}|[1-9][0-9]{0,2}(?:[ .\x{a0}\x{202f}][0-9]{3}){1,2}),(?P<part>[0-9]{1,2})"
    r"[ \x{a0}\x{202f}]?€?$"
)
AMOUNT_WHOLE = r"^[$€£]?(?P<whole>[0-9]{1,7})(?P<part>)$"
DAY = r"(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
MOMENT = rf"^20[0-9]{{2}}-{DAY}(?:[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?)?$"


@dataclass(frozen=True, slots=True)
class Parsed:
    """One value per row, null for an empty or a wrong cell; the wrong ones by position with the reason.

    Texts are strings, ids and handles too; amounts int64 cents; moments timestamps in UTC; tags tuples, as objects.
    """

    values: pd.Series
    errors: list[tuple[int, str]]


def text_type() -> pd.ArrowDtype:
    import pandas as pd
    import pyarrow as pa

    return pd.ArrowDtype(pa.string())


def parse(field: str, series: pd.Series, *, date_order: str, decimal_mark: str, now: datetime) -> Parsed:
    """The cells of one field, as csv_values reads them. Of the cells that are not plain each text is read once."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    latest = now + values.FUTURE_MAX
    cells = pa.array(series, pa.string())
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    readers: dict[str, Callable[[str], object]] = {
        "platform_id": values.platform_id,
        "handle": values.handle,
        "name": values.name,
        "email": values.email,
        "tags": values.tags,
        "tier": values.tags,
        "notes": values.notes,
        "value_cents": partial(values.money_cents, decimal_mark=decimal_mark),
        "last_seen_at": partial(values.moment, order=date_order, latest=latest),
    }
    read = readers[field]
    plain = PLAIN[field](cells, latest) if field in PLAIN else None
    left = pc.not_equal(cells, "")
    if plain is not None:
        left = pc.and_(left, pc.is_null(plain))
    positions = left.to_numpy(zero_copy_only=False).nonzero()[0]
    codes, distinct = pd.factorize(pd.Series(cells.take(pa.array(positions)), dtype="string[pyarrow]"))
    results: list[object] = []
    wrong: dict[int, str] = {}
    for code, text in enumerate(distinct.tolist()):
        try:
            results.append(read(values.unescape(text)))
        except values.WrongError as error:
            results.append(None)
            wrong[code] = str(error)
    errors = [(at, wrong[code]) for at, code in zip(positions.tolist(), codes.tolist(), strict=True) if code in wrong]
    if plain is None:
        column = pd.Series([None] * len(cells), dtype=object)
        column.iloc[positions] = pd.Series(results, dtype=object).take(codes).to_numpy() if results else []
        return Parsed(column, errors)
    if results:
        found = pa.array(results, plain.type).take(pa.array(codes))
        plain = pc.replace_with_mask(plain, left, found)
    return Parsed(pd.Series(plain, dtype=pd.ArrowDtype(plain.type)), errors)


def array_literals(tags: Iterable[tuple[str, ...] | None]) -> list[str | None]:
    """Tags as PostgreSQL writes an array: `{"VIP","say \\"hi\\""}`."""
    known: dict[tuple[str, ...] | None, str | None] = {None: None}
    literals = []
    for each in tags:
        if each not in known:
            escaped = (tag.replace("\\", "\\\\").replace('"', '\\"') for tag in each or ())
            known[each] = "{" + ",".join(f'"{tag}"' for tag in escaped) + "}"
        literals.append(known[each])
    return literals


def _matching(cells: pa.Array, pattern: str) -> pa.Array:
    """The cells that match, null for the others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.match_substring_regex(cells, pattern), cells, pa.scalar(None, pa.string()))


def _shorter(cells: pa.Array, most: int) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.less_equal(pc.utf8_length(cells), most), cells, pa.scalar(None, pa.string()))


def _handles(cells: pa.Array, latest: datetime) -> pa.Array:
    import pyarrow.compute as pc

    found = pc.ascii_lower(_matching(cells, HANDLE))
    return _shorter(pc.replace_substring_regex(found, "^@", ""), 64)


def _platform_ids(cells: pa.Array, latest: datetime) -> pa.Array:
    return _matching(cells, PLATFORM_ID)


def _names(cells: pa.Array, latest: datetime) -> pa.Array:
    return _shorter(_matching(cells, f"{NAME}|{WORD}"), values.NAME_MAX)


def _emails(cells: pa.Array, latest: datetime) -> pa.Array:
    # The parts of an address may have 64 and 63 characters; of a shorter address they cannot have more.
    return _shorter(_matching(cells, EMAIL), 64)


def _notes(cells: pa.Array, latest: datetime) -> pa.Array:
    return _shorter(_matching(cells, r"(?s)^[^'].{4}"), values.NOTES_MAX)


def _amounts(cells: pa.Array, latest: datetime) -> pa.Array:
    """Cents of amounts that can be read in one way alone: with one or two decimals, or none and no separator."""
    import pyarrow as pa
    import pyarrow.compute as pc

    total = pa.nulls(len(cells), pa.int64())
    for pattern in (AMOUNT, AMOUNT_WHOLE, AMOUNT_COMMA):
        if total.null_count == 0:
            break
        parts = pc.extract_regex(cells, pattern)
        if parts.null_count == len(parts):
            continue
        whole = pc.cast(pc.replace_substring_regex(pc.struct_field(parts, "whole"), "[^0-9]", ""), pa.int64())
        part = pc.cast(pc.utf8_rpad(pc.struct_field(parts, "part"), 2, "0"), pa.int64())
        total = pc.coalesce(total, pc.add(pc.multiply(whole, 100), part))
    return total


def amounts_sort(series: pd.Series) -> tuple[int, int, list[str]]:
    """How many plain amounts have a dot and how many a comma before their decimals, and each other distinct text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.unique(pa.array(series, pa.string()))
    counts = []
    for pattern in (AMOUNT, AMOUNT_COMMA, AMOUNT_WHOLE):
        found = pc.match_substring_regex(cells, pattern)
        counts.append(pc.sum(found).as_py() or 0)
        cells = cells.filter(pc.invert(found))
    return counts[0], counts[1], cells.to_pylist()


def _moments(cells: pa.Array, latest: datetime) -> pa.Array:
    """Moments of ISO dates with a time or none, as UTC; those in the future are left to csv_values to refuse."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = _matching(cells, MOMENT)
    when = pc.assume_timezone(pc.cast(plain, pa.timestamp("s")), "UTC")
    return pc.if_else(pc.less_equal(when, pa.scalar(latest, when.type)), when, pa.scalar(None, when.type))


# Tags and tiers are few and repeat, so reading each distinct one is fast enough.
PLAIN: dict[str, Callable[[pa.Array, datetime], pa.Array]] = {
    "platform_id": _platform_ids,
    "handle": _handles,
    "name": _names,
    "email": _emails,
    "notes": _notes,
    "value_cents": _amounts,
    "last_seen_at": _moments,
}
