"""Answers what a whole column of cells says, at speed: the plain cells all at once, the others one by one. Touches
nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING

from onlyfans import csv_values as values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, tzinfo

    import pandas as pd
    import pyarrow as pa

# What a cell must look like to be read without csv_values. Each pattern takes less than csv_values does, never more,
# and no cell that begins with an apostrophe, which may be our own exports' escape. RE2's `\s` knows ASCII alone.
BLANKS = (
    r"\x00-\x20\x7f-\x{a0}\x{ad}\x{61c}\x{1680}\x{2000}-\x{200b}\x{200e}\x{200f}\x{2028}-\x{202f}"
    r"\x{205f}-\x{2069}\x{3000}\x{feff}"
)
# A handle, a name or a note that begins like a date, a guard (`="…"`) or a spreadsheet's error is looked at closely.
HANDLE = r"^@?[A-Za-z0-9._-]*[A-Za-z][A-Za-z0-9._-]*$"
PLATFORM_ID = r"^[1-9][0-9]{0,19}$"
SHORT_ID = r"^[1-9][0-9]{0,14}$"
NAME = rf"^[^'#=0-9{BLANKS}][^{BLANKS}]*(?: [^{BLANKS}]+)+$"
WORD = rf"^[^'#=0-9{BLANKS}][^{BLANKS}]{{4,199}}$"
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
class Manner:
    """How the cells of a file are written, decided from all of it; `zone` is that of a day without a time.

    `exchanged`: a spreadsheet read the day as the month. `long_rounded`: fields whose long ids it rounded. `in_cents`:
    fields whose amounts are in cents, by their headers.
    """

    date_order: str
    decimal_mark: str
    now: datetime
    zone: tzinfo = UTC
    exchanged: bool = False
    long_rounded: frozenset[str] = frozenset()
    in_cents: frozenset[str] = frozenset()


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


def parse(field: str, series: pd.Series, manner: Manner, *, read_as: str = "") -> Parsed:
    """The cells of one field, as csv_values reads them. Of the cells that are not plain each text is read once.

    `read_as` is the field of READERS that it is read like, where it has another name.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = read_as or field
    cells = pa.array(series, pa.string())
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    read = READERS[kind](field, manner)
    plain = PLAIN[kind](cells, field, manner) if kind in PLAIN else None
    left = pc.not_equal(cells, "")
    if plain is not None:
        left = pc.and_(left, pc.is_null(plain))
    positions = left.to_numpy(zero_copy_only=False).nonzero()[0]
    codes, distinct = pd.factorize(pd.Series(cells.take(pa.array(positions)), dtype="string[pyarrow]"))
    results: list[object] = []
    wrong: dict[int, str] = {}
    for code, text in enumerate(distinct.tolist()):
        try:
            found = values.plain(text, kind)
            results.append(read(found) if found else None)
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


