"""Answers what a report reads from all of a creator's transactions; where they are many, as it was some minutes ago.
Touches the database and the cache.

A million transactions take a second or two to read, and the months of a report hardly change within a quarter of an
hour. The moment of the answer comes with it, so that a page says as of when it is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.utils import timezone

from analytics.basis import Basis
from crm.models import Creator, TransactionKind
from crm.statements import statement_run

# Up to so many are read anew each time, in about a tenth of a second.
MANY = 50_000
KEPT_FOR = timedelta(minutes=15)
_STORED = f"""
SELECT coalesce(sum({" + ".join(f"coalesce({kind}_count, 0)" for kind in TransactionKind.values)}), 0)
FROM analytics_keptday WHERE creator_id = %s
"""  # noqa: S608  names of our own


def rows_recent(
    *, creator: Creator, basis: Basis, sql: str, values: Sequence[Any]
) -> tuple[list[tuple[Any, ...]], Basis]:
    """The rows of a statement about this creator, and the basis as of when they are; at most KEPT_FOR ago.

    Whatever changes the answer but the transactions themselves, as the time zone does, must be in the values.
    """
    [(stored,)] = statement_run(_STORED, [creator.pk])
    rows, as_of = _asked(sql, values) if stored <= MANY else _remembered(sql, values)
    return rows, replace(basis, as_of=as_of)


def _remembered(sql: str, values: Sequence[Any]) -> tuple[list[tuple[Any, ...]], datetime]:
    # The statement is in the key, so that another release asks anew.
    key = f"analytics-{hashlib.sha256(repr((sql, list(values))).encode()).hexdigest()}"
    found: tuple[list[tuple[Any, ...]], datetime] | None = cache.get(key)
    if found is None or timezone.now() - found[1] > KEPT_FOR:
        found = _asked(sql, values)
        cache.set(key, found, timeout=KEPT_FOR.total_seconds())
    return found


def _asked(sql: str, values: Sequence[Any]) -> tuple[list[tuple[Any, ...]], datetime]:
    as_of = timezone.now()
    return statement_run(sql, values), as_of
