"""Answers how a list is read that is asked for all the time: one statement, planned once, rows without models.
Touches the database alone.

A model's instance for each row costs more than the query does, and so does planning it each time; see `make bench-api`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from django.db.models import Field

from crm.statements import statement_run

R = TypeVar("R")


class Key(NamedTuple):
    """What a list may be ordered by: SQL that is never NULL, PostgreSQL's type of it, and the field that reads one.

    `least` and `most` are values of that type beyond all rows.
    """

    sql: str
    type: str
    field: "Field[Any, Any]"
    least: str
    most: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[R]):
    """`columns` make a row in the order of its class; each `%s` of the conditions has its value in `values`.

    The texts are our own; whatever comes from outside is a value.
    """

    row: Callable[..., R]
    columns: str
    source: str
    conditions: Sequence[str]
    values: Sequence[Any]
    keys: Mapping[str, Key]

    def page(
        self, names: Sequence[str], *, descending: bool, after: Sequence[Any] | None, limit: int
    ) -> list[tuple[tuple[Any, ...], R]]:
        """At most `limit` rows in this order, each with its position; `after` is the position that they follow."""
        keys, width = [self.keys[name] for name in names], len(names)
        conditions, values = [*self.conditions], [*self.values]
        sql = ", ".join(key.sql for key in keys)
        # The head of the list is a position too, and not for form's sake: a plan for all tenants expects few rows of
        # each, and would rather sort ten thousand messages than read their index in order (55 ms against 0.2 ms).
        values += after or [key.most if descending else key.least for key in keys]
        casts = ", ".join(f"%s::{key.type}" for key in keys)
        conditions.append(f"({sql}) {'<' if descending else '>'} ({casts})")
        order = ", ".join(f"{key.sql} DESC" if descending else key.sql for key in keys)
        # The limit is part of the text: a plan for any limit would be made for a tenth of the list.
        text = (
            f"SELECT {sql}, {self.columns} FROM {self.source} WHERE {' AND '.join(conditions)} "  # noqa: S608
            f"ORDER BY {order} LIMIT {limit:d}"
        )
        make = self.row
        return [(found[:width], make(*found[width:])) for found in statement_run(text, values, binary=True)]
