"""Answers what kept sums save and cost, beside plain SQL on a covering index and DuckDB on the same rows.
Touches a stand.

`python -m bench.analytics`: 500,000 transactions of 200 creators over two years; SIZE=full: ten million.
KEEP=folder: the rows stay there for another run. Every question is asked of all sides in turn, planned beforehand
on each.
"""

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import time_machine

from bench import stand
from bench.analytics_data import CREATORS, DAYS, NOW, Data, Duck, in_turn

KEEP = Path(os.environ["KEEP"]).absolute() if os.environ.get("KEEP") else None
ROWS = 10_000_000 if os.environ.get("SIZE") == "full" else 500_000
COVERING = """
CREATE INDEX bench_covering ON crm_transaction (creator_id, occurred_at)
INCLUDE (fan_id, kind, status, currency, gross_cents, net_cents)
"""
EARNED = "creator_id = %s AND currency = 'USD' AND status IN ('done', 'loading')"
# The same answers, from the rows: net of each day of a year by kind, the ten best fans, the overview.
TREND = f"""
SELECT CAST(occurred_at AT TIME ZONE 'UTC' AS date), kind, CAST(sum(net_cents) AS bigint) FROM crm_transaction
WHERE {EARNED} AND occurred_at >= '2025-11-01 00:00:00Z' AND occurred_at < '2026-11-01 00:00:00Z' GROUP BY 1, 2
"""  # noqa: S608
TOP = f"""
SELECT fan_id, CAST(sum(gross_cents) AS bigint) AS value FROM crm_transaction WHERE {EARNED} AND fan_id IS NOT NULL
GROUP BY 1 ORDER BY 2 DESC, 1 DESC LIMIT 10
"""  # noqa: S608
OVERVIEW = f"""
SELECT count(*), count(*) FILTER (WHERE last_seen_at >= %s), CAST(sum(value_cents) AS bigint),
    (SELECT CAST(sum(net_cents) AS bigint) FROM crm_transaction WHERE {EARNED} AND occurred_at >= %s),
    (SELECT CAST(sum(net_cents) AS bigint) FROM crm_transaction
     WHERE {EARNED} AND occurred_at >= %s AND occurred_at < %s)
FROM crm_fan WHERE creator_id = %s AND deleted_at IS NULL
"""  # noqa: S608
KINDS = ("subscription", "recurring", "tip", "message", "post", "stream", "other")
TREND_KEPT = f"""
SELECT day, {", ".join(f"{kind}_net_cents" for kind in KINDS)} FROM analytics_keptday
WHERE creator_id = %s AND currency = 'USD' AND day >= '2025-11-01' AND day < '2026-11-01'
"""  # noqa: S608
TURNS = 7


def main() -> None:
    with (
        stand.product(database_home=KEEP),
        time_machine.travel(f"{NOW}T00:00:00Z", tick=True),
        tempfile.TemporaryDirectory() as folder,
    ):
        data = Data(ROWS)
        if data.kept():
            clean(data)
            print(f"{ROWS:,} transactions taken from {KEEP}")
        else:
            begin = time.monotonic()
            data.fill()
            print(f"{ROWS:,} transactions stored and summed in {time.monotonic() - begin:.0f} s")
        heap, kept = data.size("crm_transaction"), data.size("analytics_keptday", whole=True)
        [(days,)] = data.run("SELECT count(*) FROM analytics_keptday")
        writes(data)
        values(data)
        grown = data.size("analytics_keptday", whole=True)
        # What was written without the triggers is not counted, and the answers below would differ.
        clean(data)
        data.run(COVERING)
        for table in ("crm_transaction", "crm_fan", "analytics_keptday"):
            # VACUUM lets an index answer without the table.
            data.run(f"VACUUM ANALYZE {table}")
        duck = Duck(Path(folder))
        reads(data, duck)
        reports()
        storage(data, duck, heap=heap, kept=kept, grown=grown, days=days)


def clean(data: Data) -> None:
    """Take away what a run has written, and what was counted for it; the days are packed as after a migration."""
    data.run("DROP INDEX IF EXISTS bench_covering")
    with without_sums(data, event="delete"):
        data.run("DELETE FROM crm_transaction WHERE platform_transaction_id NOT LIKE 'base-%%'", [])
    data.run("TRUNCATE analytics_keptday")
    data.run("INSERT INTO analytics_keptday SELECT * FROM bench_days ORDER BY creator_id, day")


