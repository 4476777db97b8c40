"""Answers who acts, for what the database writes down of changes. Touches one setting of the transaction.

pghistory's triggers read `pghistory.context_metadata`. Its own way to set that puts it before every statement, which
those that are prepared (crm/statements.py) refuse; here it stands before what changes a tracked table alone.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import orjson
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.signals import connection_created
from django.dispatch import receiver

Actor = Mapping[str, Any]
_actor: ContextVar[Callable[[], Actor] | None] = ContextVar("actor", default=None)
_SET = "SELECT set_config('pghistory.context_metadata', %s, true); "


@contextmanager
def acting(actor: Callable[[], Actor]) -> Iterator[None]:
    """Whatever is changed within is this one's doing. `actor` is asked once there is something to write down:
    `user` (an id), `request` (its id), `door` ("page", "api", "admin" or "command"), `command` (its name).
    """
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Within a transaction: files and syncs write fans by the hundred thousand, which is no person's decision."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('huntaze.bulk', 'on', true)")
        yield
        cursor.execute("SELECT set_config('huntaze.bulk', '', true)")


@cache
def _changes() -> re.Pattern[str]:
    tracked = (apps.get_model(label).pgh_tracked_model for label in settings.AUDIT_EVENTS)
    tables = "|".join(re.escape(model._meta.db_table) for model in tracked)  # noqa: SLF001  Django's documented way
    return re.compile(rf'(?:INSERT INTO|UPDATE|DELETE FROM) "(?:{tables})"')


def _with_actor(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
    if many or not isinstance(sql, str) or not _changes().match(sql):
        return execute(sql, params, many, context)
    if isinstance(context["cursor"].cursor, ServerBindingCursor):
        return execute(sql, params, many, context)
    actor = _actor.get()
    # Nobody is said as well: the transaction may know of somebody before.
    said = "" if actor is None else orjson.dumps(dict(actor())).decode()
    # In one go, so that it is one transaction where no other is open.
    result = execute(_SET + sql, (said, *(params or ())), many, context)
    while context["cursor"].cursor.nextset():
        pass
    return result


@receiver(connection_created)
def _wrap(connection: Any, **kwargs: Any) -> None:
    if connection.vendor == "postgresql" and _with_actor not in connection.execute_wrappers:
        connection.execute_wrappers.append(_with_actor)