def _read_money(field: str, manner: Manner, *, negative: bool = False, parts: int = 100) -> Callable[[str], object]:
    return partial(
        values.money_cents,
        decimal_mark=manner.decimal_mark,
        negative=negative,
        parts=max(1, parts // 100) if field in manner.in_cents else parts,
    )


def _read_moment(field: str, manner: Manner) -> Callable[[str], object]:
    return partial(
        values.moment,
        order=manner.date_order,
        latest=manner.now + values.FUTURE_MAX,
        zone=manner.zone,
        exchanged=manner.exchanged,
    )


READERS: dict[str, Callable[[str, Manner], Callable[[str], object]]] = {
    "platform_id": lambda field, manner: partial(values.platform_id, long_rounded=field in manner.long_rounded),
    "transaction_id": lambda field, manner: partial(values.transaction_id, long_rounded=field in manner.long_rounded),
    "handle": lambda field, manner: values.handle,
    "name": lambda field, manner: values.name,
    "email": lambda field, manner: values.email,
    "tags": lambda field, manner: values.tags,
    "tier": lambda field, manner: values.tags,
    "notes": lambda field, manner: values.notes,
    "value_cents": _read_money,
    # Of a transaction, which may be taken back and whose fee may have parts of a cent: in hundredths of a cent.
    "money": partial(_read_money, negative=True, parts=10_000),
    "last_seen_at": _read_moment,
}


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


def _handles(cells: pa.Array, field: str, manner: Manner) -> pa.Array:
    import pyarrow.compute as pc

    found = pc.ascii_lower(_matching(cells, HANDLE))
    return _shorter(pc.replace_substring_regex(found, "^@", ""), 64)


def _platform_ids(cells: pa.Array, field: str, manner: Manner) -> pa.Array:
    return _matching(cells, SHORT_ID if field in manner.long_rounded else PLATFORM_ID)


def _transaction_ids(cells: pa.Array, field: str, manner: Manner) -> pa.Array:
    short = SHORT_ID if field in manner.long_rounded else PLATFORM_ID
    return _matching(cells, rf"{short}|^[A-Za-z_-][A-Za-z0-9_-]*$")


def _names(cells: pa.Array, field: str, manner: Manner) -> pa.Array:
    return _shorter(_matching(cells, f"{NAME}|{WORD}"), values.NAME_MAX)


def _emails(cells: pa.Array, field: str, manner: Manner) -> pa.Array:
    # The parts of an address may have 64 and 63 characters; of a shorter address they cannot have more.
    return _shorter(_matching(cells, EMAIL), 64)


def _notes(cells: pa.Array, field: str, manner: Manner) -> pa.Array:
    return _shorter(_matching(cells, r"(?s)^[^'#=\x00-\x20\x7f-\x{a0}].{4}"), values.NOTES_MAX)


def _amounts(cells: pa.Array, field: str, manner: Manner) -> pa.Array:
    """Cents of amounts that can be read in one way alone: with one or two decimals, or none and no separator."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if field in manner.in_cents:
        return pa.nulls(len(cells), pa.int64())

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


def _money(cells: pa.Array, field: str, manner: Manner) -> pa.Array:
    import pyarrow.compute as pc

    return pc.multiply(_amounts(cells, field, manner), 100)


# What stands around an amount in a file of dollars.
AROUND_AMOUNTS = r"[-−–+0-9.,()\s\x{a0}\x{202f}\x{2009}'’]+"


def amount_tokens(cells: pa.Array) -> pa.Array:
    """What stands beside each amount, its currency: `€`, `ca$`, `usd`, in lower case; empty for none."""
    import pyarrow.compute as pc

    return pc.utf8_lower(pc.replace_substring_regex(cells, AROUND_AMOUNTS, ""))


def currencies_beside(series: pd.Series) -> set[str]:
    """What stands beside amounts and is not the sign of dollars."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pa.array(series, pa.string())
    odd = cells.filter(pc.match_substring_regex(cells, r"[^-0-9.,$ ()+]"))
    return set(pc.unique(amount_tokens(odd)).to_pylist()) - {""} if len(odd) else set()


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


def _moments(cells: pa.Array, field: str, manner: Manner) -> pa.Array:
    """Moments of ISO dates with a time or none, as UTC; those in the future are left to csv_values to refuse."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.timestamp("s", "UTC")
    if manner.exchanged:
        return pa.nulls(len(cells), kind)
    plain = pc.cast(_matching(cells, MOMENT), pa.timestamp("s"))
    when = pc.assume_timezone(plain, "UTC")
    if (zone := getattr(manner.zone, "key", "UTC")) != "UTC":
        # A day without a time begins when it does where the creator is.
        there = pc.assume_timezone(plain, zone, ambiguous="earliest", nonexistent="latest")
        when = pc.if_else(pc.equal(pc.utf8_length(cells), 10), pc.cast(there, kind), when)
    latest = pa.scalar(manner.now + values.FUTURE_MAX, kind)
    return pc.if_else(pc.less_equal(when, latest), when, pa.scalar(None, kind))


# Tags and tiers are few and repeat, so reading each distinct one is fast enough.
PLAIN: dict[str, Callable[[pa.Array, str, Manner], pa.Array]] = {
    "platform_id": _platform_ids,
    "transaction_id": _transaction_ids,
    "handle": _handles,
    "name": _names,
    "email": _emails,
    "notes": _notes,
    "value_cents": _amounts,
    "money": _money,
    "last_seen_at": _moments,
}