def reads(data: Data, duck: Duck) -> None:
    """Each question asked of the rows, of DuckDB and of what is kept; the answers must be the same."""
    from analytics import selectors
    from analytics.figures import sums_by_period
    from analytics.periods import Days, Interval
    from crm.models import Creator
    from crm.statements import statement_run

    now, since, before = (datetime(2026, *day, tzinfo=UTC) for day in ((11, 1), (10, 3), (9, 3)))
    seen = datetime(2026, 10, 2, tzinfo=UTC)
    year = Days(date(2025, 11, 1), date(2026, 10, 31))
    for name, pk in (("the largest creator", 1), ("another creator", 2)):
        creator = Creator.objects.get(pk=pk)
        asked = [seen, pk, since, pk, before, since, pk]
        stand.title(f"Questions of {name}, {ROWS:,} transactions of {CREATORS} creators")

        def trend(pk: int = pk) -> list[tuple[Any, ...]]:
            """The same figures as the others tell; the product asks for ten of each kind, of the year before too."""
            rows = statement_run(TREND_KEPT, [pk])
            return [(day, kind, net) for day, *nets in rows for kind, net in zip(KINDS, nets, strict=True) if net]

        def top(creator: Creator = creator) -> list[tuple[Any, ...]]:
            return [(each.fan.pk, each.fan.value_cents) for each in selectors.top_fans(creator=creator).results]

        def overview(creator: Creator = creator) -> list[tuple[Any, ...]]:
            found = selectors.overview(creator=creator)
            recent = found.revenue.whole.total.net_cents
            return [(found.fans.total, found.fans.active, found.fans.value_cents, recent, data_before(found))]

        with time_machine.travel(now, tick=False):
            questions: dict[str, tuple[str, list[Any], Callable[[], list[tuple[Any, ...]]], float]] = {
                "trend of a year by day and kind": (TREND, [pk], trend, 1),
                "ten best fans": (TOP, [pk], top, 1),
                "whole overview, one round trip": (OVERVIEW, asked, overview, 3),
            }
            for what, (sql, given, kept, wanted) in questions.items():
                sides = {
                    "covering index": lambda sql=sql, given=given: statement_run(sql, given),
                    "DuckDB": duck.prepared(sql, given),
                    "ours": kept,
                }
                same(what, [run() for run in sides.values()])
                took = in_turn(sides)
                ours = took["ours"]
                for side, each in took.items():
                    times = "" if side == "ours" else f"{each.median / ours.median:.1f} × ours"
                    stand.row(f"{what}: {side}", str(each), f"least {each.least:.2f} ms   {times}".rstrip())
                stand.goal(f"{what}, ms", found=ours.median, wanted=wanted, at_most=True)
                stand.goal("times as fast as the index", found=took["covering index"].median / ours.median, wanted=10)
                stand.goal("times as fast as DuckDB", found=took["DuckDB"].median / ours.median, wanted=1)
            whole = {
                "all sums of the year by day and kind, beside the year before": lambda creator=creator: sums_by_period(
                    creator=creator, currency="USD", days=year, interval=Interval.DAY
                ),
                "the page's revenue of the year by month": lambda creator=creator: selectors.revenue(
                    creator=creator, interval=Interval.MONTH, begin=year.begin, end=year.end
                ),
            }
            for what, each in in_turn(whole).items():
                stand.row(what, str(each), f"least {each.least:.2f} ms")


def data_before(found: Any) -> int:
    """The net of the thirty days before, of which an overview tells only the change."""
    percent, recent = found.revenue.change.net_percent, found.revenue.whole.total.net_cents
    return round(recent / (1 + percent / 100))


def same(what: str, answers: list[list[tuple[Any, ...]]]) -> None:
    """Raise where the three do not say the same; the overview's last figure is rounded to a tenth of a percent."""
    first, *others = [sorted(each) for each in answers]
    for other in others:
        close = [
            a == b or (isinstance(a, int) and isinstance(b, int) and abs(a - b) <= 0.001 * abs(a))
            for row, row_ in zip(first, other, strict=True)
            for a, b in zip(row, row_, strict=True)
        ]
        if not all(close):
            raise AssertionError(f"{what}: {first[:3]} and {other[:3]} are not the same answer.")


def reports() -> None:
    """What the API's reports take for the largest creator; those that are kept for some minutes anew, and again."""
    from django.core.cache import cache

    from analytics import fan_selectors, sales_selectors, selectors
    from crm.models import Creator

    creator = Creator.objects.get(pk=1)
    stand.title("Reports of the largest creator, as the API asks for them")
    for report in (
        selectors.revenue,
        fan_selectors.tiers,
        fan_selectors.churn,
        fan_selectors.cohorts,
        sales_selectors.hours,
        sales_selectors.campaigns,
        sales_selectors.chatters,
    ):

        def anew(report: Callable[..., Any] = report) -> None:
            cache.clear()
            report(creator=creator)

        first = in_turn({"anew": anew}, rounds=5, at_most_seconds=10)["anew"]
        again = in_turn({"again": lambda report=report: report(creator=creator)})["again"]
        stand.row(report.__name__, str(again), f"anew {first}")
        stand.goal("within 100 ms", found=again.median, wanted=100, at_most=True)


@contextmanager
def without_sums(data: Data, event: str = "insert") -> Iterator[None]:
    data.run(f"ALTER TABLE crm_transaction DISABLE TRIGGER analytics_revenue_{event}")
    try:
        yield
    finally:
        data.run(f"ALTER TABLE crm_transaction ENABLE TRIGGER analytics_revenue_{event}")


