"""Answers whether the rollups say what the transactions say, and makes them do so. Touches analytics' own table alone.

The counting itself is in PostgreSQL (migrations/0004_kept_days.py), the same for a trigger and for a rebuilding.
"""

from dataclasses import dataclass

from django.db import connection, transaction

from crm.models import Creator

# Rows of one side alone: what is missing from the rollups, and what they have wrongly.
DIFFERENT = """
SELECT count(DISTINCT (currency, day)) FROM (
    (SELECT * FROM analytics_revenue_sums(%(creator)s)
     EXCEPT SELECT * FROM analytics_keptday WHERE creator_id = %(creator)s)
    UNION ALL
    (SELECT * FROM analytics_keptday WHERE creator_id = %(creator)s
     EXCEPT SELECT * FROM analytics_revenue_sums(%(creator)s))
) AS one_sided
"""


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """Of one creator: how many rows the rollups have now, and how many were wrong, missing or too many before."""

    creator: int
    rows: int
    different: int


@transaction.atomic
def rollups_rebuild(*, creator: Creator, dry_run: bool = False) -> Rebuilding:
    """Count the creator's rollups anew from all of their transactions; writers of the same creator wait for it.

    dry_run: count the differences and leave them.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT analytics_revenue_lock(ARRAY[%s::bigint])", [creator.pk])
        cursor.execute(DIFFERENT, {"creator": creator.pk})
        [different] = cursor.fetchone()
        if different and not dry_run:
            cursor.execute("SELECT analytics_revenue_rebuild(%s)", [creator.pk])
        cursor.execute("SELECT count(*) FROM analytics_keptday WHERE creator_id = %s", [creator.pk])
        [rows] = cursor.fetchone()
    return Rebuilding(creator=creator.pk, rows=rows, different=different)
