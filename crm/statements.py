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


def rows_read(model: type[M], condition: str, values: Sequence[Any], *, related: str = "") -> list[M]:
    """Whole rows of a model; `condition` is what stands after WHERE.

    related: a foreign key that is never null, whose own row is read with each.
    """
    select, other = _select(model, related)
    names = _names(model)
    rows = statement_run(select + condition, values, binary=True)
    found = [model.from_db(DEFAULT_DB_ALIAS, names, row[: len(names)]) for row in rows]
    if other is not None:
        for each, row in zip(found, rows, strict=True):
            setattr(each, related, other.from_db(DEFAULT_DB_ALIAS, _names(other), row[len(names) :]))
    return found


@cache
def _select(model: type[Model], related: str) -> tuple[str, type[Model] | None]:
    # Names of our own models, and nothing from outside.
    table = model._meta.db_table  # noqa: SLF001  Django's documented way to a model's table and fields
    if not related:
        return f"SELECT {_columns(model)} FROM {table} WHERE ", None  # noqa: S608
    key: Any = model._meta.get_field(related)  # noqa: SLF001
    other: type[Model] = key.related_model
    join = f"{other._meta.db_table} ON {other._meta.db_table}.{key.target_field.column} = {table}.{key.column}"  # noqa: SLF001
    return f"SELECT {_columns(model)}, {_columns(other)} FROM {table} JOIN {join} WHERE ", other  # noqa: S608


def _columns(model: type[Model]) -> str:
    return ", ".join(f"{model._meta.db_table}.{field.column}" for field in model._meta.concrete_fields)  # noqa: SLF001


@cache
def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]  # noqa: SLF001
