"""Answers what the measurements of analytics run on: transactions of two years, and DuckDB with the same rows.
Touches the stand's database and a temporary folder."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

CREATORS = 200
DAYS = 730
PER_FAN = 50
# The last moment of all; reports are asked for as of then.
NOW = "2026-11-01"
_COLUMNS = """creator_id, fan_id, fan_name, kind, status, gross_cents, fee_cents, net_cents, vat_cents, currency,
    occurred_at, source, platform_transaction_id"""
_KIND = "(ARRAY['subscription', 'recurring', 'tip', 'message', 'message', 'message', 'post'])[1 + (random() * 6)::int]"
_STATUS = "CASE WHEN random() < 0.01 THEN 'undo' ELSE 'done' END"
# A fan's part is the square of chance: few pay much, as everywhere.
_FAN = "CASE creator_id WHEN 1 THEN 1 ELSE {largest} + (creator_id - 2) * {other} + 1 END"
_COUNT = "CASE creator_id WHEN 1 THEN {largest} ELSE {other} END"
DUCK_COLUMNS = "creator_id, fan_id, occurred_at, kind, status, currency, gross_cents, net_cents"


class Data:
    """So many transactions of CREATORS creators, of which the largest has a tenth; `run` runs a statement."""

    def __init__(self, rows: int) -> None:
        self.rows, self.mark = rows, f"{rows} rows of the bench, whole"
        self.largest = max(1, rows // 10 // PER_FAN)
        self.other = max(1, (rows - rows // 10) // (CREATORS - 1) // PER_FAN)

    def run(self, sql: str, values: Any = None) -> list[tuple[Any, ...]]:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def kept(self) -> bool:
        """Whether the database has these very rows already, from a run before."""
        return self.run("SELECT obj_description('crm_transaction'::regclass, 'pg_class')") == [(self.mark,)]

    def fill(self) -> None:
        """Fans and transactions, in the order of time, without the work of triggers; then the sums, all at once."""
        self.run(
            "INSERT INTO crm_creator (id, name, platform, time_zone) "
            "SELECT n, 'Creator ' || n, 'onlyfans', 'UTC' FROM generate_series(1, %s) AS n",
            [CREATORS],
        )
        fans = self.largest + (CREATORS - 1) * self.other
        self.run(
            "INSERT INTO crm_fan (id, creator_id, platform, platform_id, handle, name, email, avatar, tags, notes, "
            "value_cents, last_seen_at) "
            "SELECT n, CASE WHEN n <= %(largest)s THEN 1 ELSE 2 + (n - %(largest)s - 1) / %(other)s END, 'onlyfans', "
            "n::text, 'fan' || n, 'Fan ' || n, '', '', '{}', '', 0, "
            "%(now)s::timestamptz - random() * interval '90 days' FROM generate_series(1, %(fans)s) AS n",
            {"largest": self.largest, "other": self.other, "fans": fans, "now": NOW},
        )
        # Indexes that are built at once instead of row by row: minutes instead of an hour where there are many rows.
        self.run(
            "UPDATE pg_index SET indisready = false, indisvalid = false WHERE indrelid = 'crm_transaction'::regclass"
        )
        self.run("SET session_replication_role = replica")
        self.insert(self.rows, "base-", "CASE WHEN n % 10 = 0 THEN 1 ELSE 2 + n % 199 END", DAYS)
        self.run("SET session_replication_role = origin")
        self.run("REINDEX TABLE crm_transaction")
        self.rebuild()
        self.run(
            "UPDATE crm_fan SET value_cents = paid.cents FROM (SELECT fan_id, sum(gross_cents) AS cents "
            "FROM crm_transaction WHERE status = 'done' GROUP BY 1) AS paid WHERE paid.fan_id = crm_fan.id"
        )
        self.talk()
        self.run("CREATE TABLE bench_days AS TABLE analytics_keptday")
        self.run("VACUUM ANALYZE")
        self.run(f"COMMENT ON TABLE crm_transaction IS '{self.mark}'")
        self.run("CHECKPOINT")

    def talk(self) -> None:
        """What the largest creator's people wrote: to each fan five answers in the last month, by one of three
        chatters, and five campaigns in the last quarter."""
        now = {"now": NOW}
        self.run(
            "INSERT INTO crm_user (id, email, name, password, is_superuser, is_staff, is_active, date_joined) "
            "SELECT n, 'chatter' || n || '@example.com', 'Chatter ' || n, '', false, false, true, now() "
            "FROM generate_series(1, 3) AS n"
        )
        self.run(
            "INSERT INTO crm_conversation (id, creator_id, fan_id, last_message_at, unread_count, archived) "
            "SELECT id, 1, id, %(now)s, 0, false FROM crm_fan WHERE creator_id = 1",
            now,
        )
        message = (
            "INSERT INTO crm_message (id, creator_id, conversation_id, sender_id, direction, text, price_cents, "
            "attachments, status, read, created_at) SELECT "
        )
        for direction, sender, status, wait in (("in", "NULL", "received", 0), ("out", "1 + f.id %% 3", "sent", 5)):
            self.run(
                f"{message} gen_random_uuid(), 1, f.id, {sender}, '{direction}', 'words', 0, '[]', '{status}', true, "
                f"%(now)s::timestamptz - n * interval '5 days' + f.id %% 1440 * interval '1 minute' "
                f"+ interval '{wait} minutes' FROM crm_fan AS f, generate_series(1, 5) AS n WHERE creator_id = 1",
                now,
            )
        self.run(
            "INSERT INTO messaging_campaign (id, creator_id, name, content, attachments, price_cents, audience, "
            "status, created_at) SELECT n, 1, 'Campaign ' || n, 'words', '[]', 1000, '{}', 'running', "
            "%(now)s::timestamptz - n * interval '15 days' FROM generate_series(1, 5) AS n",
            now,
        )
        self.run(
            f"WITH sent AS ({message} gen_random_uuid(), 1, f.id, NULL, 'out', 'words', 1000, '[]', 'sent', true, "  # noqa: S608
            "c.created_at FROM crm_fan AS f, messaging_campaign AS c WHERE f.creator_id = 1 "
            "RETURNING id, conversation_id, created_at) "
            "INSERT INTO messaging_delivery (message_id, campaign_id, creator_id, fan_id, kind, priority, state, "
            "dispatch_id, due_at, attempts, hops, repeatable, stage, reason_code, reason, trace_id, finished_at) "
            "SELECT sent.id, c.id, 1, conversation_id, 'campaign', 5, 'sent', gen_random_uuid(), sent.created_at, 1, "
            "0, false, '', '', '', '', sent.created_at FROM sent JOIN messaging_campaign AS c USING (created_at)"
        )

    def insert(self, rows: int, name: str, creator: str, days: float) -> None:
        """So many rows of the last `days` days; creator: SQL of who gets row n."""
        names = {"largest": self.largest, "other": self.other}
        self.run(
            f"INSERT INTO crm_transaction ({_COLUMNS}) SELECT creator_id, "  # noqa: S608  names and numbers of ours
            f"{_FAN.format(**names)} + floor(random() * random() * {_COUNT.format(**names)})::bigint, '', {_KIND}, "
            f"{_STATUS}, 1000, 200, 800, 0, 'USD', "
            f"timestamptz '{NOW}' - (1 - n::float / {rows + 1}) * interval '{days} days', 'ledger', '{name}' || n "
            f"FROM (SELECT n, {creator} AS creator_id FROM generate_series(1, {rows}) AS n) AS told"
        )

    def rebuild(self) -> None:
        self.run("SELECT analytics_revenue_rebuild(id) FROM crm_creator ORDER BY id")

    def size(self, relation: str, *, whole: bool = False) -> int:
        return int(self.run(f"SELECT pg_{'total_' if whole else ''}relation_size('{relation}')")[0][0])


class Duck:
    """DuckDB with a copy of the rows in its own format, ordered as it likes best: by creator and time."""

    def __init__(self, folder: Path) -> None:
        from django.db import connection

        connection.ensure_connection()
        self.path, self.names = folder / "rows.duckdb", count()
        self.database = duckdb.connect(str(self.path))
        self.database.execute("SET TimeZone = 'UTC'")
        for table, columns, order in (
            ("crm_transaction", DUCK_COLUMNS, "creator_id, occurred_at"),
            ("crm_fan", "id, creator_id, value_cents, last_seen_at, deleted_at", "creator_id, id"),
        ):
            file = folder / f"{table}.csv"
            with file.open("wb") as out, connection.connection.cursor() as cursor:
                copied = f"COPY (SELECT {columns} FROM {table}) TO STDOUT (FORMAT csv, HEADER)"  # noqa: S608
                with cursor.copy(copied) as copy:
                    for block in copy:
                        out.write(block)
            types = {"deleted_at": "TIMESTAMPTZ"} if table == "crm_fan" else {"occurred_at": "TIMESTAMPTZ"}
            given = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in types.items()) + "}"
            self.database.execute(
                f"CREATE TABLE {table} AS SELECT * FROM read_csv('{file}', types = {given}) ORDER BY {order}"  # noqa: S608
            )
            file.unlink()
        self.database.execute("CHECKPOINT")

    def prepared(self, sql: str, values: Sequence[Any]) -> Callable[[], list[tuple[Any, ...]]]:
        """The statement planned once, as PostgreSQL has its own."""
        name = f"asked{next(self.names)}"
        self.database.execute(f"PREPARE {name} AS {sql.replace('%s', '?')}")
        told = (f"TIMESTAMPTZ '{each}'" if isinstance(each, datetime) else str(int(each)) for each in values)
        asking = f"EXECUTE {name}({', '.join(told)})"
        return lambda: self.database.execute(asking).fetchall()


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of many turns, warm: the median, and the least, which says most where the machine is busy."""

    median: float
    least: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ms"


def in_turn(runs: Mapping[str, Callable[[], Any]], *, rounds: int = 51, at_most_seconds: float = 30) -> dict[str, Took]:
    """What each takes, one after the other in every round, so that a busy moment hits all; fewer rounds where it takes
    long. Each is asked twice and the second counts, or whoever comes after a million rows would pay for fetching into
    memory what those pushed out. The first ten rounds are not counted: PostgreSQL keeps a plan from the sixth on."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + at_most_seconds
    for turn in range(-10, rounds):
        if turn > 2 and time.perf_counter() > end:
            break
        for name, run in runs.items():
            run()
            begin = time.perf_counter()
            run()
            if turn >= 0:
                taken[name].append(1_000 * (time.perf_counter() - begin))
    return {name: Took(statistics.median(each), min(each)) for name, each in taken.items()}
