"""Answers how a list is read that is asked for all the time: one statement, planned once, rows without models.
Touches the database alone.

A model's instance for each row costs more than the query does, and so does planning it each time; see `make bench-api`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from django.db.models import Field

from crm.statements import statement_run

R = TypeVar("R")


class Key(NamedTuple):
    """What a list may be ordered by: SQL that is never NULL, PostgreSQL's type of it, and the field that reads one.

    `least` is a value of that type below all rows.
    """

    sql: str
    type: str
    field: "Field[Any, Any]"
    least: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[R]):
    """`row` makes one of the `columns` in their order, as a NamedTuple's `_make` does.

    Each `%s` of the columns and then of the conditions has its value in `values`. A row has its place in the order
    in fields that are called as the keys are. The texts are our own; whatever comes from outside is a value.
    """

    row: Callable[[Iterable[Any]], R]
    columns: str
    source: str
    conditions: Sequence[str]
    values: Sequence[Any]
    keys: Mapping[str, Key]

    def page(self, names: Sequence[str], *, descending: bool, after: Sequence[Any] | None, limit: int) -> list[R]:
        """At most `limit` rows in the order of these keys, which follow the position `after`: a value of each."""
        keys = [self.keys[name] for name in names]
        sql = ", ".join(key.sql for key in keys)
        casts = ", ".join(f"%s::{key.type}" for key in keys)
        # The first page has a condition too, which holds for all rows, and not for form's sake: a plan for all tenants
        # expects few rows of each, and would rather sort ten thousand messages than read their index in order (55 ms
        # against 0.2 ms). A subquery, because the planner sees through a value: knowing that a condition holds for all
        # rows it expects more of its plan for these values than of the one for any, and plans each time (0.3 ms).
        conditions = [*self.conditions, f"({sql}) {'<' if after and descending else '>'} (SELECT {casts})"]
        values = [*self.values, *(after or [key.least for key in keys])]
        order = ", ".join(f"{key.sql} DESC" if descending else key.sql for key in keys)
        # The limit is part of the text: a plan for any limit would be made for a tenth of the list.
        text = (
            f"SELECT {self.columns} FROM {self.source} WHERE {' AND '.join(conditions)} "  # noqa: S608
            f"ORDER BY {order} LIMIT {limit:d}"
        )
        return [*map(self.row, statement_run(text, values, binary=True))]