def writes(data: Data) -> None:
    """One row stored with and without the sums, in turn."""
    runs = itertools.count()
    everybody = "1 + n % 200"
    stand.title("One transaction stored, beside the same without the sums")
    for what, times, rows, creator, days in (
        ("10,000 of all creators' last day", 1, 10_000, everybody, 1),
        ("pages of 100 of one creator's last week", 20, 100, "2", 7),
        ("one at a time, as events come", 300, 1, "3", 0.01),
        ("10,000 of one creator's two years", 1, 10_000, "4", DAYS),
        ("10,000 of all creators' two years, the worst case", 1, 10_000, everybody, DAYS),
    ):

        def us(times: int = times, rows: int = rows, creator: str = creator, days: float = days) -> float:
            begin = time.perf_counter()
            for _ in range(times):
                data.insert(rows, f"run{next(runs)}-", creator, days)
            return 1e6 * (time.perf_counter() - begin) / (times * rows)

        us()
        found: dict[str, list[float]] = {"with": [], "without": []}
        for _ in range(TURNS):
            found["with"].append(us())
            with without_sums(data):
                found["without"].append(us())
        kept, bare = (statistics.median(found[name]) for name in ("with", "without"))
        stand.row(what, f"{kept:.1f} µs", f"without {bare:.1f} µs")
        stand.goal("writes dearer by", found=kept / bare, wanted=1.5, at_most=True)


def values(data: Data) -> None:
    """A page of the platform's list through the service, with the fans' values following and without."""
    from crm import fan_values
    from crm.models import Creator, TransactionKind, TransactionSource
    from crm.transaction_services import TransactionRow, transaction_bulk_record

    creator, runs = Creator.objects.get(pk=5), itertools.count()
    [(first,)] = data.run("SELECT min(id) FROM crm_fan WHERE creator_id = 5")

    def us(size: int, live: bool) -> float:
        run = next(runs)
        rows = [
            TransactionRow(
                kind=TransactionKind.TIP,
                gross_cents=1_000,
                net_cents=800,
                # Far from all others, so that none is taken for another's report.
                occurred_at=datetime(2030, 1, 1, tzinfo=UTC).replace(year=2030 + run // 300, day=1 + run % 28),
                source=TransactionSource.LEDGER,
                key=f"value{run}-{n}",
                fan_id=first + (run * 7 + n) % data.other,
            )
            for n in range(size)
        ]
        begin = time.perf_counter()
        transaction_bulk_record(creator=creator, rows=rows, raise_values=live)
        return 1e6 * (time.perf_counter() - begin) / size

    stand.title("One transaction through the service, beside the same without fans' values")
    for what, size, live, told in (
        ("a page of 100 that the platform's values have already", 100, False, "2200-01-01"),
        ("a page of 100 of fans whose value nobody told", 100, False, None),
        ("one live event", 1, True, None),
    ):
        data.run("UPDATE crm_fan SET value_as_of = %s WHERE creator_id = 5", [told])
        found: dict[str, list[float]] = {"with": [], "without": []}
        for _ in range(25):
            found["with"].append(us(size, live))
            with mock.patch.object(fan_values, "fan_values_follow"):
                found["without"].append(us(size, live))
        kept, bare = (statistics.median(found[name]) for name in ("with", "without"))
        stand.row(what, f"{kept:.0f} µs", f"without {bare:.0f} µs")
        stand.goal("writes dearer by", found=kept / bare, wanted=1.5, at_most=True)


def storage(data: Data, duck: Duck, *, heap: int, kept: int, grown: int, days: int) -> None:
    """heap: bytes of the transactions; kept: of the sums and their key, `days` rows; grown: after the writes above,
    which nobody vacuumed."""
    stand.title("Storage")
    stand.row("transactions, the heap", f"{heap / 2**20:,.0f} MiB")
    stand.row("covering index", f"{data.size('bench_covering') / 2**20:,.0f} MiB")
    stand.row("DuckDB's copy, with the fans", f"{duck.path.stat().st_size / 2**20:,.0f} MiB")
    stand.row(
        "kept sums with their key", f"{kept / 2**20:,.1f} MiB", f"{days:,} rows, {ROWS / days:.1f} transactions each"
    )
    stand.row("the same after the writes above, nothing vacuumed", f"{grown / 2**20:,.1f} MiB")
    stand.row("bytes of a kept day, and of a transaction", f"{kept / days:.0f}, {heap / ROWS:.0f}")
    stand.goal("kept sums, % of the heap", found=100 * kept / heap, wanted=2, at_most=True)
    enough = 50 * (kept / days) / (heap / ROWS)
    print(f"  It depends on how many transactions a creator's day has: 2 % from {enough:.0f} on.")


if __name__ == "__main__":
    main()
