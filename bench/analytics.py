"""Answers what kept sums of revenue save and cost, beside a covering index on the same rows. Touches a stand.

`python -m bench.analytics [ROWS]`, a million transactions of 200 creators by default, over two years.
"""

import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from bench import stand

ROWS = 1_000_000
CREATORS = 200
DAYS = 730
# The largest creator has a tenth of all rows.
FILL = f"""
INSERT INTO crm_transaction (creator_id, fan_name, kind, status, gross_cents, fee_cents, net_cents, vat_cents, currency,
                             occurred_at, source, platform_transaction_id)
SELECT CASE WHEN n %% 10 = 0 THEN 1 ELSE 2 + n %% {CREATORS - 1} END, '',
       (ARRAY['subscription', 'recurring', 'tip', 'message', 'message', 'message', 'post'])[1 + (random() * 6)::int],
       CASE WHEN random() < 0.01 THEN 'undo' ELSE 'done' END, 1000, 200, 800, 0, 'USD',
       timestamptz '2026-11-01' - random() * interval '{DAYS} days', 'ledger', %(run)s || n
FROM generate_series(1, %(rows)s) AS n
"""  # noqa: S608  numbers of ours
COVERING = """
CREATE INDEX bench_covering ON crm_transaction (creator_id, occurred_at)
INCLUDE (kind, status, currency, gross_cents, net_cents)
"""
# The same answer twice: net of each day of a year, by kind.
PLAIN = """
SELECT (occurred_at AT TIME ZONE 'UTC')::date, kind, sum(net_cents) FROM crm_transaction
WHERE creator_id = %s AND currency = 'USD' AND status IN ('done', 'loading')
AND occurred_at >= '2025-11-01' AND occurred_at < '2026-11-01' GROUP BY 1, 2
"""
KEPT = """
SELECT day, kind, net_cents FROM analytics_revenueday
WHERE creator_id = %s AND currency = 'USD' AND day >= '2025-11-01' AND day < '2026-11-01' AND count > 0
"""
INSERTED = 10_000


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with stand.product():
        from django.db import connection

        from crm.models import Creator

        Creator.objects.bulk_create(Creator(pk=n, name=f"Creator {n}") for n in range(1, CREATORS + 1))

        def run(sql: str, values: Any = None) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []

        def ms(sql: str, values: Sequence[int], rounds: int = 30) -> float:
            taken = []
            for _ in range(rounds):
                begin = time.perf_counter()
                run(sql, values)
                taken.append(1_000 * (time.perf_counter() - begin))
            return statistics.median(taken)

        def size(table: str, whole: bool = False) -> int:
            return int(run(f"SELECT pg_{'total_' if whole else ''}relation_size('{table}')")[0][0])

        def insert_us(name: str) -> float:
            begin = time.perf_counter()
            run(FILL, {"rows": INSERTED, "run": name})
            return 1e6 * (time.perf_counter() - begin) / INSERTED

        run(FILL, {"rows": rows, "run": "base"})
        run("ANALYZE crm_transaction; ANALYZE analytics_revenueday")
        heap, kept = size("crm_transaction"), size("analytics_revenueday", whole=True)
        found: dict[str, list[float]] = {"with": [], "without": []}
        for turn in range(5):
            found["with"].append(insert_us(f"w{turn}-"))
            run("ALTER TABLE crm_transaction DISABLE TRIGGER analytics_revenue_insert")
            found["without"].append(insert_us(f"o{turn}-"))
            run("ALTER TABLE crm_transaction ENABLE TRIGGER analytics_revenue_insert")
        # What was written without the trigger is counted now, or the two answers below would differ.
        run("SELECT analytics_revenue_rebuild(id) FROM crm_creator ORDER BY id")
        run(COVERING)
        # VACUUM lets the index answer without the table.
        run("VACUUM ANALYZE crm_transaction")
        run("VACUUM ANALYZE analytics_revenueday")
        stand.title(f"A year of revenue by day and kind, {rows:,} transactions of {CREATORS} creators")
        for name, creator in (("the largest creator", 1), ("another creator", 2)):
            if sorted(run(PLAIN, [creator])) != sorted(run(KEPT, [creator])):
                raise AssertionError("The two do not answer the same.")
            plain, fast = ms(PLAIN, [creator]), ms(KEPT, [creator])
            stand.row(f"{name}: covering index", f"{plain:.2f} ms")
            stand.row(f"{name}: kept sums", f"{fast:.2f} ms", f"{plain / fast:.1f} times as fast")
            stand.goal(f"trend of {name}, ms", found=fast, wanted=1, at_most=True)
            stand.goal(f"times as fast as the index for {name}", found=plain / fast, wanted=10)
        with_, without = statistics.median(found["with"]), statistics.median(found["without"])
        stand.row("one row inserted, of 10,000 at once, with the trigger", f"{with_:.1f} µs")
        stand.row("the same without it", f"{without:.1f} µs")
        stand.goal("writes dearer by", found=with_ / without, wanted=1.5, at_most=True)
        stand.row("covering index", f"{size('bench_covering') / 2**20:.1f} MiB")
        stand.row("kept sums with their key", f"{kept / 2**20:.1f} MiB", f"{100 * kept / heap:.1f} % of the heap")
        stand.goal("kept sums, % of the heap", found=100 * kept / heap, wanted=2, at_most=True)


if __name__ == "__main__":
    main()
