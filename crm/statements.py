"""Answers how a statement that runs for every message is run: planned once a connection. Touches the database alone.

Django's own cursors write the values into the text, so that PostgreSQL plans each statement anew, which takes longer
than running it where it is about a few rows (2.0 ms against 0.8 ms for all that one message takes, on two cores).
Here the text stays the same and psycopg prepares it: https://www.psycopg.org/psycopg3/docs/advanced/prepare.html
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import orjson
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.models import Model
from psycopg.pq import Format

M = TypeVar("M", bound=Model)


def statement_run(sql: str, values: Sequence[Any], *, binary: bool = False) -> list[tuple[Any, ...]]:
    """The rows that a statement returns; none where it returns none. It takes part in Django's transaction.

    A value needs a cast where PostgreSQL cannot tell its type from where it stands. binary: rows come in PostgreSQL's
    own form, which is read faster where there are many, and by psycopg alone: JSON is objects, times are in UTC.
    """
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    cursor: Any = ServerBindingCursor(database.connection)  # type: ignore[call-arg]
    if binary:
        cursor.format = Format.BINARY
    wrapped = database.make_debug_cursor(cursor) if database.queries_logged else database.make_cursor(cursor)
    with wrapped as running:
        running.execute(sql, values)
        # Not `description`, which names and types every column anew.
        return running.fetchall() if cursor.pgresult.nfields else []


def json_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Many rows as one value, for `json_to_recordset`: written several times as fast as an array of each column."""
    return orjson.dumps(list(rows), default=list).decode()


def rows_read(model: type[M], condition: str, values: Sequence[Any]) -> list[M]:
    """Whole rows of a model; `condition` is what stands after WHERE."""
    select, names = _select(model)
    rows = statement_run(select + condition, values, binary=True)
    return [model.from_db(DEFAULT_DB_ALIAS, names, row) for row in rows]


@cache
def _select(model: type[Model]) -> tuple[str, list[str]]:
    fields = model._meta.concrete_fields  # noqa: SLF001  Django's documented way to its fields
    columns = ", ".join(str(field.column) for field in fields)
    # Names of our own models, and nothing from outside.
    return f"SELECT {columns} FROM {model._meta.db_table} WHERE ", [field.attname for field in fields]  # noqa: S608, SLF001
